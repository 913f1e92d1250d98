//! The shape of an answer: where records are, which of them of which type, which totals, and what else may pass.
//!
//! Whatever the shape does not name is dropped; what it names and is missing makes the answer unreadable.

use crate::config::reader::{Item, Table, Text};
use crate::json::path::{JsonPath, Segment};

use super::places::PlaceTree;
use super::source::TypeSource;

/// What may leave of an answer's body.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Where records are; the first is what the route is about.
    pub records: Vec<RecordLocation>,
    /// Counts and sums over rows.
    pub totals: Vec<Total>,
    /// Places that pass as they are.
    pub keep: Vec<JsonPath>,
    /// Addresses of other pages, which are written anew.
    pub pages: Vec<JsonPath>,
    /// The same, by place.
    pub places: PlaceTree,
    /// Whether one pass over an answer can judge it.
    pub is_plain: bool,
}

/// A place of records in an answer.
#[derive(Clone, Debug)]
pub struct RecordLocation {
    /// The path, with `[*]` or `*` where there are many.
    pub at: JsonPath,
    /// Their type.
    pub type_source: TypeSource,
    /// Where the location stands in the profile.
    pub span: std::ops::Range<usize>,
    /// Whether a missing key of such a record means that there is no value.
    pub is_complete: bool,
    /// Whether the place may be missing or null.
    pub is_optional: bool,
    /// Whether the record is the one that the request names and does not say so itself.
    pub is_asked: bool,
}

/// A count or sum over rows.
#[derive(Clone, Debug)]
pub struct Total {
    /// The path.
    pub at: JsonPath,
    /// What happens to it, since rows may have been hidden.
    pub treatment: TotalTreatment,
    /// What it is.
    pub tells: Tells,
}

/// What a total is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// The number of rows that match: true, and nobody's secret, where what is hidden is not counted.
    Rows,
    /// Anything else, such as a sum of values that the caller may not read.
    Values,
}

/// What happens to a total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TotalTreatment {
    /// The key is removed.
    Remove,
    /// It becomes `null`.
    Null,
    /// It becomes what the CRM itself writes for "unknown".
    Unknown(String),
    /// It becomes the number of rows that are shown: only for counters of the rows on this page.
    CountShown,
}

impl Shape {
    /// The same where no row is hidden, or hidden ones count for nothing: the number of rows passes as it is, and other pages are named.
    pub fn telling_totals(&self, pages: &[JsonPath]) -> Self {
        let (others, told): (Vec<Total>, Vec<Total>) =
            self.totals.iter().cloned().partition(|total| total.tells == Tells::Values);
        let keep = self.keep.iter().cloned().chain(told.into_iter().map(|total| total.at)).collect();
        let mut shape = Shape { totals: others, keep, pages: pages.to_vec(), ..self.clone() };
        shape.places = PlaceTree::build(&shape);
        shape.is_plain = self.is_plain && shape.places.is_plain();
        shape
    }

    /// Where numbers of rows stand.
    pub fn totals_of_rows(&self) -> impl Iterator<Item = &JsonPath> {
        self.totals.iter().filter(|total| total.tells == Tells::Rows).map(|total| &total.at)
    }

    /// Kept places in which records stand, each with the records' location.
    pub fn kept_records(&self) -> impl Iterator<Item = (&JsonPath, &RecordLocation)> {
        let pairs =
            self.keep.iter().flat_map(|keep| self.records.iter().map(move |location| (keep, location)));
        pairs.filter(|(keep, location)| holds(keep.segments(), location.at.segments()))
    }
}

/// Whether two paths may lead to one value, or one into what stands at the other.
pub fn meet(one: &JsonPath, other: &JsonPath) -> bool {
    holds(one.segments(), other.segments()) || holds(other.segments(), one.segments())
}

/// Whether what stands at a place has the places of a path in it. A single key goes before all keys.
fn holds(place: &[Segment], path: &[Segment]) -> bool {
    let is_on_it = |(mine, theirs): (&Segment, &Segment)| match (mine, theirs) {
        (Segment::Key(_), Segment::EachMember) | (Segment::Index(_), Segment::EachItem) => true,
        (mine, theirs) => mine == theirs,
    };
    place.len() <= path.len() && place.iter().zip(path).all(is_on_it)
}

impl RecordLocation {
    /// Whether there can be many records here.
    pub fn is_many(&self) -> bool {
        self.at.segments().iter().any(|segment| matches!(segment, Segment::EachItem | Segment::EachMember))
    }
}

/// Reads `records`, `totals` and `keep` of a route or of an error rule.
pub fn read(table: &Table<'_>) -> Shape {
    let records = match table.item("records") {
        Some(item) if item.is_list() => item.list().into_iter().filter_map(read_location).collect(),
        Some(item) => read_location(item).into_iter().collect(),
        None => Vec::new(),
    };
    let totals = match table.item("totals") {
        Some(item) if item.is_list() => item.list().into_iter().filter_map(read_total).collect(),
        Some(item) => read_total(item).into_iter().collect(),
        None => Vec::new(),
    };
    let keep = table.texts("keep").unwrap_or_default();
    let keep = keep.iter().filter_map(|text| json_path(table, text)).collect();
    let mut shape = Shape { records, totals, keep, ..Shape::default() };
    shape.places = PlaceTree::build(&shape);
    // Of one record that may be missing, others beside it must not take the place.
    let is_sure = |location: &RecordLocation| location.is_many() || !location.is_optional;
    let is_one_or_sure = shape.records.len() <= 1 || shape.records.first().is_some_and(is_sure);
    shape.is_plain = is_one_or_sure && shape.places.is_plain();
    shape
}

fn read_location(item: Item<'_>) -> Option<RecordLocation> {
    let table = item.table()?;
    let at = table.required("at", "Say where the records are, e.g. `$.data[*]`.")?;
    if !at.value.starts_with('$') {
        let help = "Start at the answer's root, e.g. `$`, `$.data[*]` or `$[*]`.";
        table.reading().error(at.span.clone(), format!("`{}` is not a place in an answer", at.value), help);
    }
    let type_source = TypeSource::read(&table, "type");
    let is_complete = table.boolean("complete").unwrap_or(false);
    let is_optional = table.boolean("optional").unwrap_or(false);
    let id = table.text("id");
    table.finish();
    if let Some(id) = id.as_ref().filter(|id| id.value != "request") {
        let help = "Leave it out where the record has its id, or write `id = \"request\"`.";
        table.reading().error(id.span.clone(), format!("`{}` is not where a record's id is", id.value), help);
    }
    Some(RecordLocation {
        is_asked: id.is_some(),
        at: json_path(&table, &at)?,
        span: at.span,
        type_source: type_source.unwrap_or(TypeSource::Route),
        is_complete,
        is_optional,
    })
}

fn read_total(item: Item<'_>) -> Option<Total> {
    let table = item.table()?;
    let at = table.required("at", "Say where the total is, e.g. `$.total`.")?;
    let treatment = table.item("when_rows_hidden");
    let treatment = treatment.map_or(Some(TotalTreatment::Remove), read_treatment);
    let tells = if table.boolean("counts_rows") == Some(true) { Tells::Rows } else { Tells::Values };
    table.finish();
    Some(Total { at: json_path(&table, &at)?, treatment: treatment?, tells })
}

fn read_treatment(item: Item<'_>) -> Option<TotalTreatment> {
    if let Some(table) = item.is_table().then(|| item.table()).flatten() {
        let unknown = table.item("unknown").and_then(Item::scalar_json);
        table.finish();
        return unknown.map(TotalTreatment::Unknown);
    }
    let text = item.text()?;
    match text.value.as_str() {
        "remove" => Some(TotalTreatment::Remove),
        "null" => Some(TotalTreatment::Null),
        "count-shown" => Some(TotalTreatment::CountShown),
        other => {
            let help = "There are remove, null, count-shown and `{ unknown = -1 }`.";
            item.reading().error(text.span, format!("`{other}` is not a treatment of totals"), help);
            None
        }
    }
}

/// Reads a JSON path; a syntax error is noted.
pub fn json_path(table: &Table<'_>, text: &Text) -> Option<JsonPath> {
    match JsonPath::parse(&text.value) {
        Ok(path) => Some(path),
        Err(error) => {
            let help = "Write a path such as `$.data[*]` or `$.items.*.record`.";
            table.reading().error(
                text.span.clone(),
                format!("`{}` is not a path: {error}", text.value),
                help,
            );
            None
        }
    }
}
