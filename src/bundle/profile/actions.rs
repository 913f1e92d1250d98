//! What the routes of a profile stand for, by record type.

use std::collections::{BTreeMap, BTreeSet};

use super::Profile;
use super::convert::Kind;
use super::types::RecordType;
use crate::model::access::Action;

impl Profile {
    /// By type, every action that some route stands for, and those that come with it: mass changes are changes, and a change of a
    /// record in a stage may move it.
    pub fn actions(&self) -> BTreeMap<String, BTreeSet<Action>> {
        let mut actions: BTreeMap<String, BTreeSet<Action>> = BTreeMap::new();
        let all = || self.types.iter().map(|record_type| record_type.name.as_str()).collect::<Vec<_>>();
        for route in self.routes.iter().filter(|route| route.pass.is_none() && route.refuse.is_none()) {
            // A type that the request or the record names may be any.
            let one = self.type_of_image(route);
            for type_name in one.map_or_else(all, |record_type| vec![record_type.name.as_str()]) {
                actions.entry(type_name.to_owned()).or_default().extend(route.actions());
            }
        }
        for (type_name, actions) in &mut actions {
            if actions.contains(&Action::BulkEdit) {
                actions.insert(Action::Edit);
            }
            if actions.contains(&Action::BulkDelete) {
                actions.insert(Action::Delete);
            }
            let record_type = self.type_named(type_name).map(|(_, record_type)| record_type);
            let changes = actions.contains(&Action::Edit) || actions.contains(&Action::MoveStage);
            if changes && record_type.is_some_and(has_stages) {
                actions.insert(Action::MoveStage);
            }
        }
        actions
    }
}

fn has_stages(record_type: &RecordType) -> bool {
    record_type.attributes.iter().any(|spec| matches!(spec.conversion.kind, Kind::Stage | Kind::Pipeline))
}
