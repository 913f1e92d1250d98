//! The arguments of `audit query`, and the question that they are.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::audit::index::question::{Change, Did, Record, Stages, Within};
use crate::audit::when::{exact, plain};
use crate::cli::audit::{StateArgs, WhenNames};
use crate::cli::explain::principal;
use crate::cli::reading::Unrecorded;
use crate::cli::render;
use crate::json::token::quoted;
use crate::model::principal::EntityRef;

/// The arguments.
#[derive(Args)]
pub struct QueryArgs {
    #[command(subcommand)]
    question: QuestionArgs,
}

#[derive(Subcommand)]
enum QuestionArgs {
    /// Who was shown a record, or one field of it
    WhoSaw(RecordArgs),
    /// Who changed a record, or tried to
    WhoChanged(RecordArgs),
    /// What a principal saw, changed or was refused
    By(ByArgs),
    /// Stage moves, carried out or not
    Moves(MovesArgs),
    /// What was denied, refused or failed
    Refused(RefusedArgs),
    /// Who read the ledger through the service
    Readings(ReadingsArgs),
}

/// A question about one record.
#[derive(Args)]
struct RecordArgs {
    /// The record's type, as the profile calls it
    #[arg(long = "type", value_name = "TYPE")]
    type_name: String,
    /// The record's id, as the CRM spells it
    #[arg(long)]
    id: String,
    /// Only this field, as the profile calls it: margin or Deal.margin
    #[arg(long)]
    field: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// A question about one principal.
#[derive(Args)]
struct ByArgs {
    /// The principal, e.g. 'User::"anna"', or the handle of one who was erased
    #[arg(value_parser = whom)]
    principal: Whom,
    /// Only what it saw, changed, was refused, or had held back
    #[arg(long, value_enum)]
    only: Option<Only>,
    #[command(flatten)]
    common: Common,
}

/// A question about stage moves.
#[derive(Args)]
struct MovesArgs {
    /// Only moves out of this stage or into it, e.g. sales.won
    #[arg(long, conflicts_with = "pipeline")]
    stage: Option<String>,
    /// Only moves within, out of or into this pipeline
    #[arg(long)]
    pipeline: Option<String>,
    /// Only moves that were not forwarded
    #[arg(long)]
    refused: bool,
    #[command(flatten)]
    common: Common,
}

/// A question about what did not go through.
#[derive(Args)]
struct RefusedArgs {
    /// Only with this reason, e.g. stage-move-denied
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// A question about readings.
#[derive(Args)]
struct ReadingsArgs {
    #[command(flatten)]
    common: Common,
}

/// What all questions have.
#[derive(Args)]
pub struct Common {
    #[command(flatten)]
    state: StateArgs,
    /// The index's file; without it index.sqlite in the state folder
    #[arg(long, value_name = "FILE")]
    pub index: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) unrecorded: Unrecorded,
    /// Only what was recorded at this time or later, RFC 3339 or a date (UTC)
    #[arg(long, value_name = "TIME", value_parser = first_moment)]
    pub from: Option<Moment>,
    /// Only what was recorded before this time; a date counts whole
    #[arg(long, value_name = "TIME", value_parser = end_moment)]
    pub to: Option<Moment>,
    /// Only entries after this one
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// Only what this policy determined
    #[arg(long, value_name = "POLICY_ID")]
    policy: Option<String>,
    /// Only what was decided by a bundle or directory whose hash begins so, with at least 8 digits
    #[arg(long, value_name = "HASH", value_parser = revision)]
    revision: Option<String>,
    /// How many rows are told
    #[arg(long, value_name = "N", default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Whether handles are resolved to names
    #[arg(long, value_enum, default_value_t, num_args = 0..=1, default_missing_value = "always", require_equals = true)]
    pub names: WhenNames,
    /// Put the proofs of all entries that the answer tells of into this folder, made if it is missing
    #[arg(long, value_name = "DIR")]
    pub proof: Option<PathBuf>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For spreadsheets
    Csv,
}

/// What a principal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    Saw,
    Changed,
    Refused,
    HeldBack,
}

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub i64);

/// A principal by name, or by its handle.
#[derive(Clone, Debug)]
enum Whom {
    Name(EntityRef),
    Handle(String),
}

/// What is asked, and how that is recorded.
pub struct Asked {
    /// The question.
    pub question: Question,
    /// The command with the principal's handle in the place of its name.
    pub command: String,
}

/// A question with everything resolved.
pub enum Question {
    WhoSaw { record: Record, field: Option<String> },
    WhoChanged { record: Record, field: Option<String> },
    By { handle: Option<String>, did: Option<Did> },
    Moves { stages: Stages, change: Option<Change> },
    Refused { reason: Option<String> },
    Readings,
}

impl QueryArgs {
    /// Whose ledger it is.
    pub(in crate::cli) fn state(&self) -> &StateArgs {
        &self.common().state
    }

    /// What all questions have.
    pub fn common(&self) -> &Common {
        match &self.question {
            QuestionArgs::WhoSaw(args) | QuestionArgs::WhoChanged(args) => &args.common,
            QuestionArgs::By(args) => &args.common,
            QuestionArgs::Moves(args) => &args.common,
            QuestionArgs::Refused(args) => &args.common,
            QuestionArgs::Readings(args) => &args.common,
        }
    }

    /// The principal that is asked for by name.
    pub fn principal(&self) -> Option<&EntityRef> {
        match &self.question {
            QuestionArgs::By(ByArgs { principal: Whom::Name(principal), .. }) => Some(principal),
            _ => None,
        }
    }

    /// The question. `handle` knows principals.
    pub fn asked(&self, handle: impl Fn(&EntityRef) -> Option<String>) -> Asked {
        let mut command = Command::default();
        let question = match &self.question {
            QuestionArgs::WhoSaw(args) => {
                let (record, field) = args.told("who-saw", &mut command);
                Question::WhoSaw { record, field }
            }
            QuestionArgs::WhoChanged(args) => {
                let (record, field) = args.told("who-changed", &mut command);
                Question::WhoChanged { record, field }
            }
            QuestionArgs::By(args) => {
                let handle = match &args.principal {
                    Whom::Name(principal) => handle(principal),
                    Whom::Handle(handle) => Some(handle.clone()),
                };
                command.word("by");
                command.word(handle.as_deref().unwrap_or("somebody-unknown"));
                let only = args.only.and_then(|only| only.to_possible_value());
                command.flag("only", only.as_ref().map(clap::builder::PossibleValue::get_name));
                Question::By { handle, did: args.only.map(Only::did) }
            }
            QuestionArgs::Moves(args) => {
                command.word("moves");
                command.flag("stage", args.stage.as_deref());
                command.flag("pipeline", args.pipeline.as_deref());
                command.switch("refused", args.refused);
                let stages = match (&args.stage, &args.pipeline) {
                    (Some(stage), _) => Stages::Stage(stage.clone()),
                    (None, Some(pipeline)) => Stages::Pipeline(pipeline.clone()),
                    (None, None) => Stages::All,
                };
                Question::Moves { stages, change: args.refused.then_some(Change::Refused) }
            }
            QuestionArgs::Refused(args) => {
                command.word("refused");
                command.flag("reason", args.reason.as_deref());
                Question::Refused { reason: args.reason.clone() }
            }
            QuestionArgs::Readings(_) => {
                command.word("readings");
                Question::Readings
            }
        };
        self.common().tell(&mut command);
        Asked { question, command: command.0 }
    }
}

impl RecordArgs {
    fn told(&self, question: &str, command: &mut Command) -> (Record, Option<String>) {
        let record = Record { type_name: self.type_name.clone(), id: self.id.clone() };
        let prefix = format!("{}.", self.type_name);
        let full = |field: &String| match field.starts_with(&prefix) {
            true => field.clone(),
            false => format!("{prefix}{field}"),
        };
        let field = self.field.as_ref().map(full);
        command.word(question);
        command.flag("type", Some(&self.type_name));
        command.flag("id", Some(&self.id));
        command.flag("field", field.as_deref());
        (record, field)
    }
}

impl Common {
    /// Which entries the answer may be about.
    pub fn within(&self) -> Within {
        Within {
            from: self.from.map(|at| at.0),
            to: self.to.map(|at| at.0),
            after: self.after,
            policy: self.policy.clone(),
            revision: self.revision.clone(),
            limit: usize::try_from(self.limit).unwrap_or(usize::MAX),
        }
    }

    fn tell(&self, command: &mut Command) {
        let time = |at: Option<Moment>| at.map(|at| exact(at.0));
        command.flag("from", time(self.from).as_deref());
        command.flag("to", time(self.to).as_deref());
        command.flag("policy", self.policy.as_deref());
        command.flag("revision", self.revision.as_deref());
        if self.after > 0 {
            command.flag("after", Some(&self.after.to_string()));
        }
    }
}

impl Only {
    fn did(self) -> Did {
        match self {
            Self::Saw => Did::Saw,
            Self::Changed => Did::Changed,
            Self::Refused => Did::Refused,
            Self::HeldBack => Did::HeldBack,
        }
    }
}

/// A command as it is recorded.
struct Command(String);

impl Default for Command {
    fn default() -> Self {
        Self("audit query".to_owned())
    }
}

impl Command {
    fn word(&mut self, word: &str) {
        self.0.push(' ');
        self.0.push_str(word);
    }

    fn flag(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.word(&format!("--{name} {}", as_word(value)));
        }
    }

    fn switch(&mut self, name: &str, is_set: bool) {
        if is_set {
            self.word(&format!("--{name}"));
        }
    }
}

/// A value as one word, so that none reads as a further flag: as it is where it is plain, else as a JSON string.
pub fn as_word(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || PLAIN.contains(&c);
    match !value.is_empty() && !value.starts_with('-') && value.chars().all(is_plain) {
        true => value.to_owned(),
        false => quoted(value),
    }
}

fn whom(text: &str) -> Result<Whom, String> {
    let is_handle = text.strip_prefix("p_").is_some_and(|digits| {
        digits.len() == HANDLE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    match is_handle {
        true => Ok(Whom::Handle(text.to_owned())),
        false => principal(text).map(Whom::Name),
    }
}

fn revision(text: &str) -> Result<String, String> {
    let is_begin = text.len() >= 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_begin.then(|| text.to_owned()).ok_or_else(|| "write at least 8 hex digits of the hash".to_owned())
}

/// The time at which a period begins.
pub fn first_moment(text: &str) -> Result<Moment, String> {
    moment(text, 0)
}

/// The time before which a period ends.
pub fn end_moment(text: &str) -> Result<Moment, String> {
    moment(text, 1)
}

/// Whether a period begins before it ends; says so where it does not.
pub fn is_period(from: Option<Moment>, to: Option<Moment>) -> bool {
    let reversed = from.zip(to).filter(|(from, to)| to.0 <= from.0);
    if let Some((from, to)) = reversed {
        let (from, to) = (plain(from.0), plain(to.0));
        render::failure(&format!(
            "the period ends before it begins: --from {from}, --to {to}, which is not in it"
        ));
    }
    reversed.is_none()
}

/// A time, or the midnight (UTC) so many days after the one that a date begins with. What is too far away to be counted in
/// nanoseconds is after every entry.
fn moment(text: &str, days: i64) -> Result<Moment, String> {
    if let Some(date) = text.parse::<Date>().ok().filter(|_| text.len() == DATE_BYTES) {
        let midnight =
            date.checked_add(jiff::Span::new().days(days)).and_then(|date| date.to_zoned(TimeZone::UTC));
        return Ok(midnight.map_or(Moment(i64::MAX), |at| counted(at.timestamp())));
    }
    let at =
        text.parse::<Timestamp>().map_err(|_| "write e.g. 2026-07-01 or 2026-07-01T12:00:00Z".to_owned());
    at.map(counted)
}

fn counted(at: Timestamp) -> Moment {
    let far = if at.as_nanosecond() < 0 { i64::MIN } else { i64::MAX };
    Moment(i64::try_from(at.as_nanosecond()).unwrap_or(far))
}

/// What a plain word has beside letters and digits.
const PLAIN: [char; 10] = ['-', '_', '.', ':', '*', '/', '@', '+', '(', ')'];

/// How many rows are told.
const LIMIT: u32 = 1000;

/// Hex digits of a principal's handle.
const HANDLE_DIGITS: usize = 24;

/// The bytes of `2026-07-01`.
const DATE_BYTES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_reads_as_a_flag() {
        #[track_caller]
        fn check(value: &str, expected: &str) {
            assert_eq!(as_word(value), expected);
        }
        check("42", "42");
        check("Deal.*", "Deal.*");
        check("(new)", "(new)");
        check("2026-07-01T00:00:00.000000000Z", "2026-07-01T00:00:00.000000000Z");
        check("42 --field amount", "\"42 --field amount\"");
        check("--limit", "\"--limit\"");
        check("a\"b\\", "\"a\\\"b\\\\\"");
        check("a\nb", "\"a\\nb\"");
        check("", "\"\"");
    }

    #[test]
    fn dates_count_whole_and_times_to_the_nanosecond() {
        #[track_caller]
        fn check(text: &str, days: i64, expected: Option<i64>) {
            assert_eq!(moment(text, days).ok().map(|at| at.0), expected, "{text}");
        }
        check("1970-01-02", 0, Some(86_400_000_000_000));
        check("1970-01-02", 1, Some(172_800_000_000_000));
        check("1970-01-01T00:00:00.000000007Z", 1, Some(7));
        check("1970-01-01T02:00:00+02:00", 1, Some(0));
        check("1970-01-01T00:00:00", 0, None);
        check("yesterday", 0, None);
        check("9999-12-31", 1, Some(i64::MAX));
        check("2999-01-01T00:00:00Z", 0, Some(i64::MAX));
        check("0001-01-01", 0, Some(i64::MIN));
    }
}
