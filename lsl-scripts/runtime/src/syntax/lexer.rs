//! Text to tokens.

use super::span::{Span, offset};
use super::yoption::{YOption, YOptions};
use crate::diagnostic::Sink;
use crate::profile::Profile;
use crate::value::Text;
use smol_str::SmolStr;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name or keyword.
    Name(SmolStr),
    /// An integer literal.
    Integer(i32),
    /// A float literal.
    Float(f64),
    /// A string literal, escapes resolved.
    Str(Text),
    /// An operator or bracket.
    Sign(&'static str),
    /// The end of the script.
    End,
}

/// Longest first, so that the first match is the longest.
const SIGNS: [&str; 46] = [
    "<<=", ">>=", "&&&", "|||", "...", "++", "--", "+=", "-=", "*=", "/=", "%=", "==", "!=", "<=", ">=",
    "<<", ">>", "&&", "||", "&=", "|=", "^=", "+", "-", "*", "/", "%", "=", "<", ">", "!", "~", "&", "|",
    "^", "(", ")", "{", "}", "[", "]", ",", ";", "@", ".",
];

/// The tokens of a source; always ends with [`Token::End`].
#[derive(Debug)]
pub struct Tokens {
    /// Each token and where it stands.
    pub list: Vec<(Token, Span)>,
    /// Lines that begin with `#`: the script wants a preprocessor.
    pub directives: Vec<Span>,
    /// Words of YEngine's own that the script has switched on.
    pub options: YOptions,
    /// A switched-on word that this checker does not know stands in the script.
    pub foreign: bool,
}

/// Cuts a source into tokens.
pub(crate) fn lex(sink: &mut Sink<'_>, profile: Profile) -> Tokens {
    let source = sink.source();
    let mut l = Lexer {
        bytes: source.as_bytes(),
        source,
        at: 0,
        profile,
        out: Vec::new(),
        directives: Vec::new(),
        options: YOptions::default(),
        foreign: false,
    };
    l.run(sink);
    Tokens { list: l.out, directives: l.directives, options: l.options, foreign: l.foreign }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    source: &'a str,
    at: usize,
    profile: Profile,
    out: Vec<(Token, Span)>,
    directives: Vec<Span>,
    options: YOptions,
    foreign: bool,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn span(&self, start: usize) -> Span {
        Span::new(offset(start), offset(self.at))
    }

    fn push(&mut self, token: Token, start: usize) {
        let span = self.span(start);
        self.out.push((token, span));
    }

    fn run(&mut self, sink: &mut Sink<'_>) {
        let mut fresh_line = true;
        while self.at < self.bytes.len() {
            let start = self.at;
            let c = self.bytes[self.at];
            match c {
                b'\n' => {
                    fresh_line = true;
                    self.at += 1;
                    continue;
                }
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {
                    self.at += 1;
                    continue;
                }
                b'/' if self.peek(1) == b'/' => {
                    self.at += self.source[start..].find('\n').unwrap_or(self.source.len() - start);
                    continue;
                }
                b'/' if self.peek(1) == b'*' => {
                    match self.source[start + 2..].find("*/") {
                        Some(n) => self.at += n + 4,
                        None => {
                            self.at = self.bytes.len();
                            let span = Span::new(offset(start), offset(start + 2));
                            let text = "this comment is never closed";
                            if self.profile.is_opensim() {
                                sink.error_hint(span, "open-comment", text, "close it with */");
                            } else {
                                sink.warn_hint(span, "open-comment", text, "close it with */");
                            }
                        }
                    }
                    continue;
                }
                b'#' if fresh_line => {
                    self.directive(start);
                    continue;
                }
                b'"' => self.string(start, "", sink),
                b'0'..=b'9' => self.number(start, sink),
                b'.' if self.peek(1).is_ascii_digit() => self.number(start, sink),
                // An oddity of Linden's lexer: L"text" is a string that begins with a quotation mark.
                b'L' if self.peek(1) == b'"' && !self.profile.is_opensim() => {
                    self.at += 1;
                    self.string(start, "\"", sink);
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == b'_' {
                        self.at += 1;
                    }
                    let word = &self.source[start..self.at];
                    self.push(Token::Name(SmolStr::new(word)), start);
                    self.foreign_word(word, start, sink);
                }
                b';' if self.profile.is_opensim() && self.option(start, sink) => self.at += 1,
                _ => self.sign(start, sink),
            }
            fresh_line = false;
        }
        self.push(Token::End, self.at);
    }

    /// At a `;`: whether it ends `yoptions;` or `yoption name;`. YEngine takes those out of the script, wherever they stand.
    fn option(&mut self, start: usize, sink: &mut Sink<'_>) -> bool {
        let name = |back: usize| match self.out.len().checked_sub(back).and_then(|i| self.out.get(i)) {
            Some((Token::Name(n), span)) => Some((n.clone(), *span)),
            _ => None,
        };
        let Some((last, at)) = name(1) else { return false };
        if last.eq_ignore_ascii_case("yoptions") {
            self.out.truncate(self.out.len() - 1);
            return self.options.switch_on(None);
        }
        if !name(2).is_some_and(|(n, _)| n.eq_ignore_ascii_case("yoption")) {
            return false;
        }
        self.out.truncate(self.out.len() - 2);
        if !self.options.switch_on(Some(&last)) {
            let hint = "there are advflowctl, trycatch, arrays, objects, chars, dollarsigns, norighttoleft and allowall";
            sink.error_hint(at, "unknown-yoption", format!("YEngine knows no option {last}"), hint);
        }
        if last.eq_ignore_ascii_case(YOption::NoRightToLeft.name()) {
            let span = Span::new(at.start, offset(start + 1));
            let text = "operands are still evaluated from right to left here";
            sink.warn_hint(
                span,
                "unknown-extension",
                text,
                "this runner does not know yoption norighttoleft",
            );
        }
        true
    }

    /// A word that is one of the language only because of an option, and that nothing here can read.
    fn foreign_word(&mut self, word: &str, start: usize, sink: &mut Sink<'_>) {
        let Some(option) = YOption::of_word(word).filter(|o| self.options.has(*o) && !o.is_known()) else {
            return;
        };
        if !self.foreign {
            self.foreign = true;
            sink.error_hint(
                self.span(start),
                "unknown-extension",
                format!("{word} belongs to YEngine's extension {}, which this checker does not read", option.name()),
                "OpenSimulator may take this script all the same; of YEngine's extensions only advflowctl is known here",
            );
        }
    }

    /// `#…` up to the end of the line, or of several where lines end in a backslash.
    fn directive(&mut self, start: usize) {
        loop {
            let rest = &self.source[self.at..];
            let line = rest.find('\n').unwrap_or(rest.len());
            let continued = rest[..line].trim_end().ends_with('\\');
            self.at += line;
            if !continued || self.at >= self.bytes.len() {
                break;
            }
            self.at += 1;
        }
        self.directives.push(self.span(start));
    }

    fn string(&mut self, start: usize, prefix: &str, sink: &mut Sink<'_>) {
        let mut text = prefix.to_owned();
        self.at += 1;
        loop {
            let rest = &self.source[self.at..];
            let Some(n) = rest.find(['"', '\\']) else {
                self.at = self.bytes.len();
                let first = self.source[start..].lines().next().unwrap_or_default().trim_end().len();
                let span = Span::new(offset(start), offset(start + first));
                sink.error_hint(span, "open-string", "this string is never closed", "close it with \"");
                break;
            };
            text.push_str(&rest[..n]);
            self.at += n + 1;
            if rest.as_bytes()[n] == b'"' {
                break;
            }
            let Some(c) = self.source[self.at..].chars().next() else { continue };
            self.at += c.len_utf8();
            match c {
                'n' => text.push('\n'),
                't' => text.push_str("    "),
                other => text.push(other),
            }
        }
        if text.contains('\r') {
            text = text.replace("\r\n", "\n");
        }
        self.push(Token::Str(Text::from(text)), start);
    }

    fn digits(&mut self) {
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
    }

    fn number(&mut self, start: usize, sink: &mut Sink<'_>) {
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X') && self.peek(2).is_ascii_hexdigit() {
            self.at += 2;
            while self.peek(0).is_ascii_hexdigit() {
                self.at += 1;
            }
            let value = u32::from_str_radix(&self.source[start + 2..self.at], 16);
            self.integer(value.ok(), start, sink);
            return;
        }
        self.digits();
        let mut float = false;
        let mut point = false;
        if self.peek(0) == b'.' {
            point = true;
            float = true;
            self.at += 1;
            self.digits();
        }
        let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
        if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
            float = true;
            self.at += 1 + sign;
            self.digits();
        }
        let literal = &self.source[start..self.at];
        if float && matches!(self.peek(0), b'f' | b'F') {
            self.at += 1;
        }
        if !float {
            let value = literal.parse::<u32>().ok();
            self.integer(value, start, sink);
            return;
        }
        if !point && self.profile.is_opensim() {
            let (mantissa, exponent) = literal.split_once(['e', 'E']).unwrap_or((literal, "0"));
            sink.error_hint(
                self.span(start),
                "float-form",
                format!("YEngine does not read {literal} as a float: it needs a decimal point"),
                format!("write {mantissa}.0e{exponent}"),
            );
        }
        let mut value: f64 = literal.parse().unwrap_or(f64::INFINITY);
        if self.profile.single_precision() {
            value = f64::from(value as f32);
        }
        self.push(Token::Float(value), start);
    }

    fn integer(&mut self, value: Option<u32>, start: usize, sink: &mut Sink<'_>) {
        let literal = &self.source[start..self.at];
        let value = match value {
            Some(v) => v.cast_signed(),
            None => {
                let text = format!("{literal} does not fit into an integer");
                if self.profile.is_opensim() {
                    sink.error_hint(self.span(start), "integer-range", text, "integers have 32 bits");
                } else {
                    sink.warn_hint(
                        self.span(start),
                        "integer-range",
                        text,
                        "integers have 32 bits; Second Life makes it -1",
                    );
                }
                -1
            }
        };
        self.push(Token::Integer(value), start);
    }

    fn sign(&mut self, start: usize, sink: &mut Sink<'_>) {
        let rest = &self.bytes[start..];
        // Only YEngine has these; on Second Life `a &&& b` is two operators.
        let known = |s: &str| self.profile.is_opensim() || !["&&&", "|||", "..."].contains(&s);
        if let Some(s) = SIGNS.iter().find(|s| rest.starts_with(s.as_bytes()) && known(s)) {
            self.at += s.len();
            self.push(Token::Sign(s), start);
            return;
        }
        if self.profile.is_opensim() {
            for s in ["?", ":"] {
                if rest.starts_with(s.as_bytes()) {
                    self.at += 1;
                    self.push(Token::Sign(s), start);
                    return;
                }
            }
        }
        let c = self.source[start..].chars().next().unwrap_or('\u{FFFD}');
        self.at += c.len_utf8();
        if c == '\u{FEFF}' && start == 0 {
            return;
        }
        let span = self.span(start);
        let (text, hint) = match c {
            '?' | ':' => ("LSL has no ?: operator".to_owned(), "use if and else"),
            '\'' => ("text in LSL stands between double quotes".to_owned(), "write \"…\""),
            '“' | '”' | '„' => (
                format!("{c} is a typographic quotation mark"),
                "type a straight \" (word processors replace it)",
            ),
            _ if c.is_ascii_graphic() => (format!("{c} has no meaning in LSL outside a string"), "delete it"),
            _ => (format!("the character {c:?} (U+{:04X}) has no meaning here", u32::from(c)), "delete it"),
        };
        // Linden's lexer steps over every character it does not know.
        if self.profile.is_opensim() || c == ':' {
            sink.error_hint(span, "unknown-character", text, hint);
        } else {
            sink.warn_hint(span, "unknown-character", format!("{text}; Second Life skips it"), hint);
        }
    }
}
