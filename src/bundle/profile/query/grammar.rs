//! The words of a form: how one CRM spells operators, conjunctions, directions and the keys of its conditions. Plain data.

use std::collections::BTreeMap;

use super::Form;
use crate::bundle::profile::types::KeyPattern;
use crate::config::reader::{Item, Table, Text};

/// How a form is spelled.
#[derive(Clone, Debug, Default)]
pub struct Grammar {
    /// What stands between the parts of a path through relations.
    pub separator: String,
    /// Whether the profile says so; else an object of conditions nests in place of it.
    pub has_separator: bool,
    /// Operators that may stand in a condition; any other is refused.
    pub operators: Vec<String>,
    /// Words for "all of these"; the first is the one that is written.
    pub and: Vec<String>,
    /// Words for "one of these".
    pub or: Vec<String>,
    /// Words for "not this".
    pub not: Vec<String>,
    /// The key that holds a field's name.
    pub name: String,
    /// The key that holds an operator.
    pub operator: String,
    /// The keys that hold values.
    pub value: Vec<String>,
    /// The key that holds conditions, beside the one that joins them.
    pub children: String,
    /// The key that says how conditions are joined; without it the words are keys themselves.
    pub combinator: Option<String>,
    /// What a list at the top means.
    pub list: Option<Join>,
    /// The operator that a bare value stands for.
    pub implicit: Option<String>,
    /// Keys by which an object is a value, such as `__class__`.
    pub objects: Vec<String>,
    /// Values that are refused: they may name a field.
    pub refused_values: Vec<KeyPattern>,
    /// What a condition on a record is compared with.
    pub record_ids: RecordIds,
    /// The key that holds a direction.
    pub direction: String,
    /// Words for directions; letter case does not matter.
    pub directions: Vec<String>,
    /// How deep names in brackets may go.
    pub levels: usize,
    /// Further fields that the CRM looks at, by full name; by the type and the name on the wire that make it do so, such as
    /// `Party.rec_name`.
    pub looks_at: BTreeMap<String, (Text, Vec<Text>)>,
}

/// How conditions are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// All must hold.
    And,
    /// One must hold.
    Or,
}

/// What a condition on a field that holds a record may be compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordIds {
    /// Anything: the CRM takes it for an id.
    #[default]
    Any,
    /// Numbers: the CRM would take a text for something else, such as a name.
    Numbers,
}

impl Grammar {
    /// What holds for a form if the profile says nothing.
    pub fn of(form: Form) -> Self {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let plain = Self {
            separator: ".".to_owned(),
            directions: words(&["asc", "desc"]),
            levels: LEVELS,
            ..Self::default()
        };
        match form {
            Form::OperatorSuffix | Form::Bracketed => Self { operators: words(OPERATORS), ..plain },
            Form::Prefix => Self { and: words(&["&"]), or: words(&["|"]), not: words(&["!"]), ..plain },
            _ => plain,
        }
    }

    /// The parts of a name; `None` if one is empty.
    pub fn path(&self, name: &str) -> Option<Vec<String>> {
        let parts: Vec<String> = name.split(self.separator.as_str()).map(str::to_owned).collect();
        parts.iter().all(|part| !part.is_empty()).then_some(parts)
    }

    /// The name of a path.
    pub fn spelled(&self, path: &[String]) -> String {
        path.join(&self.separator)
    }

    /// What a word does to conditions, if it does anything.
    pub fn joins(&self, word: &str) -> Option<Joined> {
        let has = |words: &[String]| words.iter().any(|known| known == word);
        match () {
            () if has(&self.and) => Some(Joined::By(Join::And)),
            () if has(&self.or) => Some(Joined::By(Join::Or)),
            () if has(&self.not) => Some(Joined::Not),
            () => None,
        }
    }

    /// The word that is written for a join.
    pub fn word(&self, join: Join) -> Option<&String> {
        match join {
            Join::And => self.and.first(),
            Join::Or => self.or.first(),
        }
    }

    /// Whether a word is a direction.
    pub fn is_direction(&self, word: &str) -> bool {
        self.directions.iter().any(|known| known.eq_ignore_ascii_case(word))
    }
}

/// What a word does to the conditions that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It joins them.
    By(Join),
    /// It turns one around.
    Not,
}

/// Reads what a rule says of its form's words. Keys that do not belong to the form are errors.
pub(super) fn read(table: &Table<'_>, form: Form) -> Option<Grammar> {
    let mut grammar = Grammar::of(form);
    let takes = |key: &str| keys_of(form).contains(&key);
    let words = |key: &str| -> Option<Vec<String>> {
        let words = if takes(key) { table.texts(key) } else { None };
        words.map(|words| words.into_iter().map(|text| text.value).collect())
    };
    let word = |key: &str| if takes(key) { table.text(key).map(|text| text.value) } else { None };
    if let Some(separator) = word("separator").filter(|separator| !separator.is_empty()) {
        (grammar.separator, grammar.has_separator) = (separator, true);
    }
    for (key, target) in [
        ("operators", &mut grammar.operators),
        ("and", &mut grammar.and),
        ("or", &mut grammar.or),
        ("not", &mut grammar.not),
        ("value", &mut grammar.value),
        ("objects", &mut grammar.objects),
        ("directions", &mut grammar.directions),
    ] {
        if let Some(stated) = words(key) {
            *target = stated;
        }
    }
    for (key, target) in [
        ("name", &mut grammar.name),
        ("operator", &mut grammar.operator),
        ("children", &mut grammar.children),
        ("direction", &mut grammar.direction),
    ] {
        *target = word(key).unwrap_or_default();
    }
    (grammar.combinator, grammar.implicit) = (word("combinator"), word("implicit"));
    if takes("list") {
        grammar.list = table.item("list").map_or(Some(None), |item| read_join(item).map(Some))?;
    }
    if takes("refused_values") {
        grammar.refused_values = read_patterns(table)?;
    }
    if takes("record_ids") {
        grammar.record_ids = table.item("record_ids").map_or(Some(RecordIds::Any), read_record_ids)?;
    }
    if takes("looks_at")
        && let Some(looks_at) = table.table("looks_at")
    {
        let entry = |(name, item): (Text, Item<'_>)| Some((name.value.clone(), (name, item.texts()?)));
        grammar.looks_at = looks_at.entries().into_iter().filter_map(entry).collect();
    }
    is_whole(table, form, &grammar).then_some(grammar)
}

/// Whether a form has the words that it cannot do without, each with one meaning.
fn is_whole(table: &Table<'_>, form: Form, grammar: &Grammar) -> bool {
    let error = |message: String, help: &str| {
        table.reading().error(table.span(), message, help);
        false
    };
    let lacks = |key: &str, help: &str| error(format!("a form `{}` needs `{key}`", form.name()), help);
    if form.is_filter_tree() && grammar.operators.is_empty() {
        return lacks("operators", "List the operators that may be used, e.g. `operators = [\"=\", \">\"]`.");
    }
    let keys = [("name", &grammar.name), ("operator", &grammar.operator)];
    let needed = match form {
        Form::Tree => keys.as_slice(),
        Form::JsonObjects => keys.get(..1).unwrap_or_default(),
        _ => &[],
    };
    if let Some((key, _)) = needed.iter().find(|(_, stated)| stated.is_empty()) {
        return lacks(key, "Say which key of a condition holds it, e.g. `name = \"field\"`.");
    }
    if form == Form::Tree && grammar.value.is_empty() {
        return lacks("value", "Say which keys of a condition hold values, e.g. `value = [\"value\"]`.");
    }
    if grammar.combinator.is_some() == grammar.children.is_empty() && form == Form::Tree {
        return lacks(
            "combinator",
            "`combinator` and `children` go together: the key that joins, and the key of what is joined.",
        );
    }
    let words = || [&grammar.and, &grammar.or, &grammar.not].into_iter().flatten();
    let mut all: Vec<&String> = words().collect();
    if grammar.combinator.is_none() {
        all.extend([&grammar.name, &grammar.operator].into_iter().chain(&grammar.value));
    }
    all.extend(&grammar.operators);
    all.retain(|word| !word.is_empty());
    let count = all.len();
    all.sort();
    all.dedup();
    if form.is_filter_tree() && all.len() != count {
        let help = "An operator, a conjunction and a key of a condition are told apart by their names.";
        return error("a word of this form has two meanings".to_owned(), help);
    }
    if let Some(implicit) = grammar.implicit.as_ref().filter(|word| !grammar.operators.contains(word)) {
        return error(format!("`{implicit}` is not one of `operators`"), "Add it there.");
    }
    true
}

fn read_join(item: Item<'_>) -> Option<Join> {
    let text = item.text()?;
    match text.value.as_str() {
        "and" => Some(Join::And),
        "or" => Some(Join::Or),
        other => {
            item.reading().error(text.span, format!("`{other}` joins nothing"), "There are and and or.");
            None
        }
    }
}

fn read_record_ids(item: Item<'_>) -> Option<RecordIds> {
    let text = item.text()?;
    match text.value.as_str() {
        "any" => Some(RecordIds::Any),
        "numbers" => Some(RecordIds::Numbers),
        other => {
            item.reading().error(
                text.span,
                format!("`{other}` is no kind of id"),
                "There are any and numbers.",
            );
            None
        }
    }
}

fn read_patterns(table: &Table<'_>) -> Option<Vec<KeyPattern>> {
    let read_one = |text: Text| {
        let pattern = KeyPattern::parse(&text.value);
        if pattern.is_none() {
            let message = format!("`{}` is no pattern", text.value);
            table.reading().error(text.span, message, "Use `*` at one end only.");
        }
        pattern
    };
    table.texts("refused_values").unwrap_or_default().into_iter().map(read_one).collect()
}

/// The keys that say something of a form.
fn keys_of(form: Form) -> &'static [&'static str] {
    match form {
        Form::Opaque => &[],
        Form::CommaList | Form::Repeated | Form::SignedList | Form::JsonList => &["separator", "looks_at"],
        Form::Key | Form::Bracketed | Form::OperatorSuffix => {
            &["separator", "looks_at", "operators", "refused_values"]
        }
        Form::DirectionList
        | Form::ColonList
        | Form::BracketList
        | Form::JsonPairs
        | Form::JsonPair
        | Form::JsonKeys => &["separator", "looks_at", "directions"],
        Form::JsonObjects => &["separator", "looks_at", "directions", "name", "direction"],
        Form::Triples => {
            &["separator", "looks_at", "operators", "and", "or", "objects", "refused_values", "record_ids"]
        }
        Form::Prefix => &[
            "separator",
            "looks_at",
            "operators",
            "and",
            "or",
            "not",
            "objects",
            "refused_values",
            "record_ids",
        ],
        Form::Object => &[
            "separator",
            "looks_at",
            "operators",
            "and",
            "or",
            "not",
            "implicit",
            "objects",
            "refused_values",
            "record_ids",
        ],
        Form::Tree => &[
            "separator",
            "looks_at",
            "operators",
            "and",
            "or",
            "not",
            "name",
            "operator",
            "value",
            "children",
            "combinator",
            "list",
            "objects",
            "refused_values",
            "record_ids",
        ],
    }
}

/// Operators that may stand behind a field's name, where the profile lists none.
pub const OPERATORS: &[&str] = &[
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "range",
    "isnull",
    "exact",
    "iexact",
    "contains",
    "icontains",
    "startswith",
    "istartswith",
    "endswith",
    "iendswith",
];

/// How deep names in brackets go to common readers if nobody tells them otherwise.
const LEVELS: usize = 5;
