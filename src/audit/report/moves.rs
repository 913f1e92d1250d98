//! Stage moves in few words: what many stages have in common is said once.

use std::collections::{BTreeMap, BTreeSet};

/// A move, as keys of rights spell it.
pub fn spelled(from: &str, to: &str) -> String {
    format!("{from}{ARROW}{to}")
}

/// Moves, each as [`spelled`], of a catalogue of stages.
pub fn told<'m>(moves: impl IntoIterator<Item = &'m str>, stages: &[&str]) -> String {
    let mut targets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in moves.into_iter().filter_map(|text| text.split_once(ARROW)) {
        targets.entry(from).or_default().insert(to);
    }
    let place = |stage: &str| stages.iter().position(|other| *other == stage);
    let in_order = |mut names: Vec<&str>| {
        names.sort_by_key(|name| place(name));
        names.join(", ")
    };
    let mut sources: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (from, to) in targets {
        let is_all = stages.iter().all(|stage| *stage == from || to.contains(stage));
        let to = if is_all { "any other stage".to_owned() } else { in_order(to.into_iter().collect()) };
        sources.entry(to).or_default().push(from);
    }
    let mut groups: Vec<(String, Vec<&str>)> = sources.into_iter().collect();
    groups.sort_by_key(|(_, from)| from.iter().map(|stage| place(stage)).min());
    let group = |(to, from): (String, Vec<&str>)| {
        let is_all = stages.iter().all(|stage| from.contains(stage));
        let from = if is_all { "any stage".to_owned() } else { in_order(from) };
        format!("{from}{ARROW}{to}")
    };
    groups.into_iter().map(group).collect::<Vec<_>>().join("; ")
}

const ARROW: &str = " → ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stages_share_is_said_once() {
        #[track_caller]
        fn check(moves: &[(&str, &str)], expected: &str) {
            let moves: Vec<String> = moves.iter().map(|(from, to)| spelled(from, to)).collect();
            assert_eq!(told(moves.iter().map(String::as_str), &["lead", "open", "won"]), expected);
        }
        check(&[], "");
        check(&[("lead", "open")], "lead → open");
        check(&[("lead", "won"), ("lead", "open")], "lead → any other stage");
        check(&[("lead", "won"), ("open", "won")], "lead, open → won");
        check(&[("won", "lead"), ("lead", "open")], "lead → open; won → lead");
        let all = ["lead", "open", "won"];
        let all = all.iter().flat_map(|from| all.iter().map(move |to| (*from, *to)));
        let all: Vec<(&str, &str)> = all.filter(|(from, to)| from != to).collect();
        check(&all, "any stage → any other stage");
        // A stage that the catalogue no longer has.
        check(&[("gone", "won"), ("open", "gone")], "gone → won; open → gone");
    }
}
