//! A model CRM: three types of records with relations, and an API in front of them that knows no permissions at all.
//!
//! Its state is plain data, so that two states can be made to differ by a list of edits. Values are kept as the JSON text that
//! the CRM writes. It is generous where real CRMs are: it echoes, counts, stamps and tells whatever it can.

pub mod answer;
pub mod change;
pub mod query;
pub mod render;
pub mod server;

use std::collections::BTreeMap;
use std::fmt;

use lockkeeper::testkit::dice::Dice;

/// A type of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Deal,
    Contact,
    Company,
}

/// A record without its id: JSON texts by key, parts of composites under dotted keys. A key with `null` is written or left out
/// as the CRM's style has it.
pub type Record = BTreeMap<String, String>;

/// How this CRM writes and reads; the same in both states.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether there is a `null` where there is no value, else no key.
    pub writes_null: bool,
    /// Whether some keys are spelled with escapes.
    pub escapes: bool,
    /// Whether a merge of a contact empties its phone where it is left out.
    pub clears: bool,
    /// Whether a record in another one says whose it is.
    pub says_owner_inside: bool,
    /// Whether it listens to `If-None-Match`, `If-Match` and `Range`.
    pub is_conditional: bool,
}

/// All that the CRM holds.
#[derive(Clone, Debug)]
pub struct State {
    pub style: Style,
    pub tables: BTreeMap<Kind, BTreeMap<u64, Record>>,
    /// The id of the next new record.
    pub next_id: u64,
    /// How many requests changed something.
    pub changes: u64,
}

/// One difference between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A key gets a value, or goes.
    Set { kind: Kind, id: u64, key: String, to: Option<String> },
    /// A record comes, or becomes another one.
    Put { kind: Kind, id: u64, record: Record },
    /// A record goes.
    Remove { kind: Kind, id: u64 },
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Deal, Kind::Contact, Kind::Company];

    /// The type's name in bundles.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Deal => "Deal",
            Kind::Contact => "Contact",
            Kind::Company => "Company",
        }
    }

    /// The first part of its paths.
    pub fn path(self) -> &'static str {
        match self {
            Kind::Deal => "deals",
            Kind::Contact => "contacts",
            Kind::Company => "companies",
        }
    }

    /// The keys that its records have from the start.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Kind::Deal => &[
                "title",
                "stage",
                "owner_id",
                "team_id",
                "amount",
                "margin",
                "notes",
                "internal",
                "contact_id",
                "company_id",
                "flagged",
                "version",
                "address.street",
                "address.city",
                "address.zip",
                "tags",
                "risk",
            ],
            Kind::Contact => {
                &["name", "email", "phone", "owner_id", "team_id", "company_id", "vip", "version", "score"]
            }
            Kind::Company => &["name", "tier", "credit", "owner_id", "version", "rating"],
        }
    }

    /// Keys that the CRM derives: the key beside, and the key that it says in another form.
    pub fn twins(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Deal => &[("amount_fmt", "amount"), ("amount_eur", "amount"), ("margin_pct", "margin")],
            Kind::Contact => &[("email_html", "email")],
            Kind::Company => &[("credit_fmt", "credit")],
        }
    }
}

impl State {
    /// Random records; the same numbers of each type in all states.
    pub fn random(style: Style, dice: &mut Dice) -> Self {
        let mut tables = BTreeMap::new();
        for kind in Kind::ALL {
            let records = ids(kind).map(|id| (id, random_record(kind, dice)));
            tables.insert(kind, records.collect());
        }
        Self { style, tables, next_id: 500, changes: 0 }
    }

    pub fn record(&self, kind: Kind, id: u64) -> Option<&Record> {
        self.tables[&kind].get(&id)
    }

    pub fn table_mut(&mut self, kind: Kind) -> &mut BTreeMap<u64, Record> {
        self.tables.entry(kind).or_default()
    }

    /// Makes it differ.
    pub fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Set { kind, id, key, to } => {
                let Some(record) = self.table_mut(*kind).get_mut(id) else { return };
                match to {
                    Some(text) => drop(record.insert(key.clone(), text.clone())),
                    None => drop(record.remove(key)),
                }
            }
            Edit::Put { kind, id, record } => drop(self.table_mut(*kind).insert(*id, record.clone())),
            Edit::Remove { kind, id } => drop(self.table_mut(*kind).remove(id)),
        }
    }
}

impl Edit {
    /// The record that it is about.
    pub fn place(&self) -> (Kind, u64) {
        match self {
            Edit::Set { kind, id, .. } | Edit::Put { kind, id, .. } | Edit::Remove { kind, id } => {
                (*kind, *id)
            }
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Edit::Set { kind, id, key, to: Some(text) } => write!(f, "{} {id}: {key} = {text}", kind.name()),
            Edit::Set { kind, id, key, to: None } => write!(f, "{} {id}: no {key}", kind.name()),
            Edit::Put { kind, id, record } => write!(f, "{} {id} is {record:?}", kind.name()),
            Edit::Remove { kind, id } => write!(f, "no {} {id}", kind.name()),
        }
    }
}

/// The ids that records have at the start, with room between them.
pub fn ids(kind: Kind) -> impl Iterator<Item = u64> {
    let (from, count) = match kind {
        Kind::Deal => (10, 9),
        Kind::Contact => (110, 6),
        Kind::Company => (210, 3),
    };
    (0..count).map(move |number| from + number * 3)
}

pub fn random_record(kind: Kind, dice: &mut Dice) -> Record {
    kind.keys().iter().map(|key| ((*key).to_owned(), random_value(key, dice))).collect()
}

/// A value that a key may have in this CRM, as JSON.
pub fn random_value(key: &str, dice: &mut Dice) -> String {
    let text = match key {
        "version" => "1",
        // One stage is none of the bundles' catalogue, and one person none of the directory.
        "stage" => dice.pick(&["\"lead\"", "\"lead\"", "\"talk\"", "\"won\"", "\"won\"", "\"legacy\""]),
        "owner_id" => dice.pick(&["11", "12", "13", "14", "11", "12", "null", "99"]),
        "team_id" => dice.pick(&["1", "2", "3", "null"]),
        "contact_id" => return (110 + dice.below(7) * 3).to_string(),
        "company_id" => return (210 + dice.below(4) * 3).to_string(),
        "amount" | "margin" | "credit" => dice.pick(&["100", "250.5", "900", "1000", "null", "7"]),
        "flagged" | "vip" => dice.pick(&["true", "false", "null"]),
        "tags" => dice.pick(&["[]", "[\"a\"]", "[\"a\",\"b\"]"]),
        _ if dice.one_in(6) => "null",
        _ if dice.one_in(4) => return hostile_text(dice),
        _ => dice.pick(&["\"acme\"", "\"north\"", "\"x\"", "\"Secret plan\"", "\"a b c\"", "\"zeta\""]),
    };
    text.to_owned()
}

/// A text with what filters trip over.
pub fn hostile_text(dice: &mut Dice) -> String {
    let text = dice.pick(&[
        r#""\u0061\"}]""#,
        r#""\ud83d\ude00""#,
        r#""}],\"total\":9""#,
        r#""é\\""#,
        r#""<b>&amp;""#,
        r#""""#,
        r#""=1+1""#,
        r#""a,b;c\nd""#,
    ]);
    if dice.one_in(6) { format!("\"{}\"", "long ".repeat(1 + dice.below(200))) } else { text.to_owned() }
}
