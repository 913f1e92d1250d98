//! Random policies: every construct that the schema admits, with the guards that the validator asks for.

use super::world::{ROLES, TEAMS, USERS, datetime, decimal};
use lockkeeper::testkit::dice::Dice;

/// A policy with an id of its own.
pub fn policy(number: usize, dice: &mut Dice) -> String {
    // Few forbids, else nothing is ever allowed.
    let effect = if dice.one_in(4) { "forbid" } else { "permit" };
    let (action, has_field) = match dice.below(6) {
        0 | 1 => (r#"action == Action::"view""#, false),
        2 | 3 => (r#"action == Action::"readField""#, true),
        4 => (r#"action == Action::"readFieldMasked""#, true),
        _ => (r#"action in [Action::"readField", Action::"readFieldMasked"]"#, true),
    };
    let principal = match dice.below(6) {
        0 => format!(r#"principal in Role::"role{}""#, dice.below(ROLES)),
        1 => format!(r#"principal in Team::"team{}""#, dice.below(TEAMS)),
        2 => "principal is User".to_owned(),
        3 => format!(r#"principal is User in Role::"role{}""#, dice.below(ROLES)),
        _ => "principal".to_owned(),
    };
    let resource = if dice.one_in(20) {
        format!(r#"resource == Deal::"{}""#, dice.below(4))
    } else {
        "resource is Deal".to_owned()
    };
    let mut text = format!("@id(\"p{number}\") {effect} ({principal}, {action}, {resource})");
    let mut making = Making { dice, has_field };
    for _ in 0..making.dice.below(3) {
        let kind = if making.dice.one_in(4) { "unless" } else { "when" };
        let depth = 1 + making.dice.below(3);
        text.push_str(&format!(" {kind} {{ {} }}", making.condition(depth)));
    }
    text.push_str(";\n");
    text
}

struct Making<'d> {
    dice: &'d mut Dice,
    has_field: bool,
}

impl Making<'_> {
    fn condition(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.leaf();
        }
        match self.dice.below(8) {
            0 | 1 => format!("({} && {})", self.condition(depth - 1), self.condition(depth - 1)),
            2 | 3 => format!("({} || {})", self.condition(depth - 1), self.condition(depth - 1)),
            4 => format!("!({})", self.condition(depth - 1)),
            5 => {
                let (test, then) = (self.condition(depth - 1), self.condition(depth - 1));
                format!("(if {test} then {then} else {})", self.condition(depth - 1))
            }
            _ => self.leaf(),
        }
    }

    fn leaf(&mut self) -> String {
        let number = self.dice.below(if self.has_field { 37 } else { 33 });
        let dice = &mut *self.dice;
        let user = format!(r#"User::"u{}""#, dice.below(USERS));
        let team = format!(r#"Team::"team{}""#, dice.below(TEAMS));
        let role = format!(r#"Role::"role{}""#, dice.below(ROLES));
        let comparison = dice.pick(&["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]);
        let order = dice.pick(&["<", "<=", ">", ">=", "==", "!="]);
        match number {
            0 => "(resource has owner && resource.owner == principal)".to_owned(),
            1 => format!("(resource has owner && resource.owner == {user})"),
            2 => "(resource has owner && resource.owner has position && principal has position && resource.owner.position in principal.position)".to_owned(),
            3 => format!("(resource has owner && resource.owner in {role})"),
            4 => "(resource has team && principal in resource.team)".to_owned(),
            5 => format!("(resource has team && resource.team in [{team}, Team::\"team0\"])"),
            6 => r#"(resource has stage && resource.stage in StageGroup::"closed")"#.to_owned(),
            7 => r#"(resource has stage && resource.stage == Stage::"sales.lead")"#.to_owned(),
            8 => format!("(resource has amount && resource.amount.{comparison}(decimal(\"{}\")))", decimal(dice)),
            9 => format!("(resource has amount && principal has custom.limit && resource.amount.{comparison}(principal.custom.limit))"),
            10 => format!("(resource has score && resource.score {order} {})", dice.below(9)),
            11 => format!("(resource has score && resource.score {} {} {order} 10)", dice.pick(&["+", "-", "*"]), dice.pick(&["1", "9223372036854775807", "2"])),
            12 => format!("(resource has score && principal has custom.level && -resource.score {order} principal.custom.level * 3)"),
            13 => "(resource has strategic && resource.strategic)".to_owned(),
            14 => format!("(resource has name && resource.name like \"{}\")", dice.pick(&["*north", "a\\*b", "*", "", "?*", "n*r*h"])),
            15 => "(resource has name && principal has custom.region && resource.name == principal.custom.region)".to_owned(),
            16 => format!("(resource has created && resource.created {} context.now)", dice.pick(&["<", "<=", ">", ">="])),
            17 => format!("(resource has created && context.now.durationSince(resource.created) {} duration(\"{}\"))", dice.pick(&["<", ">", ">="]), dice.pick(&["1d", "-3h", "0ms", "12h30m"])),
            18 => format!("context.now {} datetime(\"{}\")", dice.pick(&["<", "<=", ">", ">="]), datetime(dice)),
            19 => format!("(principal has accessUntil && context.now {} principal.accessUntil)", dice.pick(&["<", ">="])),
            20 => "(resource has watchers && resource.watchers.contains(principal))".to_owned(),
            21 => format!("(resource has watchers && resource.watchers.containsAny([{user}, User::\"u1\"]))"),
            22 => format!("(resource has labels && resource.labels.{})", dice.pick(&["contains(\"a\")", "containsAll([\"a\", \"b\"])", "isEmpty()"])),
            23 => "(principal has custom.teams && resource has team && principal.custom.teams.contains(resource.team))".to_owned(),
            24 => "(context has authLevel && context.authLevel >= 2)".to_owned(),
            25 => "(context has onBehalfOf && resource has owner && context.onBehalfOf == resource.owner)".to_owned(),
            26 => "principal.active".to_owned(),
            27 => format!("(principal has custom.boss && principal.custom.boss.active && principal.custom.boss in {role})"),
            28 => format!("(resource has created && resource.created.offset(duration(\"{}\")) {} context.now)", dice.pick(&["1d", "106751991167d", "-1ms"]), dice.pick(&["<", ">"])),
            29 => format!("resource == Deal::\"{}\"", dice.below(4)),
            30 => "(resource has owner && resource has watchers && resource.watchers.contains(resource.owner))".to_owned(),
            31 => format!("[Deal::\"{}\", Deal::\"2\"].contains(resource)", dice.below(4)),
            32 => format!("(resource has score && resource has created && (resource.score > 0) == (resource.created {order} context.now))", order = dice.pick(&["<", ">="])),
            33 => r#"context.field in FieldSet::"money""#.to_owned(),
            34 => r#"context.field in [FieldSet::"public", Field::"Deal.phone"]"#.to_owned(),
            35 => r#"context.field == Field::"Deal.margin""#.to_owned(),
            _ => r#"context.field in FieldSet::"secret""#.to_owned(),
        }
    }
}
