//! Lines as the columns that the store finds them by.
//!
//! Promises: every line becomes a row, also of kinds that this version does not know; what cannot be a value of a column, such
//! as a NUL in an id, cannot stop the sink. The line itself is kept as it is.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::audit::item::{list, text, texts};
use crate::audit::sinks::fault::{SinkError, SinkFault};
use crate::ledger::batches::Batch;
use crate::ledger::line;
use crate::model::hex::hex;

/// The rows of a batch, column by column.
#[derive(Debug, Default, PartialEq)]
pub struct Rows {
    /// Of `entry`.
    pub entries: Entries,
    /// Of `touched`.
    pub touched: Touched,
    /// Field sets that the batch spells: id, and its names as an array.
    pub sets: BTreeMap<String, String>,
    /// The first day of each month that has a row.
    pub months: BTreeSet<String>,
}

/// Columns of `entry`, but for the line itself.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "they are named as the columns are, and described there")]
pub struct Entries {
    pub seq: Vec<i64>,
    pub t: Vec<String>,
    pub kind: Vec<String>,
    pub decision: Vec<Option<String>>,
    pub part: Vec<i32>,
    pub handle: Vec<Option<String>>,
    pub method: Vec<Option<String>>,
    pub route: Vec<Option<String>>,
    pub effect: Vec<Option<String>>,
    pub reason: Vec<Option<String>>,
    pub stage_from: Vec<Option<String>>,
    pub stage_to: Vec<Option<String>>,
    pub delivered: Vec<Option<String>>,
}

/// Columns of `touched`.
#[derive(Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "they are named as the columns are, and described there")]
pub struct Touched {
    pub seq: Vec<i64>,
    pub t: Vec<String>,
    pub n: Vec<i32>,
    pub decision: Vec<Option<String>>,
    pub place: Vec<&'static str>,
    pub record_type: Vec<String>,
    /// Each an array as PostgreSQL spells it.
    pub records: Vec<String>,
    pub action: Vec<Option<String>>,
    pub effect: Vec<Option<String>>,
    pub shown: Vec<Option<String>>,
    pub masked: Vec<Option<String>>,
    pub hidden: Vec<Option<String>>,
}

impl Rows {
    /// The rows of a batch.
    ///
    /// # Errors
    /// A line that is not one: the ledger would have to be damaged in a way that its checksum does not show.
    pub fn of(batch: &Batch) -> Result<Self, SinkError> {
        let mut rows = Self::default();
        for bytes in batch.lines() {
            rows.add(bytes).ok_or_else(|| {
                let seq = line::check(bytes).map_or(0, |head| head.place.seq);
                SinkError::new(SinkFault::Ledger, format!("entry {seq} is not the JSON of an entry"))
            })?;
        }
        Ok(rows)
    }

    fn add(&mut self, bytes: &[u8]) -> Option<()> {
        let head = line::check(bytes).ok()?;
        let entry: Value = serde_json::from_slice(bytes).ok()?;
        let seq = i64::try_from(head.place.seq).ok()?;
        // Six digits of a second, cut and not rounded: rounding could lead into the next month.
        let t = format!("{}Z", head.t.get(..MICROSECONDS)?);
        self.months.insert(format!("{}-01", t.get(..7)?));
        let is_decision = head.kind == "decision";
        let stage = if is_decision { entry.get("write") } else { Some(&entry) };
        let stage = stage.and_then(|holder| holder.get("stage"));
        let part = entry.get("part").and_then(|part| part.get("n")).and_then(Value::as_i64);
        let columns = &mut self.entries;
        columns.seq.push(seq);
        columns.t.push(t.clone());
        columns.kind.push(head.kind.to_owned());
        let decision = column(&entry, if is_decision { "id" } else { "of" });
        columns.decision.push(decision.clone());
        columns.part.push(part.and_then(|part| i32::try_from(part).ok()).unwrap_or(1));
        columns.handle.push(entry.get("who").filter(|_| is_decision).and_then(|who| column(who, "handle")));
        columns.method.push(column(&entry, "method"));
        columns.route.push(column(&entry, "route"));
        columns.effect.push(column(&entry, "effect"));
        columns.reason.push(column(&entry, "reason"));
        columns.stage_from.push(stage.and_then(|stage| column(stage, "from")));
        columns.stage_to.push(stage.and_then(|stage| column(stage, "to")));
        columns.delivered.push(column(&entry, "delivered"));
        if head.kind == "fields" {
            self.sets.insert(clean(text(&entry, "set")).into_owned(), array(texts(&entry, "names")));
        }
        let mut n = 0;
        for place in PLACES {
            for group in list(&entry, place) {
                n += 1;
                self.touched.add(seq, &t, n, place, group);
                self.touched.decision.push(decision.clone());
            }
        }
        Some(())
    }
}

impl Touched {
    fn add(&mut self, seq: i64, t: &str, n: i32, place: &'static str, group: &Value) {
        let record_type = clean(text(group, "type")).into_owned();
        let keys = texts(group, "ids").into_iter().map(|id| record_key(&record_type, id));
        self.seq.push(seq);
        self.t.push(t.to_owned());
        self.n.push(n);
        self.place.push(place);
        self.records.push(array(keys));
        self.record_type.push(record_type);
        self.action.push(column(group, "action"));
        self.effect.push(column(group, "effect"));
        self.shown.push(column(group, "shown"));
        self.masked.push(column(group, "masked"));
        self.hidden.push(column(group, "hidden"));
    }
}

/// How a record is spelled in `records`, as `lockkeeper.record_key` does.
fn record_key(record_type: &str, id: &str) -> String {
    let id = clean(id);
    if id.len() <= KEY_ID_BYTES_MAX {
        return format!("{record_type}:{id}");
    }
    format!("{record_type}:~{}", hex(&Sha256::digest(id.as_bytes())))
}

/// A member that is text, as a column can hold it.
fn column(entry: &Value, member: &str) -> Option<String> {
    entry.get(member).and_then(Value::as_str).map(|text| clean(text).into_owned())
}

/// Text without NUL, which no text of PostgreSQL can hold. The line has it, escaped.
fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// An array of texts as PostgreSQL spells it.
fn array<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let mut literal = String::from("{");
    for item in items {
        if literal.len() > 1 {
            literal.push(',');
        }
        literal.push('"');
        for letter in clean(item.as_ref()).chars() {
            if matches!(letter, '"' | '\\') {
                literal.push('\\');
            }
            literal.push(letter);
        }
        literal.push('"');
    }
    literal.push('}');
    literal
}

/// The members of an entry that name records.
const PLACES: [&str; 3] = ["access", "sets", "rows_hidden"];

/// Bytes of a time up to its microseconds.
const MICROSECONDS: usize = 26;

/// Bytes of an id that may stand in an index as it is.
const KEY_ID_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::made_up::sealed;

    fn line(seq: u64, kind: &str, t: &str, members: &str) -> Vec<u8> {
        let head = format!(r#"{{"v":1,"seq":{seq},"batch":1,"kind":"{kind}","t":"{t}"{members}"#);
        sealed(&head).into_bytes()
    }

    #[test]
    fn arrays_are_spelled_as_postgresql_reads_them() {
        assert_eq!(array::<&str>([]), "{}");
        assert_eq!(array(["a", ""]), r#"{"a",""}"#);
        assert_eq!(array([r#"say "a\b", {c}"#]), r#"{"say \"a\\b\", {c}"}"#);
        assert_eq!(array(["a\0b", "NULL"]), "{\"a\u{fffd}b\",\"NULL\"}");
    }

    #[test]
    fn records_have_their_type_and_long_ids_their_hash() {
        assert_eq!(record_key("Deal", "42"), "Deal:42");
        assert_eq!(record_key("Deal", &"x".repeat(256)).len(), 5 + 256);
        let long = record_key("Deal", &"x".repeat(257));
        assert!(long.starts_with("Deal:~") && long.len() == 6 + 64, "{long}");
    }

    #[test]
    fn a_time_is_cut_and_never_rounded_into_the_next_month() {
        let mut rows = Rows::default();
        let bytes = line(7, "stop", "2026-11-30T23:59:59.999999999Z", "");
        rows.add(&bytes).unwrap();
        assert_eq!(rows.entries.t, ["2026-11-30T23:59:59.999999Z"]);
        assert_eq!(rows.months, BTreeSet::from(["2026-11-01".to_owned()]));
    }

    #[test]
    fn a_line_becomes_its_columns_whatever_its_kind() {
        let members = r#","id":"d1","who":{"handle":"p_1"},"effect":"deny","write":{"stage":{"from":"a.b","to":"a.c"}},"access":[{"action":"edit","type":"Deal","ids":["1","2"],"effect":"deny"}],"sets":[{"type":"Deal","shown":"f_1"}],"part":{"n":2,"of":3}"#;
        let decision = line(1, "decision", "2026-11-21T00:00:00.000000000Z", members);
        let outcome = line(
            2,
            "outcome",
            "2026-11-21T00:00:00.000000000Z",
            r#","of":"d1","stage":{"to":"a.c"},"delivered":"yes""#,
        );
        // Members of other kinds may have other types.
        let unknown = line(
            3,
            "some-day",
            "2026-11-21T00:00:00.000000000Z",
            r#","id":7,"of":[],"sets":{},"access":[1],"part":true,"stage":"x","reason":null"#,
        );
        let mut rows = Rows::default();
        [&decision, &outcome, &unknown].into_iter().for_each(|bytes| rows.add(bytes).unwrap());
        let some = |text: &str| Some(text.to_owned());
        let Rows { entries, touched, .. } = rows;
        assert_eq!(entries.decision, [some("d1"), some("d1"), None]);
        assert_eq!((entries.part, entries.handle), (vec![2, 1, 1], vec![some("p_1"), None, None]));
        assert_eq!(entries.stage_from, [some("a.b"), None, None]);
        assert_eq!(entries.stage_to, [some("a.c"), some("a.c"), None]);
        assert_eq!(entries.delivered, [None, some("yes"), None]);
        assert_eq!(touched.place, ["access", "sets", "access"]);
        assert_eq!(touched.records, [r#"{"Deal:1","Deal:2"}"#, "{}", "{}"]);
        assert_eq!((touched.n, touched.decision), (vec![1, 2, 1], vec![some("d1"), some("d1"), None]));
    }
}
