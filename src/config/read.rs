//! Reads `lockkeeper.toml`: raw keys become a resolved configuration, or problems with their places.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::author::{Problems, SourceFile};
use super::reader::{Reading, Table, Text};
use super::service::{
    AdminConfig, KeyConfig, KeyKind, LedgerConfig, LimitsConfig, ListenConfig, ServiceConfig, UpstreamConfig,
};

/// Reads a configuration; relative paths are taken from `folder`. `None` comes with at least one error.
pub fn read(source: &Arc<SourceFile>, folder: &Path, problems: &mut Problems) -> Option<ServiceConfig> {
    let reading = Reading::new(Arc::clone(source));
    let parsed = reading.parse(&source.text);
    let config = parsed.as_ref().and_then(|parsed| {
        let root = reading.table(parsed);
        let config = read_root(&root, folder);
        root.finish();
        config
    });
    let found = reading.into_problems();
    let failed = found.has_errors();
    problems.extend(found);
    config.filter(|_| !failed)
}

fn read_root(root: &Table<'_>, folder: &Path) -> Option<ServiceConfig> {
    let listen = section(root, "listen").and_then(|table| read_listen(&table));
    let admin = root.table("admin").and_then(|table| read_admin(&table, folder));
    let upstream = section(root, "upstream").and_then(|table| read_upstream(&table));
    let identity = section(root, "identity").map(|table| read_identity(&table, folder));
    let directory_file = section(root, "directory").and_then(|table| {
        let file = path(&table, folder, "file");
        table.finish();
        file
    });
    let bundle = section(root, "bundle").and_then(|table| {
        let path = path(&table, folder, "path");
        let poll = table.integer("reload_poll_ms", 0..=3_600_000).unwrap_or(1_000);
        table.finish();
        path.map(|path| (path, poll))
    });
    let ledger = section(root, "ledger").and_then(|table| read_ledger(&table, folder));
    let limits = root.table("limits").map_or_else(LimitsConfig::default, |table| read_limits(&table));
    let (log_level, log_is_json) =
        root.table("log").map_or(("info".to_owned(), false), |table| read_log(&table));
    let (bundle_path, reload_poll_ms) = bundle?;
    Some(ServiceConfig {
        listen: listen?,
        admin,
        upstream: upstream?,
        identity: identity?,
        directory_file: directory_file?,
        bundle_path,
        reload_poll_ms,
        ledger: ledger?,
        limits,
        log_level,
        log_is_json,
    })
}

fn section<'a>(root: &Table<'a>, name: &str) -> Option<Table<'a>> {
    if root.item(name).is_none() {
        root.reading().error(
            0..0,
            format!("`[{name}]` is missing"),
            "See docs/reference/config.md for every section.",
        );
    }
    root.table(name)
}

fn read_listen(table: &Table<'_>) -> Option<ListenConfig> {
    let address = address(table, "address");
    if table.item("address").is_none() {
        table.reading().error(table.span(), "`address` is missing", "Write `address = \"127.0.0.1:8080\"`.");
    }
    let config = ListenConfig {
        address: address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        health_address: self::address(table, "health_address"),
        head_timeout_ms: table.integer("head_timeout_ms", 100..=600_000).unwrap_or(10_000),
        drain_timeout_ms: table.integer("drain_timeout_ms", 0..=600_000).unwrap_or(10_000),
    };
    table.finish();
    address.map(|_| config)
}

fn read_admin(table: &Table<'_>, folder: &Path) -> Option<AdminConfig> {
    let address = address(table, "address");
    if table.item("address").is_none() {
        table.reading().error(table.span(), "`address` is missing", "Write `address = \"127.0.0.1:8081\"`.");
    }
    let token_file = path(table, folder, "token_file");
    table.finish();
    Some(AdminConfig { address: address?, token_file: token_file? })
}

fn read_upstream(table: &Table<'_>) -> Option<UpstreamConfig> {
    let url = table.required("url", "Write `url = \"http://127.0.0.1:8000\"`, where the CRM listens.");
    let parts = url.as_ref().and_then(|url| read_url(table, url));
    let size = |key, max, default| integer_usize(table, key, max, default);
    let config = |origin, base_path| UpstreamConfig {
        origin,
        base_path,
        host: table.text("host").map(|text| text.value),
        connect_timeout_ms: table.integer("connect_timeout_ms", 1..=600_000).unwrap_or(2_000),
        answer_timeout_ms: table.integer("answer_timeout_ms", 1..=3_600_000).unwrap_or(30_000),
        idle_connections_max: size("idle_connections", 10_000, 64),
        idle_timeout_ms: table.integer("idle_timeout_ms", 1..=3_600_000).unwrap_or(30_000),
    };
    let (origin, base_path) = parts.clone().unwrap_or_default();
    let config = config(origin, base_path);
    table.finish();
    parts.map(|_| config)
}

fn read_url(table: &Table<'_>, url: &Text) -> Option<(String, String)> {
    let error = |message: String, help: &str| {
        table.reading().error(url.span.clone(), message, help);
        None
    };
    let Ok(uri) = url.value.parse::<http::Uri>() else {
        return error(format!("`{}` is not a URL", url.value), "Write `http://host:port`.");
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return error(format!("`{}` has no scheme or host", url.value), "Write `http://host:port`.");
    };
    if scheme != "http" {
        let help = "TLS towards the CRM is not in this version; put both on one host or a private network.";
        return error(format!("the scheme `{scheme}` is not supported"), help);
    }
    if authority.as_str().contains('@') || uri.query().is_some() {
        return error(
            "a URL here has no credentials and no query".to_owned(),
            "Keys come from files under `[identity]`.",
        );
    }
    Some((format!("{scheme}://{authority}"), uri.path().trim_end_matches('/').to_owned()))
}

fn read_identity(table: &Table<'_>, folder: &Path) -> Vec<KeyConfig> {
    let mut sources = Vec::new();
    if let Some(keys) = table.table("crm_keys") {
        sources.extend(read_keys(&keys, folder, |_| Some(KeyKind::Crm)));
    }
    if let Some(keys) = table.table("api_keys") {
        let api = |keys: &Table<'_>| {
            let header = keys.text("upstream_header").map_or("authorization".to_owned(), |text| text.value);
            let scheme = scheme(keys, "upstream_scheme", &header);
            let key_file = path(keys, folder, "upstream_key_file")?;
            Some(KeyKind::Api { header: header.to_ascii_lowercase(), scheme, key_file })
        };
        sources.extend(read_keys(&keys, folder, api));
    }
    table.finish();
    if sources.is_empty() {
        let help = "Add `[identity.api_keys]` (keys of Lockkeeper's own) or `[identity.crm_keys]` (the callers' CRM keys).";
        table.reading().error(table.span(), "nobody can be identified", help);
    }
    sources
}

fn read_keys(
    table: &Table<'_>,
    folder: &Path,
    kind: impl Fn(&Table<'_>) -> Option<KeyKind>,
) -> Option<KeyConfig> {
    let file = path(table, folder, "file");
    let header =
        table.text("header").map_or("authorization".to_owned(), |text| text.value.to_ascii_lowercase());
    let scheme = scheme(table, "scheme", &header);
    let kind = kind(table);
    table.finish();
    Some(KeyConfig { kind: kind?, file: file?, header, scheme })
}

/// The scheme before a key: `Bearer` in `Authorization` unless the file says otherwise, none in other headers.
fn scheme(table: &Table<'_>, key: &str, header: &str) -> Option<String> {
    match table.text(key) {
        Some(text) if text.value.is_empty() => None,
        Some(text) => Some(text.value),
        None => header.eq_ignore_ascii_case("authorization").then(|| "Bearer".to_owned()),
    }
}

fn read_ledger(table: &Table<'_>, folder: &Path) -> Option<LedgerConfig> {
    let path = path(table, folder, "path");
    let config = LedgerConfig {
        path: path.clone().unwrap_or_default(),
        segment_bytes_max: table.integer("segment_bytes", 1 << 16..=1 << 40).unwrap_or(256 << 20),
        queue_entries_max: integer_usize(table, "queue_entries", 1 << 20, 8_192),
        write_timeout_ms: table.integer("write_timeout_ms", 10..=600_000).unwrap_or(5_000),
    };
    table.finish();
    path.map(|_| config)
}

fn read_limits(table: &Table<'_>) -> LimitsConfig {
    let default = LimitsConfig::default();
    let size = |key, max, default| integer_usize(table, key, max, default);
    let limits = LimitsConfig {
        body_bytes: size("body_bytes", 1 << 30, default.body_bytes),
        body_timeout_ms: table.integer("body_timeout_ms", 100..=3_600_000).unwrap_or(default.body_timeout_ms),
        answer_bytes: size("answer_bytes", 1 << 30, default.answer_bytes),
        json_depth: size("json_depth", 256, default.json_depth),
        target_bytes: size("target_bytes", 60 * 1024, default.target_bytes),
        query_parameters: size("query_parameters", 10_000, default.query_parameters),
        records: size("records", 1_000_000, default.records),
        ids: size("ids", 10_000, default.ids),
        fetches: size("fetches", 10_000, default.fetches),
        requests: size("requests", 100_000, default.requests),
        connections: size("connections", 100_000, default.connections),
        cached_verdicts: table.integer("cached_verdicts", 1..=100_000_000).unwrap_or(default.cached_verdicts),
    };
    table.finish();
    limits
}

fn read_log(table: &Table<'_>) -> (String, bool) {
    let level = table.text("level").map_or("info".to_owned(), |text| text.value);
    let format = table.text("format");
    table.finish();
    let is_json = match format.as_ref().map(|format| format.value.as_str()) {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            let span = format.as_ref().map_or(0..0, |format| format.span.clone());
            table.reading().error(span, format!("`{other}` is not a log format"), "There are text and json.");
            false
        }
    };
    (level, is_json)
}

fn address(table: &Table<'_>, key: &str) -> Option<SocketAddr> {
    let text = table.text(key)?;
    let parsed = text.value.parse().ok();
    if parsed.is_none() {
        let help = "Write an address and a port, e.g. `127.0.0.1:8080`.";
        table.reading().error(text.span, format!("`{}` is not an address", text.value), help);
    }
    parsed
}

fn path(table: &Table<'_>, folder: &Path, key: &str) -> Option<PathBuf> {
    let text = table.required(key, "Paths are taken from the folder of the configuration file.")?;
    Some(folder.join(text.value))
}

fn integer_usize(table: &Table<'_>, key: &str, max: u64, default: usize) -> usize {
    table.integer(key, 1..=max).and_then(|value| usize::try_from(value).ok()).unwrap_or(default)
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            body_timeout_ms: 10_000,
            answer_bytes: 16 << 20,
            json_depth: 64,
            target_bytes: 8 * 1024,
            query_parameters: 200,
            records: 20_000,
            ids: 100,
            fetches: 50,
            requests: 1_024,
            connections: 9_000,
            cached_verdicts: 100_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) -> Option<ServiceConfig> {
        let mut problems = Problems::default();
        let config =
            read(&SourceFile::new("lockkeeper.toml", text), Path::new("/etc/lockkeeper"), &mut problems);
        let found: Vec<String> = problems
            .iter()
            .map(|p| format!("{} {p} | {}", p.place().unwrap_or_default(), p.help_text().unwrap_or("")))
            .collect();
        assert_eq!(found, expected);
        config
    }

    const SMALL: &str = r#"[listen]
address = "127.0.0.1:8080"
[upstream]
url = "http://127.0.0.1:18100/"
[identity.crm_keys]
file = "keys.toml"
[directory]
file = "directory.cedarentities.json"
[bundle]
path = "bundle"
[ledger]
path = "state"
"#;

    #[test]
    fn a_dozen_lines_are_enough() {
        let config = check(SMALL, &[]).unwrap();
        assert_eq!(config.upstream.origin, "http://127.0.0.1:18100");
        assert_eq!(config.upstream.base_path, "");
        assert_eq!(config.bundle_path, Path::new("/etc/lockkeeper/bundle"));
        assert_eq!(config.identity.len(), 1);
    }

    #[test]
    fn every_typo_is_named_in_one_run() {
        let text = SMALL
            .replace("address", "adress")
            .replace("url =", "ulr =")
            .replace("[ledger]\npath", "[ledger]\npaht");
        check(
            &text,
            &[
                "lockkeeper.toml:1 `address` is missing | Write `address = \"127.0.0.1:8080\"`.",
                "lockkeeper.toml:2 `adress` is not a known key | Did you mean `address`?",
                "lockkeeper.toml:3 `url` is missing | Write `url = \"http://127.0.0.1:8000\"`, where the CRM listens.",
                "lockkeeper.toml:4 `ulr` is not a known key | Did you mean `url`?",
                "lockkeeper.toml:11 `path` is missing | Paths are taken from the folder of the configuration file.",
                "lockkeeper.toml:12 `paht` is not a known key | Did you mean `path`?",
            ],
        );
    }

    #[test]
    fn a_url_must_be_plain_http() {
        let text = SMALL.replace("http://", "https://");
        check(
            &text,
            &[
                "lockkeeper.toml:4 the scheme `https` is not supported | TLS towards the CRM is not in this version; put both on one host or a private network.",
            ],
        );
        let text = SMALL.replace("http://", "http://user:pw@");
        check(
            &text,
            &[
                "lockkeeper.toml:4 a URL here has no credentials and no query | Keys come from files under `[identity]`.",
            ],
        );
    }

    #[test]
    fn nobody_identified_is_an_error() {
        let text = SMALL.replace("[identity.crm_keys]\nfile = \"keys.toml\"", "[identity]");
        check(
            &text,
            &[
                "lockkeeper.toml:5 nobody can be identified | Add `[identity.api_keys]` (keys of Lockkeeper's own) or `[identity.crm_keys]` (the callers' CRM keys).",
            ],
        );
    }
}
