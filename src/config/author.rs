//! Problems in files that people write: configuration, profiles, policies. Each has a message, a place and a way out.
//!
//! All problems of a file are gathered before anybody is told, so that one run names them all.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{
    Diagnostic, LabeledSpan, MietteError, MietteSpanContents, Severity, SourceCode, SourceSpan, SpanContents,
};

/// A file as the author named it, with its text.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The name shown in messages.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// Wraps a file's name and text for sharing between problems.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    /// The line number (from 1) of a byte offset.
    pub fn line_of(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// Problems share the text of their file: a large one is in memory once, however much is wrong with it.
impl SourceCode for SourceFile {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let found = self.text.read_span(span, lines_before, lines_after)?;
        let (data, span) = (found.data(), *found.span());
        let (line, column, lines) = (found.line(), found.column(), found.line_count());
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), data, span, line, column, lines)))
    }
}

/// One problem of one file.
#[derive(Clone, Debug)]
pub struct AuthorProblem {
    message: String,
    help: Option<String>,
    severity: Severity,
    lint: Option<&'static str>,
    source: Option<Arc<SourceFile>>,
    span: Option<Range<usize>>,
}

impl AuthorProblem {
    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            severity: Severity::Error,
            lint: None,
            source: None,
            span: None,
        }
    }

    /// A warning without a place.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// What a lint found: a warning with that lint's name.
    pub fn of_lint(self, name: &'static str) -> Self {
        Self { lint: Some(name), ..self.as_warning() }
    }

    /// The same as a warning, which stops no load.
    pub fn as_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// Adds the place.
    pub fn at(mut self, source: &Arc<SourceFile>, span: Range<usize>) -> Self {
        self.source = Some(Arc::clone(source));
        self.span = Some(span);
        self
    }

    /// Adds a sentence that can be acted on.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What is wrong, lower-case, without a full stop.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether it stops a load.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The name of the lint that found it.
    pub fn lint(&self) -> Option<&'static str> {
        self.lint
    }

    /// The way out.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The file's name and line, as `profile.toml:14`.
    pub fn place(&self) -> Option<String> {
        let source = self.source.as_ref()?;
        match &self.span {
            Some(span) => Some(format!("{}:{}", source.name, source.line_of(span.start))),
            None => Some(source.name.clone()),
        }
    }
}

impl fmt::Display for AuthorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AuthorProblem {}

impl Diagnostic for AuthorProblem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.lint.map(|name| Box::new(name) as Box<dyn fmt::Display>)
    }

    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_deref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(span))))
    }
}

/// Everything found wrong in one load.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    list: Vec<AuthorProblem>,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: AuthorProblem) {
        self.list.push(problem);
    }

    /// Adds all of another load.
    pub fn extend(&mut self, other: Problems) {
        self.list.extend(other.list);
    }

    /// Whether anything stops the load.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(AuthorProblem::is_error)
    }

    /// Every problem, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &AuthorProblem> {
        self.list.iter()
    }

    /// How many problems stop the load.
    pub fn error_count(&self) -> usize {
        self.list.iter().filter(|problem| problem.is_error()).count()
    }
}

impl From<AuthorProblem> for Problems {
    fn from(problem: AuthorProblem) -> Self {
        Self { list: vec![problem] }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            match problem.place() {
                Some(place) => write!(f, "{place}: {problem}")?,
                None => write!(f, "{problem}")?,
            }
            match problem.help_text() {
                Some(help) => writeln!(f, " (help: {help})")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// The known name nearest to what was typed, if it is near enough to be a typo.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), name))
        .filter(|(distance, name)| *distance <= (name.len().max(typed.len()) / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_finds_typos_only() {
        assert_eq!(nearest("adress", ["address", "limits"]), Some("address"));
        assert_eq!(nearest("tiemout_ms", ["timeout_ms", "address"]), Some("timeout_ms"));
        assert_eq!(nearest("zebra", ["address", "limits"]), None);
    }

    #[test]
    fn a_place_is_file_and_line() {
        let source = SourceFile::new("profile.toml", "a = 1\nb = 2\n");
        let problem = AuthorProblem::error("`b` is not known").at(&source, 6..7);
        assert_eq!(problem.place().as_deref(), Some("profile.toml:2"));
    }
}
