//! The demo CRM's tables and the writes on them.
//!
//! Promises bounded tables and a version that grows with every write. Never checks who writes or whether a value makes
//! sense: unknown keys and unknown stages are stored as they came, which is what the proxy has to cope with.

use std::collections::BTreeMap;

use super::error::ApiError;
use super::files::Files;
use super::record::Record;
use super::web::Sessions;

/// All records that can change.
#[derive(Debug, Clone)]
pub struct Store {
    /// Deals by id.
    pub deals: Table,
    /// Contacts by id.
    pub contacts: Table,
    /// Companies by id.
    pub companies: Table,
    /// Files of deals by id.
    pub files: Files,
    /// Who is logged in.
    pub sessions: Sessions,
}

/// The records of one type.
#[derive(Debug, Clone)]
pub struct Table {
    rows: BTreeMap<u64, Row>,
    next_id: u64,
    computed: &'static [&'static str],
}

/// One record as stored: what can be written, without id, version and derived values.
#[derive(Debug, Clone)]
pub struct Row {
    /// Id on the wire.
    pub id: u64,
    /// 1 when created, one more after each write.
    pub version: u64,
    /// Everything that a caller can set.
    pub fields: Record,
}

impl Table {
    /// An empty table that ignores writes to the `computed` keys.
    pub fn new(computed: &'static [&'static str]) -> Self {
        Self { rows: BTreeMap::new(), next_id: 1, computed }
    }

    /// Puts the seed's own rows in place, unchecked; rows created later get ids above theirs.
    pub fn plant(&mut self, id: u64, fields: Record) {
        self.rows.insert(id, Row { id, version: 1, fields });
        self.next_id = self.next_id.max(id + 1);
    }

    /// The rows by ascending id.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// One row, or [`ApiError::NotFound`].
    pub fn row(&self, id: u64) -> Result<&Row, ApiError> {
        self.rows.get(&id).ok_or(ApiError::NotFound)
    }

    /// Stores a new row under the next free id and returns that id; [`ApiError::StorageFull`] past [`ROWS_MAX`].
    pub fn create(&mut self, fields: Record) -> Result<u64, ApiError> {
        if self.rows.len() >= ROWS_MAX {
            return Err(ApiError::StorageFull);
        }
        let fields = self.writable(fields)?;
        let id = self.next_id;
        self.next_id += 1;
        self.rows.insert(id, Row { id, version: 1, fields });
        Ok(id)
    }

    /// Overwrites the keys that `changes` has and keeps all others.
    pub fn merge(&mut self, id: u64, changes: &Record) -> Result<(), ApiError> {
        let mut fields = self.row(id)?.fields.clone();
        for (key, raw) in changes.entries() {
            fields.set(key, raw);
        }
        self.replace(id, fields)
    }

    /// Puts `fields` in the place of everything that the row had; what is absent is gone.
    pub fn replace(&mut self, id: u64, fields: Record) -> Result<(), ApiError> {
        let fields = self.writable(fields)?;
        let row = self.rows.get_mut(&id).ok_or(ApiError::NotFound)?;
        row.fields = fields;
        row.version += 1;
        Ok(())
    }

    /// Deletes a row; its id is never used again.
    pub fn remove(&mut self, id: u64) -> Result<(), ApiError> {
        self.rows.remove(&id).map(|_| ()).ok_or(ApiError::NotFound)
    }

    fn writable(&self, fields: Record) -> Result<Record, ApiError> {
        let fields = fields.only(|key| !self.computed.contains(&key));
        if fields.bytes() > ROW_BYTES_MAX { Err(ApiError::TooLarge) } else { Ok(fields) }
    }
}

/// Rows that one table holds at most.
pub const ROWS_MAX: usize = 10_000;
/// Bytes of keys and values that one row holds at most.
pub const ROW_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::{ROW_BYTES_MAX, ROWS_MAX, Table};
    use crate::demo::crm::error::ApiError;
    use crate::demo::crm::record::Record;

    #[test]
    fn a_table_holds_its_limit_and_no_more() {
        let mut table = Table::new(&[]);
        for _ in 0..ROWS_MAX {
            table.create(Record::default()).unwrap();
        }
        assert_eq!(table.create(Record::default()), Err(ApiError::StorageFull));
    }

    #[test]
    fn a_row_holds_its_limit_and_no_more() {
        let mut table = Table::new(&[]);
        let fits = Record::default().with("k", "1".repeat(ROW_BYTES_MAX - 1));
        let id = table.create(fits).unwrap();
        assert_eq!(table.merge(id, &Record::default().with("x", "")), Err(ApiError::TooLarge));
        assert_eq!(table.row(id).unwrap().version, 1);
    }

    #[test]
    fn computed_keys_are_ignored_and_ids_never_return() {
        let mut table = Table::new(&["id"]);
        table.plant(6, Record::default());
        let id = table.create(Record::default().with("id", "99").with("a", "1")).unwrap();
        assert_eq!((id, table.row(7).unwrap().fields.to_json().as_str()), (7, r#"{"a":1}"#));
        table.merge(7, &Record::default().with("id", "5").with("b", "2")).unwrap();
        assert_eq!(table.row(7).unwrap().fields.to_json(), r#"{"a":1,"b":2}"#);
        table.remove(7).unwrap();
        assert_eq!(table.remove(7), Err(ApiError::NotFound));
        assert_eq!(table.create(Record::default()), Ok(8));
    }
}
