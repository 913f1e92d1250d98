//! Filters, sorting, paging and projection over four rows.

use super::{ListQuery, ListRules, Shape};
use crate::demo::crm::error::ApiError;
use crate::demo::crm::params::Params;
use crate::demo::crm::record::Record;

const RULES: ListRules = ListRules {
    equals: &["stage", "owner_id"],
    bounds: &["amount"],
    contains: &["title"],
    search: &["title", "notes"],
    sortable: &["id", "title", "amount", "strategic"],
};

fn rows() -> Vec<Record> {
    [
        r#"{"id":1,"title":"Beta","stage":"lead","owner_id":1,"amount":9.50,"strategic":true,"notes":"x"}"#,
        r#"{"id":2,"title":"alpha","stage":"won","owner_id":2,"amount":100,"strategic":false,"notes":"Se\u0063ret"}"#,
        r#"{"id":3,"title":"Beta","stage":"lead","owner_id":2,"amount":null,"strategic":false,"notes":null}"#,
        r#"{"id":4,"title":null,"stage":null,"owner_id":1,"amount":10.00,"strategic":true,"notes":"beta"}"#,
    ]
    .iter()
    .map(|text| Record::parse(text).unwrap())
    .collect()
}

fn ids(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.integer("id").unwrap()).collect()
}

#[track_caller]
fn check(query: &str, expected: &[u64]) {
    let list = ListQuery::parse(&Params::parse(query), &RULES).unwrap();
    assert_eq!(ids(&list.page(&list.select(rows())).records), expected, "`{query}`");
}

#[track_caller]
fn check_error(query: &str, expected: &ApiError) {
    assert_eq!(ListQuery::parse(&Params::parse(query), &RULES).err().as_ref(), Some(expected), "`{query}`");
}

#[test]
fn filters() {
    check("", &[1, 2, 3, 4]);
    check("stage=lead", &[1, 3]);
    check("stage=lead&owner_id=2", &[3]);
    check("stage=LEAD", &[]);
    check("stage=", &[1, 2, 3, 4]);
    check("unknown=1&title=Beta", &[1, 2, 3, 4]);
    check("amount__gte=10", &[2, 4]);
    check("amount__lte=10.00", &[1, 4]);
    check("amount__gte=9.5&amount__lte=9.50", &[1]);
    check("amount__between=1", &[1, 2, 3, 4]);
    check("title__contains=ET", &[1, 3]);
    check("q=beta", &[1, 3, 4]);
    check("q=secret", &[2]);
}

#[test]
fn sorts_numbers_as_numbers_and_nothing_first() {
    check("sort=amount", &[3, 1, 4, 2]);
    check("sort=-amount", &[2, 4, 1, 3]);
    check("sort=title", &[4, 1, 3, 2]);
    check("sort=title,-id", &[4, 3, 1, 2]);
    check("sort=strategic,-amount", &[2, 3, 4, 1]);
    check_error("sort=margin", &ApiError::UnknownSortField);
    check_error("sort=id,", &ApiError::UnknownSortField);
    check_error("sort=--id", &ApiError::UnknownSortField);
}

#[test]
fn pages() {
    check("per_page=3", &[1, 2, 3]);
    check("per_page=3&page=2", &[4]);
    check("per_page=3&page=3", &[]);
    check("page=2", &[1, 2, 3, 4]);
    check("per_page=1000000&page=1000000", &[]);
    for query in
        ["page=0", "page=-1", "page=x", "per_page=0", "per_page=1.5", "page=1000001", "per_page=1000001"]
    {
        check_error(query, &ApiError::InvalidPage);
    }
    check_error("amount__gte=lots", &ApiError::InvalidFilter);
}

#[test]
fn the_next_page_carries_the_other_parameters_as_written() {
    let query = Params::parse("sort=-id&page=1&title__contains=%62+&per_page=1");
    let list = ListQuery::parse(&query, &RULES).unwrap();
    let page = list.page(&rows());
    assert_eq!(page.next.as_deref(), Some("page=2&per_page=1&sort=-id&title__contains=%62+"));
    assert_eq!((page.number, page.per_page, page.total), (1, 1, 4));
    let exact = ListQuery::parse(&Params::parse("per_page=2&page=2"), &RULES).unwrap();
    assert_eq!(exact.page(&rows()).next, None);
}

#[test]
fn projection_keeps_order_and_id() {
    let shaped = |query: &str| {
        let record = Record::parse(r#"{"id":1,"a":2,"contact_id":3,"contact":{},"company":{}}"#).unwrap();
        Shape::parse(&Params::parse(query)).apply(record).to_json()
    };
    assert_eq!(shaped(""), r#"{"id":1,"a":2,"contact_id":3,"contact":{},"company":{}}"#);
    assert_eq!(shaped("fields=contact,a"), r#"{"id":1,"a":2,"contact":{}}"#);
    assert_eq!(shaped("expand=none"), r#"{"id":1,"a":2,"contact_id":3}"#);
    assert_eq!(shaped("expand=company&fields=company,contact"), r#"{"id":1,"company":{}}"#);
    assert_eq!(shaped("fields=nothing"), r#"{"id":1}"#);
}
