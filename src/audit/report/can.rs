//! Sections on rights: who is there, who can do what, and which rights nobody used.
//!
//! Promises: whoever is in the directory or in the ledger is listed; a right is told as used only where the ledger says so.

use std::collections::BTreeSet;

use super::rights::{Asking, Right};
use super::table::Table;
use super::tally::{Key, Person, Tally, Uses};
use super::{Progress, Sources};
use crate::audit::when::plain;
use crate::model::principal::EntityRef;
use crate::pipeline::decide::standing::Standing;
use crate::pipeline::identify::admit;

/// Somebody, with what is known of them.
struct Somebody<'t> {
    name: String,
    handle: String,
    state: String,
    did: Option<&'t Person>,
}

/// People, their rights, and rights that were not used.
pub fn sections(sources: &Sources<'_>, tally: &Tally, progress: Progress<'_>) -> Vec<Table> {
    let (mut people, mut rights, mut unused) = (people_table(), rights_table(), unused_table());
    let asking = Asking::new(sources.snapshot, sources.now_ms);
    let directory = &sources.snapshot.directory;
    let all = directory.people_count().min(PEOPLE_MAX) as u64;
    let mut known = BTreeSet::new();
    for (done, principal) in (0..).zip(directory.people()) {
        let handle = sources.names.handle(&principal.type_name, &principal.id).unwrap_or_default();
        let did = tally.people.get(handle).filter(|_| !handle.is_empty());
        let refused = admit(&principal, directory, sources.now_ms).err();
        let state = refused.as_ref().map_or("active", |problem| problem.reason.code()).to_owned();
        // A handle beside its name would undo an erasure.
        let somebody = Somebody { name: principal.to_string(), handle: String::new(), state, did };
        known.insert(handle);
        people.push(somebody.row());
        if refused.is_none() && done < PEOPLE_MAX as u64 {
            tell_rights(&asking, &principal, &somebody, &mut rights, &mut unused);
            progress(done, all);
        }
    }
    for (handle, person) in tally.people.iter().filter(|(handle, _)| !known.contains(handle.as_str())) {
        people.push(Somebody::outside(sources, handle, person).row());
    }
    vec![people, rights, unused]
}

impl<'t> Somebody<'t> {
    /// Whoever asked and is not in the directory.
    fn outside(sources: &Sources<'_>, handle: &str, person: &'t Person) -> Self {
        let name = sources.name(handle);
        let state = match (&person.who, &name) {
            (None, _) => "nobody was identified",
            (Some(_), Some(_)) => "not in the directory",
            (Some(_), None) => "erased, or not in the table of handles",
        };
        let handle = if name.is_some() { String::new() } else { handle.to_owned() };
        let name = name.unwrap_or_else(|| by_handle(person));
        Self { name, handle, state: state.to_owned(), did: Some(person) }
    }

    fn row(&self) -> [String; 11] {
        let none = Person::default();
        let did = self.did.unwrap_or(&none);
        let Person { requests, saw, changed, refused, held_back, observed, .. } = did;
        let [first, last] = times(requests);
        [
            self.name.clone(),
            self.handle.clone(),
            self.state.clone(),
            requests.count.to_string(),
            saw.to_string(),
            changed.to_string(),
            refused.to_string(),
            held_back.to_string(),
            observed.to_string(),
            first,
            last,
        ]
    }
}

fn tell_rights(
    asking: &Asking,
    principal: &EntityRef,
    somebody: &Somebody<'_>,
    rights: &mut Table,
    unused: &mut Table,
) {
    for right in asking.rights(principal) {
        let (word, policies) = match &right.standing {
            Standing::Always(policies) => ("always", policies.join(", ")),
            Standing::Sometimes(policies) => ("sometimes", policies.join(", ")),
            Standing::Never => continue,
        };
        let (used, never): (Vec<_>, Vec<_>) = right
            .names
            .iter()
            .map(|name| (name, uses(&right, name, somebody.did)))
            .partition(|(_, uses)| uses.count > 0);
        let names = |of: &[(&String, Uses)]| {
            let names: Vec<&str> = of.iter().map(|(name, _)| name.as_str()).collect();
            asking.told(&right, &names)
        };
        let head = || [somebody.name.clone(), right.type_name.clone(), right.action.to_owned()];
        for part in [&used, &never].into_iter().filter(|part| !part.is_empty()) {
            let [name, type_name, action] = head();
            let count: u64 = part.iter().map(|(_, uses)| uses.count).max().unwrap_or(0);
            let last = part.iter().map(|(_, uses)| uses.last).max().filter(|_| count > 0);
            let last = last.map(plain).unwrap_or_default();
            let row = [
                name,
                type_name,
                action,
                names(part),
                word.to_owned(),
                policies.clone(),
                count.to_string(),
                last,
            ];
            rights.push(row);
        }
        if !never.is_empty() {
            let [name, type_name, action] = head();
            unused.push([name, type_name, action, names(&never), word.to_owned()]);
        }
    }
}

fn uses(right: &Right, name: &str, did: Option<&Person>) -> Uses {
    let key =
        Key { type_name: right.type_name.clone(), right: right.action.to_owned(), what: name.to_owned() };
    did.and_then(|person| person.used.get(&key)).copied().unwrap_or_default()
}

/// Somebody without a name.
pub fn by_handle(person: &Person) -> String {
    person.who.as_ref().map_or("nobody".to_owned(), |who| {
        format!("{} {}", who.type_name, who.handle).trim_start().to_owned()
    })
}

/// The first and the last time; empty where there was none.
pub fn times(uses: &Uses) -> [String; 2] {
    [uses.first, uses.last].map(|t| if uses.count == 0 { String::new() } else { plain(t) })
}

fn people_table() -> Table {
    let about = "Everybody who is in the directory or asked for something in the period, with how many of their requests did what. \
                 `refused` is denied, refused or failed; of `held back` answers something was stripped or left out; `observed` requests were not enforced. \
                 The handle stands only where there is no name.";
    Table::new(
        "people",
        "People",
        about,
        &[
            "principal",
            "handle",
            "state",
            "requests",
            "saw",
            "changed",
            "refused",
            "held back",
            "observed",
            "first",
            "last",
        ],
    )
}

fn rights_table() -> Table {
    let about = "What policies allow to whom, whatever the record (`always`) or depending on it or on the request (`sometimes`), by which policies; \
                 and how often it was used in the period; of several fields or moves, how often the one that was used most. Those that were used stand in a row of their own. A field is written only where the record's \
                 action is allowed too.";
    Table::new(
        "rights",
        "Who can see, change and move what",
        about,
        &["principal", "type", "action", "what", "standing", "policies", "uses", "last use"],
    )
}

fn unused_table() -> Table {
    let about = "Rights of the table above that the ledger shows no use of in the period.";
    Table::new(
        "unused",
        "Rights not used in the period",
        about,
        &["principal", "type", "action", "what", "standing"],
    )
}

/// People whose rights are asked, one question after the other.
pub const PEOPLE_MAX: usize = 10_000;
