//! A type with a field of every kind that can be hidden, and what merges bodies into its records.

use std::collections::BTreeSet;

use bytes::Bytes;
use lockkeeper::bundle::profile::Profile;
use lockkeeper::config::author::{Problems, SourceFile};
use lockkeeper::json::parse::JsonLimits;
use lockkeeper::json::value::{Document, Kind, Value};
use lockkeeper::model::decision::Decision;
use lockkeeper::pipeline::decide::gate::{RecordVerdict, Visibility};
use lockkeeper::pipeline::decide::held::Held;
use lockkeeper::pipeline::decide::keys::KeyPlan;
use lockkeeper::pipeline::decide::merge::{Merged, Merging};

use super::twin::{IGNORED, PLACES, Sight, View};

const PROFILE: &str = r#"profile = 1
[field_sets]
public = []
[types.Deal]
id = "id"
meta = ["kind"]
[types.Deal.fields]
plain  = { sets = ["public"] }
nulled = { sets = ["public"], hide = "null", twins = ["nulled_*"] }
zeroed = { sets = ["public"], hide = { value = 0 } }
masked = { sets = ["public"], mask = "***" }
both   = { sets = ["public"], mask = 9, hide = "null" }
last   = { sets = ["public"], mask = { keep_last = 1, with = "*" } }
"c.plain"  = { sets = ["public"], twins = ["plain_*"] }
"c.nulled" = { sets = ["public"], hide = "null" }
"c.d.lat"  = { sets = ["public"] }
"c.d.text" = { sets = ["public"], hide = { value = "" } }
"#;

/// What becomes of a body.
pub struct Outcome {
    /// The object that is written.
    pub written: String,
    /// What is told to the caller, or decides on what is.
    pub told: Told,
}

/// What must not depend on what is hidden.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    stand_ins: BTreeSet<Vec<String>>,
    overwritten: Vec<Vec<String>>,
    kept: Vec<String>,
    new: Vec<String>,
    echoes: Vec<String>,
    changed: Vec<String>,
}

/// The profile.
pub struct Rig {
    profile: Profile,
    ignored: Vec<String>,
}

impl Rig {
    /// Of the type above.
    pub fn new() -> Self {
        let mut problems = Problems::default();
        let profile = Profile::load(&SourceFile::new("p", PROFILE), &mut problems);
        Self { profile: profile.unwrap_or_else(|| panic!("{problems}")), ignored: vec![IGNORED.to_owned()] }
    }

    /// What becomes of a body, `None` in it if the record is not in its shape; `None` if either is no object.
    pub fn merge(&self, view: &View, record: &str, body: &str) -> Option<Option<Outcome>> {
        let (record, body) = (object(record)?, object(body)?);
        let (_, record_type) = self.profile.type_named("Deal").expect("the type");
        let tree = self.profile.tree("Deal").expect("the type's fields");
        let mut seen = RecordVerdict::hidden(Decision::allow(Vec::new()), record_type.fields.len() + 1);
        for (index, field) in record_type.fields.iter().enumerate() {
            seen.fields[index] = visibility(view.of(&field.at.join(".")));
        }
        seen.fields[record_type.fields.len()] = visibility(view.of(""));
        let merging = Merging { record_type, tree, seen: &seen, ignored: &self.ignored };
        assert!(!merging.is_impossible());
        let Ok(merged) = merging.merge(record.root(), body.root()) else { return Some(None) };
        let mut keys = KeyPlan::of_object(body.root(), record_type, &self.profile).keys;
        let held = Held { record: record.root(), seen: &seen, record_type };
        let echoes =
            keys.iter().map(|key| format!("{} {:?}", key.wire(), held.echo(key, body.root()))).collect();
        let kept = merged.take_kept(&mut keys, merging).iter().map(|key| key.wire()).collect();
        let new = keys.iter().map(|key| key.wire()).collect();
        let changed = changed(&merged, merging, record.root(), body.root());
        let written = merged.document.as_ref().map_or(body.root(), Document::root).raw().to_owned();
        let Merged { stand_ins, overwritten, .. } = merged;
        Some(Some(Outcome { written, told: Told { stand_ins, overwritten, kept, new, echoes, changed } }))
    }
}

/// The places at which a further decision would be asked for, of those where the merged body says whether it is.
fn changed(merged: &Merged, merging: Merging<'_>, record: Value<'_>, body: Value<'_>) -> Vec<String> {
    let is_asked = |path: &[String]| {
        let stated = path.iter().try_fold(body, |value, key| value.member(key));
        stated.is_none() || merged.stand_ins.contains(path)
    };
    let paths = PLACES.iter().map(|place| place.split('.').map(str::to_owned).collect::<Vec<_>>());
    let changed = paths.filter(|path| is_asked(path) && merged.changes(path, merging, record, Some(body)));
    changed.map(|path| path.join(".")).collect()
}

fn visibility(sight: Sight) -> Visibility {
    match sight {
        Sight::Seen => Visibility::Shown,
        Sight::Hidden => Visibility::Hidden,
        Sight::Masked => Visibility::Masked,
    }
}

fn object(text: &str) -> Option<Document> {
    let limits = JsonLimits { bytes_max: 1 << 16, depth_max: 16, nodes_max: 1_000 };
    let document = Document::parse(Bytes::copy_from_slice(text.as_bytes()), &limits).ok()?;
    (document.root().kind() == Kind::Object).then_some(document)
}
