//! The folder of segments on disk and its lock. [edge]
//!
//! Promises: one writer at a time; a new segment's name is durable before its first line is.
//! Never decides what to keep: it cuts and removes what it is told.
#![expect(clippy::disallowed_methods, reason = "edge: the ledger's file system")]

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::durable;
use super::error::LedgerError;
use super::recover::{self, Scan};

/// A segment that is being written. Tests put one in its place that fails.
pub(super) trait SegmentFile: Send {
    /// Appends all bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

impl SegmentFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// How an opened file becomes a segment's.
pub(super) type Wrap = Arc<dyn Fn(File) -> Box<dyn SegmentFile> + Send + Sync>;

/// The file as it is.
pub(super) fn plain() -> Wrap {
    Arc::new(|file| Box::new(file))
}

/// The folder of segments, locked for one writer as long as it lives.
pub(super) struct Folder {
    path: PathBuf,
    wrap: Wrap,
    _lock: File,
}

impl Folder {
    /// Opens `ledger/` under the state folder, making both if they are missing.
    pub(super) fn open(state: &Path, wrap: Wrap) -> Result<Self, LedgerError> {
        let path = path_under(state);
        durable::make_folder(&path)?;
        let lock_path = path.join(LOCK);
        let lock = durable::append_to(&lock_path)?;
        match self::lock(&lock, &lock_path)? {
            true => Ok(Self { path, wrap, _lock: lock }),
            false => Err(LedgerError::Locked { path: lock_path }),
        }
    }

    /// The path of a segment.
    pub(super) fn file(&self, first_seq: u64) -> PathBuf {
        self.path.join(segment_name(first_seq))
    }

    /// The segments' first numbers, ascending.
    pub(super) fn segments(&self) -> Result<Vec<u64>, LedgerError> {
        segments(&self.path)
    }

    /// Reads a segment to its end.
    pub(super) fn scan(&self, first_seq: u64) -> Result<Scan, LedgerError> {
        scan(&self.file(first_seq), first_seq, |_| {})
    }

    /// The size of a segment; `None` where it is missing.
    pub(super) fn bytes(&self, first_seq: u64) -> Result<Option<u64>, LedgerError> {
        bytes(&self.file(first_seq))
    }

    /// Begins a segment, its name durable.
    pub(super) fn create(&self, first_seq: u64) -> Result<Box<dyn SegmentFile>, LedgerError> {
        let file = durable::create(&self.file(first_seq))?;
        durable::sync_folder(&self.path)?;
        Ok((self.wrap)(file))
    }

    /// Opens a segment for appending.
    pub(super) fn resume(&self, first_seq: u64) -> Result<Box<dyn SegmentFile>, LedgerError> {
        Ok((self.wrap)(durable::append_to(&self.file(first_seq))?))
    }

    /// Cuts a segment behind its first `bytes`.
    pub(super) fn cut(&self, first_seq: u64, bytes: u64) -> Result<(), LedgerError> {
        durable::cut(&self.file(first_seq), bytes)
    }

    /// Makes durable what a segment holds, and that it is there.
    pub(super) fn sync(&self, first_seq: u64) -> Result<(), LedgerError> {
        let path = self.file(first_seq);
        open(&path)?.sync_all().map_err(LedgerError::io("sync", &path))?;
        durable::sync_folder(&self.path)
    }

    /// Removes a segment in which nothing was ever durable.
    pub(super) fn remove(&self, first_seq: u64) -> Result<(), LedgerError> {
        let path = self.file(first_seq);
        fs::remove_file(&path).map_err(LedgerError::io("remove", &path))?;
        durable::sync_folder(&self.path)
    }
}

/// Locks the ledger for this handle alone; false where somebody else has it.
pub(super) fn lock(file: &File, path: &Path) -> Result<bool, LedgerError> {
    for _ in 0..LOOKERS_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            // Whoever looks whether there is a writer holds the lock for a moment.
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOKER_WAIT),
            Err(TryLockError::Error(error)) => return Err(LedgerError::io("lock", path)(error)),
        }
    }
    Ok(false)
}

/// Reads a segment to its end, and tells each intact line, without its line feed.
pub(super) fn scan(path: &Path, first_seq: u64, each: impl FnMut(&[u8])) -> Result<Scan, LedgerError> {
    let mut reader = BufReader::with_capacity(READ_BYTES, open(path)?);
    recover::scan(&mut reader, first_seq, each).map_err(LedgerError::io("read", path))
}

/// Opens a segment that was there a moment ago.
pub(super) fn open(path: &Path) -> Result<File, LedgerError> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LedgerError::Vanished { path: path.to_path_buf() },
        _ => LedgerError::io("open", path)(error),
    })
}

/// The size of a segment; `None` where it is missing.
pub(super) fn bytes(path: &Path) -> Result<Option<u64>, LedgerError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LedgerError::io("read the size of", path)(error)),
    }
}

/// The folder of segments under a state folder.
pub(super) fn path_under(state: &Path) -> PathBuf {
    state.join("ledger")
}

/// The name of the segment that begins with this entry.
pub(super) fn segment_name(first_seq: u64) -> String {
    format!("segment-{first_seq:020}.jsonl")
}

/// The segments' first numbers, ascending; other files are not ours to judge.
pub(super) fn segments(folder: &Path) -> Result<Vec<u64>, LedgerError> {
    let listed = fs::read_dir(folder).and_then(|entries| {
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        names.collect::<io::Result<Vec<_>>>()
    });
    let names = listed.map_err(LedgerError::io("list", folder))?;
    let mut found: Vec<u64> = names.iter().filter_map(|name| first_seq(name.to_str()?)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The number in a segment's name.
fn first_seq(name: &str) -> Option<u64> {
    let number = name.strip_prefix("segment-")?.strip_suffix(".jsonl")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}

/// The name of the lock's file, in the folder of segments.
pub(super) const LOCK: &str = "lock";

/// How often the lock is tried.
const LOOKERS_MAX: u32 = 5;

/// How long those who look have to let go of it.
const LOOKER_WAIT: Duration = Duration::from_millis(20);

/// How much is read at once.
const READ_BYTES: usize = 1 << 16;
