//! What can be done with deals.
//!
//! Promises that every write is in force before it is answered. Never checks who may do what: any key can be set, a
//! stage by plain PATCH included.

use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION};

use super::catalogue;
use super::data;
use super::decimal::Decimal;
use super::directory::envelope;
use super::error::ApiError;
use super::query::{ListQuery, ListRules, Shape};
use super::record::{Record, quoted};
use super::reply::Reply;
use super::routes::Call;
use super::store::Store;
use super::{csv, wire};

/// `GET /api/deals`.
pub fn list(store: &Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let query = ListQuery::parse(&call.params, &RULES)?;
    let selected = query.select(wire::deals(store));
    let total_amount = sum(&selected, "amount").to_text(2);
    let page = query.page(&selected);
    Ok(envelope(call, page, &[("total_amount", quoted(&total_amount))]))
}

/// `GET /api/deals/{id}`.
pub fn show(store: &Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    let etag = wire::deal_etag(store.deals.row(id)?);
    if tags(call, IF_NONE_MATCH).is_some_and(|tags| matches(&tags, &etag)) {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).with_header(ETAG, &etag));
    }
    shown(store, call, id, StatusCode::OK)
}

/// `POST /api/deals`.
pub fn create(store: &mut Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let mut fields = data::deal_defaults();
    for (key, raw) in call.object()?.entries() {
        fields.set(key, raw);
    }
    let id = store.deals.create(fields)?;
    Ok(shown(store, call, id, StatusCode::CREATED)?.with_header(LOCATION, &format!("/api/deals/{id}")))
}

/// `PATCH /api/deals/{id}`.
pub fn merge(store: &mut Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    require_version(store, call, id)?;
    store.deals.merge(id, &call.object()?)?;
    shown(store, call, id, StatusCode::OK)
}

/// `PUT /api/deals/{id}`.
pub fn replace(store: &mut Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    require_version(store, call, id)?;
    store.deals.replace(id, call.object()?)?;
    shown(store, call, id, StatusCode::OK)
}

/// `DELETE /api/deals/{id}`.
pub fn remove(store: &mut Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    require_version(store, call, id)?;
    store.deals.remove(id)?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `POST /api/deals/{id}/move`.
pub fn advance(store: &mut Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    require_version(store, call, id)?;
    let pipeline = store.deals.row(id)?.fields.text("pipeline");
    let allowed =
        pipeline.and_then(|id| catalogue::pipeline(&id)).map_or(&[][..], |pipeline| pipeline.stages);
    let stage = call.object()?.text("stage").filter(|stage| allowed.contains(&stage.as_str()));
    let stage = stage.ok_or(ApiError::UnknownStage { allowed })?;
    store.deals.merge(id, &Record::default().with("stage", quoted(&stage)))?;
    shown(store, call, id, StatusCode::OK)
}

/// `POST /api/deals/bulk`; ids that do not exist are skipped, more than [`BULK_IDS_MAX`] are [`ApiError::TooLarge`].
pub fn bulk(store: &mut Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let body = call.object()?;
    let ids: Option<Vec<u64>> = body.raw("ids").and_then(|raw| serde_json::from_str(raw).ok());
    let changes = body.raw("set").and_then(|raw| Record::parse(raw).ok());
    let (ids, changes) = ids.zip(changes).ok_or(ApiError::BulkIncomplete)?;
    if ids.len() > BULK_IDS_MAX {
        return Err(ApiError::TooLarge);
    }
    let mut updated = 0_u64;
    for id in ids {
        match store.deals.merge(id, &changes) {
            Ok(()) => updated += 1,
            Err(ApiError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Reply::json(StatusCode::OK, format!(r#"{{"updated":{updated}}}"#)))
}

/// `GET /api/deals/export.csv`; filters and sort work as in the list, paging and projection do not.
pub fn export(store: &Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let deals = ListQuery::parse(&call.params, &RULES)?.select(wire::deals(store));
    let reply = Reply::typed(StatusCode::OK, "text/csv; charset=utf-8", csv::export(&deals));
    Ok(reply.with_header(CONTENT_DISPOSITION, "attachment; filename=\"deals.csv\""))
}

/// The sum of what is a number under `key`, currencies mixed.
pub fn sum(deals: &[Record], key: &str) -> Decimal {
    deals.iter().filter_map(|deal| deal.decimal(key)).fold(Decimal::default(), Decimal::plus)
}

fn shown(store: &Store, call: &Call<'_>, id: u64, status: StatusCode) -> Result<Reply, ApiError> {
    let row = store.deals.row(id)?;
    let deal = Shape::parse(&call.params).apply(wire::deal(store, row));
    Ok(Reply::json(status, deal.to_json()).with_header(ETAG, &wire::deal_etag(row)))
}

fn require_version(store: &Store, call: &Call<'_>, id: u64) -> Result<(), ApiError> {
    let etag = wire::deal_etag(store.deals.row(id)?);
    match tags(call, IF_MATCH) {
        Some(tags) if !matches(&tags, &etag) => Err(ApiError::PreconditionFailed),
        _ => Ok(()),
    }
}

fn tags(call: &Call<'_>, name: HeaderName) -> Option<String> {
    call.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn matches(tags: &str, etag: &str) -> bool {
    tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == etag)
}

/// Ids that one bulk update may name.
pub const BULK_IDS_MAX: usize = 1_000;
/// What the deal list can be asked: everything, hidden or not.
pub const RULES: ListRules = ListRules {
    equals: &["stage", "owner_id", "team_id", "pipeline", "company_id", "contact_id"],
    bounds: &["amount", "margin"],
    contains: &["title"],
    search: &["title", "notes", "internal_notes"],
    sortable: &[
        "id",
        "title",
        "stage",
        "pipeline",
        "owner_id",
        "team_id",
        "amount",
        "currency",
        "amount_weighted",
        "probability",
        "margin",
        "margin_pct",
        "discount_pct",
        "strategic",
        "close_date",
        "created_at",
        "contact_id",
        "company_id",
        "risk_score",
        "version",
    ],
};
