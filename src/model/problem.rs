//! What went wrong on the request path, as one value: the reason for everybody, the detail for operators only.

use super::reason::Reason;

/// A refusal, denial or failure on its way to the one exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The stable reason; it fixes status and title.
    pub reason: Reason,
    /// For the caller: what they themselves sent and may know, such as a parameter's name.
    pub detail: Option<String>,
    /// For the caller: keys of the caller's own body that are concerned.
    pub fields: Vec<String>,
    /// For operators: never sent to a caller, never holds a value of a record.
    pub internal: Option<String>,
    /// The CRM's own status, where it answered.
    pub upstream_status: Option<u16>,
}

impl Problem {
    /// A problem that says no more than its reason.
    pub fn new(reason: Reason) -> Self {
        Self { reason, detail: None, fields: Vec::new(), internal: None, upstream_status: None }
    }

    /// Adds what the caller may read.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the keys of the caller's own body; of many, the first ones and how many there are.
    pub fn fields(mut self, mut fields: Vec<String>) -> Self {
        if fields.len() > FIELDS_MAX {
            self.detail = Some(format!("{} keys, of which the first {FIELDS_MAX} are listed", fields.len()));
            fields.truncate(FIELDS_MAX);
        }
        self.fields = fields;
        self
    }

    /// Adds what only operators may read.
    pub fn internal(mut self, internal: impl Into<String>) -> Self {
        self.internal = Some(internal.into());
        self
    }

    /// Adds the status with which the CRM answered.
    pub fn upstream(mut self, status: u16) -> Self {
        self.upstream_status = Some(status);
        self
    }

    /// The status that the caller receives: the CRM's own where it rejected the request, else the reason's.
    pub fn status(&self) -> u16 {
        match (self.reason, self.upstream_status) {
            // A CRM that says no inside of a success says it of the request.
            (Reason::CrmRejected, Some(status @ 400..=499)) => status,
            _ => self.reason.status(),
        }
    }
}

/// Keys that a problem names.
const FIELDS_MAX: usize = 50;

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        Problem::new(reason)
    }
}
