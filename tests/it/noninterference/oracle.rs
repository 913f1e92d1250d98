//! What a person may see of a state: the policies' own words, one after the other, with nothing of the product. Plain Cedar
//! confirms it on some records of every bundle (`confirm.rs`).
//!
//! And the relation that the promise is about: two states that differ in nothing that a person may see, and in nothing that a
//! policy reads for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::bundle::{Bundle, Hide, TEAMS, USERS, relations};
use super::model::{Kind, Record, State};
use super::policies::{About, Condition, Policy, Test};

/// What may be seen of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    Shown,
    Masked,
    Hidden,
}

/// What may be seen of a record: nothing, or each field by its place, and all other keys under `*`.
pub type Seen = Option<Arc<BTreeMap<String, Sight>>>;

/// Answers what people of a directory may see.
pub struct Oracle {
    /// By person: the roles and teams, as type and id.
    groups: BTreeMap<&'static str, BTreeSet<(String, String)>>,
    /// What was answered before.
    known: Mutex<HashMap<String, Seen>>,
}

/// An attribute of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    User(&'static str),
    Team(&'static str),
    Stage(String),
    Amount(f64),
    Truth(bool),
}

/// The attributes that the policies on reading look at; nothing if one of them does not convert, which denies.
pub type Facts = Option<BTreeMap<&'static str, Fact>>;

impl Oracle {
    /// For a bundle.
    pub fn new(bundle: &Bundle) -> Self {
        let people: Value = serde_json::from_str(&bundle.directory).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let groups = USERS.iter().map(|user| {
            let own = people.as_array().unwrap().iter().find(|one| one["uid"]["id"] == **user).unwrap();
            let parents = own["parents"].as_array().unwrap().iter();
            (*user, parents.map(|parent| (text(&parent["type"]), text(&parent["id"]))).collect())
        });
        Self { groups: groups.collect(), known: Mutex::default() }
    }

    /// What a person may see of a record.
    pub fn seen(&self, bundle: &Bundle, person: &str, kind: Kind, record: &Record) -> Seen {
        let facts = facts(bundle, kind, record)?;
        let key = format!("{person} {kind:?} {facts:?}");
        let mut known = self.known.lock().unwrap();
        known.entry(key).or_insert_with(|| self.judged(bundle, person, kind, &facts).map(Arc::new)).clone()
    }

    fn judged(
        &self,
        bundle: &Bundle,
        person: &str,
        kind: Kind,
        facts: &BTreeMap<&'static str, Fact>,
    ) -> Option<BTreeMap<String, Sight>> {
        let ask = |action: &str, field: Option<(&str, &[&str])>| {
            let applying = bundle.policies.list.iter().filter(|policy| {
                let About { action: its, kind: of, .. } = policy.about;
                its == action && of == kind && self.applies(policy, person, facts, field)
            });
            let (mut is_permitted, mut is_forbidden) = (false, false);
            applying.for_each(|policy| match policy.about.effect {
                "permit" => is_permitted = true,
                _ => is_forbidden = true,
            });
            is_permitted && !is_forbidden
        };
        if !ask("view", None) {
            return None;
        }
        let judge = |name: &str, sets: &[&str]| {
            let full = format!("{}.{name}", kind.name());
            let field = Some((full.as_str(), sets));
            match ask("readField", field) {
                true => Sight::Shown,
                false if ask("readFieldMasked", field) => Sight::Masked,
                false => Sight::Hidden,
            }
        };
        let fields = bundle.fields.iter().filter(|((of, _), _)| *of == kind);
        let mut seen: BTreeMap<String, Sight> =
            fields.map(|((_, name), field)| (name.clone(), judge(name, &field.sets))).collect();
        seen.insert("*".to_owned(), judge("*", &[]));
        Some(seen)
    }

    fn applies(
        &self,
        policy: &Policy,
        person: &str,
        facts: &BTreeMap<&'static str, Fact>,
        field: Option<(&str, &[&str])>,
    ) -> bool {
        let holds =
            |test: &Test| facts.get(test.attribute()).is_some_and(|fact| self.holds(*test, fact, person));
        self.is_about(policy, person)
            && policy.when.iter().all(|condition| match condition {
                // Money and private are inside of secret.
                Condition::InSet("secret") => {
                    field.is_some_and(|(_, sets)| sets.contains(&"money") || sets.contains(&"private"))
                }
                Condition::InSet(set) => field.is_some_and(|(_, sets)| sets.contains(set)),
                Condition::IsField(name) => field.is_some_and(|(field, _)| field == name),
                Condition::OfWrite(_) => false,
                Condition::On(test) => holds(test),
                Condition::Not(test) => !holds(test),
                Condition::Either(one, other) => holds(one) || holds(other),
            })
    }

    fn holds(&self, test: Test, fact: &Fact, person: &str) -> bool {
        match (test, fact) {
            (Test::IsOwner, Fact::User(owner)) => *owner == person,
            (Test::OwnerIn(role), Fact::User(owner)) => self.is_in(owner, "Role", role),
            (Test::InTeam, Fact::Team(team)) => self.is_in(person, "Team", team),
            (Test::IsOpen, Fact::Stage(stage)) => stage != "won",
            (Test::IsWon, Fact::Stage(stage)) => stage == "won",
            (Test::IsSmall, Fact::Amount(amount)) => *amount < 500.0,
            (Test::IsTrue(_), Fact::Truth(is)) => *is,
            _ => false,
        }
    }

    /// Whether a person may view records of a type whatever they hold.
    fn views_every_record(&self, bundle: &Bundle, person: &str, kind: Kind) -> bool {
        let mut views = bundle.policies.list.iter().filter(|policy| {
            let About { action, kind: of, .. } = policy.about;
            action == "view" && of == kind && self.is_about(policy, person)
        });
        let (mut permits, mut forbids) = (false, false);
        views.by_ref().for_each(|policy| match policy.about.effect {
            "permit" => permits |= policy.when.is_empty(),
            _ => forbids = true,
        });
        permits && !forbids
    }

    fn is_about(&self, policy: &Policy, person: &str) -> bool {
        policy.who.is_none_or(|(group, id)| match group {
            "User" => person == id,
            group => self.is_in(person, group, id),
        })
    }

    fn is_in(&self, person: &str, group: &str, id: &str) -> bool {
        self.groups.get(person).is_some_and(|groups| groups.contains(&(group.to_owned(), id.to_owned())))
    }

    /// Where two states differ in what a person may see, or in what a policy reads for them.
    pub fn difference(&self, bundle: &Bundle, person: &str, one: &State, other: &State) -> Option<Place> {
        if one.next_id != other.next_id {
            return Some((Kind::Deal, 0, "next id".to_owned()));
        }
        Kind::ALL.into_iter().find_map(|kind| {
            let ids: BTreeSet<u64> =
                one.tables[&kind].keys().chain(other.tables[&kind].keys()).copied().collect();
            ids.into_iter().find_map(|id| self.difference_of(bundle, person, (kind, id), one, other))
        })
    }

    /// What a person's request changed though they may neither see it nor, by any policy, change it.
    pub fn changed(&self, bundle: &Bundle, person: &str, former: &State, now: &State) -> Option<Place> {
        Kind::ALL.into_iter().find_map(|kind| {
            former.tables[&kind].iter().find_map(|(id, record)| {
                let now = now.record(kind, *id);
                if now == Some(record) {
                    return None;
                }
                let Some(seen) = self.seen(bundle, person, kind, record) else {
                    return Some((kind, *id, "all of it".to_owned()));
                };
                // A record that goes, goes whole.
                let keys: BTreeSet<&String> = now?.keys().chain(record.keys()).collect();
                // What is replaced whole, a record or a composite, loses keys that hold nothing: of these nothing is lost.
                // The same value in another spelling is the same.
                let value = |record: &Record, key: &str| {
                    record.get(key).map(|text| parsed(text)).filter(|value| !value.is_null())
                };
                let is_changed = |key: &str| now.is_none_or(|now| value(now, key) != value(record, key));
                let is_kept = |key: &str| {
                    let name = if bundle.field_of(kind, key).is_some() { key } else { "*" };
                    let is_moved = ["stage", "version"].contains(&key);
                    is_moved
                        || sight(&seen, name) == Sight::Shown
                        || self.may_write(bundle, person, kind, name)
                };
                let found = keys.into_iter().find(|key| is_changed(key) && !is_kept(key));
                found.map(|key| (kind, *id, key.clone()))
            })
        })
    }

    /// Whether some policy might let a person write a field.
    fn may_write(&self, bundle: &Bundle, person: &str, kind: Kind, name: &str) -> bool {
        let sets = bundle.field_of(kind, name).map(|field| field.sets.clone()).unwrap_or_default();
        bundle.policies.list.iter().any(|policy| {
            let About { action, kind: of, .. } = policy.about;
            let is_on_field = policy.when.iter().all(|condition| match condition {
                Condition::InSet(set) => sets.contains(set),
                _ => true,
            });
            action == "writeField" && of == kind && self.is_about(policy, person) && is_on_field
        })
    }

    /// The same for one record.
    pub fn difference_of(
        &self,
        bundle: &Bundle,
        person: &str,
        (kind, id): (Kind, u64),
        one: &State,
        other: &State,
    ) -> Option<Place> {
        let (one, other) = (one.record(kind, id), other.record(kind, id));
        if one == other {
            return None;
        }
        // What cannot be decided on is shown to nobody, but where an answer does not carry what does not convert.
        let is_undecided =
            |record: Option<&Record>| record.is_some_and(|record| facts(bundle, kind, record).is_none());
        if (is_undecided(one) || is_undecided(other)) && self.views_every_record(bundle, person, kind) {
            return Some((kind, id, "view".to_owned()));
        }
        let seen =
            |record: Option<&Record>| record.and_then(|record| self.seen(bundle, person, kind, record));
        let (here, there) = (seen(one), seen(other));
        let (one, other, here) = match (one.zip(other), here.zip(there)) {
            (_, None) if seen(one).is_none() && seen(other).is_none() => return None,
            (Some((one, other)), Some((here, there))) if here == there => (one, other, here),
            _ => return Some((kind, id, "view".to_owned())),
        };
        let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        let may_differ = |key: &str| {
            let (text, other_text) = (one.get(key), other.get(key));
            text == other_text || may_differ(bundle, kind, key, &here, [text, other_text])
        };
        keys.into_iter().find(|key| !may_differ(key)).map(|key| (kind, id, key.clone()))
    }
}

/// A value of a record; of a number that is out of range the text.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// What the policies on reading may know of a record.
pub fn facts(bundle: &Bundle, kind: Kind, record: &Record) -> Facts {
    let needed = bundle.policies.read_for_view.iter().filter(|(of, _)| *of == kind);
    let mut facts = BTreeMap::new();
    for (_, attribute) in needed {
        let key = match *attribute {
            "owner" => "owner_id",
            "team" => "team_id",
            other => other,
        };
        let value: Value = record.get(key).map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
        let fact = match (*attribute, &value) {
            (_, Value::Null) => continue,
            ("owner", _) => Fact::User(numbered(USERS, &value, 11)?),
            ("team", _) => Fact::Team(numbered(TEAMS, &value, 1)?),
            ("stage", Value::String(stage)) if STAGES.contains(&stage.as_str()) => Fact::Stage(stage.clone()),
            ("amount", Value::Number(number)) => Fact::Amount(number.as_f64()?),
            ("flagged" | "vip", Value::Bool(is)) => Fact::Truth(*is),
            _ => return None,
        };
        facts.insert(*attribute, fact);
    }
    Some(facts)
}

/// Who has a number in the CRM.
fn numbered(ids: &'static [&'static str], number: &Value, first: u64) -> Option<&'static str> {
    let place = number.as_u64()?.checked_sub(first)?;
    ids.get(usize::try_from(place).ok()?).copied()
}

/// The stages of every bundle's catalogue.
const STAGES: &[&str] = &["lead", "talk", "won"];

/// A record's key.
pub type Place = (Kind, u64, String);

/// Whether a key of a record that may be viewed may differ so, without anybody being able to tell.
fn may_differ(
    bundle: &Bundle,
    kind: Kind,
    key: &str,
    seen: &BTreeMap<String, Sight>,
    texts: [Option<&String>; 2],
) -> bool {
    // What policies read is part of what they reveal by their conditions; the version stamps every change.
    let is_read = |attribute: &str| bundle.policies.read_at_all.contains(&(kind, attribute));
    let attribute = match key {
        "owner_id" => "owner",
        "team_id" => "team",
        other => other,
    };
    if key == "version" || is_read(attribute) {
        return false;
    }
    // Other records are written with it.
    if key == "company_id"
        || (key == "contact_id" && relations(kind).iter().any(|to| sight(seen, to) != Sight::Hidden))
    {
        return false;
    }
    let field = bundle.field_of(kind, key);
    let own = field.map_or(sight(seen, "*"), |_| sight(seen, key));
    // In a table of text an empty text is as good as none.
    let says = |text: Option<&String>| text.filter(|text| *text != "null").map(|text| text == "\"\"");
    let is_same_kind = says(texts[0]) == says(texts[1]);
    let is_there_alike = texts[0].is_some() == texts[1].is_some();
    // Of a composite of which nothing may be seen, not even that it is there can be told.
    let inside = |name: &&String| name.starts_with("address.");
    let is_composite_seen = seen.keys().filter(inside).any(|name| sight(seen, name) != Sight::Hidden);
    // A change of a part may erase keys beside it that no field claims, and is refused where there are any.
    let is_in_composite =
        key.contains('.') && (field.is_none() || is_composite_seen || sight(seen, "*") == Sight::Shown);
    match (own, field) {
        (Sight::Shown, _) => false,
        // A mask, a null and a value in its place say that there is a key.
        (Sight::Masked, Some(field)) if field.mask.is_some() => is_same_kind && is_there_alike,
        (_, Some(field)) if (field.hide == Hide::Remove || key.contains('.')) && !is_in_composite => true,
        (_, None) if !is_in_composite => true,
        // Whether such keys hold anything is told by that refusal.
        (_, None) => is_there_alike && is_same_kind,
        // Where the style leaves out what is null, that shows too.
        _ => is_there_alike && (bundle.style.writes_null || is_same_kind),
    }
}

fn sight(seen: &BTreeMap<String, Sight>, key: &str) -> Sight {
    seen.get(key).copied().unwrap_or(Sight::Hidden)
}
