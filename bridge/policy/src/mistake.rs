//! What is wrong with a policy, and where.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// One mistake: what, where, and what to do. Rendered by miette with the line and a mark under it.
#[derive(Debug, Clone)]
pub struct Mistake {
    message: String,
    help: Option<String>,
    label: String,
    place: Option<Place>,
}

/// Where in which text.
#[derive(Debug, Clone)]
struct Place {
    source: Arc<NamedSource<Arc<str>>>,
    span: Range<usize>,
}

impl Mistake {
    /// A mistake in the configuration that the policy is checked against.
    pub(crate) fn elsewhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, label: String::new(), place: None }
    }
    /// A mistake at a place in a text.
    pub(crate) fn at(
        source: &Arc<NamedSource<Arc<str>>>,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        let length = source.inner().len();
        let span = span.start.min(length)..span.end.min(length);
        let place = Some(Place { source: Arc::clone(source), span });
        Self { message: message.into(), help: None, label: label.into(), place }
    }
    /// The same with what to do about it.
    pub(crate) fn with_help(self, help: impl Into<Option<String>>) -> Self {
        Self { help: help.into(), ..self }
    }
    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.help.as_deref()
    }
    /// The file it is in; none if it is in the configuration.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.source.name())
    }
    /// Line and column, from 1, the column in characters.
    #[must_use]
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        let Place { source, span } = self.place.as_ref()?;
        Some(line_and_column(source.inner(), span.start))
    }
    /// Bytes of the text that are wrong.
    pub(crate) fn span(&self) -> Option<Range<usize>> {
        self.place.as_ref().map(|place| place.span.clone())
    }
}

/// Line and column of a byte of a text, from 1.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some((line, column))) = (self.file(), self.line_and_column()) {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| place.source.as_ref() as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let label = (!self.label.is_empty()).then(|| self.label.clone());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, place.span.clone()))))
    }
}

/// Everything that is wrong with the policy: all of it at once, in the order of files and lines.
#[derive(Debug, Clone)]
pub struct PolicyErrors {
    mistakes: Vec<Mistake>,
}

impl PolicyErrors {
    /// Sorted, and said once each. `None` when there are none.
    pub(crate) fn of(mut mistakes: Vec<Mistake>, files: &[&str]) -> Option<Self> {
        let order = |mistake: &Mistake| {
            let file = mistake.file().and_then(|file| files.iter().position(|name| *name == file));
            (file, mistake.span().map(|span| span.start))
        };
        mistakes.sort_by_key(order);
        mistakes.dedup_by(|a, b| a.file() == b.file() && a.span() == b.span() && a.message == b.message);
        (!mistakes.is_empty()).then_some(Self { mistakes })
    }
    /// The mistakes, at least one.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.as_slice() {
            [only] => write!(f, "the policy has a mistake: {only}"),
            [first, ..] => {
                write!(f, "the policy has {} mistakes; the first: {first}", self.mistakes.len())
            }
            [] => f.write_str("the policy has no mistakes"),
        }
    }
}

impl std::error::Error for PolicyErrors {}

impl Diagnostic for PolicyErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.mistakes.iter().map(|mistake| mistake as &dyn Diagnostic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a\né x";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, text.find('x').unwrap()), (2, 3));
        assert_eq!(line_and_column(text, 3), (2, 1), "inside the é");
        assert_eq!(line_and_column(text, 99), (2, 4));
    }
}
