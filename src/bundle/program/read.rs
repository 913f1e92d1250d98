//! Reads policies from Cedar's public JSON form. What is not understood is said so, and never half read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use super::expression::{Expression, Op, Operator, Piece};
use super::functions::Function;
use super::value::Value;
use crate::bundle::forms::{entity, single, variable};
use crate::bundle::profile::types::RecordType;
use crate::model::principal::EntityRef;

/// What a policy is read for.
pub struct Subject<'a> {
    /// The type of the record.
    pub record_type: &'a RecordType,
    /// The action that is asked.
    pub action: EntityRef,
    /// The action with everything above it.
    pub actions: BTreeSet<EntityRef>,
}

/// What a policy says that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not compiled")]
pub struct Unread(pub String);

/// The whole condition of a policy, scope included, from its form.
pub fn condition(form: &Json, subject: &Subject<'_>) -> Result<Expression, Unread> {
    let part = |name: &str| form.get(name).ok_or_else(|| Unread(name.to_owned()));
    let reader = Reader { subject };
    let mut whole = reader.scope(part("principal")?, Expression::new(Op::Principal))?;
    whole = whole.and(reader.scope(part("action")?, Expression::value(Value::entity(&subject.action)))?);
    whole = whole.and(reader.scope(part("resource")?, Expression::new(Op::Record))?);
    for condition in part("conditions")?.as_array().into_iter().flatten() {
        let body = reader.read(condition.get("body").unwrap_or(&Json::Null))?;
        whole = whole.and(match condition.get("kind").and_then(Json::as_str) {
            Some("when") => body,
            Some("unless") => body.negated(),
            _ => return Err(Unread("kind".to_owned())),
        });
    }
    Ok(whole)
}

struct Reader<'a> {
    subject: &'a Subject<'a>,
}

impl Reader<'_> {
    fn scope(&self, scope: &Json, who: Expression) -> Result<Expression, Unread> {
        let entity = |value: Option<&Json>| -> Result<Expression, Unread> {
            let entity = value.and_then(entity).ok_or_else(|| unread(scope))?;
            Ok(Expression::value(Value::entity(&entity)))
        };
        let is = |who: Expression| -> Result<Expression, Unread> {
            let name = scope.get("entity_type").and_then(Json::as_str).ok_or_else(|| unread(scope))?;
            Ok(self.of_type(who, name))
        };
        match scope.get("op").and_then(Json::as_str) {
            Some("All") => Ok(Expression::truth(true)),
            Some("==") => Ok(Expression::two(Operator::Equal, who, entity(scope.get("entity"))?)),
            Some("in") => match scope.get("entities").and_then(Json::as_array) {
                Some(list) => {
                    let items: Result<Vec<Expression>, Unread> =
                        list.iter().map(|item| entity(Some(item))).collect();
                    self.within(who, Expression::new(Op::Set(items?)))
                }
                None => self.within(who, entity(scope.get("entity"))?),
            },
            Some("is") => match scope.get("in") {
                Some(inner) => Ok(is(who.clone())?.and(self.within(who, entity(inner.get("entity"))?)?)),
                None => is(who),
            },
            _ => Err(unread(scope)),
        }
    }

    /// `in`; what an action is in is known already.
    fn within(&self, who: Expression, above: Expression) -> Result<Expression, Unread> {
        if let Op::Value(Value::Entity(found)) = &who.op
            && found.type_name == ACTION
        {
            if **found != self.subject.action {
                return Err(Unread("in".to_owned()));
            }
            let items: Vec<&Expression> = match &above.op {
                Op::Set(items) => items.iter().collect(),
                _ => vec![&above],
            };
            let is_above = |item: &&Expression| match &item.op {
                Op::Value(Value::Entity(entity)) => Ok(self.subject.actions.contains(entity)),
                _ => Err(Unread("in".to_owned())),
            };
            let found: Result<Vec<bool>, Unread> = items.iter().map(is_above).collect();
            return Ok(Expression::truth(found?.contains(&true)));
        }
        Ok(Expression::two(Operator::In, who, above))
    }

    /// `is`; of which type the record is is known already.
    fn of_type(&self, who: Expression, name: &str) -> Expression {
        match who.op {
            Op::Record => Expression::truth(self.subject.record_type.name == name),
            _ => Expression::new(Op::Is(Box::new(who), name.into())),
        }
    }

    fn read(&self, json: &Json) -> Result<Expression, Unread> {
        let Some((operator, body)) = single(json) else { return Err(unread(json)) };
        let two = || Ok((self.side(body, "left")?, self.side(body, "right")?));
        let one = || self.side(body, "arg").map(Box::new);
        let apply = |operator: Operator| two().map(|(left, right)| Expression::two(operator, left, right));
        match operator {
            "Value" => literal(body).map(Expression::value),
            "Var" => self.variable(body),
            "!" => Ok(Expression::new(Op::Not(one()?))),
            "neg" => Ok(Expression::new(Op::Negate(one()?))),
            "isEmpty" => Ok(Expression::new(Op::IsEmpty(one()?))),
            "&&" => two().map(|(left, right)| left.and(right)),
            "||" => two().map(|(left, right)| Expression::new(Op::Or(Box::new(left), Box::new(right)))),
            "==" => apply(Operator::Equal),
            "!=" => apply(Operator::Equal).map(Expression::negated),
            "<" => apply(Operator::Less),
            "<=" => apply(Operator::LessOrEqual),
            // Both sides are evaluated whatever the operator, and any failure is one failure: their order does not matter.
            ">" => two().map(|(left, right)| Expression::two(Operator::Less, right, left)),
            ">=" => two().map(|(left, right)| Expression::two(Operator::LessOrEqual, right, left)),
            "+" => apply(Operator::Add),
            "-" => apply(Operator::Subtract),
            "*" => apply(Operator::Multiply),
            "in" => two().and_then(|(left, right)| self.within(reached(left)?, right)),
            "contains" => apply(Operator::Contains),
            "containsAll" => apply(Operator::ContainsAll),
            "containsAny" => apply(Operator::ContainsAny),
            "hasTag" => self.tag(Operator::HasTag, body),
            "getTag" => self.tag(Operator::GetTag, body),
            "." => self.access(body),
            "has" => self.has(body),
            "like" => Ok(Expression::new(Op::Like(Box::new(self.side(body, "left")?), pattern(body)?))),
            "is" => self.is(body),
            "if-then-else" => {
                let three = [self.side(body, "if")?, self.side(body, "then")?, self.side(body, "else")?];
                Ok(Expression::new(Op::If(Box::new(three))))
            }
            "Set" => Ok(Expression::new(Op::Set(self.list(body)?))),
            "Record" => {
                let members = body.as_object().ok_or_else(|| unread(json))?.iter();
                let members = members.map(|(key, inner)| Ok((key.clone(), self.read(inner)?)));
                Ok(Expression::new(Op::Members(members.collect::<Result<BTreeMap<_, _>, Unread>>()?)))
            }
            name => {
                let function = Function::named(name).ok_or_else(|| Unread(name.to_owned()))?;
                Ok(Expression::new(Op::Call(function, self.list(body)?)))
            }
        }
    }

    fn side(&self, body: &Json, name: &str) -> Result<Expression, Unread> {
        self.read(body.get(name).ok_or_else(|| Unread(name.to_owned()))?)
    }

    fn tag(&self, operator: Operator, body: &Json) -> Result<Expression, Unread> {
        Ok(Expression::two(operator, reached(self.side(body, "left")?)?, self.side(body, "right")?))
    }

    fn list(&self, body: &Json) -> Result<Vec<Expression>, Unread> {
        body.as_array().ok_or_else(|| unread(body))?.iter().map(|item| self.read(item)).collect()
    }

    fn variable(&self, body: &Json) -> Result<Expression, Unread> {
        match body.as_str() {
            Some("principal") => Ok(Expression::new(Op::Principal)),
            Some("resource") => Ok(Expression::new(Op::Record)),
            Some("action") => Ok(Expression::value(Value::entity(&self.subject.action))),
            _ => Err(unread(body)),
        }
    }

    fn access(&self, body: &Json) -> Result<Expression, Unread> {
        let names = names(body)?;
        let [name] = names.as_slice() else { return Err(unread(body)) };
        self.get(body.get("left").unwrap_or(&Json::Null), name)
    }

    fn get(&self, left: &Json, name: &str) -> Result<Expression, Unread> {
        Ok(match variable(left) {
            Some("context") => Expression::new(Op::Context(name.into())),
            Some("resource") => Expression::new(match self.subject.record_type.attribute(name) {
                Some(index) => Op::Attribute(index),
                None => Op::Fail,
            }),
            _ => Expression::new(Op::Get(Box::new(reached(self.read(left)?)?), name.into())),
        })
    }

    /// `has`; `a has b.c` is `a has b && a.b has c`.
    fn has(&self, body: &Json) -> Result<Expression, Unread> {
        let left = body.get("left").unwrap_or(&Json::Null);
        let names = names(body)?;
        let (first, rest) = names.split_first().ok_or_else(|| unread(body))?;
        let mut whole = Expression::new(match variable(left) {
            Some("context") => Op::HasContext(first.as_str().into()),
            Some("resource") => match self.subject.record_type.attribute(first) {
                Some(index) => Op::HasAttribute(index),
                None => Op::Value(Value::Bool(false)),
            },
            _ => Op::Has(Box::new(reached(self.read(left)?)?), first.as_str().into()),
        });
        if rest.is_empty() {
            return Ok(whole);
        }
        let mut at = self.get(left, first)?;
        for name in rest {
            let name: Arc<str> = name.as_str().into();
            whole = whole.and(Expression::new(Op::Has(Box::new(at.clone()), Arc::clone(&name))));
            at = Expression::new(Op::Get(Box::new(at), name));
        }
        Ok(whole)
    }

    fn is(&self, body: &Json) -> Result<Expression, Unread> {
        let who = self.side(body, "left")?;
        let name = body.get("entity_type").and_then(Json::as_str).ok_or_else(|| unread(body))?;
        let is = self.of_type(who.clone(), name);
        match body.get("in") {
            Some(above) => Ok(is.and(self.within(reached(who)?, self.read(above)?)?)),
            None => Ok(is),
        }
    }
}

/// Only what is reached from principal, context and record is there when Cedar evaluates: an entity that a policy names
/// outright may be compared, but not looked into.
fn reached(expression: Expression) -> Result<Expression, Unread> {
    let is_action = |entity: &EntityRef| entity.type_name == ACTION;
    let is_reached = match &expression.op {
        Op::Principal | Op::Record | Op::Context(_) | Op::Attribute(_) | Op::Get(..) | Op::Fail => true,
        Op::Two(Operator::GetTag, _) => true,
        Op::Value(Value::Entity(entity)) => is_action(entity),
        // Of a record that is written out, each member is either no entity or would have to be reached itself.
        _ => false,
    };
    if is_reached { Ok(expression) } else { Err(Unread("an entity that is named, looked into".to_owned())) }
}

fn names(body: &Json) -> Result<Vec<String>, Unread> {
    match body.get("attr") {
        Some(Json::String(name)) => Ok(vec![name.clone()]),
        Some(Json::Array(list)) => {
            let names: Option<Vec<String>> =
                list.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            names.ok_or_else(|| unread(body))
        }
        _ => Err(unread(body)),
    }
}

fn pattern(body: &Json) -> Result<Arc<[Piece]>, Unread> {
    let pieces = body.get("pattern").and_then(Json::as_array).ok_or_else(|| unread(body))?;
    let mut found = Vec::new();
    for piece in pieces {
        match (piece.as_str(), piece.get("Literal").and_then(Json::as_str)) {
            (Some("Wildcard"), _) => found.push(Piece::Any),
            (_, Some(text)) => found.extend(text.chars().map(Piece::Char)),
            _ => return Err(unread(piece)),
        }
    }
    Ok(found.into())
}

fn literal(json: &Json) -> Result<Value, Unread> {
    match json {
        Json::Bool(truth) => Ok(Value::Bool(*truth)),
        Json::Number(number) => number.as_i64().map(Value::Long).ok_or_else(|| unread(json)),
        Json::String(text) => Ok(Value::Text(text.as_str().into())),
        Json::Object(_) => {
            let entity = json.get("__entity").and_then(entity).ok_or_else(|| unread(json))?;
            Ok(Value::entity(&entity))
        }
        Json::Null | Json::Array(_) => Err(unread(json)),
    }
}

fn unread(json: &Json) -> Unread {
    let what = single(json).map_or_else(|| json.to_string(), |(operator, _)| operator.to_owned());
    Unread(what.chars().take(WORDS_MAX).collect())
}

const ACTION: &str = "Action";
/// Characters of a form that is not understood, as it is named.
const WORDS_MAX: usize = 40;
