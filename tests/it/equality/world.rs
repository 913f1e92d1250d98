//! Random directories, records and moments.

use lockkeeper::bundle::current::Snapshot;
use lockkeeper::bundle::directory::{Directory, load};
use lockkeeper::config::author::Problems;
use lockkeeper::model::principal::EntityRef;
use lockkeeper::model::record::{Attribute, AttributeValue, RecordFacts};

use lockkeeper::testkit::dice::Dice;

pub const SCHEMA: &str = r#"
entity Deal {
  owner?: User,
  team?: Team,
  stage?: Stage,
  amount?: decimal,
  score?: Long,
  strategic?: Bool,
  name?: String,
  created?: datetime,
  watchers?: Set<User>,
  labels?: Set<String>,
};
type UserAttributes = {
  limit?: decimal,
  level?: Long,
  region?: String,
  boss?: User,
  since?: datetime,
  teams?: Set<Team>,
  favourite?: Deal,
};
"#;

pub const PROFILE: &str = r#"
profile = 1

[pipelines.sales.stages]
lead = { groups = ["open"] }
won  = { groups = ["closed"] }
lost = { groups = ["closed"] }

[field_sets]
public = []
other  = []
secret = []
money  = ["secret"]

[types.Deal]
id = "id"

[types.Deal.attributes]
owner     = { at = ["owner.id", "owner"], as = "User" }
team      = { as = "Team" }
stage     = { as = "Stage" }
amount    = { as = "decimal" }
score     = { as = "long" }
strategic = { as = "bool" }
name      = { as = "string" }
created   = { as = "datetime" }
watchers  = { at = ["watchers[*].id", "watchers[*]"], as = "set of User" }
labels    = { as = "set of string" }

[types.Deal.fields]
title  = { sets = ["public"] }
price  = { sets = ["money"] }
margin = { sets = ["money", "public"] }
notes  = { sets = ["secret"] }
phone  = { sets = ["other"] }

[[routes]]
match = "GET /deals/{id:int}"


action = "view"
records = { at = "$", type = "Deal", complete = true }
"#;

pub const USERS: usize = 6;
pub const ROLES: usize = 3;
pub const TEAMS: usize = 4;

/// Moments around the points that policies and people name.
pub const MOMENTS: &[i64] =
    &[0, 86_400_000, 1_780_272_000_000, 1_780_315_200_000, 1_796_083_200_000, -1, 253_402_300_799_999];

/// A moment at, just before or just after one of them.
pub fn moment(dice: &mut Dice) -> i64 {
    let at = MOMENTS[dice.below(MOMENTS.len() - 1)];
    at + dice.below(3) as i64 - 1
}

/// A point in time as Cedar writes it.
pub fn datetime(dice: &mut Dice) -> String {
    lockkeeper::bundle::instant::to_cedar_datetime(moment(dice)).unwrap()
}

/// A decimal as Cedar writes it.
pub fn decimal(dice: &mut Dice) -> &'static str {
    dice.pick(&["0.0", "-0.0001", "100.5", "1000000.0000", "-12.34", "922337203685477.5807"])
}

/// A directory in which everybody is.
pub fn directory(schema: &cedar_policy::Schema, dice: &mut Dice) -> Directory {
    let mut entities = Vec::new();
    let parent =
        |kind: &str, number: usize| format!(r#"{{"type":"{kind}","id":"{}{number}"}}"#, kind.to_lowercase());
    let mut add = |kind: &str, id: &str, attributes: Vec<String>, parents: Vec<String>| {
        entities.push(format!(
            r#"{{"uid":{{"type":"{kind}","id":"{id}"}},"attrs":{{{}}},"parents":[{}]}}"#,
            attributes.join(","),
            parents.join(",")
        ));
    };
    for (kind, count) in [("Role", ROLES), ("Team", TEAMS), ("Position", 3)] {
        for number in 0..count {
            // Above are smaller numbers, so nothing is inside of itself.
            let parents = (0..number).filter(|_| dice.one_in(3)).map(|above| parent(kind, above)).collect();
            add(kind, &format!("{}{number}", kind.to_lowercase()), Vec::new(), parents);
        }
    }
    for number in 0..=USERS {
        let (kind, id) =
            if number == USERS { ("Service", "s0".to_owned()) } else { ("User", format!("u{number}")) };
        let mut attributes = vec![format!(r#""active":{}"#, !dice.one_in(5))];
        if dice.one_in(2) {
            attributes.push(format!(r#""position":{}"#, parent("Position", dice.below(3))));
        }
        for name in ["accessFrom", "accessUntil"] {
            if dice.one_in(3) {
                attributes.push(format!(r#""{name}":{{"fn":"datetime","arg":"{}"}}"#, datetime(dice)));
            }
        }
        if !dice.one_in(4) {
            attributes.push(format!(r#""custom":{{{}}}"#, custom(dice)));
        }
        let mut parents = Vec::new();
        for (kind, count) in [("Role", ROLES), ("Team", TEAMS)] {
            parents.extend((0..count).filter(|_| dice.one_in(3)).map(|above| parent(kind, above)));
        }
        add(kind, &id, attributes, parents);
    }
    let mut problems = Problems::default();
    let text = format!("[{}]", entities.join(","));
    let loaded = load(&super::source(text), schema, &mut problems);
    assert_eq!(problems.error_count(), 0, "{problems}");
    loaded.unwrap()
}

fn custom(dice: &mut Dice) -> String {
    let mut members = Vec::new();
    if dice.one_in(2) {
        members.push(format!(r#""limit":{{"fn":"decimal","arg":"{}"}}"#, decimal(dice)));
    }
    if dice.one_in(2) {
        members.push(format!(r#""level":{}"#, dice.pick(&["0", "1", "9223372036854775807", "-3"])));
    }
    if dice.one_in(2) {
        members.push(format!(r#""region":"{}""#, dice.pick(&["north", "n", "", "a*b"])));
    }
    if dice.one_in(2) {
        members.push(format!(r#""boss":{{"__entity":{{"type":"User","id":"u{}"}}}}"#, dice.below(USERS)));
    }
    if dice.one_in(2) {
        members.push(format!(r#""since":{{"fn":"datetime","arg":"{}"}}"#, datetime(dice)));
    }
    if dice.one_in(2) {
        let teams: Vec<String> = (0..dice.below(3))
            .map(|_| format!(r#"{{"__entity":{{"type":"Team","id":"team{}"}}}}"#, dice.below(TEAMS)))
            .collect();
        members.push(format!(r#""teams":[{}]"#, teams.join(",")));
    }
    members.join(",")
}

/// A record; now and then an attribute is not carried, does not conform, or refers to nobody.
pub fn record(snapshot: &Snapshot, dice: &mut Dice) -> RecordFacts {
    let (_, record_type) = snapshot.bundle.profile.type_named("Deal").unwrap();
    let attributes = record_type.attributes.iter().map(|spec| match dice.below(60) {
        0 => Attribute::NotCarried,
        1 => Attribute::Nonconforming("made up".to_owned()),
        2..20 => Attribute::Absent,
        _ => Attribute::Present(value(&spec.name, dice)),
    });
    let attributes = attributes.collect();
    RecordFacts { type_name: "Deal".to_owned(), id: dice.below(4).to_string(), attributes }
}

fn value(name: &str, dice: &mut Dice) -> AttributeValue {
    let entity = |kind: &str, id: String| AttributeValue::Entity(EntityRef::new(kind, id));
    let user = |dice: &mut Dice| {
        let number = if dice.one_in(40) { USERS + 9 } else { dice.below(USERS) };
        entity("User", format!("u{number}"))
    };
    match name {
        "owner" => user(dice),
        "team" => entity("Team", format!("team{}", dice.below(TEAMS))),
        "stage" => entity("Stage", dice.pick(&["sales.lead", "sales.won", "sales.lost"]).to_owned()),
        "amount" => {
            AttributeValue::Decimal([0, -1, 1_005_000, 10_000_000_000, i64::MAX, i64::MIN][dice.below(6)])
        }
        "score" => AttributeValue::Long([0, 1, 7, -7, i64::MAX, i64::MIN][dice.below(6)]),
        "strategic" => AttributeValue::Bool(dice.one_in(2)),
        "name" => AttributeValue::Text(dice.pick(&["", "north", "a*b", "acme north", "Äther"]).to_owned()),
        "created" => AttributeValue::Datetime(match dice.below(12) {
            0 => 253_402_300_800_000,
            1 => -62_167_219_200_001,
            _ => moment(dice),
        }),
        "watchers" => AttributeValue::Set((0..dice.below(3)).map(|_| user(dice)).collect()),
        _ => AttributeValue::Set(
            (0..dice.below(3))
                .map(|_| AttributeValue::Text(dice.pick(&["a", "b", "c"]).to_owned()))
                .collect(),
        ),
    }
}
