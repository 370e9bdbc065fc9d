//! What is wrong with a script, as plain data, and how to print it.

use crate::syntax::span::{LineIndex, Span};
use serde::Serialize;
use std::fmt::Write as _;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The grid compiles the script, but it hardly does what was meant.
    Warning,
    /// The grid does not compile the script.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A stable short name of the kind of finding, for filters: `unknown-function`, `type-mismatch`, …
    pub code: &'static str,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, in characters.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column one past the end.
    pub end_column: u32,
    /// What is wrong.
    pub message: String,
    /// What would mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// All findings of one script, in the order of the source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Whether the script would not compile.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|d| d.severity == Severity::Error)
    }

    /// The warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|d| d.severity == Severity::Warning)
    }

    /// Prints every finding with its source line and a caret below the place.
    #[must_use]
    pub fn render(&self, file: &str, source: &str) -> String {
        let mut out = String::new();
        for d in &self.0 {
            out.push_str(&d.render(file, source));
        }
        out
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_char('\n')?;
            }
            write!(f, "{}:{}: {}", d.line, d.column, d.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostic {
    /// `file:line:column: error[code]: message`, the source line, a caret and the hint.
    #[must_use]
    pub fn render(&self, file: &str, source: &str) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut out =
            format!("{file}:{}:{}: {severity}[{}]: {}\n", self.line, self.column, self.code, self.message);
        if let Some(text) = source.lines().nth(self.line as usize - 1) {
            let number = self.line.to_string();
            let pad = " ".repeat(number.len());
            // Very long lines (minified scripts) are cut to a window around the place.
            let column = self.column as usize - 1;
            let skip = column.saturating_sub(70);
            let shown: String = text
                .chars()
                .skip(skip)
                .take(140)
                .map(|c| if c == '\t' || c.is_control() { ' ' } else { c })
                .collect();
            let width = if self.end_line == self.line {
                (self.end_column.saturating_sub(self.column) as usize).max(1)
            } else {
                shown.chars().count().saturating_sub(column - skip).max(1)
            };
            let width = width.min(140 - (column - skip).min(139));
            out.push_str(&format!("{pad} |\n{number} | {shown}\n"));
            out.push_str(&format!("{pad} | {}{}\n", " ".repeat(column - skip), "^".repeat(width)));
        }
        if let Some(hint) = &self.hint {
            out.push_str(&format!("  help: {hint}\n"));
        }
        out
    }
}

/// Collects findings while a script is read; bounded, so that a hostile script cannot make an endless report.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    source: &'a str,
    pub(crate) lines: LineIndex,
    found: Vec<(u32, Diagnostic)>,
    errors: usize,
}

/// More errors than this help nobody.
const MAX_FINDINGS: usize = 100;

impl<'a> Sink<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        Self { source, lines: LineIndex::new(source), found: Vec::new(), errors: 0 }
    }

    pub(crate) const fn source(&self) -> &'a str {
        self.source
    }

    pub(crate) fn error(&mut self, span: Span, code: &'static str, message: impl Into<String>) {
        self.push(Severity::Error, span, code, message.into(), None);
    }

    pub(crate) fn error_hint(
        &mut self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Error, span, code, message.into(), Some(hint.into()));
    }

    pub(crate) fn warn(&mut self, span: Span, code: &'static str, message: impl Into<String>) {
        self.push(Severity::Warning, span, code, message.into(), None);
    }

    pub(crate) fn warn_hint(
        &mut self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Severity::Warning, span, code, message.into(), Some(hint.into()));
    }

    pub(crate) fn push(
        &mut self,
        severity: Severity,
        span: Span,
        code: &'static str,
        message: String,
        hint: Option<String>,
    ) {
        if severity == Severity::Error {
            self.errors += 1;
        }
        if self.found.len() >= MAX_FINDINGS {
            return;
        }
        let (line, column) = self.lines.position(self.source, span.start);
        let (end_line, end_column) = self.lines.position(self.source, span.end.max(span.start));
        self.found.push((
            span.start,
            Diagnostic { severity, code, line, column, end_line, end_column, message, hint },
        ));
    }

    pub(crate) const fn errors(&self) -> usize {
        self.errors
    }

    pub(crate) const fn full(&self) -> bool {
        self.found.len() >= MAX_FINDINGS
    }

    pub(crate) fn finish(mut self) -> Diagnostics {
        self.found.sort_by_key(|(at, _)| *at);
        let mut out: Vec<Diagnostic> = self.found.into_iter().map(|(_, d)| d).collect();
        out.dedup();
        // A script whose errors all lie beyond the limit must still count as failed.
        if self.errors > 0 && !out.iter().any(|d| d.severity == Severity::Error) {
            out.push(Diagnostic {
                severity: Severity::Error,
                code: "too-many",
                line: 1,
                column: 1,
                end_line: 1,
                end_column: 1,
                message: format!("{} more errors", self.errors),
                hint: None,
            });
        }
        Diagnostics(out)
    }
}
