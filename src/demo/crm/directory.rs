//! What can be done with contacts and companies, and the envelope that all lists share.
//!
//! Promises the same envelope for every list. Never checks who asks.

use http::StatusCode;

use super::error::ApiError;
use super::query::{ListQuery, ListRules, Page, Shape};
use super::record::{NULL, Record, array, quoted};
use super::reply::Reply;
use super::routes::Call;
use super::store::Store;
use super::wire;

/// `GET /api/contacts`.
pub fn contacts(store: &Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    list(call, &CONTACT_RULES, store.contacts.rows().map(wire::contact).collect())
}

/// `GET /api/contacts/{id}`.
pub fn contact(store: &Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    Ok(shown(call, wire::contact(store.contacts.row(id)?)))
}

/// `PATCH /api/contacts/{id}`.
pub fn merge_contact(store: &mut Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    store.contacts.merge(id, &call.object()?)?;
    contact(store, call, id)
}

/// `GET /api/companies`.
pub fn companies(store: &Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    list(call, &COMPANY_RULES, store.companies.rows().map(wire::company).collect())
}

/// `GET /api/companies/{id}`, with deals and contacts embedded.
pub fn company(store: &Store, call: &Call<'_>, id: u64) -> Result<Reply, ApiError> {
    Ok(shown(call, wire::company_detail(store, store.companies.row(id)?)))
}

/// A list that has no pages: `{"data":[…]}`.
pub fn whole(records: &[Record]) -> Reply {
    Reply::json(StatusCode::OK, Record::default().with("data", array(records)).to_json())
}

/// One page in the envelope of lists; `totals` come after `total`, each with its JSON text.
pub fn envelope(call: &Call<'_>, page: Page, totals: &[(&str, String)]) -> Reply {
    let shape = Shape::parse(&call.params);
    let count = page.records.len();
    let data: Vec<Record> = page.records.into_iter().map(|record| shape.apply(record)).collect();
    let next = page.next.map_or_else(|| NULL.to_owned(), |query| quoted(&format!("{}?{query}", call.path)));
    let mut body = Record::default()
        .with("data", array(&data))
        .with("page", page.number.to_string())
        .with("per_page", page.per_page.to_string())
        .with("count", count.to_string())
        .with("total", page.total.to_string());
    for (key, raw) in totals {
        body.set(key, raw.as_str());
    }
    Reply::json(StatusCode::OK, body.with("next", next).to_json())
}

fn list(call: &Call<'_>, rules: &ListRules, records: Vec<Record>) -> Result<Reply, ApiError> {
    let query = ListQuery::parse(&call.params, rules)?;
    let page = query.page(&query.select(records));
    Ok(envelope(call, page, &[]))
}

fn shown(call: &Call<'_>, record: Record) -> Reply {
    Reply::json(StatusCode::OK, Shape::parse(&call.params).apply(record).to_json())
}

const CONTACT_RULES: ListRules = ListRules {
    equals: &["company_id", "owner_id", "team_id", "consent"],
    bounds: &[],
    contains: &["name"],
    search: &["name", "email", "phone"],
    sortable: &["id", "name", "email", "phone", "company_id", "owner_id", "team_id", "consent"],
};
const COMPANY_RULES: ListRules = ListRules {
    equals: &["tier", "country", "owner_id", "team_id", "internal_rating"],
    bounds: &["credit_limit"],
    contains: &["name"],
    search: &["name"],
    sortable: &["id", "name", "tier", "country", "owner_id", "team_id", "credit_limit", "internal_rating"],
};
