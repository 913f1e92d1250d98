//! Files that hang on deals: what is known of them, their bytes, and uploads.
//!
//! Promises bounded files. Lenient like the CRMs it stands for: a file is served under any deal's path, and a field of an
//! upload's form moves the file to another deal.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use http::{HeaderMap, HeaderValue};

use super::error::ApiError;
use super::record::{NULL, Record, array, quoted};
use super::reply::Reply;
use super::routes::Call;
use super::store::Store;

/// One file.
#[derive(Debug, Clone)]
pub struct File {
    /// The deal that it hangs on.
    pub deal_id: u64,
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Files by id.
pub type Files = BTreeMap<u64, File>;

/// The files that are there from the beginning.
pub fn seeded() -> Files {
    let file = |deal_id, name: &str, media_type: &str, text: &'static str| File {
        deal_id,
        name: name.to_owned(),
        media_type: media_type.to_owned(),
        bytes: Bytes::from_static(text.as_bytes()),
    };
    BTreeMap::from([
        (501, file(42, "offer.pdf", "application/pdf", "%PDF-1.7 offer for deal 42, margin 31250.25")),
        (502, file(2, "contract.pdf", "application/pdf", "%PDF-1.7 contract of deal 2")),
        (503, file(42, "page.html", "text/html", "<script>alert(document.cookie)</script>")),
    ])
}

/// `GET /api/deals/{id}/files`.
pub fn list(store: &Store, deal_id: u64) -> Result<Reply, ApiError> {
    store.deals.row(deal_id)?;
    let files = store.files.iter().filter(|(_, file)| file.deal_id == deal_id);
    let records: Vec<Record> = files.map(|(id, file)| record(store, *id, file)).collect();
    Ok(Reply::json(StatusCode::OK, Record::default().with("data", array(&records)).to_json()))
}

/// `GET /api/files/{id}`.
pub fn show(store: &Store, id: u64) -> Result<Reply, ApiError> {
    let file = store.files.get(&id).ok_or(ApiError::NotFound)?;
    Ok(Reply::json(StatusCode::OK, record(store, id, file).to_json()))
}

/// `GET /api/files/{id}/content`, with one range of bytes if asked for.
pub fn content(store: &Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    let file = store.files.get(&id).ok_or(ApiError::NotFound)?;
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_str(&file.media_type).unwrap_or(OCTETS)),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ]);
    let reply = Reply { status: StatusCode::OK, headers, body: file.bytes.clone() }
        .with_header(CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", file.name))
        .with_header(ETAG, &format!("\"f{id}\""));
    Ok(match range(call, file.bytes.len()) {
        Some((from, to)) => {
            let total = file.bytes.len();
            let part =
                Reply { status: StatusCode::PARTIAL_CONTENT, body: file.bytes.slice(from..to), ..reply };
            part.with_header(CONTENT_RANGE, &format!("bytes {from}-{}/{total}", to - 1))
        }
        None => reply,
    })
}

/// `POST /api/deals/{id}/files`: a form with a file, or the file itself.
pub fn attach(store: &mut Store, call: &Call<'_>, deal_id: u64) -> Result<Reply, ApiError> {
    store.deals.row(deal_id)?;
    if store.files.len() >= FILES_MAX {
        return Err(ApiError::StorageFull);
    }
    let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let file = match content_type.split_once("boundary=") {
        Some((_, boundary)) => from_form(call.body, boundary.trim_matches('"'), deal_id)?,
        None => File {
            deal_id,
            name: "upload".to_owned(),
            media_type: content_type.to_owned(),
            bytes: call.body.clone(),
        },
    };
    let id = store.files.keys().next_back().map_or(1, |last| last + 1);
    let reply = Reply::json(StatusCode::CREATED, record(store, id, &file).to_json());
    store.files.insert(id, file);
    Ok(reply)
}

fn from_form(body: &Bytes, boundary: &str, deal_id: u64) -> Result<File, ApiError> {
    let text = String::from_utf8_lossy(body);
    let mut file = None;
    let mut deal_id = deal_id;
    for part in text.split(&format!("--{boundary}")) {
        let Some((head, content)) = part.split_once("\r\n\r\n") else { continue };
        let content = content.strip_suffix("\r\n").unwrap_or(content);
        let named = |name: &str| {
            let (_, after) = head.split_once(&format!(" {name}=\""))?;
            after.split('"').next().map(str::to_owned)
        };
        match (named("name").as_deref(), named("filename")) {
            (Some("deal_id"), _) => deal_id = content.parse().unwrap_or(deal_id),
            (_, Some(filename)) => {
                let media_type =
                    head.split_once("Content-Type: ").map_or("application/octet-stream", |(_, after)| {
                        after.split("\r\n").next().unwrap_or_default()
                    });
                file = Some((filename, media_type.to_owned(), Bytes::from(content.to_owned())));
            }
            _ => {}
        }
    }
    let (name, media_type, bytes) = file.ok_or(ApiError::MalformedJson)?;
    Ok(File { deal_id, name, media_type, bytes })
}

fn record(store: &Store, id: u64, file: &File) -> Record {
    let deal = store.deals.row(file.deal_id).ok();
    let owner = deal.and_then(|deal| deal.fields.raw("owner_id")).unwrap_or(NULL);
    Record::default()
        .with("id", id.to_string())
        .with("deal_id", file.deal_id.to_string())
        .with("owner_id", owner)
        .with("name", quoted(&file.name))
        .with("media_type", quoted(&file.media_type))
        .with("size", file.bytes.len().to_string())
}

/// First byte and the one after the last, of `bytes=a-b`.
fn range(call: &Call<'_>, length: usize) -> Option<(usize, usize)> {
    let text = call.headers.get(RANGE)?.to_str().ok()?;
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let from: usize = from.parse().ok()?;
    let to = to.parse().map_or(length, |to: usize| to.saturating_add(1)).min(length);
    (from < to).then_some((from, to))
}

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Files that are kept at most.
const FILES_MAX: usize = 1_000;
