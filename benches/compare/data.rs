//! The records that `scripts/compare`, `scripts/export-500mb` and `benches/pipeline.rs` work on, and who asks for them.
//!
//! Promises: the same bytes on each run. A record has 40 fields beside its id, about 1 KB: escapes, letters beyond ASCII, an
//! object, arrays, `null`s, numbers that a float cannot hold, and what policies look at far behind its beginning.

use std::fmt::Write as _;

/// People of the directory; records belong to them in turn.
pub const PEOPLE: usize = 60;
/// Who asks, by Cedar id.
pub const CALLER: &str = "u1";

/// One deal.
pub fn record(number: usize) -> String {
    let stage = ["lead", "qualified", "proposal", "negotiation", "won", "lost"][number % 6];
    let amount = number * 7_919 % 2_000;
    let owner = number * 7 % PEOPLE;
    let day = number % 28 + 1;
    let won = if stage == "won" { "\"price\"" } else { "null" };
    let mut text = format!(
        r#"{{"id":{number},"title":"Renewal {number} \"north\" \u2013 phase 2","number":"D-{number:06}","contact_name":"Contact {number}","contact_email":"contact.{number}@example.org","stage":"{stage}","#
    );
    let _ = write!(
        text,
        r#""list_price":{}.10,"margin":0.{day:02}0,"team":"east","currency":"EUR","discount_pct":2.50,"contact_phone":"+49 30 5550{number:05}","cost":{}.75,"close_date":"2026-11-{day:02}","created_at":"2026-01-{day:02}T08:30:00Z","forecast":{}.00,"#,
        amount * 1_100,
        amount * 700,
        amount * 900,
    );
    let _ = write!(
        text,
        r#""address":{{"street":"Straße des 17. Juni {day}","city":"München","postal_code":"{:05}","country":"DE"}},"risk_score":{},"updated_at":"2026-10-{day:02}T17:05:09.250Z","source":"fair","weighted":{}.45,"contact_mobile":null,"internal_notes":"asked twice;\nsays \"maybe\" \/ waits for budget","#,
        10_000 + number % 80_000,
        number % 100,
        amount * 450,
    );
    let _ = write!(
        text,
        r#""owner_id":{owner},"tags":["renewal","tier-{}"],"commission":1.5e3,"contact_role":"buyer","competitors":["A","B"],"next_step":"call back","priority":{},"exchange_rate":1.0825000,"birthday":null,"win_reason":{won},"amount":{}.50,"#,
        number % 4,
        number % 5,
        amount * 1_000,
    );
    let _ = write!(
        text,
        r#""tax_rate":19.0,"preferred_time":"morning","audit_ref":"{number:08x}-77","description":"Übergabe an das Team im Oktober; the customer wants one contract for all sites.","payment_terms":"30 days","attachments":[],"external_id":{}}}"#,
        900_719_925_474_099_300_000_u128 + number as u128,
    );
    text
}

/// A page of deals.
pub fn list(count: usize) -> String {
    let mut text = String::from("{\"data\":[");
    for number in 0..count {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&record(number));
    }
    text.push_str("],\"page\":1}");
    text
}

/// The people, as `directory.cedarentities.json`.
pub fn directory() -> String {
    let mut text = String::from("[{\"uid\":{\"type\":\"Role\",\"id\":\"rep\"},\"attrs\":{},\"parents\":[]}");
    for person in 0..PEOPLE {
        let _ = write!(
            text,
            ",\n{{\"uid\":{{\"type\":\"User\",\"id\":\"u{person}\"}},\"attrs\":{{\"active\":true,\"crmId\":\"{person}\"}},\"parents\":[{{\"type\":\"Role\",\"id\":\"rep\"}}]}}"
        );
    }
    text.push_str("]\n");
    text
}
