//! The slow, obvious filter: `serde_json` reads, plain recursion decides. It knows the profile's language and none of our readers.

use std::collections::BTreeMap;

use lockkeeper::bundle::profile::Profile;
use lockkeeper::bundle::profile::mask::Mask;
use lockkeeper::bundle::profile::shape::{Shape, TotalTreatment};
use lockkeeper::bundle::profile::source::TypeSource;
use lockkeeper::bundle::profile::types::{FieldSpec, Hide, KeyPattern, RecordType};
use lockkeeper::json::path::Segment;
use lockkeeper::pipeline::decide::gate::Visibility;
use serde::de::{Deserialize, IgnoredAny};

use super::rig::View;

/// A value with the text that it had.
pub struct Json<'a> {
    raw: &'a str,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Null,
    Scalar,
    Text(String),
    Object(Vec<Member<'a>>),
    Array(Vec<Json<'a>>),
}

struct Member<'a> {
    raw: &'a str,
    key: String,
    value: Json<'a>,
}

/// Full names of fields: shown, hidden, masked.
pub type Fields = (Vec<String>, Vec<String>, Vec<String>);

/// What became of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Twin {
    /// What may leave.
    pub body: String,
    /// Whether anything was held back.
    pub is_cut: bool,
    /// Whether the whole answer is hidden.
    pub is_hidden: bool,
    /// Whether the whole answer is refused.
    pub is_refused: bool,
    /// What became of fields, with the ids of the records.
    pub shown: BTreeMap<Fields, Vec<String>>,
    /// Ids of records that were not shown.
    pub hidden: BTreeMap<String, Vec<String>>,
    /// Each record that was judged, with what stands where its attributes may be.
    pub judged: Vec<String>,
}

/// Reads a text, every value of it.
pub fn read(text: &str, depth: usize) -> Option<Json<'_>> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    value(text, &mut 0, depth)
}

/// Reads the value at a place of a text that is JSON.
fn value<'a>(text: &'a str, at: &mut usize, depth: usize) -> Option<Json<'a>> {
    space(text, at);
    let start = *at;
    let kind = match text.as_bytes()[start] {
        b'{' => {
            let (depth, mut members) = (depth.checked_sub(1)?, Vec::new());
            while !is_next(text, at, b'}') {
                let (raw, key) = one::<String>(text, at)?;
                *at += 1 + rest(text, *at).find(':')?;
                members.push(Member { raw, key, value: value(text, at, depth)? });
            }
            Kind::Object(members)
        }
        b'[' => {
            let (depth, mut items) = (depth.checked_sub(1)?, Vec::new());
            while !is_next(text, at, b']') {
                items.push(value(text, at, depth)?);
            }
            Kind::Array(items)
        }
        b'"' => Kind::Text(one::<String>(text, at)?.1),
        b'n' => one::<IgnoredAny>(text, at).map(|_| Kind::Null)?,
        _ => one::<IgnoredAny>(text, at).map(|_| Kind::Scalar)?,
    };
    Some(Json { raw: text.get(start..*at)?, kind })
}

/// Steps over an opening bracket or a comma to what is next, or over the closing bracket.
fn is_next(text: &str, at: &mut usize, closing: u8) -> bool {
    space(text, at);
    if text.as_bytes()[*at] != closing {
        *at += 1;
        space(text, at);
    }
    let is_closed = text.as_bytes()[*at] == closing;
    *at += usize::from(is_closed);
    is_closed
}

/// One scalar with its text, as `serde_json` reads it.
fn one<'a, T: Deserialize<'a>>(text: &'a str, at: &mut usize) -> Option<(&'a str, T)> {
    let rest = rest(text, *at);
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
    let found = values.next()?.ok()?;
    let end = values.byte_offset();
    *at += end;
    Some((rest.get(..end)?, found))
}

fn rest(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

fn space(text: &str, at: &mut usize) {
    *at = text.len() - rest(text, *at).trim_start_matches([' ', '\n', '\r', '\t']).len();
}

impl<'a> Json<'a> {
    fn member(&self, key: &str) -> Option<&Json<'a>> {
        match &self.kind {
            Kind::Object(members) => {
                members.iter().find(|member| member.key == key).map(|member| &member.value)
            }
            _ => None,
        }
    }

    fn walk(&self, path: &[String]) -> Option<&Json<'a>> {
        path.iter().try_fold(self, |value, key| value.member(key))
    }

    /// Whether a key stands twice.
    fn repeats(&self) -> bool {
        let Kind::Object(members) = &self.kind else { return false };
        let mut keys: Vec<&str> = members.iter().map(|member| member.key.as_str()).collect();
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// Filters an answer; `None` if it may not leave in any form.
pub fn filter(profile: &Profile, shape: &Shape, view: &View, text: &str, depth: usize) -> Option<Twin> {
    let root = read(text, depth)?;
    for location in &shape.records {
        require(&root, location.at.segments(), location.is_optional)?;
    }
    let mut pass =
        Pass { profile, shape, view, twin: Twin::default(), rows: 0, late: Vec::new(), is_flawed: false };
    let body = pass.outer(&root, &mut Vec::new()).filter(|_| !pass.is_flawed)?;
    let mut body = body.unwrap_or_default();
    for mark in pass.late {
        body = body.replace(&mark, &pass.rows.to_string());
    }
    let primary = &shape.records[0];
    let is_many = primary.at.segments().iter().any(|s| matches!(s, Segment::EachItem | Segment::EachMember));
    let is_absent = primary.is_optional
        && primary
            .at
            .segments()
            .iter()
            .try_fold(&root, |value, segment| step(value, segment))
            .is_none_or(|value| matches!(value.kind, Kind::Null));
    pass.twin.is_hidden = !is_many && pass.rows == 0 && !is_absent;
    pass.twin.body = body;
    pass.twin.shown.values_mut().for_each(|ids| ids.sort());
    Some(pass.twin)
}

fn step<'j, 'a>(value: &'j Json<'a>, segment: &Segment) -> Option<&'j Json<'a>> {
    match (segment, &value.kind) {
        (Segment::Key(key), _) => value.member(key),
        (Segment::Index(index), Kind::Array(items)) => items.get(*index),
        _ => None,
    }
}

/// Every place of a location must be there, unless it may be missing.
fn require(value: &Json<'_>, segments: &[Segment], is_optional: bool) -> Option<()> {
    if matches!(value.kind, Kind::Null) && is_optional {
        return Some(());
    }
    let Some((segment, rest)) = segments.split_first() else {
        return matches!(value.kind, Kind::Object(_)).then_some(());
    };
    match (segment, &value.kind) {
        (Segment::Key(_), Kind::Object(_)) | (Segment::Index(_), Kind::Array(_)) => {
            match step(value, segment) {
                Some(inner) => require(inner, rest, is_optional),
                None => is_optional.then_some(()),
            }
        }
        (Segment::EachItem, Kind::Array(items)) => {
            items.iter().try_for_each(|item| require(item, rest, is_optional))
        }
        (Segment::EachMember, Kind::Object(members)) => {
            members.iter().try_for_each(|member| require(&member.value, rest, is_optional))
        }
        _ => None,
    }
}

struct Pass<'p> {
    profile: &'p Profile,
    shape: &'p Shape,
    view: &'p View,
    twin: Twin,
    rows: usize,
    late: Vec<String>,
    is_flawed: bool,
}

/// `None`: the answer may not leave. `Some(None)`: this value does not.
type Written = Option<Option<String>>;

impl<'p> Pass<'p> {
    fn outer(&mut self, value: &Json<'_>, path: &mut Vec<Segment>) -> Written {
        let (shape, is_here) = (self.shape, |at: &[Segment]| fits(at, path));
        if let Some(location) = shape.records.iter().position(|location| is_here(location.at.segments())) {
            return self.located(value, location);
        }
        if shape.keep.iter().any(|keep| is_here(keep.segments())) {
            return Some(Some(value.raw.to_owned()));
        }
        if let Some(total) = shape.totals.iter().find(|total| is_here(total.at.segments())) {
            self.twin.is_cut = true;
            return Some(match &total.treatment {
                TotalTreatment::Remove => None,
                TotalTreatment::Null => Some("null".to_owned()),
                TotalTreatment::Unknown(text) => Some(text.clone()),
                TotalTreatment::CountShown => {
                    let mark = format!("\u{1}count{}\u{1}", self.late.len());
                    self.late.push(mark.clone());
                    Some(mark)
                }
            });
        }
        let ways = shape.records.iter().map(|location| location.at.segments());
        let ways = ways.chain(shape.totals.iter().map(|total| total.at.segments()));
        let mut ways = ways.chain(shape.keep.iter().map(|keep| keep.segments()));
        if !ways.any(|way| way.len() > path.len() && fits(&way[..path.len()], path)) {
            return Some(None);
        }
        let mut parts = Vec::new();
        let brackets = match &value.kind {
            Kind::Object(members) => {
                if value.repeats() {
                    return None;
                }
                for member in members {
                    path.push(Segment::Key(member.key.clone()));
                    let part = self.outer(&member.value, path)?;
                    path.pop();
                    self.twin.is_cut |= part.is_none();
                    parts.extend(part.map(|part| format!("{}:{part}", member.raw)));
                }
                ("{", "}")
            }
            Kind::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(Segment::Index(index));
                    let part = self.outer(item, path)?;
                    path.pop();
                    self.twin.is_cut |= part.is_none();
                    parts.extend(part);
                }
                ("[", "]")
            }
            Kind::Null => return Some(Some("null".to_owned())),
            Kind::Scalar | Kind::Text(_) => return Some(None),
        };
        Some(Some(format!("{}{}{}", brackets.0, parts.join(","), brackets.1)))
    }

    fn located(&mut self, value: &Json<'_>, number: usize) -> Written {
        let location = &self.shape.records[number];
        if matches!(value.kind, Kind::Null) && location.is_optional {
            return Some(Some("null".to_owned()));
        }
        let record_type = match &location.type_source {
            TypeSource::Constant(name) => self.profile.type_named(&name.value)?.1,
            TypeSource::Discriminator(keys) => match &value.walk(keys)?.kind {
                Kind::Text(name) => self.profile.type_on_wire(name)?,
                _ => return None,
            },
            _ => self.profile.type_named("Deal")?.1,
        };
        self.check(value, record_type)?;
        id(value, record_type)?;
        let written = self.record(value, record_type);
        self.rows += usize::from(number == 0 && written.is_some());
        Some(written)
    }

    /// Every object that is walked has each key once, whether or not anybody may see it.
    fn check(&self, value: &Json<'_>, record_type: &RecordType) -> Option<()> {
        self.check_level(value, record_type, &mut Vec::new())
    }

    fn check_level(&self, value: &Json<'_>, record_type: &RecordType, path: &mut Vec<String>) -> Option<()> {
        if value.repeats() {
            return None;
        }
        let Kind::Object(members) = &value.kind else { return Some(()) };
        for member in members {
            path.push(member.key.clone());
            let embed = field_at(record_type, path).and_then(|(_, field)| field.embeds.as_ref());
            if let Some(embed) = embed {
                let inner = self.profile.type_named(&embed.type_name)?.1;
                match &member.value.kind {
                    Kind::Array(items) => items.iter().try_for_each(|item| self.check(item, inner))?,
                    _ => self.check(&member.value, inner)?,
                }
            } else if is_container(record_type, path) {
                self.check_level(&member.value, record_type, path)?;
            }
            path.pop();
        }
        Some(())
    }

    fn record(&mut self, value: &Json<'_>, record_type: &'p RecordType) -> Option<String> {
        let Some(id) = id(value, record_type) else {
            self.twin.is_cut = true;
            return None;
        };
        let mut judged = format!("{} {id}", record_type.name);
        for path in record_type.attributes.iter().flat_map(|attribute| &attribute.at) {
            match place(value, path) {
                Some(place) => judged.extend(["; ", &place]),
                None => self.is_flawed = true,
            }
        }
        self.twin.judged.push(judged);
        if !self.view.shows(record_type, &id) {
            self.twin.is_cut = true;
            self.twin.hidden.entry(record_type.name.clone()).or_default().push(id);
            return None;
        }
        let mut seen = BTreeMap::new();
        let written = self.level(value, record_type, &id, &mut Vec::new(), &mut seen);
        let names = |wanted: Visibility| -> Vec<String> {
            let found = seen.iter().filter(|(_, visibility)| **visibility == wanted);
            let mut names: Vec<String> = found.map(|(index, _)| record_type.field_name(*index)).collect();
            names.sort();
            names
        };
        let outcome = (names(Visibility::Shown), names(Visibility::Hidden), names(Visibility::Masked));
        self.twin.shown.entry(outcome).or_default().push(id);
        self.twin.is_cut |= written.is_none();
        written
    }

    fn level(
        &mut self,
        value: &Json<'_>,
        record_type: &'p RecordType,
        id: &str,
        path: &mut Vec<String>,
        seen: &mut BTreeMap<usize, Visibility>,
    ) -> Option<String> {
        let Kind::Object(members) = &value.kind else { return None };
        let mut parts = Vec::new();
        for member in members {
            path.push(member.key.clone());
            let written = self.member(member, record_type, id, path, seen);
            path.pop();
            let written = written?;
            self.twin.is_cut |= written.is_none();
            parts.extend(written.map(|written| format!("{}:{written}", member.raw)));
        }
        Some(format!("{{{}}}", parts.join(",")))
    }

    /// `None`: the object around it goes. `Some(None)`: it goes.
    fn member(
        &mut self,
        member: &Member<'_>,
        record_type: &'p RecordType,
        id: &str,
        path: &mut Vec<String>,
        seen: &mut BTreeMap<usize, Visibility>,
    ) -> Written {
        let whole = Some(Some(member.value.raw.to_owned()));
        if (path.len() == 1 && record_type.meta.contains(&member.key)) || *path == record_type.id {
            return whole;
        }
        let unclassified = record_type.fields.len();
        if let Some((index, field)) = field_at(record_type, path) {
            let visibility = self.view.field(record_type, id, index);
            seen.insert(index, visibility);
            return match (visibility, &field.mask) {
                (Visibility::Shown, _) => self.shown(&member.value, field),
                (Visibility::Masked, Some(mask)) if !matches!(member.value.kind, Kind::Null) => {
                    self.twin.is_cut = true;
                    Some(Some(masked(mask, &member.value)))
                }
                _ => self.hide(field),
            };
        }
        if is_container(record_type, path) {
            let below: Vec<usize> = (0..unclassified)
                .filter(|index| record_type.fields[*index].at.starts_with(path.as_slice()))
                .collect();
            let shows = |index: &usize| self.view.field(record_type, id, *index) != Visibility::Hidden;
            let shows_rest = self.view.field(record_type, id, unclassified) == Visibility::Shown;
            if !below.iter().any(shows) && !shows_rest {
                seen.extend(below.iter().map(|index| (*index, self.view.field(record_type, id, *index))));
                return Some(None);
            }
            return match member.value.kind {
                Kind::Null => whole,
                Kind::Object(_) => Some(self.level(&member.value, record_type, id, path, seen)),
                _ => Some(None),
            };
        }
        if looks_like_a_key(record_type, path) {
            self.twin.is_cut = true;
            return Some(None);
        }
        let visibility = self.view.field(record_type, id, unclassified);
        seen.insert(unclassified, visibility);
        if visibility == Visibility::Shown { whole } else { Some(None) }
    }

    fn shown(&mut self, value: &Json<'_>, field: &'p FieldSpec) -> Written {
        let whole = Some(Some(value.raw.to_owned()));
        let Some(embed) = &field.embeds else { return whole };
        let inner = self.profile.type_named(&embed.type_name)?.1;
        match &value.kind {
            Kind::Object(_) => match self.record(value, inner) {
                Some(text) => Some(Some(text)),
                None => self.hide(field),
            },
            Kind::Array(items) => {
                let mut parts = Vec::new();
                for item in items {
                    let part = match &item.kind {
                        Kind::Object(_) => self.record(item, inner),
                        Kind::Array(_) => None,
                        _ => Some(item.raw.to_owned()),
                    };
                    self.twin.is_cut |= part.is_none();
                    parts.extend(part);
                }
                Some(Some(format!("[{}]", parts.join(","))))
            }
            _ => whole,
        }
    }

    fn hide(&mut self, field: &FieldSpec) -> Written {
        self.twin.is_cut = true;
        match &field.hide {
            Hide::Remove => Some(None),
            Hide::Null => Some(Some("null".to_owned())),
            Hide::Value(text) => Some(Some(text.clone())),
            Hide::Branch => None,
            Hide::Refuse => {
                self.twin.is_refused = true;
                Some(None)
            }
        }
    }
}

/// What stands at a path; `None` if a key on it stands twice.
fn place(value: &Json<'_>, path: &[String]) -> Option<String> {
    let Some((key, rest)) = path.split_first() else {
        return Some(if matches!(value.kind, Kind::Null) { "null".to_owned() } else { value.raw.to_owned() });
    };
    match &value.kind {
        Kind::Object(members) => {
            let found: Vec<&Member<'_>> = members.iter().filter(|member| member.key == *key).collect();
            match found.as_slice() {
                [] => Some("missing".to_owned()),
                [member] => place(&member.value, rest),
                _ => None,
            }
        }
        Kind::Null => Some("null".to_owned()),
        _ => Some("misshapen".to_owned()),
    }
}

fn fits(at: &[Segment], path: &[Segment]) -> bool {
    let one = |(at, step): (&Segment, &Segment)| match (at, step) {
        (Segment::EachItem, Segment::Index(_)) | (Segment::EachMember, Segment::Key(_)) => true,
        (at, step) => at == step,
    };
    at.len() == path.len() && at.iter().zip(path).all(one)
}

/// The field whose place or twin a path is.
fn field_at<'p>(record_type: &'p RecordType, path: &[String]) -> Option<(usize, &'p FieldSpec)> {
    let own = record_type.fields.iter().position(|field| field.at == path);
    let is_twin = |field: &FieldSpec| {
        let ((key, around), (_, field_around)) = (path.split_last().unwrap(), field.at.split_last().unwrap());
        around == field_around && field.twins.iter().any(|twin| twin.matches(key))
    };
    let is_plain = own.is_none() && !is_container(record_type, path) && *path != *record_type.id;
    let is_meta = path.len() == 1 && record_type.meta.contains(&path[0]);
    let index =
        own.or_else(|| record_type.fields.iter().position(is_twin).filter(|_| is_plain && !is_meta))?;
    Some((index, &record_type.fields[index]))
}

/// A key without what is not seen of it, in one case.
fn spelled(key: &str) -> String {
    let is_unseen = |letter: &char| {
        letter.is_control()
            || ['\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}'].contains(letter)
    };
    let seen: String = key.chars().filter(|letter| !is_unseen(letter)).collect();
    let lower = seen.trim().chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    lower.filter(|letter| *letter != '\u{307}').collect()
}

/// Whether a key that nothing describes differs from one that is described in letter case or white space alone.
fn looks_like_a_key(record_type: &RecordType, path: &[String]) -> bool {
    let (key, around) = path.split_last().unwrap();
    let key = spelled(key);
    let step =
        |at: &[String]| (at.len() > around.len() && at.starts_with(around)).then(|| at[around.len()].clone());
    let fields = || record_type.fields.iter();
    let mut keys: Vec<String> = fields().filter_map(|field| step(&field.at)).collect();
    keys.extend(step(&record_type.id));
    keys.extend(record_type.meta.iter().filter(|_| around.is_empty()).cloned());
    let twins = fields().filter(|field| field.at.len() == path.len() && field.at.starts_with(around));
    keys.iter().any(|known| known.to_lowercase() == key)
        || twins.flat_map(|field| &field.twins).any(|twin| match twin {
            KeyPattern::Exact(name) => name.to_lowercase() == key,
            KeyPattern::Prefix(prefix) => key.starts_with(&prefix.to_lowercase()),
            KeyPattern::Suffix(suffix) => key.ends_with(&suffix.to_lowercase()),
        })
}

fn is_container(record_type: &RecordType, path: &[String]) -> bool {
    let is_above = |at: &Vec<String>| at.len() > path.len() && at.starts_with(path);
    record_type.fields.iter().any(|field| is_above(&field.at)) || is_above(&record_type.id)
}

fn id(value: &Json<'_>, record_type: &RecordType) -> Option<String> {
    let found = value.walk(&record_type.id)?;
    match &found.kind {
        Kind::Text(id) => {
            let is_right = !id.is_empty() && id.len() <= 256 && !id.chars().any(char::is_control);
            is_right.then(|| id.clone())
        }
        Kind::Scalar => found.raw.bytes().all(|byte| byte.is_ascii_digit()).then(|| found.raw.to_owned()),
        _ => None,
    }
}

/// What is shown in the place of a value.
fn masked(mask: &Mask, value: &Json<'_>) -> String {
    match (mask, &value.kind) {
        (Mask::Null, _) => "null".to_owned(),
        (Mask::Text(text), _) => text.clone(),
        (Mask::KeepLast { count, with }, kind) => {
            let text: Vec<char> = match kind {
                Kind::Text(text) => text.chars().collect(),
                _ => Vec::new(),
            };
            let kept = if text.len() < 2 * count { &[][..] } else { &text[text.len() - count..] };
            serde_json::json!(format!("{with}{}", kept.iter().collect::<String>())).to_string()
        }
    }
}
