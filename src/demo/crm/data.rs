//! The demo CRM's first state: 8 companies, 16 contacts, 41 deals.
//!
//! Promises the same bytes in every run: all values follow from ids by arithmetic. Never uses a clock or chance, and
//! never names a person.

use super::catalogue::{self, PIPELINES};
use super::decimal::Decimal;
use super::files;
use super::record::{NULL, Record, quoted};
use super::store::{Store, Table};
use super::web::Sessions;
use super::wire::{COMPUTED_DEAL_KEYS, COMPUTED_KEYS};

/// A store as it is when the demo starts.
pub fn seeded() -> Store {
    let mut store = Store {
        deals: Table::new(COMPUTED_DEAL_KEYS),
        contacts: Table::new(COMPUTED_KEYS),
        companies: Table::new(COMPUTED_KEYS),
        files: files::seeded(),
        sessions: Sessions::default(),
    };
    for (index, name) in (0..).zip(COMPANY_NAMES) {
        store.companies.plant(FIRST_COMPANY_ID + index, company(index, name));
    }
    for index in 0..CONTACTS {
        store.contacts.plant(FIRST_CONTACT_ID + index, contact(index));
    }
    for id in 1..=PLAIN_DEALS {
        store.deals.plant(id, plain_deal(id));
    }
    store.deals.plant(SHOW_CASE_DEAL_ID, show_case_deal());
    store
}

/// What a deal has when its creator says nothing else.
pub fn deal_defaults() -> Record {
    let text = [("title", "Untitled"), ("stage", "lead"), ("pipeline", "sales"), ("currency", "EUR")];
    let mut deal = Record::default();
    for (key, value) in text {
        deal.set(key, quoted(value));
    }
    deal.with("owner_id", "5")
        .with("probability", catalogue::probability("lead"))
        .with("discount_pct", "0")
        .with("strategic", "false")
        .with("created_at", quoted(CREATED_LATER_AT))
        .with("tags", "[]")
}

fn company(index: u64, name: &str) -> Record {
    let east = index.is_multiple_of(2);
    Record::default()
        .with("name", quoted(name))
        .with("tier", quoted(pick(&["gold", "silver", "bronze"], index)))
        .with("country", quoted(pick(&["DE", "NL", "FR", "SE"], index)))
        .with("owner_id", if east { "1" } else { "2" })
        .with("team_id", if east { "10" } else { "20" })
        .with("credit_limit", format!("{}.00", 50_000 + index * 25_000))
        .with("internal_rating", quoted(pick(&["A", "B+", "B-", "C"], index)))
}

fn contact(index: u64) -> Record {
    let id = FIRST_CONTACT_ID + index;
    let company_index = index / CONTACTS_PER_COMPANY;
    let east = company_index.is_multiple_of(2);
    Record::default()
        .with("name", quoted(&format!("Contact {id}")))
        .with("email", quoted(&format!("contact-{id}@customer.example")))
        .with("phone", quoted(&format!("+1 555 0{id}")))
        .with("company_id", (FIRST_COMPANY_ID + company_index).to_string())
        .with("owner_id", if east { "1" } else { "2" })
        .with("team_id", if east { "10" } else { "20" })
        .with("consent", if index % 3 == 2 { "false" } else { "true" })
}

fn plain_deal(id: u64) -> Record {
    let (pipeline_id, stage) = placed(id);
    let (owner_id, team_id) = pick(&[(1, "10"), (2, "20"), (3, "10")], id);
    let company_index = id % COMPANIES;
    let contact_index = company_index * CONTACTS_PER_COMPANY + id / COMPANIES % CONTACTS_PER_COMPANY;
    let (amount, margin) = money(id);
    Record::default()
        .with("title", title(id, company_index))
        .with("stage", quoted(stage))
        .with("pipeline", quoted(pipeline_id))
        .with("owner_id", if id == UNTEAMED_DEAL_ID { "5".to_owned() } else { owner_id.to_string() })
        .with("team_id", if id == UNTEAMED_DEAL_ID { NULL } else { team_id })
        .with("amount", amount)
        .with("currency", quoted(if id.is_multiple_of(10) { "USD" } else { "EUR" }))
        .with("probability", catalogue::probability(stage))
        .with("margin", margin)
        .with("discount_pct", (id % 4 * 5).to_string())
        .with("strategic", id.is_multiple_of(7).to_string())
        .with("close_date", close_date(id))
        .with("created_at", quoted(&format!("2026-0{}-{:02}T09:30:00.123456+01:00", 1 + id % 3, 1 + id % 28)))
        .with(
            "contact_id",
            if id == CONTACTLESS_DEAL_ID { NULL.to_owned() } else { contact_id(contact_index) },
        )
        .with("company_id", (FIRST_COMPANY_ID + company_index).to_string())
        .with(
            "notes",
            format!(r#""Quote Q-{id} sent \u2014 files in \/quotes\/{id}; \"final\" terms open.""#),
        )
        .with("internal_notes", internal_notes(id))
        .with("address", address(id))
        .with("tags", pick(&[r#"["cold-chain"]"#, r#"["q3","upsell"]"#, "[]", r#"["q4"]"#], id))
        .with("risk_score", (id * 17 % 100).to_string())
}

/// The deal of all examples, word for word.
fn show_case_deal() -> Record {
    let values = [
        ("title", r#""Cold storage roll-out""#),
        ("stage", r#""proposal""#),
        ("pipeline", r#""sales""#),
        ("owner_id", "1"),
        ("team_id", "10"),
        ("amount", "125000.50"),
        ("currency", r#""EUR""#),
        ("probability", "0.50"),
        ("margin", "31250.25"),
        ("discount_pct", "5"),
        ("strategic", "false"),
        ("close_date", r#""2026-12-15""#),
        ("created_at", r#""2026-03-01T09:30:00.123456+01:00""#),
        ("contact_id", "101"),
        ("company_id", "201"),
        ("notes", r#""Site visit done \u2014 see \/files\/42; customer said \"yes, if by Q4\".""#),
        ("internal_notes", r#""Competitor offers 118,000; we can go down to 119,500.""#),
        ("address", r#"{"street":"Pier 7","city":"Bremen","postal_code":"28217"}"#),
        ("tags", r#"["cold-chain","q4"]"#),
        ("risk_score", "73"),
    ];
    values.into_iter().fold(Record::default(), |deal, (key, raw)| deal.with(key, raw))
}

fn placed(id: u64) -> (&'static str, &'static str) {
    let [sales, renewals] = PIPELINES;
    if id.is_multiple_of(5) {
        (renewals.id, pick(renewals.stages, id / 5))
    } else {
        (sales.id, pick(sales.stages, id))
    }
}

fn contact_id(index: u64) -> String {
    (FIRST_CONTACT_ID + index).to_string()
}

fn title(id: u64, company_index: u64) -> String {
    if id == ESCAPED_TITLE_DEAL_ID {
        return r#""Caf\u00e9 counter line""#.to_owned();
    }
    quoted(&format!("{}: {}", pick(&COMPANY_NAMES, company_index), pick(&SUBJECTS, id)))
}

/// Amount and margin as JSON text; one deal has neither, one sells below cost, every eighth amount has no fraction.
fn money(id: u64) -> (String, String) {
    if id == PRICELESS_DEAL_ID {
        return (NULL.to_owned(), NULL.to_owned());
    }
    let whole = 4_000 + id * 3_175;
    let amount =
        if id.is_multiple_of(8) { whole.to_string() } else { format!("{whole}.{:02}", id * 25 % 100) };
    let sign = if id == LOSS_DEAL_ID { "-" } else { "" };
    let share = Decimal::parse(&format!("{sign}0.{}", 15 + id % 12));
    let margin = Decimal::parse(&amount).zip(share).and_then(|(amount, share)| amount.times(share));
    (amount, margin.map_or_else(|| NULL.to_owned(), |margin| margin.to_text(2)))
}

fn close_date(id: u64) -> String {
    if id == OPEN_ENDED_DEAL_ID {
        return NULL.to_owned();
    }
    quoted(&format!("2026-{:02}-{:02}", 7 + id % 6, 1 + id * 3 % 28))
}

fn internal_notes(id: u64) -> String {
    if id.is_multiple_of(4) {
        quoted(&format!("Competitor bid expected; floor price {} percent below list.", 5 + id % 10))
    } else {
        quoted("Reference customer; walk-away price agreed.")
    }
}

fn address(id: u64) -> String {
    let city = pick(&["Bremen", "Rotterdam", "Lyon", "Malmo"], id);
    format!(
        r#"{{"street":"Dock Road {id}","city":{},"postal_code":"{:05}"}}"#,
        quoted(city),
        20_000 + id * 137
    )
}

/// The option whose turn it is; no list here is empty.
fn pick<T: Copy + Default>(options: &[T], turn: u64) -> T {
    let turn = usize::try_from(turn).unwrap_or_default();
    let index = turn.checked_rem(options.len()).unwrap_or_default();
    options.get(index).copied().unwrap_or_default()
}

const COMPANY_NAMES: [&str; 8] = [
    "Harbor Foods",
    "Northfield Paper",
    "Cobalt Freight",
    "Lumen Textiles",
    "Juniper Tools",
    "Granite Dairy",
    "Willow Packaging",
    "Summit Bearings",
];
const SUBJECTS: [&str; 7] = [
    "dock upgrade",
    "fleet lease",
    "packing line",
    "label printers",
    "energy audit",
    "spare parts",
    "service plan",
];
const FIRST_CONTACT_ID: u64 = 101;
const FIRST_COMPANY_ID: u64 = 201;
const COMPANIES: u64 = 8;
const CONTACTS: u64 = 16;
const CONTACTS_PER_COMPANY: u64 = 2;
const PLAIN_DEALS: u64 = 40;
const ESCAPED_TITLE_DEAL_ID: u64 = 8;
const CONTACTLESS_DEAL_ID: u64 = 9;
const PRICELESS_DEAL_ID: u64 = 13;
const OPEN_ENDED_DEAL_ID: u64 = 17;
const LOSS_DEAL_ID: u64 = 21;
const UNTEAMED_DEAL_ID: u64 = 26;
/// The demo CRM has no clock: all that is created later is created at this moment.
const CREATED_LATER_AT: &str = "2026-06-01T08:00:00.000000+02:00";

/// The deal that all examples speak of.
pub const SHOW_CASE_DEAL_ID: u64 = 42;
