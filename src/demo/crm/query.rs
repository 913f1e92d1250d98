//! Filters, sorting, paging and projection of lists.
//!
//! Promises that totals count all rows that match, not just the page. Never asks whether the caller may see the field
//! that is filtered or sorted by, which is exactly how hidden values leak from such a CRM.

use std::cmp::Reverse;

use super::decimal::Decimal;
use super::error::ApiError;
use super::params::{Param, Params};
use super::record::Record;

/// What one kind of list can be asked.
#[derive(Debug, Clone, Copy)]
pub struct ListRules {
    /// Keys that `key=value` compares.
    pub equals: &'static [&'static str],
    /// Keys that `key__gte=` and `key__lte=` compare as numbers.
    pub bounds: &'static [&'static str],
    /// Keys that `key__contains=` looks into.
    pub contains: &'static [&'static str],
    /// Keys that `q=` looks into.
    pub search: &'static [&'static str],
    /// Keys that `sort=` accepts.
    pub sortable: &'static [&'static str],
}

/// One list request, understood.
#[derive(Debug, Clone)]
pub struct ListQuery {
    filters: Vec<Filter>,
    sort: Vec<(String, Direction)>,
    page: usize,
    per_page: Option<usize>,
    carried: Vec<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The records on the page.
    pub records: Vec<Record>,
    /// Page number from 1.
    pub number: usize,
    /// Page size; all rows if the caller named none.
    pub per_page: usize,
    /// Rows on all pages.
    pub total: usize,
    /// Query string of the next page.
    pub next: Option<String>,
}

/// Which keys of a record the caller asked for.
#[derive(Debug, Clone)]
pub struct Shape {
    fields: Option<Vec<String>>,
    expand: Option<Vec<String>>,
}

#[derive(Debug, Clone)]
enum Filter {
    Equals(&'static str, String),
    AtLeast(&'static str, Decimal),
    AtMost(&'static str, Decimal),
    AnyContains(Vec<&'static str>, String),
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Ascending,
    Descending,
}

/// How values of one field are ordered: no value first, then truth values, numbers, text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Nothing,
    Truth(bool),
    Number(Decimal),
    Text(String),
}

impl ListQuery {
    /// Understands the parameters that `rules` knows and ignores all others.
    pub fn parse(params: &Params, rules: &ListRules) -> Result<Self, ApiError> {
        let filters = params.given().filter_map(|param| filter(param, rules)).collect::<Result<_, _>>()?;
        let sort = params.list("sort").unwrap_or_default();
        let sort = sort.iter().map(|key| sort_key(key, rules)).collect::<Result<_, _>>()?;
        let per_page = params.last("per_page").map(positive).transpose()?;
        let page = params.last("page").map_or(Ok(1), positive)?;
        let pages = ["page", "per_page"];
        let carried = params
            .given()
            .filter(|param| !pages.contains(&&*param.name))
            .map(|param| param.raw.clone())
            .collect();
        Ok(Self { filters, sort, page, per_page, carried })
    }

    /// The records that match, in the order asked for; equal ones keep the order they came in.
    pub fn select(&self, mut records: Vec<Record>) -> Vec<Record> {
        records.retain(|record| self.filters.iter().all(|filter| filter.accepts(record)));
        for (key, direction) in self.sort.iter().rev() {
            match direction {
                Direction::Ascending => records.sort_by_cached_key(|record| rank(record, key)),
                Direction::Descending => records.sort_by_cached_key(|record| Reverse(rank(record, key))),
            }
        }
        records
    }

    /// Cuts one page out of the selected records; without `per_page` all rows are one page.
    pub fn page(&self, selected: &[Record]) -> Page {
        let total = selected.len();
        let per_page = self.per_page.unwrap_or(total);
        let number = if self.per_page.is_some() { self.page } else { 1 };
        let before = (number - 1).saturating_mul(per_page);
        let records = selected.iter().skip(before).take(per_page).cloned().collect();
        let more = before.saturating_add(per_page) < total;
        let next = more.then(|| {
            let carried: String = self.carried.iter().map(|pair| format!("&{pair}")).collect();
            format!("page={}&per_page={per_page}{carried}", number + 1)
        });
        Page { records, number, per_page, total, next }
    }
}

impl Shape {
    /// Reads `fields=` and `expand=`; absent means everything.
    pub fn parse(params: &Params) -> Self {
        Self { fields: params.list("fields"), expand: params.list("expand") }
    }

    /// The record with the keys asked for, `id` always among them; unknown names are ignored.
    pub fn apply(&self, record: Record) -> Record {
        let wanted = |list: &Option<Vec<String>>, key: &str| {
            list.as_ref().is_none_or(|names| names.iter().any(|name| name == key))
        };
        record.only(|key| {
            let selected = key == "id" || wanted(&self.fields, key);
            selected && (!EMBEDS.contains(&key) || wanted(&self.expand, key))
        })
    }
}

impl Filter {
    fn accepts(&self, record: &Record) -> bool {
        match self {
            Self::Equals(key, value) => record.plain(key).is_some_and(|own| own == *value),
            Self::AtLeast(key, bound) => record.decimal(key).is_some_and(|own| own >= *bound),
            Self::AtMost(key, bound) => record.decimal(key).is_some_and(|own| own <= *bound),
            Self::AnyContains(keys, text) => keys
                .iter()
                .any(|key| record.text(key).is_some_and(|own| own.to_lowercase().contains(text.as_str()))),
        }
    }
}

fn filter(param: &Param, rules: &ListRules) -> Option<Result<Filter, ApiError>> {
    let known = |keys: &'static [&'static str], name: &str| keys.iter().copied().find(|key| *key == name);
    let bound = || Decimal::parse(&param.value).ok_or(ApiError::InvalidFilter);
    let needle = param.value.to_lowercase();
    if param.name == "q" {
        return Some(Ok(Filter::AnyContains(rules.search.to_vec(), needle)));
    }
    let (name, operator) = param.name.split_once("__").unwrap_or((&param.name, ""));
    match operator {
        "" => known(rules.equals, name).map(|key| Ok(Filter::Equals(key, param.value.clone()))),
        "gte" => known(rules.bounds, name).map(|key| Ok(Filter::AtLeast(key, bound()?))),
        "lte" => known(rules.bounds, name).map(|key| Ok(Filter::AtMost(key, bound()?))),
        "contains" => known(rules.contains, name).map(|key| Ok(Filter::AnyContains(vec![key], needle))),
        _ => None,
    }
}

fn sort_key(key: &str, rules: &ListRules) -> Result<(String, Direction), ApiError> {
    let (name, direction) =
        key.strip_prefix('-').map_or((key, Direction::Ascending), |name| (name, Direction::Descending));
    if rules.sortable.contains(&name) {
        Ok((name.to_owned(), direction))
    } else {
        Err(ApiError::UnknownSortField)
    }
}

fn positive(text: &str) -> Result<usize, ApiError> {
    text.parse().ok().filter(|number| (1..=PAGE_MAX).contains(number)).ok_or(ApiError::InvalidPage)
}

fn rank(record: &Record, key: &str) -> Rank {
    match (record.decimal(key), record.raw(key)) {
        (Some(number), _) => Rank::Number(number),
        (None, Some("true")) => Rank::Truth(true),
        (None, Some("false")) => Rank::Truth(false),
        (None, _) => record.plain(key).map_or(Rank::Nothing, Rank::Text),
    }
}

/// The largest page number and page size.
const PAGE_MAX: usize = 1_000_000;
const EMBEDS: [&str; 2] = ["contact", "company"];

#[cfg(test)]
mod tests;
