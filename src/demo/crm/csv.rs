//! The CSV export of deals (RFC 4180, with a header row).
//!
//! Promises the same columns in the same order for every export. Never leaves a column out, whoever asks.

use super::record::Record;

/// One line for the header and one for each deal, each ended by CR LF.
pub fn export(deals: &[Record]) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _, _)| *name).collect();
    let mut text = names.join(",") + "\r\n";
    for deal in deals {
        let cells: Vec<String> =
            COLUMNS.iter().map(|(_, key, inner)| escaped(&cell(deal, key, *inner))).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn cell(deal: &Record, key: &str, inner: Option<&str>) -> String {
    let Some(raw) = deal.raw(key) else { return String::new() };
    if let Some(inner) = inner {
        return Record::parse(raw).ok().and_then(|embedded| embedded.plain(inner)).unwrap_or_default();
    }
    match serde_json::from_str::<Vec<String>>(raw) {
        Ok(items) => items.join(";"),
        Err(_) => deal.plain(key).unwrap_or_default(),
    }
}

fn escaped(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// Column name, key in the deal, key in the embedded object.
const COLUMNS: [(&str, &str, Option<&str>); 34] = [
    ("id", "id", None),
    ("title", "title", None),
    ("stage", "stage", None),
    ("pipeline", "pipeline", None),
    ("owner_id", "owner_id", None),
    ("owner_name", "owner", Some("name")),
    ("owner_email", "owner", Some("email")),
    ("team_id", "team_id", None),
    ("amount", "amount", None),
    ("currency", "currency", None),
    ("amount_formatted", "amount_formatted", None),
    ("amount_weighted", "amount_weighted", None),
    ("probability", "probability", None),
    ("margin", "margin", None),
    ("margin_pct", "margin_pct", None),
    ("discount_pct", "discount_pct", None),
    ("strategic", "strategic", None),
    ("close_date", "close_date", None),
    ("created_at", "created_at", None),
    ("contact_id", "contact_id", None),
    ("contact_name", "contact", Some("name")),
    ("contact_email", "contact", Some("email")),
    ("contact_phone", "contact", Some("phone")),
    ("company_id", "company_id", None),
    ("company_name", "company", Some("name")),
    ("company_tier", "company", Some("tier")),
    ("notes", "notes", None),
    ("internal_notes", "internal_notes", None),
    ("address_street", "address", Some("street")),
    ("address_city", "address", Some("city")),
    ("address_postal_code", "address", Some("postal_code")),
    ("tags", "tags", None),
    ("risk_score", "risk_score", None),
    ("version", "version", None),
];

#[cfg(test)]
mod tests {
    use super::{COLUMNS, export};
    use crate::demo::crm::record::Record;

    #[test]
    fn quotes_what_must_be_quoted() {
        let deal = r#"{"id":1,"title":"a,\"b\"","tags":["x","y"],"amount":1.50,"owner":{"name":"Rep\nEast"},"notes":null}"#;
        let text = export(&[Record::parse(deal).unwrap()]);
        let (header, row) = text.split_once("\r\n").unwrap();
        assert_eq!(header.split(',').count(), COLUMNS.len());
        assert!(row.starts_with("1,\"a,\"\"b\"\"\",,,,\"Rep\nEast\",,,1.50,"), "{row}");
        assert!(row.ends_with(",x;y,,\r\n"), "{row}");
    }

    #[test]
    fn no_deals_leave_the_header() {
        assert_eq!(export(&[]).matches("\r\n").count(), 1);
    }
}
