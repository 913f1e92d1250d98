//! The table of principals' random handles, and the key behind the handles of sources. [edge]
//!
//! Promises: one principal has one handle, durable before it is given out; an erased row resolves to nobody
//! and its handle is not given out again. Never inside of the ledger's tree: erasing a person must not
//! break a proof.
#![expect(clippy::disallowed_methods, reason = "edge: the table's file system")]

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::durable;
use super::error::LedgerError;
use super::line::Flaw;
use crate::model::hex::hex;

/// The table, open for one process.
pub struct Handles {
    path: PathBuf,
    source_key: Hmac<Sha256>,
    table: RwLock<Table>,
    /// Held while a row is made, so that look-ups need not wait for the disk.
    rows: Mutex<Rows>,
    /// The principal whose row could not be written last, until a row can.
    unwritten: Mutex<Option<(String, String)>>,
}

/// The table in memory.
#[derive(Default)]
struct Table {
    by_principal: HashMap<(String, String), String>,
    by_handle: HashMap<String, (String, String)>,
    erased: HashSet<String>,
}

/// The end of the table's file.
#[derive(Default)]
struct Rows {
    /// How many bytes of the file are whole rows.
    bytes: u64,
    /// `None` before the first new row, and after a fault: the file is then cut to `bytes` before it is
    /// written again.
    file: Option<File>,
}

/// One row of the file. An erased one has only its handle.
#[derive(Serialize, Deserialize)]
struct Row {
    handle: String,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    principal_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl Handles {
    /// Opens `principals.jsonl` and `source.key` in the state folder, making what is missing. A last row
    /// that is not whole was never given out and is cut.
    ///
    /// # Errors
    /// A row that is not one, a key of the wrong length, or a file system that refuses.
    pub fn open(state: &Path) -> Result<Self, LedgerError> {
        durable::make_folder(state)?;
        let path = state.join(TABLE_FILE);
        let (table, rows) = read_table(&path)?;
        let key = source_key(&state.join("source.key"))?;
        let source_key =
            Hmac::new_from_slice(&key).map_err(|_| LedgerError::Name { name: "source.key".into() })?;
        let (table, rows, unwritten) = (RwLock::new(table), Mutex::new(rows), Mutex::default());
        Ok(Self { path, source_key, table, rows, unwritten })
    }

    /// The principal's handle, `p_` and 24 hex digits. The first call for a principal makes one and blocks
    /// until it is durable; later ones only look it up.
    ///
    /// # Errors
    /// The system has no random bytes, or the file system refuses.
    pub fn handle(&self, principal_type: &str, id: &str) -> Result<String, LedgerError> {
        if let Some(handle) = self.known(principal_type, id) {
            return Ok(handle);
        }
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have made it while this one waited for its turn.
        if let Some(handle) = self.known(principal_type, id) {
            return Ok(handle);
        }
        let handle = self.with_table(Table::fresh)?;
        let principal = (principal_type.to_owned(), id.to_owned());
        let row = Row {
            handle: handle.clone(),
            principal_type: Some(principal.0.clone()),
            id: Some(principal.1.clone()),
        };
        let appended = rows.append(&self.path, &row);
        *self.unwritten() = appended.is_err().then(|| principal.clone());
        appended?;
        self.table.write().unwrap_or_else(PoisonError::into_inner).put(handle.clone(), principal);
        Ok(handle)
    }

    /// Whether the last row could be written. Never waits for the file system.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.unwritten().is_none()
    }

    /// Tries a row again that could not be written: nobody may come any more who needs one. Blocks until it is durable.
    ///
    /// # Errors
    /// The file system still refuses.
    pub fn retry(&self) -> Result<(), LedgerError> {
        let unwritten = self.unwritten().clone();
        unwritten.map_or(Ok(()), |(principal_type, id)| self.handle(&principal_type, &id).map(drop))
    }

    /// The principal's handle, if it has one already. Never waits for the file system.
    #[must_use]
    pub fn known(&self, principal_type: &str, id: &str) -> Option<String> {
        let principal = (principal_type.to_owned(), id.to_owned());
        self.with_table(|table| table.by_principal.get(&principal).cloned())
    }

    /// The type and id behind a handle; `None` for an unknown or erased one.
    #[must_use]
    pub fn resolve(&self, handle: &str) -> Option<(String, String)> {
        self.with_table(|table| table.by_handle.get(handle).cloned())
    }

    /// Erases a principal: its row keeps nothing but the handle, which is not given out again. Returns the handle; `None` where it has
    /// none. Blocks until the row is gone from the file.
    ///
    /// # Errors
    /// A row that is not one, or a file system that refuses: then the row is still there.
    pub fn forget(&self, principal_type: &str, id: &str) -> Result<Option<String>, LedgerError> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(handle) = self.known(principal_type, id) else { return Ok(None) };
        let kept = without(&self.path, rows.bytes, &handle)?;
        durable::replace(&self.path, &kept)?;
        *rows = Rows { bytes: kept.len() as u64, file: None };
        self.table.write().unwrap_or_else(PoisonError::into_inner).erase(&handle);
        Ok(Some(handle))
    }

    /// The handle of a network source: `s_` and 16 hex digits of an HMAC-SHA256 of the address under this
    /// installation's key.
    #[must_use]
    pub fn source_handle(&self, address: &str) -> String {
        let digest = self.source_key.clone().chain_update(address).finalize().into_bytes();
        format!("s_{}", hex(digest.get(..SOURCE_DIGEST_BYTES).unwrap_or_default()))
    }

    fn unwritten(&self) -> MutexGuard<'_, Option<(String, String)>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_table<T>(&self, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The table as it stood at one moment, for readers: nothing is made, cut or written.
pub struct Names {
    table: Table,
}

impl Names {
    /// Reads the table in a state folder; a missing one is empty.
    ///
    /// # Errors
    /// A row that is not one, or a file system that refuses.
    pub fn read(state: &Path) -> Result<Self, LedgerError> {
        let (table, _) = read_table(&state.join(TABLE_FILE))?;
        Ok(Self { table })
    }

    /// The type and id behind a handle; `None` for an unknown or erased one.
    #[must_use]
    pub fn resolve(&self, handle: &str) -> Option<(&str, &str)> {
        self.table.by_handle.get(handle).map(|(principal_type, id)| (principal_type.as_str(), id.as_str()))
    }

    /// The handle of a principal, if it ever got one.
    #[must_use]
    pub fn handle(&self, principal_type: &str, id: &str) -> Option<&str> {
        self.table.by_principal.get(&(principal_type.to_owned(), id.to_owned())).map(String::as_str)
    }
}

impl Table {
    fn put(&mut self, handle: String, principal: (String, String)) {
        self.by_principal.insert(principal.clone(), handle.clone());
        self.by_handle.insert(handle, principal);
    }

    fn erase(&mut self, handle: &str) {
        if let Some(principal) = self.by_handle.remove(handle) {
            self.by_principal.remove(&principal);
        }
        self.erased.insert(handle.to_owned());
    }

    /// A handle that no row has.
    fn fresh(&self) -> Result<String, LedgerError> {
        loop {
            let mut random = [0; HANDLE_BYTES];
            getrandom::fill(&mut random).map_err(LedgerError::Random)?;
            let handle = format!("p_{}", hex(&random));
            if !self.by_handle.contains_key(&handle) && !self.erased.contains(&handle) {
                return Ok(handle);
            }
        }
    }
}

impl Rows {
    /// Makes a row durable. After a fault the file is not trusted: the next row cuts and opens it anew.
    fn append(&mut self, path: &Path, row: &Row) -> Result<(), LedgerError> {
        let mut bytes =
            serde_json::to_vec(row).map_err(|source| LedgerError::Encode { kind: "principal", source })?;
        bytes.push(b'\n');
        let mut file = match self.file.take() {
            Some(file) => file,
            None => reopen(path, self.bytes)?,
        };
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        written.map_err(LedgerError::io("write", path))?;
        self.bytes += bytes.len() as u64;
        self.file = Some(file);
        Ok(())
    }
}

/// The whole rows of the file, but for what one of them says of its principal.
fn without(path: &Path, bytes: u64, handle: &str) -> Result<Vec<u8>, LedgerError> {
    let all = fs::read(path).map_err(LedgerError::io("read", path))?;
    let whole = all.get(..usize::try_from(bytes).unwrap_or(usize::MAX)).unwrap_or(&all);
    let mut kept = Vec::with_capacity(whole.len());
    for (at, line) in whole.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let is_row = |row: &Row| row.handle == handle;
        let row = serde_json::from_slice::<Row>(line).ok().filter(is_row);
        let erased = row.map(|row| Row { principal_type: None, id: None, ..row });
        let encoded = erased.map(|row| serde_json::to_vec(&row)).transpose().map_err(|_| {
            let (offset, line) = (kept.len() as u64, at as u64 + 1);
            LedgerError::Damaged { path: path.to_path_buf(), offset, line, flaw: Flaw::Json }
        })?;
        match encoded {
            Some(row) => kept.extend_from_slice(&[row.as_slice(), b"\n"].concat()),
            None => kept.extend_from_slice(line),
        }
    }
    Ok(kept)
}

/// The file behind its whole rows, its name durable.
fn reopen(path: &Path, bytes: u64) -> Result<File, LedgerError> {
    let file = durable::append_to(path)?;
    durable::cut(path, bytes)?;
    path.parent().map_or(Ok(()), durable::sync_folder)?;
    Ok(file)
}

fn read_table(path: &Path) -> Result<(Table, Rows), LedgerError> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        read => read.map_err(LedgerError::io("read", path))?,
    };
    let (mut table, mut rows) = (Table::default(), Rows::default());
    for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(text) = line.strip_suffix(b"\n") else { break };
        if !text.trim_ascii().is_empty() {
            let row: Row = serde_json::from_slice(text).map_err(|_| {
                let (offset, line) = (rows.bytes, at as u64 + 1);
                LedgerError::Damaged { path: path.to_path_buf(), offset, line, flaw: Flaw::Json }
            })?;
            match (row.principal_type, row.id) {
                (Some(principal_type), Some(id)) => table.put(row.handle, (principal_type, id)),
                _ => drop(table.erased.insert(row.handle)),
            }
        }
        rows.bytes += line.len() as u64;
    }
    Ok((table, rows))
}

/// The key in the file, or a new one that is put there.
fn source_key(path: &Path) -> Result<[u8; SOURCE_KEY_BYTES], LedgerError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_source_key(path),
        read => {
            let bytes = read.map_err(LedgerError::io("read", path))?;
            bytes.try_into().map_err(|_| {
                let wrong = io::Error::new(io::ErrorKind::InvalidData, "the key does not have 32 bytes");
                LedgerError::io("use the key in", path)(wrong)
            })
        }
    }
}

fn new_source_key(path: &Path) -> Result<[u8; SOURCE_KEY_BYTES], LedgerError> {
    let mut key = [0; SOURCE_KEY_BYTES];
    getrandom::fill(&mut key).map_err(LedgerError::Random)?;
    durable::replace(path, &key)?;
    Ok(key)
}

/// The table's name in the state folder.
const TABLE_FILE: &str = "principals.jsonl";

/// The random bytes of a principal's handle.
const HANDLE_BYTES: usize = 12;

/// The bytes of the key behind sources' handles.
const SOURCE_KEY_BYTES: usize = 32;

/// How much of the HMAC a source's handle spells.
const SOURCE_DIGEST_BYTES: usize = 8;
