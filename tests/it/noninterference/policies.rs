//! Random policies over field sets, stage, team, owner and amount, and which attributes they look at.

use std::collections::BTreeSet;

use lockkeeper::testkit::dice::Dice;

use super::model::Kind;

/// Policies as Cedar's text, and as what they say.
#[derive(Default)]
pub struct Policies {
    pub text: String,
    pub list: Vec<Policy>,
    /// The attributes that those on reading look at.
    pub read_for_view: BTreeSet<(Kind, &'static str)>,
    /// The attributes that any of them looks at.
    pub read_at_all: BTreeSet<(Kind, &'static str)>,
}

/// A policy: all of its conditions must hold.
#[derive(Clone, Debug)]
pub struct Policy {
    pub about: About,
    pub who: Who,
    pub when: Vec<Condition>,
}

/// What a policy is about.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub effect: &'static str,
    pub action: &'static str,
    pub kind: Kind,
}

/// Whom a policy is about: anybody, or whoever is of that id or inside of it.
pub type Who = Option<(&'static str, &'static str)>;

/// A condition.
#[derive(Clone, Debug)]
pub enum Condition {
    InSet(&'static str),
    IsField(String),
    /// Something that only writes have, as Cedar's text.
    OfWrite(&'static str),
    On(Test),
    Not(Test),
    Either(Test, Test),
}

/// A test of the record's attributes; one that it lacks fulfils none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    IsOwner,
    OwnerIn(&'static str),
    InTeam,
    IsOpen,
    IsWon,
    IsSmall,
    IsTrue(&'static str),
}

/// Draws some.
pub fn random(dice: &mut Dice) -> Policies {
    let mut policies = Policies { text: dice.pick(ROUTES).to_owned(), ..Policies::default() };
    for kind in Kind::ALL {
        reading(&mut policies, kind, dice);
    }
    writing(&mut policies, dice);
    // A move is judged from where the record stands, whatever policies say.
    policies.read_at_all.insert((Kind::Deal, "stage"));
    policies
}

fn writing(policies: &mut Policies, dice: &mut Dice) {
    let is_open = dice.one_in(2);
    for action in ["create", "edit", "delete", "assign"] {
        let about = About { effect: "permit", action, kind: Kind::Deal };
        policies.one(about, None, dice);
        if is_open {
            policies.anybody(about, Vec::new());
        }
        if action == "edit" {
            let contacts = About { kind: Kind::Contact, ..about };
            policies.one(contacts, None, dice);
            if is_open {
                policies.anybody(contacts, Vec::new());
            }
        }
    }
    for kind in [Kind::Deal, Kind::Contact] {
        let about = About { effect: "permit", action: "writeField", kind };
        for set in SETS {
            if !dice.one_in(4) {
                policies.one(about, Some(Condition::InSet(set)), dice);
            }
        }
        match dice.below(4) {
            0 => policies.anybody(about, Vec::new()),
            1 | 2 => policies.anybody(about, vec![Condition::InSet("public")]),
            _ => {}
        }
    }
    let moves = About { effect: "permit", action: "moveStage", kind: Kind::Deal };
    for _ in 0..2 {
        let to =
            dice.pick(&["", "context.to in StageGroup::\"open\"", "context.from != Stage::\"sales.won\""]);
        policies.one(moves, Some(Condition::OfWrite(to)).filter(|_| !to.is_empty()), dice);
    }
}

fn reading(policies: &mut Policies, kind: Kind, dice: &mut Dice) {
    let view = About { effect: "permit", action: "view", kind };
    if !dice.one_in(3) {
        policies.anybody(view, Vec::new());
    }
    for _ in 0..1 + dice.below(2) {
        policies.one(view, None, dice);
    }
    // What is inside of other records often lacks what such a guard looks at.
    if dice.one_in(if kind == Kind::Contact { 2 } else { 4 }) {
        policies.one(About { effect: "forbid", ..view }, None, dice);
    }
    let read = About { action: "readField", ..view };
    if !dice.one_in(3) {
        policies.anybody(read, vec![Condition::InSet("public")]);
    }
    if dice.one_in(3) {
        policies.anybody(read, vec![Condition::InSet(dice.pick(&["money", "private"]))]);
    }
    for set in SETS.iter().chain(&["secret"]) {
        for _ in 0..dice.below(2) {
            policies.one(read, Some(Condition::InSet(set)), dice);
        }
    }
    if dice.one_in(3) {
        policies.one(read, None, dice);
    }
    if dice.one_in(4) {
        policies.one(About { effect: "forbid", ..read }, Some(Condition::InSet("money")), dice);
    }
    if dice.one_in(4) && kind == Kind::Deal {
        let name = format!("Deal.{}", dice.pick(&["margin", "title", "*"]));
        policies.one(read, Some(Condition::IsField(name)), dice);
    }
    let masked = About { action: "readFieldMasked", ..view };
    if !dice.one_in(3) {
        policies.one(masked, Some(Condition::InSet("secret")), dice);
    }
    if dice.one_in(4) {
        policies.one(masked, None, dice);
    }
}

impl Policies {
    /// A policy with conditions on the record, now and then.
    fn one(&mut self, about: About, also: Option<Condition>, dice: &mut Dice) {
        let mut when: Vec<Condition> = also.into_iter().collect();
        let mut test = || *dice.one_of(tests(about.kind));
        let (one, other, third) = (test(), test(), test());
        if !dice.one_in(3) || (about.effect == "forbid" && when.is_empty()) {
            when.push(if dice.one_in(4) { Condition::Not(one) } else { Condition::On(one) });
        }
        if dice.one_in(6) {
            when.push(Condition::Either(other, third));
        }
        self.add(Policy { about, who: *dice.one_of(WHO), when });
    }

    fn anybody(&mut self, about: About, when: Vec<Condition>) {
        self.add(Policy { about, who: None, when });
    }

    fn add(&mut self, policy: Policy) {
        let About { effect, action, kind } = policy.about;
        for test in policy.when.iter().flat_map(Condition::tests) {
            self.read_at_all.insert((kind, test.attribute()));
            if ["view", "readField", "readFieldMasked"].contains(&action) {
                self.read_for_view.insert((kind, test.attribute()));
            }
        }
        let who = match policy.who {
            None => "principal".to_owned(),
            Some(("User", id)) => format!("principal == User::\"{id}\""),
            Some((group, id)) => format!("principal in {group}::\"{id}\""),
        };
        let conditions: Vec<String> = policy.when.iter().map(Condition::text).collect();
        let when = if conditions.is_empty() {
            String::new()
        } else {
            format!(" when {{ {} }}", conditions.join(" && "))
        };
        self.text.push_str(&format!(
            "@id(\"p{}\")\n{effect} ({who}, action == Action::\"{action}\", resource is {}){when};\n",
            self.list.len(),
            kind.name()
        ));
        self.list.push(policy);
    }
}

impl Condition {
    fn tests(&self) -> Vec<Test> {
        match self {
            Condition::On(test) | Condition::Not(test) => vec![*test],
            Condition::Either(one, other) => vec![*one, *other],
            Condition::InSet(_) | Condition::IsField(_) | Condition::OfWrite(_) => Vec::new(),
        }
    }

    fn text(&self) -> String {
        match self {
            Condition::InSet(set) => format!("context.field in FieldSet::\"{set}\""),
            Condition::IsField(name) => format!("context.field == Field::\"{name}\""),
            Condition::OfWrite(text) => (*text).to_owned(),
            Condition::On(test) => format!("({})", test.text()),
            Condition::Not(test) => format!("!({})", test.text()),
            Condition::Either(one, other) => format!("({} || {})", test_in(*one), test_in(*other)),
        }
    }
}

fn test_in(test: Test) -> String {
    format!("({})", test.text())
}

impl Test {
    /// The attribute that it looks at.
    pub fn attribute(self) -> &'static str {
        match self {
            Test::IsOwner | Test::OwnerIn(_) => "owner",
            Test::InTeam => "team",
            Test::IsOpen | Test::IsWon => "stage",
            Test::IsSmall => "amount",
            Test::IsTrue(attribute) => attribute,
        }
    }

    fn text(self) -> String {
        let attribute = self.attribute();
        let test = match self {
            Test::IsOwner => "resource.owner == principal".to_owned(),
            Test::OwnerIn(role) => format!("resource.owner in Role::\"{role}\""),
            Test::InTeam => "principal in resource.team".to_owned(),
            Test::IsOpen => "resource.stage in StageGroup::\"open\"".to_owned(),
            Test::IsWon => "resource.stage == Stage::\"sales.won\"".to_owned(),
            Test::IsSmall => "resource.amount.lessThan(decimal(\"500.0\"))".to_owned(),
            Test::IsTrue(attribute) => format!("resource.{attribute}"),
        };
        format!("resource has {attribute} && {test}")
    }
}

fn tests(kind: Kind) -> &'static [Test] {
    match kind {
        Kind::Deal => &[
            Test::IsOwner,
            Test::IsOwner,
            Test::OwnerIn("r1"),
            Test::InTeam,
            Test::IsOpen,
            Test::IsWon,
            Test::IsSmall,
            Test::IsTrue("flagged"),
        ],
        Kind::Contact => &[Test::IsOwner, Test::InTeam, Test::IsTrue("vip")],
        Kind::Company => &[Test::IsOwner, Test::OwnerIn("r2")],
    }
}

const SETS: &[&str] = &["public", "money", "private"];

const WHO: &[Who] = &[
    None,
    None,
    None,
    Some(("Role", "r0")),
    Some(("Role", "r1")),
    Some(("Role", "r2")),
    Some(("Team", "t1")),
    Some(("User", "u2")),
];

/// Who may ask at all.
const ROUTES: &[&str] = &[
    "@id(\"ask\") permit (principal, action in [Action::\"list\", Action::\"search\", Action::\"export\", Action::\"report\"], resource);
@id(\"bulk\") permit (principal, action == Action::\"bulkEdit\", resource);
",
    "@id(\"ask\") permit (principal, action in [Action::\"list\", Action::\"search\", Action::\"report\"], resource);
@id(\"bulk\") permit (principal in Role::\"r1\", action in [Action::\"bulkEdit\", Action::\"export\"], resource);
",
];
