//! A body that is being written.

/// Bytes with room behind them, so that short slices are copied without looking at their length.
#[derive(Debug, Default)]
pub struct Output {
    /// What was written, and then room of no meaning.
    bytes: Vec<u8>,
    length: usize,
    /// How much was taken already.
    taken: usize,
}

/// Bytes that are copied at once.
const COPIED: usize = 32;

impl Output {
    /// How much was written, what was taken included.
    pub fn length(&self) -> usize {
        self.taken + self.length
    }

    /// How much was written and not taken.
    pub fn waiting(&self) -> usize {
        self.length
    }

    /// Takes back what was written past a length.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length.saturating_sub(self.taken));
    }

    /// Makes room for so many more bytes.
    pub fn reserve(&mut self, more: usize) {
        let wanted = self.length + more + COPIED;
        if self.bytes.is_empty() {
            // New zeroed memory need not be written first.
            self.bytes = vec![0; wanted];
        } else if self.bytes.len() < wanted {
            self.bytes.resize(wanted.max(self.bytes.len() * 2), 0);
        }
    }

    /// Adds one byte if it is wanted.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8, is_wanted: IsWanted) {
        match self.bytes.get_mut(self.length) {
            Some(place) => *place = byte,
            None => {
                self.reserve(1);
                if let Some(place) = self.bytes.get_mut(self.length) {
                    *place = byte;
                }
            }
        }
        self.length += is_wanted.0;
    }

    /// Adds a part of a source.
    #[inline(always)]
    pub fn copy(&mut self, source: &[u8], start: usize, end: usize) {
        let length = end.saturating_sub(start);
        let from = source.get(start..).and_then(|from| from.first_chunk::<COPIED>());
        let to = self.bytes.get_mut(self.length..).and_then(|to| to.first_chunk_mut::<COPIED>());
        match (from, to) {
            (Some(from), Some(to)) if length <= COPIED => {
                *to = *from;
                self.length += length;
            }
            _ => self.text(source.get(start..end).unwrap_or_default()),
        }
    }

    /// Adds text.
    pub fn text(&mut self, text: &[u8]) {
        self.reserve(text.len());
        if let Some(to) = self.bytes.get_mut(self.length..self.length + text.len()) {
            to.copy_from_slice(text);
            self.length += text.len();
        }
    }

    /// Puts text in at places that were noted, in ascending order, and hands over all that was written.
    pub fn finish(mut self, inserted: &[(usize, String)]) -> Vec<u8> {
        self.bytes.truncate(self.length);
        for (place, text) in inserted.iter().rev() {
            let place = place.saturating_sub(self.taken);
            self.bytes.splice(place..place, text.bytes());
        }
        self.bytes
    }

    /// Hands over the first so many bytes of what was written, or all if there are fewer, and goes on behind the rest.
    pub fn take(&mut self, bytes: usize) -> Vec<u8> {
        let bytes = bytes.min(self.length);
        let part = self.bytes.get(..bytes).unwrap_or_default().to_vec();
        self.bytes.copy_within(bytes..self.length, 0);
        self.taken += bytes;
        self.length -= bytes;
        part
    }
}

/// Whether a byte is to stay: 1 or 0.
#[derive(Clone, Copy, Debug)]
pub struct IsWanted(usize);

impl IsWanted {
    /// It stays.
    pub const YES: Self = Self(1);

    /// It stays if something stands before it.
    #[inline(always)]
    pub fn behind(is_behind: bool) -> Self {
        Self(usize::from(is_behind))
    }
}
