//! Reads AuthZEN questions (§5, §6.1, §7.1): who, what, on what.
//!
//! Promises: a member that decides is read exactly or refused. What cannot have a bearing on a decision is ignored by name,
//! and the answer says so.

use crate::json::value::{Kind, Value};
use crate::model::principal::EntityRef;

/// One question.
pub struct Question<'d> {
    /// Who would do it: a principal of the directory.
    pub subject: EntityRef,
    /// What they would do: the name of an action of the base schema.
    pub action: String,
    /// On what: a record by type and id, or `Collection` and the record type.
    pub resource: EntityRef,
    /// What the action is about beside that.
    pub parameters: Parameters<'d>,
    /// The record, as the CRM's API writes it.
    pub properties: Option<Value<'d>>,
    /// Members that were left unread.
    pub ignored: Vec<String>,
}

/// The properties of an action.
#[derive(Default)]
pub struct Parameters<'d> {
    /// For field actions: the field's full name.
    pub field: Option<String>,
    /// For stage moves: the Cedar id of the stage to move to.
    pub to: Option<String>,
    /// For collections: how many records are concerned.
    pub count: Option<i64>,
    /// For changes: what the record would have, as the CRM's API writes it.
    pub proposed: Option<Value<'d>>,
}

/// Which of many questions are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantic {
    /// All.
    All,
    /// All up to the first that is denied.
    DenyOnFirstDeny,
    /// All up to the first that is allowed.
    PermitOnFirstPermit,
}

impl Semantic {
    /// Whether no further question is asked after an answer.
    pub fn ends_with(self, is_allow: bool) -> bool {
        match self {
            Semantic::All => false,
            Semantic::DenyOnFirstDeny => !is_allow,
            Semantic::PermitOnFirstPermit => is_allow,
        }
    }
}

/// The questions of a request, if there are some.
pub fn items<'d>(root: Value<'d>) -> Result<Option<Vec<Value<'d>>>, String> {
    match root.member("evaluations") {
        None => Ok(None),
        Some(list) if list.kind() == Kind::Array => {
            Ok(Some(list.items().collect()).filter(|items: &Vec<_>| !items.is_empty()))
        }
        Some(_) => Err("`evaluations` must be an array".to_owned()),
    }
}

/// Which of them are asked.
pub fn semantic(root: Value<'_>) -> Result<Semantic, String> {
    let Some(options) = root.member("options") else { return Ok(Semantic::All) };
    if options.kind() != Kind::Object {
        return Err("`options` must be an object".to_owned());
    }
    let Some(word) = options.member("evaluations_semantic") else { return Ok(Semantic::All) };
    match word.text().as_deref() {
        Some("execute_all") => Ok(Semantic::All),
        Some("deny_on_first_deny") => Ok(Semantic::DenyOnFirstDeny),
        Some("permit_on_first_permit") => Ok(Semantic::PermitOnFirstPermit),
        _ => {
            Err("`evaluations_semantic` is execute_all, deny_on_first_deny or permit_on_first_permit"
                .to_owned())
        }
    }
}

/// Reads a question; what it leaves out is taken from the defaults, member by member.
pub fn read<'d>(item: Value<'d>, defaults: Option<Value<'d>>) -> Result<Question<'d>, String> {
    if item.kind() != Kind::Object {
        return Err("an evaluation must be an object".to_owned());
    }
    let member =
        |name: &str| item.member(name).or_else(|| defaults.and_then(|defaults| defaults.member(name)));
    let object = |name: &str| match member(name) {
        Some(value) if value.kind() == Kind::Object => Ok(value),
        Some(_) => Err(format!("`{name}` must be an object")),
        None => Err(format!("`{name}` is missing")),
    };
    let mut ignored = Vec::new();
    let (subject, action, resource) = (object("subject")?, object("action")?, object("resource")?);
    if subject.member("properties").is_some() {
        // Who somebody is, and what they belong to, the directory says and nobody else.
        ignored.push("subject.properties".to_owned());
    }
    if let Some(context) = member("context") {
        read_context(context, &mut ignored)?;
    }
    Ok(Question {
        subject: entity(subject, "subject")?,
        action: text(action, "action", "name")?,
        resource: entity(resource, "resource")?,
        parameters: parameters(properties(action, "action")?)?,
        properties: properties(resource, "resource")?,
        ignored,
    })
}

fn entity(value: Value<'_>, name: &str) -> Result<EntityRef, String> {
    Ok(EntityRef::new(text(value, name, "type")?, text(value, name, "id")?))
}

fn text(value: Value<'_>, name: &str, key: &str) -> Result<String, String> {
    let found = value.member(key).ok_or_else(|| format!("`{name}.{key}` is missing"))?;
    let text = found.text().filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()));
    let text =
        text.ok_or_else(|| format!("`{name}.{key}` must be a string of 1 to {TEXT_BYTES_MAX} bytes"))?;
    Ok(text.into_owned())
}

fn properties<'d>(value: Value<'d>, name: &str) -> Result<Option<Value<'d>>, String> {
    match value.member("properties") {
        None => Ok(None),
        Some(properties) if properties.kind() == Kind::Object => Ok(Some(properties)),
        Some(_) => Err(format!("`{name}.properties` must be an object")),
    }
}

/// A misspelt parameter would make a question more harmless than it is, so unknown ones are refused.
fn parameters(properties: Option<Value<'_>>) -> Result<Parameters<'_>, String> {
    let mut read = Parameters::default();
    let Some(properties) = properties else { return Ok(read) };
    for member in properties.members() {
        let (key, value) = (member.key(), member.value());
        let string = || value.text().map(|text| text.into_owned());
        let wrong = |what: &str| format!("`action.properties.{key}` must be {what}");
        match key.as_ref() {
            "field" => read.field = Some(string().ok_or_else(|| wrong("a string"))?),
            "to" => read.to = Some(string().ok_or_else(|| wrong("a string"))?),
            "count" => {
                let count = value.number().and_then(|number| number.parse().ok()).filter(|count| *count >= 0);
                read.count = Some(count.ok_or_else(|| wrong("a whole number"))?);
            }
            "proposed" if value.kind() == Kind::Object => read.proposed = Some(value),
            "proposed" => return Err(wrong("an object")),
            _ => {
                return Err(format!(
                    "`action.properties.{key}` is not known: there are field, to, count and proposed"
                ));
            }
        }
    }
    Ok(read)
}

/// No policy can read a key that the schema does not have; one that it has is never taken from the question.
fn read_context(context: Value<'_>, ignored: &mut Vec<String>) -> Result<(), String> {
    if context.kind() != Kind::Object {
        return Err("`context` must be an object".to_owned());
    }
    for member in context.members() {
        let key = member.key();
        if BASE_CONTEXT.contains(&key.as_ref()) {
            return Err(format!("`context.{key}` is set by the service and cannot be asked with"));
        }
        if ignored.len() < IGNORED_MAX {
            ignored.push(format!("context.{key}"));
        }
    }
    Ok(())
}

/// Keys of the context that the base schema has.
const BASE_CONTEXT: &[&str] = &[
    "now",
    "authLevel",
    "onBehalfOf",
    "breakGlassReason",
    "field",
    "from",
    "to",
    "approver",
    "proposed",
    "count",
];
const TEXT_BYTES_MAX: usize = 512;
const IGNORED_MAX: usize = 32;
