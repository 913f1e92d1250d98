//! What filters one body in one pass, fed in every way, and says what became of it in the slow twin's words.

use std::collections::BTreeMap;

use lockkeeper::bundle::profile::Profile;
use lockkeeper::bundle::profile::types::{KeyPath, RecordType};
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::json::scan::object::Scanner;
use lockkeeper::model::decision::Decision;
use lockkeeper::model::reason::Reason;
use lockkeeper::pipeline::decide::gate::{RecordVerdict, Visibility};
use lockkeeper::pipeline::enforce::scan::envelope::Envelope;
use lockkeeper::pipeline::enforce::scan::layout::Layouts;
use lockkeeper::pipeline::enforce::scan::place::Place;
use lockkeeper::pipeline::enforce::scan::task::{ScanLimits, Scanning, Task};
use lockkeeper::pipeline::enforce::scan::{Judge, Judgement, RawRecord};
use lockkeeper::pipeline::enforce::shown::ShownSets;
use lockkeeper::testkit::dice::Dice;

use super::twin::{self, Twin};

const PROFILE: &str = r#"profile = 1
[field_sets]
public = []
[types.Deal]
id = "id"
meta = ["kind", "what"]
names = ["deal"]
[types.Deal.attributes]
owner = { at = ["owner.id", "owner_id"], as = "string" }
amount = { at = "amount", as = "string" }
again = { at = "amount", as = "string" }
city = { at = "address.city", as = "string" }
lat = { at = "address.geo.lat", as = "string" }
deep = { at = "title.deep", as = "string" }
who = { at = "contact.name", as = "string" }
gone = { at = "extra", as = "string" }
[types.Deal.fields]
title  = { sets = ["public"] }
amount = { sets = ["public"], twins = ["amount_*"] }
margin = { sets = ["public"], hide = "null" }
score  = { sets = ["public"], hide = { value = 0 } }
email  = { sets = ["public"], mask = "***" }
note   = { sets = ["public"], twins = ["note_html", "x"] }
owner  = { sets = ["public"], hide = "null" }
"address.city" = { sets = ["public"], hide = "branch" }
"address.zip"  = { sets = ["public"], twins = ["*_code"] }
"address.geo.lat"  = { sets = ["public"] }
contact  = { sets = ["public"], is = "Contact", hide = "null" }
contacts = { sets = ["public"], is = "Contact", hide = "remove" }
parent   = { sets = ["public"], is = "Deal", hide = "remove" }
[types.Contact]
id = "id"
names = ["person"]
meta = ["what"]
[types.Contact.attributes]
name = { at = "name", as = "string" }
[types.Contact.fields]
name = { sets = ["public"], mask = { keep_last = 2, with = "-" } }
deals = { sets = ["public"], is = "Deal", hide = "remove" }
[[routes]]
match = "GET /one/{id}"
action = "view"
records = { at = "$", type = "Deal" }
[[routes]]
match = "GET /maybe/{id}"
action = "view"
records = { at = "$.result", type = "Deal", optional = true }
[[routes]]
match = "GET /list"
action = "list"
records = [{ at = "$.data[*]", type = "Deal" }, { at = "$.side.contacts[*]", type = "Contact", optional = true }]
totals = [{ at = "$.total" }, { at = "$.count", when_rows_hidden = "count-shown" }, { at = "$.all", when_rows_hidden = { unknown = -1 } }]
keep = ["$.page"]
hidden_rows = "visible"
[[routes]]
match = "GET /map"
action = "list"
records = { at = "$.*.record", type = "Deal" }
hidden_rows = "visible"
[[routes]]
match = "GET /typed"
action = "list"
type = "Deal"
records = { at = "$[*]", type = { key = "what" } }
hidden_rows = "visible"
[[routes]]
match = "GET /second/{id}"
action = "view"
records = { at = "$.rows[1]", type = "Deal" }
"#;

/// The routes of the profile.
pub const ROUTES: &[&str] =
    &["GET /one/{id}", "GET /maybe/{id}", "GET /list", "GET /map", "GET /typed", "GET /second/{id}"];

/// Who may see what, by chance.
pub struct View {
    /// What chance starts from.
    pub seed: u64,
    /// One of so many records, and of so many fields, is hidden.
    pub hides: u64,
}

impl View {
    /// Whether a record is shown.
    pub fn shows(&self, record_type: &RecordType, id: &str) -> bool {
        !self.roll(&[&record_type.name, id]).is_multiple_of(self.hides)
    }

    /// What is shown of a field.
    pub fn field(&self, record_type: &RecordType, id: &str, index: usize) -> Visibility {
        // Some records of a type have the same outcome.
        let kin = id.len() % 2;
        match self.roll(&[&record_type.name, &kin.to_string(), &index.to_string()]) % (self.hides * 2) {
            0 => Visibility::Hidden,
            1 => Visibility::Masked,
            _ => Visibility::Shown,
        }
    }

    fn roll(&self, parts: &[&str]) -> u64 {
        let mixed = parts.iter().flat_map(|part| part.bytes().chain([0]));
        let seed =
            mixed.fold(self.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        Dice::new(seed).next()
    }
}

/// Judges by a view.
struct Viewer<'v> {
    profile: &'v Profile,
    view: &'v View,
    verdicts: Vec<RecordVerdict>,
    judged: &'v mut Vec<String>,
}

impl Judge for Viewer<'_> {
    fn judge(&mut self, record: &RawRecord<'_>) -> Judgement {
        let record_type = &self.profile.types[record.type_index];
        let mut judged = format!("{} {}", record_type.name, record.id);
        for place in record.places {
            let text = match place {
                Place::Missing => "missing",
                Place::Null => "null",
                Place::Misshapen => "misshapen",
                Place::Found(raw) => std::str::from_utf8(raw).unwrap(),
            };
            judged.extend(["; ", text]);
        }
        self.judged.push(judged);
        let decision = match self.view.shows(record_type, record.id) {
            true => Decision::allow(Vec::new()),
            false => Decision::deny(Reason::NoPermit),
        };
        let mut verdict = RecordVerdict::hidden(decision, record_type.fields.len() + 1);
        verdict.fields = (0..=record_type.fields.len())
            .map(|index| self.view.field(record_type, record.id, index))
            .collect();
        let known = self.verdicts.iter().position(|known| *known == verdict);
        let number = known.unwrap_or_else(|| {
            self.verdicts.push(verdict);
            self.verdicts.len() - 1
        });
        Judgement::Verdict(u32::try_from(number).unwrap())
    }

    fn verdict(&self, number: u32) -> &RecordVerdict {
        &self.verdicts[number as usize]
    }

    fn is_filling(&self) -> bool {
        self.verdicts.len() >= 3
    }

    fn renew(&mut self) {
        self.verdicts.clear();
    }
}

/// How the scanner is fed.
#[derive(Clone, Copy, Debug)]
pub enum Feed {
    /// At once.
    Whole,
    /// In pieces of so many bytes.
    Pieces(usize),
    /// In pieces, and told and taken as soon as there is anything.
    Parts(usize),
}

/// How many containers may be open inside of each other.
pub const DEPTH: usize = 24;
const PART: usize = 50;

/// A profile, and how its records lie.
pub struct Rig {
    /// The profile.
    pub profile: Profile,
    layouts: Layouts,
}

impl Rig {
    /// Of the profile above.
    pub fn new() -> Self {
        let mut problems = Problems::default();
        let profile = Profile::load(&SourceFile::new("p", PROFILE), &mut problems).ok_or(problems).unwrap();
        let places: BTreeMap<String, Vec<KeyPath>> = profile
            .types
            .iter()
            .map(|of| {
                (of.name.clone(), of.attributes.iter().flat_map(|attribute| attribute.at.clone()).collect())
            })
            .collect();
        let layouts = Layouts::new(&profile, |name| places[name].as_slice()).unwrap();
        Self { profile, layouts }
    }

    /// What one pass makes of a body; `None` if it is refused.
    pub fn scan(
        &self,
        route: &str,
        view: &View,
        body: &[u8],
        feed: Feed,
        scanner: &mut Scanner,
    ) -> Option<Twin> {
        let (_, route) = self.profile.route_labelled(route).unwrap();
        assert!(route.shape.places.is_plain());
        let task = Task {
            profile: &self.profile,
            layouts: &self.layouts,
            shape: &route.shape,
            route_type: None,
            asked_id: None,
            expected: None,
            selection: None,
            other_pages: None,
            limits: ScanLimits { depth: DEPTH, keys: 1_000, records: 1_000, step_bytes: 1 << 20 },
        };
        let mut judged = Vec::new();
        let viewer = Viewer { profile: &self.profile, view, verdicts: Vec::new(), judged: &mut judged };
        let mut envelope = Envelope::new(task, viewer, std::mem::take(scanner));
        let (mut taken, mut sets) = (Vec::new(), ShownSets::default());
        let ended = match feed {
            Feed::Whole => envelope.whole(body),
            Feed::Pieces(size) => {
                body.chunks(size).try_for_each(|piece| envelope.feed(piece)).and_then(|()| envelope.finish())
            }
            Feed::Parts(size) => {
                let take = |piece: &[u8]| {
                    envelope.feed(piece)?;
                    if envelope.is_due(40) {
                        join(&mut sets, envelope.take_sets());
                    }
                    if envelope.written() >= PART && envelope.check_part(PART).is_ok() {
                        let (part, of_part) = envelope.take_part(PART)?;
                        assert_eq!(part.len(), PART);
                        taken.extend(part);
                        join(&mut sets, of_part);
                    }
                    Ok(())
                };
                body.chunks(size).try_for_each(take).and_then(|()| envelope.finish())
            }
        };
        let (mut scanning, learned) = ended.ok()?;
        taken.append(&mut scanning.body);
        join(&mut sets, std::mem::take(&mut scanning.sets));
        (scanning.body, scanning.sets) = (taken, sets);
        *scanner = learned;
        Some(told(scanning, judged))
    }
}

impl Rig {
    /// What the twin makes of a body, once every way of one pass was found to make the same of it.
    pub fn compare(
        &self,
        route: &str,
        view: &View,
        body: &[u8],
        size: usize,
        learned: &mut Scanner,
    ) -> Option<Twin> {
        let shape = &self.profile.route_labelled(route).unwrap().1.shape;
        let text = std::str::from_utf8(body).ok();
        let expected = text.and_then(|text| twin::filter(&self.profile, shape, view, text, DEPTH));
        let shown = String::from_utf8_lossy(body);
        for feed in [Feed::Whole, Feed::Pieces(size), Feed::Pieces(1), Feed::Parts(size)] {
            let found = self.scan(route, view, body, feed, learned);
            assert_eq!(found, expected, "{route} {feed:?} {shown}");
        }
        let fresh = self.scan(route, view, body, Feed::Whole, &mut Scanner::default());
        assert_eq!(fresh, expected, "{route} with nothing learned: {shown}");
        expected
    }
}

fn join(sets: &mut ShownSets, others: ShownSets) {
    others.sets.into_iter().for_each(|(outcome, ids)| sets.sets.entry(outcome).or_default().extend(ids));
    let rows = others.rows_hidden.into_iter();
    rows.for_each(|(why, ids)| sets.rows_hidden.entry(why).or_default().extend(ids));
}

fn told(scanning: Scanning, judged: Vec<String>) -> Twin {
    let mut shown: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for (outcome, mut ids) in scanning.sets.sets {
        ids.sort();
        shown.insert((outcome.shown, outcome.hidden, outcome.masked), ids);
    }
    let mut hidden: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (why, ids) in scanning.sets.rows_hidden {
        hidden.insert(why.type_name, ids);
    }
    let body = String::from_utf8(scanning.body).unwrap();
    let (is_cut, is_hidden, is_refused) = (scanning.is_cut, scanning.is_hidden, scanning.is_refused);
    Twin { body, is_cut, is_hidden, is_refused, shown, hidden, judged }
}
