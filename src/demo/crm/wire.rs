//! How stored rows look on the wire: key order, derived twins, embedded records.
//!
//! Promises that twins (`amount_formatted`, `amount_weighted`, `margin_pct`, `owner`, `contact`, `company`) always
//! follow what they are derived from. Never leaves out a field for any caller: permissions are not this CRM's strength.

use super::catalogue;
use super::record::{NULL, Record, array, quoted};
use super::store::{Row, Store};

/// A deal with everything embedded; unknown stored keys come last.
pub fn deal(store: &Store, row: &Row) -> Record {
    let mut record = Record::default();
    for key in DEAL_KEYS {
        record.set(key, derived(store, row, key).unwrap_or_else(|| stored(row, key)));
    }
    with_unknown_keys(record, row)
}

/// All deals by ascending id.
pub fn deals(store: &Store) -> Vec<Record> {
    store.deals.rows().map(|row| deal(store, row)).collect()
}

/// A contact.
pub fn contact(row: &Row) -> Record {
    with_unknown_keys(plain(row, &CONTACT_KEYS), row)
}

/// A company as lists show it.
pub fn company(row: &Row) -> Record {
    with_unknown_keys(plain(row, &COMPANY_KEYS), row)
}

/// A company with its deals and contacts as short embeds.
pub fn company_detail(store: &Store, row: &Row) -> Record {
    let belongs = |other: &&Row| other.fields.integer("company_id") == Some(row.id);
    let deals: Vec<Record> =
        store.deals.rows().filter(belongs).map(|row| plain(row, &DEAL_EMBED_KEYS)).collect();
    let contacts: Vec<Record> =
        store.contacts.rows().filter(belongs).map(|row| plain(row, &CONTACT_EMBED_KEYS)).collect();
    company(row).with("deals", array(&deals)).with("contacts", array(&contacts))
}

/// The entity tag of a deal, with its quotation marks.
pub fn deal_etag(row: &Row) -> String {
    format!("\"deal-{}-v{}\"", row.id, row.version)
}

fn derived(store: &Store, row: &Row, key: &str) -> Option<String> {
    let fields = &row.fields;
    let (amount, margin) = (fields.decimal("amount"), fields.decimal("margin"));
    let value = match key {
        "id" => Some(row.id.to_string()),
        "version" => Some(row.version.to_string()),
        "owner" => fields.integer("owner_id").and_then(catalogue::user).map(|user| user.embed().to_json()),
        "contact" => related(fields, "contact_id", |id| store.contacts.row(id).ok(), &CONTACT_EMBED_KEYS),
        "company" => related(fields, "company_id", |id| store.companies.row(id).ok(), &COMPANY_EMBED_KEYS),
        "amount_formatted" => amount.map(|amount| quoted(&amount.to_money(&symbol(fields)))),
        "amount_weighted" => amount
            .zip(fields.decimal("probability"))
            .and_then(|(amount, probability)| amount.times(probability))
            .map(|weighted| weighted.to_text(2)),
        "margin_pct" => margin
            .zip(amount)
            .and_then(|(margin, amount)| margin.percent_of(amount))
            .map(|percent| percent.to_text(1)),
        _ => return None,
    };
    Some(value.unwrap_or_else(|| NULL.to_owned()))
}

fn related<'a>(
    fields: &Record,
    key: &str,
    row: impl Fn(u64) -> Option<&'a Row>,
    embed_keys: &[&str],
) -> Option<String> {
    fields.integer(key).and_then(row).map(|row| plain(row, embed_keys).to_json())
}

fn symbol(fields: &Record) -> String {
    match fields.text("currency").as_deref() {
        Some("EUR") => "€".to_owned(),
        Some("USD") => "$".to_owned(),
        Some(code) => format!("{code} "),
        None => String::new(),
    }
}

fn plain(row: &Row, keys: &[&str]) -> Record {
    let mut record = Record::default().with("id", row.id.to_string());
    for key in keys.iter().filter(|key| **key != "id") {
        record.set(key, stored(row, key));
    }
    record
}

fn stored(row: &Row, key: &str) -> String {
    row.fields.raw(key).unwrap_or(NULL).to_owned()
}

fn with_unknown_keys(mut record: Record, row: &Row) -> Record {
    for (key, raw) in row.fields.entries() {
        record.set(key, raw);
    }
    record
}

/// The keys of a deal in the order of the wire.
pub const DEAL_KEYS: [&str; 28] = [
    "id",
    "title",
    "stage",
    "pipeline",
    "owner_id",
    "owner",
    "team_id",
    "amount",
    "currency",
    "amount_formatted",
    "amount_weighted",
    "probability",
    "margin",
    "margin_pct",
    "discount_pct",
    "strategic",
    "close_date",
    "created_at",
    "contact_id",
    "contact",
    "company_id",
    "company",
    "notes",
    "internal_notes",
    "address",
    "tags",
    "risk_score",
    "version",
];
const CONTACT_KEYS: [&str; 8] =
    ["id", "name", "email", "phone", "company_id", "owner_id", "team_id", "consent"];
const COMPANY_KEYS: [&str; 8] =
    ["id", "name", "tier", "country", "owner_id", "team_id", "credit_limit", "internal_rating"];
const DEAL_EMBED_KEYS: [&str; 6] = ["id", "title", "stage", "amount", "owner_id", "margin"];
const CONTACT_EMBED_KEYS: [&str; 5] = ["id", "name", "email", "phone", "company_id"];
const COMPANY_EMBED_KEYS: [&str; 3] = ["id", "name", "tier"];

/// Keys of a deal that writes cannot set.
pub const COMPUTED_DEAL_KEYS: &[&str] =
    &["id", "owner", "amount_formatted", "amount_weighted", "margin_pct", "contact", "company", "version"];
/// Keys of contacts and companies that writes cannot set.
pub const COMPUTED_KEYS: &[&str] = &["id", "deals", "contacts"];
