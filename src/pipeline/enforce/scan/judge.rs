//! The gate as judge of scanned records: it judges by the slices of attributes, as the CRM spells them.

use std::sync::LazyLock;

use super::super::super::decide::gate::{RecordGate, RecordVerdict};
use super::super::super::decide::judging::{Judging, RawJudgement};
use super::{Judge, Judgement, RawRecord};
use crate::model::decision::Decision;
use crate::model::reason::Reason;

/// Judges by a gate.
pub struct GateJudge<'g> {
    gate: &'g RecordGate,
    judging: Judging<'g>,
    lack: Lack,
}

/// What becomes of a record that does not carry what its decision needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// It may be fetched: the answer cannot be judged in one pass.
    Stops,
    /// It is denied.
    Denies,
}

impl<'g> GateJudge<'g> {
    /// A judge that has judged nothing.
    pub fn new(gate: &'g RecordGate, lack: Lack) -> Self {
        Self { gate, judging: gate.judging(), lack }
    }
}

impl Judge for GateJudge<'_> {
    fn judge(&mut self, record: &RawRecord<'_>) -> Judgement {
        let RawRecord { type_index, id, completeness, places } = *record;
        let judged = match self.judging.judge_raw(type_index, id, completeness, places) {
            RawJudgement::Lacking if self.lack == Lack::Denies => {
                self.judging.judge_lacking(type_index, id, completeness, places)
            }
            judged => judged,
        };
        match judged {
            RawJudgement::Verdict(number) => Judgement::Verdict(number),
            RawJudgement::Unnumbered(_) | RawJudgement::Lacking => Judgement::Lacking,
        }
    }

    fn verdict(&self, number: u32) -> &RecordVerdict {
        // Numbers come from the judging alone, so there is one; a judge that lost it shows nothing.
        self.judging.verdict(number).map_or(&NOTHING, |verdict| verdict)
    }

    fn is_filling(&self) -> bool {
        self.judging.is_filling()
    }

    fn renew(&mut self) {
        self.judging = self.gate.judging();
    }
}

static NOTHING: LazyLock<RecordVerdict> =
    LazyLock::new(|| RecordVerdict::hidden(Decision::deny(Reason::Internal), 0));
