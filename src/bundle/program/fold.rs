//! Computes what is known already and leaves the rest, so that what is left fails, holds and short-circuits as the whole did.

use super::evaluate::{Record, Scene, Stop, World};
use super::expression::{Expression, Op, parts, rebuild};
use super::value::Value;

/// What is known of a leaf: its value, or that it fails. `None`: nothing yet.
pub type Leaves<'a> = &'a dyn Fn(&Op) -> Option<Result<Value, Stop>>;

/// The expression with everything computed that leaves and world settle.
pub fn fold(expression: &Expression, leaves: Leaves<'_>, world: &dyn World) -> Expression {
    let op = match &expression.op {
        Op::Value(_) | Op::Fail => return expression.clone(),
        Op::Principal
        | Op::Record
        | Op::Context(_)
        | Op::HasContext(_)
        | Op::Attribute(_)
        | Op::HasAttribute(_) => {
            return match leaves(&expression.op) {
                Some(known) => settled(known).unwrap_or_else(|| expression.clone()),
                None => expression.clone(),
            };
        }
        Op::And(left, right) => match fold(left, leaves, world) {
            known if known.op == truth(true) => return fold(right, leaves, world),
            known if known.op == truth(false) || known.op == Op::Fail => return known,
            left => Op::And(Box::new(left), Box::new(fold(right, leaves, world))),
        },
        Op::Or(left, right) => match fold(left, leaves, world) {
            known if known.op == truth(false) => return fold(right, leaves, world),
            known if known.op == truth(true) || known.op == Op::Fail => return known,
            left => Op::Or(Box::new(left), Box::new(fold(right, leaves, world))),
        },
        Op::If(three) => {
            let [test, then, other] = three.as_ref();
            match fold(test, leaves, world) {
                known if known.op == truth(true) => return fold(then, leaves, world),
                known if known.op == truth(false) => return fold(other, leaves, world),
                known if known.op == Op::Fail => return known,
                test => Op::If(Box::new([test, fold(then, leaves, world), fold(other, leaves, world)])),
            }
        }
        op => match rebuild(op, |part| Ok::<_, Stop>(fold(part, leaves, world))) {
            Ok(op) => op,
            Err(_) => return expression.clone(),
        },
    };
    let folded = Expression::new(op);
    let inner = parts(&folded.op);
    let is_strict = !matches!(folded.op, Op::And(..) | Op::Or(..) | Op::If(_));
    if is_strict && inner.iter().any(|part| part.op == Op::Fail) {
        return Expression::new(Op::Fail);
    }
    if !is_strict || !inner.iter().all(|part| matches!(part.op, Op::Value(_))) {
        return folded;
    }
    let scene = Scene { world, now_ms: None, record: Record::Unknown };
    settled(scene.evaluate(&folded)).unwrap_or(folded)
}

fn settled(known: Result<Value, Stop>) -> Option<Expression> {
    match known {
        Ok(value) => Some(Expression::value(value)),
        Err(Stop::Fails) => Some(Expression::new(Op::Fail)),
        Err(Stop::Unsupported) => None,
    }
}

fn truth(truth: bool) -> Op {
    Op::Value(Value::Bool(truth))
}
