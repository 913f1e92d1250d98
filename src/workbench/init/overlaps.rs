//! Routes that could match one request: the more exact goes first. Where none is more exact, only the first is drafted.

use std::collections::{HashMap, HashSet};

use super::{DraftRoute, Outcome};
use crate::bundle::profile::template::{PathCase, Template};

/// States the order of all routes, and takes those out that no order can tell apart.
pub fn settle(routes: &mut [DraftRoute<'_>]) {
    let mut labels = HashSet::new();
    let mut by_length: HashMap<usize, Vec<(usize, Template)>> = HashMap::new();
    for index in 0..routes.len() {
        let Some(route) = routes.get_mut(index) else { continue };
        let Some(exactness) = route.exactness.clone() else { continue };
        let parsed = Template::parse(&route.label).ok().filter(|_| labels.insert(route.label.clone()));
        let Some(template) = parsed else {
            route.outcome =
                Outcome::Unsayable("another operation of the document has the same route".to_owned());
            route.exactness = None;
            continue;
        };
        let alike = by_length.entry(exactness.len()).or_default();
        let meets = alike.iter().filter(|(_, other)| other.overlaps(&template, PathCase::Sensitive));
        let met: Vec<usize> = meets.map(|(other, _)| *other).collect();
        if let Some(reason) = order(routes, index, &exactness, &met) {
            if let Some(route) = routes.get_mut(index) {
                route.outcome = Outcome::Unsayable(reason);
                route.exactness = None;
            }
            continue;
        }
        alike.push((index, template));
    }
}

/// Notes which of two routes goes first, for each that this one meets; a reason if that cannot be told of one.
fn order(routes: &mut [DraftRoute<'_>], index: usize, exactness: &[u8], met: &[usize]) -> Option<String> {
    let exactness_of =
        |routes: &[DraftRoute<'_>], other: usize| routes.get(other).and_then(|route| route.exactness.clone());
    let label_of =
        |routes: &[DraftRoute<'_>], other: usize| routes.get(other).map(|route| route.label.clone());
    let is_equal = |other: &&usize| exactness_of(routes, **other).as_deref() == Some(exactness);
    if let Some(other) = met.iter().find(is_equal) {
        return Some(format!(
            "`{}` can match the same requests",
            label_of(routes, *other).unwrap_or_default()
        ));
    }
    for other in met {
        let is_first = exactness_of(routes, *other).is_none_or(|theirs| exactness > theirs.as_slice());
        let (first, second) = if is_first { (index, *other) } else { (*other, index) };
        let label = label_of(routes, second);
        if let (Some(route), Some(label)) = (routes.get_mut(first), label) {
            route.over.push(label);
        }
    }
    None
}
