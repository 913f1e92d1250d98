//! The archive's outer form: a gzip stream of one tar archive of plain files, written alike for the same files and read
//! within limits.
//!
//! Promises: whatever the bytes are, no more is kept in memory than the limits allow. Only ustar entries of regular files
//! are taken; links, devices, folders, long-name and pax extensions, absolute names, `..`, duplicates and bytes behind the
//! end are refused, each with its own message.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};

/// How large an archive may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Bytes of the archive as it is stored.
    pub archive_bytes_max: usize,
    /// Files in it, manifest and signatures included.
    pub files_max: usize,
    /// Bytes of one file.
    pub file_bytes_max: usize,
    /// Bytes of all files.
    pub total_bytes_max: usize,
    /// How many times larger the unpacked archive may be than the stored one, beyond [`RATIO_FLOOR_BYTES`].
    pub ratio_max: usize,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            archive_bytes_max: 16 << 20,
            files_max: 1_002,
            file_bytes_max: 8 << 20,
            total_bytes_max: 16 << 20,
            ratio_max: 200,
        }
    }
}

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArchiveError {
    /// It is too large as it is stored.
    #[error("the archive has {bytes} bytes, more than {max}")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// It is not a gzip stream, or a damaged one.
    #[error("the archive is not a whole gzip stream: {0}")]
    Gzip(String),
    /// It unpacks to too much.
    #[error("the archive unpacks to more than {max} bytes")]
    Unpacked {
        /// The most.
        max: usize,
    },
    /// Bytes stand behind the end of the gzip stream or of the tar archive.
    #[error("bytes stand behind the archive's end")]
    Trailing,
    /// It is not a tar archive, or a damaged one.
    #[error("the archive is not a whole tar archive: {0}")]
    Tar(String),
    /// An entry is not a regular file.
    #[error("`{name}` is not a plain file but of the tar type `{kind}`")]
    Kind {
        /// The entry's name.
        name: String,
        /// The tar type.
        kind: char,
    },
    /// An entry's name may not stand in an archive.
    #[error("`{name}` is not a plain relative name")]
    Name {
        /// The name.
        name: String,
    },
    /// Two entries have one name.
    #[error("`{name}` stands in the archive twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// There are too many entries.
    #[error("the archive has more than {max} files")]
    TooMany {
        /// The most.
        max: usize,
    },
    /// A file is too large.
    #[error("`{name}` has {bytes} bytes, more than {max}")]
    FileTooLarge {
        /// Its name.
        name: String,
        /// Its bytes.
        bytes: u64,
        /// The most.
        max: usize,
    },
    /// There is no manifest.
    #[error("the archive has no `manifest.json`")]
    NoManifest,
    /// A file does not belong to a bundle.
    #[error("`{name}` is not a file of a bundle")]
    Foreign {
        /// Its name.
        name: String,
    },
}

impl ArchiveError {
    /// What can be done about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => {
                "Raise `[bundle] archive_bytes`, or look why a bundle has become so large."
            }
            Self::Unpacked { .. } | Self::TooMany { .. } | Self::FileTooLarge { .. } => {
                "A bundle has at most 1000 files and 16 MiB; split it, or look what got into the folder."
            }
            Self::Foreign { .. } => {
                "A bundle has profile.toml, one .cedarschema and .cedar files, at most two folders deep."
            }
            Self::Gzip(_)
            | Self::Trailing
            | Self::Tar(_)
            | Self::Kind { .. }
            | Self::Name { .. }
            | Self::Duplicate { .. }
            | Self::NoManifest => "Build the archive with `lockkeeper bundle build` and fetch it anew.",
        }
    }
}

/// Writes files as an archive. The same files in the same order give the same bytes.
pub fn pack<'f>(files: impl IntoIterator<Item = (&'f str, &'f Bytes)>) -> Result<Vec<u8>, ArchiveError> {
    let broken = |error: std::io::Error| ArchiveError::Tar(error.to_string());
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let unfit = || ArchiveError::Name { name: name.to_owned() };
        if !is_plain(name) {
            return Err(unfit());
        }
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(|_| unfit())?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        header.set_cksum();
        builder.append(&header, bytes.as_ref()).map_err(broken)?;
    }
    let tar = builder.into_inner().map_err(broken)?;
    // Neither time nor name nor system: the stream tells nothing of where it was made.
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(9));
    gzip.write_all(&tar).and_then(|()| gzip.finish()).map_err(broken)
}

/// Reads an archive's files by name.
pub fn unpack(bytes: &[u8], limits: &ArchiveLimits) -> Result<BTreeMap<String, Bytes>, ArchiveError> {
    let tar = gunzip(bytes, limits)?;
    let broken = |error: std::io::Error| ArchiveError::Tar(error.to_string());
    let mut archive = tar::Archive::new(tar.as_slice());
    let mut files = BTreeMap::new();
    let mut total = 0_u64;
    // Raw entries: extensions would be interpreted by the library, here they are entries of a kind that is refused.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let entry = entry.map_err(broken)?;
        let (name, declared) = described(&entry)?;
        total = total.saturating_add(declared);
        if files.len() == limits.files_max {
            return Err(ArchiveError::TooMany { max: limits.files_max });
        }
        if exceeds(declared, limits.file_bytes_max) {
            return Err(ArchiveError::FileTooLarge { name, bytes: declared, max: limits.file_bytes_max });
        }
        if exceeds(total, limits.total_bytes_max) {
            return Err(ArchiveError::Unpacked { max: limits.total_bytes_max });
        }
        let mut content = Vec::new();
        entry.take(declared).read_to_end(&mut content).map_err(broken)?;
        if u64::try_from(content.len()) != Ok(declared) {
            return Err(ArchiveError::Tar(format!("`{name}` breaks off")));
        }
        if files.contains_key(&name) {
            return Err(ArchiveError::Duplicate { name });
        }
        files.insert(name, Bytes::from(content));
    }
    match archive.into_inner().iter().all(|byte| *byte == 0) {
        true => Ok(files),
        false => Err(ArchiveError::Trailing),
    }
}

/// Name and size of an entry that is a plain file.
fn described(entry: &tar::Entry<'_, &[u8]>) -> Result<(String, u64), ArchiveError> {
    let header = entry.header();
    let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
    if header.entry_type() != tar::EntryType::Regular || header.as_ustar().is_none() {
        let kind = char::from(header.entry_type().as_byte());
        return Err(ArchiveError::Kind { name, kind: if kind.is_ascii_graphic() { kind } else { '?' } });
    }
    // A replacement character stands for what is not UTF-8, so such a name is not plain either.
    if !is_plain(&name) {
        return Err(ArchiveError::Name { name });
    }
    let size = header.entry_size().map_err(|error| ArchiveError::Tar(error.to_string()))?;
    Ok((name, size))
}

fn gunzip(bytes: &[u8], limits: &ArchiveLimits) -> Result<Vec<u8>, ArchiveError> {
    if bytes.len() > limits.archive_bytes_max {
        return Err(ArchiveError::TooLarge { bytes: bytes.len(), max: limits.archive_bytes_max });
    }
    let frame = (limits.files_max + 4) * 2 * BLOCK_BYTES;
    let by_ratio = bytes.len().saturating_mul(limits.ratio_max).max(RATIO_FLOOR_BYTES);
    let max = limits.total_bytes_max.saturating_add(frame).min(by_ratio);
    let mut decoder = GzDecoder::new(bytes);
    let mut tar = Vec::new();
    let allowed = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.by_ref().take(allowed).read_to_end(&mut tar);
    read.map_err(|error| ArchiveError::Gzip(error.to_string()))?;
    if tar.len() > max {
        return Err(ArchiveError::Unpacked { max });
    }
    match decoder.into_inner().is_empty() {
        true => Ok(tar),
        false => Err(ArchiveError::Trailing),
    }
}

fn exceeds(bytes: u64, max: usize) -> bool {
    usize::try_from(bytes).map_or(true, |bytes| bytes > max)
}

/// Whether a name is relative, names nothing twice and is spelled in one way only.
fn is_plain(name: &str) -> bool {
    let spelled = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let has_odd =
        name.chars().any(|c| c.is_control() || matches!(c, '\\' | ':' | char::REPLACEMENT_CHARACTER));
    spelled && !has_odd && name.len() <= NAME_BYTES_MAX
}

/// Bytes up to which the ratio is not looked at: small bundles with many short files compress well.
pub const RATIO_FLOOR_BYTES: usize = 4 << 20;
const BLOCK_BYTES: usize = 512;
const NAME_BYTES_MAX: usize = 200;
