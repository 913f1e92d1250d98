//! Conditions of a policy taken apart into atoms, and each atom as a policy of its own, so that Cedar itself says whether it holds.

use cedar_policy as cedar;
use serde_json::{Value as Json, json};

use crate::bundle::forms::single;

/// A policy's condition over its atoms.
#[derive(Debug)]
pub enum Tree {
    /// It holds if both do; the second counts only where the first holds.
    And(Box<Tree>, Box<Tree>),
    /// It holds if one does; the second counts only where the first does not hold.
    Or(Box<Tree>, Box<Tree>),
    /// It holds if the other does not.
    Not(Box<Tree>),
    /// The first says which of the others counts.
    If(Box<[Tree; 3]>),
    /// What has no parts that are conditions, by its number.
    Atom(usize),
    /// Written as `true` or `false`.
    Literal(bool),
}

/// A policy taken apart.
#[derive(Debug)]
pub struct Condition {
    /// The whole condition.
    pub tree: Tree,
    /// Its atoms in Cedar's public JSON form, in the order in which they stand.
    pub atoms: Vec<Json>,
}

/// What became of an atom, or of a whole condition, in one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be evaluated.
    Failed,
}

impl Condition {
    /// Takes the conditions of a policy apart, from its form.
    pub fn of(form: &Json) -> Self {
        let mut atoms = Vec::new();
        let mut tree = Tree::Literal(true);
        let conditions = form.get("conditions").and_then(Json::as_array).into_iter().flatten();
        for (number, condition) in conditions.enumerate() {
            let body = parse(condition.get("body").unwrap_or(&Json::Null), 0, &mut atoms);
            let body = match condition.get("kind").and_then(Json::as_str) {
                Some("unless") => Tree::Not(Box::new(body)),
                _ => body,
            };
            tree = if number == 0 { body } else { Tree::And(Box::new(tree), Box::new(body)) };
        }
        Self { tree, atoms }
    }

    /// Asks for further atoms before all else.
    pub fn require(&mut self, atoms: Vec<Json>) {
        for atom in atoms.into_iter().rev() {
            self.atoms.push(atom);
            let own = Box::new(Tree::Atom(self.atoms.len() - 1));
            self.tree = Tree::And(own, Box::new(std::mem::replace(&mut self.tree, Tree::Literal(true))));
        }
    }

    /// Whether the condition holds, and which atoms were looked at on the way, as Cedar would look at them.
    pub fn evaluate(&self, truth: &dyn Fn(usize) -> Truth, seen: &mut dyn FnMut(usize, Truth)) -> Truth {
        evaluate(&self.tree, truth, seen)
    }
}

/// Takes an expression apart. A choice within choices is one atom: written out as alternatives, each level would double it.
fn parse(body: &Json, choices: usize, atoms: &mut Vec<Json>) -> Tree {
    let side = |body: &Json, name: &str, choices: usize, atoms: &mut Vec<Json>| {
        Box::new(parse(body.get(name).unwrap_or(&Json::Null), choices, atoms))
    };
    match single(body) {
        Some(("&&", body)) => {
            Tree::And(side(body, "left", choices, atoms), side(body, "right", choices, atoms))
        }
        Some(("||", body)) => {
            Tree::Or(side(body, "left", choices, atoms), side(body, "right", choices, atoms))
        }
        Some(("!", body)) => Tree::Not(side(body, "arg", choices, atoms)),
        Some(("if-then-else", body)) if choices < CHOICES_MAX => {
            let [test, then, other] =
                ["if", "then", "else"].map(|name| *side(body, name, choices + 1, atoms));
            Tree::If(Box::new([test, then, other]))
        }
        Some(("Value", Json::Bool(value))) => Tree::Literal(*value),
        _ => {
            atoms.push(body.clone());
            Tree::Atom(atoms.len() - 1)
        }
    }
}

fn evaluate(tree: &Tree, truth: &dyn Fn(usize) -> Truth, seen: &mut dyn FnMut(usize, Truth)) -> Truth {
    match tree {
        Tree::And(left, right) => match evaluate(left, truth, seen) {
            Truth::True => evaluate(right, truth, seen),
            other => other,
        },
        Tree::Or(left, right) => match evaluate(left, truth, seen) {
            Truth::False => evaluate(right, truth, seen),
            other => other,
        },
        Tree::Not(inner) => match evaluate(inner, truth, seen) {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Failed => Truth::Failed,
        },
        Tree::If(three) => {
            let [test, then, other] = three.as_ref();
            match evaluate(test, truth, seen) {
                Truth::True => evaluate(then, truth, seen),
                Truth::False => evaluate(other, truth, seen),
                Truth::Failed => Truth::Failed,
            }
        }
        Tree::Atom(number) => {
            let found = truth(*number);
            seen(*number, found);
            found
        }
        Tree::Literal(true) => Truth::True,
        Tree::Literal(false) => Truth::False,
    }
}

/// A policy that permits where an atom holds.
pub fn probe(id: &str, atom: &Json) -> Option<cedar::Policy> {
    let conditions = json!([{"kind": "when", "body": atom}]);
    policy(id, &json!({"op": "All"}), &json!({"op": "All"}), &json!({"op": "All"}), conditions)
}

/// A policy that permits where the scope of another is met.
pub fn scope_probe(id: &str, form: &Json) -> Option<cedar::Policy> {
    let part = |name: &str| form.get(name).cloned().unwrap_or(Json::Null);
    policy(id, &part("principal"), &part("action"), &part("resource"), json!([]))
}

fn policy(
    id: &str,
    principal: &Json,
    action: &Json,
    resource: &Json,
    conditions: Json,
) -> Option<cedar::Policy> {
    let form = json!({
        "effect": "permit",
        "principal": principal,
        "action": action,
        "resource": resource,
        "conditions": conditions,
    });
    cedar::Policy::from_json(Some(cedar::PolicyId::new(id)), form).ok()
}

/// An atom as its author would write it.
pub fn text(atom: &Json) -> String {
    let written = probe("atom", atom).and_then(|policy| policy.to_cedar()).unwrap_or_default();
    let inner = written.split_once("when {").and_then(|(_, rest)| rest.rsplit_once('}'));
    let inner = inner.map_or(written.as_str(), |(inner, _)| inner);
    inner.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Choices (`if`) within each other that are taken apart.
const CHOICES_MAX: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// The atoms that are looked at, with what they are, and what the whole comes to.
    #[track_caller]
    fn check(text: &str, truths: &[Truth], expected: &[usize], whole: Truth) {
        let policy = cedar::Policy::parse(None, text).unwrap();
        let condition = Condition::of(&policy.to_json().unwrap());
        assert_eq!(condition.atoms.len(), truths.len(), "{text}");
        let mut seen = Vec::new();
        let truth = |number: usize| truths[number];
        let found = condition.evaluate(&truth, &mut |number, truth| seen.push((number, truth)));
        let expected: Vec<(usize, Truth)> =
            expected.iter().map(|number| (*number, truths[*number])).collect();
        assert_eq!((seen, found), (expected, whole), "{text}");
    }

    #[test]
    fn atoms_are_looked_at_as_cedar_looks_at_them() {
        use Truth::{Failed as X, False as F, True as T};
        let both = "permit (principal, action, resource) when { context.a && context.b };";
        check(both, &[T, F], &[0, 1], F);
        check(both, &[F, T], &[0], F);
        check(both, &[F, X], &[0], F);
        check(both, &[X, T], &[0], X);
        let either = "permit (principal, action, resource) when { context.a || !context.b };";
        check(either, &[T, F], &[0], T);
        check(either, &[F, F], &[0, 1], T);
        let conditions =
            "permit (principal, action, resource) when { context.a } unless { context.b && context.c };";
        check(conditions, &[T, F, X], &[0, 1], T);
        check(conditions, &[T, T, T], &[0, 1, 2], F);
        check(conditions, &[F, T, T], &[0], F);
        let three = "forbid (principal, action, resource) when { if context.a then context.b else true };";
        check(three, &[F, X], &[0], T);
        check(three, &[T, F], &[0, 1], F);
        check("permit (principal, action, resource);", &[], &[], T);
    }

    #[test]
    fn an_atom_reads_as_it_was_written() {
        let source = "permit (principal, action, resource) when { resource has amount && resource.amount.lessThan(decimal(\"5.00\")) && principal in Role::\"rep\" };";
        let policy = cedar::Policy::parse(None, source).unwrap();
        let atoms = Condition::of(&policy.to_json().unwrap()).atoms;
        let texts: Vec<String> = atoms.iter().map(text).collect();
        assert_eq!(
            texts,
            [
                "resource has amount",
                "resource.amount.lessThan(decimal(\"5.00\"))",
                "principal in Role::\"rep\""
            ]
        );
    }
}
