//! An answer that comes in pieces and leaves in parts: what is kept of it meanwhile is bounded, however long it is.

use super::super::shown::ShownSets;
use super::envelope::Envelope;
use super::task::Scanning;
use super::{Halt, Judge};
use crate::json::scan::object::Scanner;

impl<J: Judge> Envelope<'_, J> {
    /// Takes the next piece of an answer.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Halt> {
        self.pending.extend_from_slice(piece);
        match simdutf8::compat::from_utf8(self.pending.get(self.checked..).unwrap_or_default()) {
            Ok(_) => self.checked = self.pending.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Halt::Malformed),
        }
        if self.pending.len() < self.wanted {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let done = self.run(&pending);
        self.pending = pending;
        let done = done?;
        self.pending.drain(..done);
        self.checked = self.checked.saturating_sub(done);
        let (left, step_bytes) = (self.pending.len(), self.task.limits.step_bytes);
        if left > step_bytes {
            return Err(Halt::TooLarge(step_bytes));
        }
        // A long record is tried again when twice as much is there, so that all tries together take linear time.
        self.wanted = if done > 0 { left + 1 } else { (left * 2).min(step_bytes + 1) };
        Ok(())
    }

    /// How much was written and not yet taken.
    pub fn written(&self) -> usize {
        self.output.waiting()
    }

    /// Whether what was shown and held back is to be told, though little was written: it would take so many bytes to record
    /// it, or there are almost as many verdicts as a judge can number.
    pub fn is_due(&self, noted_max: usize) -> bool {
        self.writer.noted() >= noted_max || self.writer.is_filling()
    }

    /// What was shown and held back since that was last told.
    pub fn take_sets(&mut self) -> ShownSets {
        self.writer.take_sets()
    }

    /// Takes the first so many bytes of what was written, with what all of it shows.
    pub fn take_part(&mut self, bytes: usize) -> Result<(Vec<u8>, ShownSets), Halt> {
        self.check_part(bytes)?;
        Ok((self.output.take(bytes), self.writer.take_sets()))
    }

    /// Whether the first so many bytes of what was written may leave, if there are as many.
    pub fn check_part(&self, bytes: usize) -> Result<(), Halt> {
        if self.writer.is_refused {
            return Err(Halt::Refused);
        }
        // A count of what is shown cannot be put in any more where it has left.
        let end = self.output.length() - self.output.waiting() + bytes;
        match self.counts.first().is_some_and(|place| *place < end) && self.output.waiting() >= bytes {
            true => Err(Halt::EarlyTotal),
            false => Ok(()),
        }
    }

    /// Ends an answer of which all pieces came.
    pub fn finish(self) -> Result<(Scanning, Scanner), Halt> {
        if self.checked < self.pending.len() {
            return Err(Halt::Malformed);
        }
        self.end()
    }
}
