//! `[limits]`: what one caller, one request or one answer may cost.

use std::path::Path;

use crate::config::reader::Table;
use crate::config::settings::{Key, Presence, Section, Settings};

/// Limits, as the file gives them.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Milliseconds for a request body to arrive.
    pub body_timeout_ms: u64,
    /// Bytes of an answer of the CRM.
    pub answer_bytes: usize,
    /// Bytes of a list that are held back until it is whole.
    pub hold_bytes: usize,
    /// How many times as long as what came a body may be without its codings.
    pub coding_ratio: u64,
    /// Codings on top of each other.
    pub codings: usize,
    /// Depth of JSON.
    pub json_depth: usize,
    /// Bytes of path and query.
    pub target_bytes: usize,
    /// Parameters of a query.
    pub query_parameters: usize,
    /// Bytes of a head.
    pub head_bytes: usize,
    /// Header fields of a head.
    pub headers: usize,
    /// Records in one answer.
    pub records: usize,
    /// Records that one request may name.
    pub ids: usize,
    /// Conditions on fields in one filter.
    pub filter_clauses: usize,
    /// Conditions inside of each other.
    pub filter_depth: usize,
    /// Records fetched on top of one answer.
    pub fetches: usize,
    /// Rows that are judged to fill up one page.
    pub refill_rows: u64,
    /// Pages of the CRM's that are read for that.
    pub refill_pages: u64,
    /// Requests under way.
    pub requests: usize,
    /// Connections of callers.
    pub connections: usize,
    /// Connections of one source.
    pub connections_per_source: usize,
    /// Connections that are being opened.
    pub handshakes: usize,
    /// Milliseconds to wait for other changes of the same record.
    pub lock_timeout_ms: u64,
    /// Verdicts kept.
    pub cached_verdicts: u64,
    /// How many verdicts of programs there are to one that plain Cedar gives as well.
    pub check_verdicts_every: u64,
    /// Bytes of a body that passes.
    pub stream_bytes: u64,
    /// Milliseconds between two pieces of it.
    pub stream_idle_ms: u64,
    /// Milliseconds for the whole of it.
    pub stream_time_ms: u64,
    /// Files that pass at once.
    pub streams: usize,
    /// Requests under way for which nobody is identified.
    pub open_requests: usize,
    /// Large bodies that are worked on at once; 0 is one for each core.
    pub pool_threads: usize,
    /// Large bodies that wait for that.
    pub pool_queue: usize,
    /// Bytes from which on a body is large.
    pub pool_bytes: usize,
}

/// Reads the section; without it every default holds.
pub fn read(root: &Table<'_>, folder: &Path) -> Option<LimitsConfig> {
    let settings = Settings::of(root, &SECTION, folder)?;
    let limits = LimitsConfig {
        body_bytes: settings.size(&BODY_BYTES),
        body_timeout_ms: settings.integer(&BODY_TIMEOUT_MS),
        answer_bytes: settings.size(&ANSWER_BYTES),
        hold_bytes: settings.size(&HOLD_BYTES),
        coding_ratio: settings.integer(&CODING_RATIO),
        codings: settings.size(&CODINGS),
        json_depth: settings.size(&JSON_DEPTH),
        target_bytes: settings.size(&TARGET_BYTES),
        query_parameters: settings.size(&QUERY_PARAMETERS),
        head_bytes: settings.size(&HEAD_BYTES),
        headers: settings.size(&HEADERS),
        records: settings.size(&RECORDS),
        ids: settings.size(&IDS),
        filter_clauses: settings.size(&FILTER_CLAUSES),
        filter_depth: settings.size(&FILTER_DEPTH),
        fetches: settings.size(&FETCHES),
        refill_rows: settings.integer(&REFILL_ROWS),
        refill_pages: settings.integer(&REFILL_PAGES),
        requests: settings.size(&REQUESTS),
        connections: settings.size(&CONNECTIONS),
        connections_per_source: settings.size(&CONNECTIONS_PER_SOURCE),
        handshakes: settings.size(&HANDSHAKES),
        lock_timeout_ms: settings.integer(&LOCK_TIMEOUT_MS),
        cached_verdicts: settings.integer(&CACHED_VERDICTS),
        check_verdicts_every: settings.integer(&CHECK_VERDICTS_EVERY),
        stream_bytes: settings.integer(&STREAM_BYTES),
        stream_idle_ms: settings.integer(&STREAM_IDLE_MS),
        stream_time_ms: settings.integer(&STREAM_TIME_MS),
        streams: settings.size(&STREAMS),
        open_requests: settings.size(&OPEN_REQUESTS),
        pool_threads: settings.size(&POOL_THREADS),
        pool_queue: settings.size(&POOL_QUEUE),
        pool_bytes: settings.size(&POOL_BYTES),
    };
    settings.finish();
    Some(limits)
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body_bytes: BODY_BYTES.default_size(),
            body_timeout_ms: BODY_TIMEOUT_MS.default_integer(),
            answer_bytes: ANSWER_BYTES.default_size(),
            hold_bytes: HOLD_BYTES.default_size(),
            coding_ratio: CODING_RATIO.default_integer(),
            codings: CODINGS.default_size(),
            json_depth: JSON_DEPTH.default_size(),
            target_bytes: TARGET_BYTES.default_size(),
            query_parameters: QUERY_PARAMETERS.default_size(),
            head_bytes: HEAD_BYTES.default_size(),
            headers: HEADERS.default_size(),
            records: RECORDS.default_size(),
            ids: IDS.default_size(),
            filter_clauses: FILTER_CLAUSES.default_size(),
            filter_depth: FILTER_DEPTH.default_size(),
            fetches: FETCHES.default_size(),
            refill_rows: REFILL_ROWS.default_integer(),
            refill_pages: REFILL_PAGES.default_integer(),
            requests: REQUESTS.default_size(),
            connections: CONNECTIONS.default_size(),
            connections_per_source: CONNECTIONS_PER_SOURCE.default_size(),
            handshakes: HANDSHAKES.default_size(),
            lock_timeout_ms: LOCK_TIMEOUT_MS.default_integer(),
            cached_verdicts: CACHED_VERDICTS.default_integer(),
            check_verdicts_every: CHECK_VERDICTS_EVERY.default_integer(),
            stream_bytes: STREAM_BYTES.default_integer(),
            stream_idle_ms: STREAM_IDLE_MS.default_integer(),
            stream_time_ms: STREAM_TIME_MS.default_integer(),
            streams: STREAMS.default_size(),
            open_requests: OPEN_REQUESTS.default_size(),
            pool_threads: POOL_THREADS.default_size(),
            pool_queue: POOL_QUEUE.default_size(),
            pool_bytes: POOL_BYTES.default_size(),
        }
    }
}

/// The section.
pub const SECTION: Section = Section {
    name: "limits",
    meaning: "What one request may cost. Routes of the profile can narrow some of them.\n\n\
              A JSON document has at most 2,000,000 values. Answers but for long lists are held in memory whole: `requests` times `answer_bytes` bounds them.",
    presence: Presence::Optional,
    keys: &[
        &BODY_BYTES,
        &BODY_TIMEOUT_MS,
        &ANSWER_BYTES,
        &HOLD_BYTES,
        &CODING_RATIO,
        &CODINGS,
        &JSON_DEPTH,
        &TARGET_BYTES,
        &QUERY_PARAMETERS,
        &HEAD_BYTES,
        &HEADERS,
        &RECORDS,
        &IDS,
        &FILTER_CLAUSES,
        &FILTER_DEPTH,
        &FETCHES,
        &REFILL_ROWS,
        &REFILL_PAGES,
        &REQUESTS,
        &CONNECTIONS,
        &CONNECTIONS_PER_SOURCE,
        &HANDSHAKES,
        &LOCK_TIMEOUT_MS,
        &CACHED_VERDICTS,
        &CHECK_VERDICTS_EVERY,
        &STREAM_BYTES,
        &STREAM_IDLE_MS,
        &STREAM_TIME_MS,
        &STREAMS,
        &OPEN_REQUESTS,
        &POOL_THREADS,
        &POOL_QUEUE,
        &POOL_BYTES,
    ],
    inner: &[],
};
const BODY_BYTES: Key = Key::integer("body_bytes", 1 << 20, 1, 1 << 30, "of a request body");
const BODY_TIMEOUT_MS: Key =
    Key::integer("body_timeout_ms", 10_000, 100, 3_600_000, "for a request body to arrive");
const ANSWER_BYTES: Key = Key::integer("answer_bytes", 16 << 20, 1, 1 << 30, "of an answer of the CRM");
const HOLD_BYTES: Key = Key::integer(
    "hold_bytes",
    4 << 20,
    1,
    1 << 30,
    "of a list that are held back until it is whole, so that what is wrong with it is said by a status. A longer list leaves while it comes in, each part recorded first, up to `stream_bytes`; of records that lack what their decision needs nothing is fetched then, they are denied. No record may be longer. With as much as `answer_bytes` or more, no list may be longer than that",
);
const CODING_RATIO: Key = Key::integer(
    "coding_ratio",
    200,
    1,
    1_000_000,
    "how many times as long as what came a body may be once its gzip, deflate, br or zstd is undone; the first MiB is free, and `body_bytes` and `answer_bytes` hold for both",
);
const CODINGS: Key =
    Key::integer("codings", 2, 0, 8, "codings on top of each other; with 0 whatever is coded is refused");
const JSON_DEPTH: Key = Key::integer(
    "json_depth",
    64,
    1,
    256,
    "levels of JSON in a body; an answer may have 32 more, so that nothing a caller writes makes lists unreadable",
);
const TARGET_BYTES: Key = Key::integer("target_bytes", 8 * 1024, 1, 60 * 1024, "of path and query");
const QUERY_PARAMETERS: Key = Key::integer("query_parameters", 200, 1, 10_000, "of a query");
const HEAD_BYTES: Key = Key::integer("head_bytes", 64 * 1024, 8 * 1024, 1 << 20, "of a request's head");
const HEADERS: Key = Key::integer("headers", 100, 1, 1_000, "header fields of a request");
const RECORDS: Key =
    Key::integer("records", 20_000, 1, 1_000_000, "records in one answer, embedded ones included");
const IDS: Key = Key::integer("ids", 100, 1, 10_000, "records that one request may name");
const FILTER_CLAUSES: Key =
    Key::integer("filter_clauses", 100, 1, 10_000, "conditions on fields in one filter of a request");
const FILTER_DEPTH: Key =
    Key::integer("filter_depth", 16, 1, 64, "conditions of a filter inside of each other");
const FETCHES: Key = Key::integer(
    "fetches",
    50,
    1,
    10_000,
    "records fetched on top of one answer, and records that one write may link to",
);
const REFILL_ROWS: Key = Key::integer(
    "refill_rows",
    10_000,
    1,
    1_000_000,
    "rows that are judged, hidden ones included, to fill up one page of a list that is refilled",
);
const REFILL_PAGES: Key =
    Key::integer("refill_pages", 200, 1, 100_000, "pages of the CRM's that are read for that");
const REQUESTS: Key = Key::integer("requests", 1_024, 1, 100_000, "requests under way");
const CONNECTIONS: Key = Key::integer("connections", 9_000, 1, 100_000, "connections of callers");
const CONNECTIONS_PER_SOURCE: Key = Key::integer(
    "connections_per_source",
    4_000,
    1,
    100_000,
    "connections of one source: an IPv4 address, or 64 bits of an IPv6 address; `trusted_proxies` are not counted",
);
const HANDSHAKES: Key = Key::integer(
    "handshakes",
    1_000,
    1,
    100_000,
    "connections that are being opened: PROXY header and TLS handshake",
);
const LOCK_TIMEOUT_MS: Key = Key::integer(
    "lock_timeout_ms",
    10_000,
    1,
    600_000,
    "for other changes of the same record that are under way",
);
const CACHED_VERDICTS: Key = Key::integer(
    "cached_verdicts",
    100_000,
    1,
    100_000_000,
    "programs and verdicts that are kept, and as many answers about every record of a type",
);
const CHECK_VERDICTS_EVERY: Key = Key::integer(
    "check_verdicts_every",
    10_000,
    1,
    1_000_000,
    "compiled verdicts of which plain Cedar checks one",
);
const STREAM_BYTES: Key = Key::integer(
    "stream_bytes",
    1 << 30,
    1,
    1 << 40,
    "of a body that passes piece by piece: files, static files, long lists",
);
const STREAM_IDLE_MS: Key =
    Key::integer("stream_idle_ms", 30_000, 100, 3_600_000, "between two pieces of it");
const STREAM_TIME_MS: Key =
    Key::integer("stream_time_ms", 3_600_000, 1_000, 86_400_000, "for the whole of it");
const STREAMS: Key =
    Key::integer("streams", 256, 1, 100_000, "files and long lists that pass at once to identified callers");
const OPEN_REQUESTS: Key =
    Key::integer("open_requests", 128, 1, 100_000, "requests under way for which nobody is identified");
const POOL_THREADS: Key = Key::integer(
    "pool_threads",
    0,
    0,
    1_024,
    "large bodies that are worked on at once; 0 is one for each core",
);
const POOL_QUEUE: Key =
    Key::integer("pool_queue", 128, 0, 100_000, "large bodies that wait for that; one more is refused");
const POOL_BYTES: Key = Key::integer(
    "pool_bytes",
    64 * 1024,
    1,
    1 << 30,
    "from which on a body is large; whatever came in a coding is",
);
