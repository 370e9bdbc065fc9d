//! Tokens to tree. Errors say what was found, what would fix it, and reading goes on behind them.

mod expression;
mod statement;

use super::ast::{Block, FunctionDef, Global, HandlerDef, Name, ParamDef, Script, StateDef};
use super::lexer::{Token, Tokens, lex};
use super::span::Span;
use super::yoption::{YOption, YOptions};
use crate::diagnostic::{Diagnostics, Sink};
use crate::profile::Profile;
use crate::tables::type_named;
use crate::value::Type;
use smol_str::SmolStr;

/// How deep blocks, brackets and unary operators may nest: every later pass recurses over the tree.
pub(crate) const MAX_NESTING: u16 = 120;
/// How high the tree of one expression may grow, long chains of `+` included.
pub(crate) const MAX_HEIGHT: u16 = 400;

/// Parses a script. The tree holds what could be read even where there are errors.
#[must_use]
pub fn parse(source: &str, profile: Profile) -> (Script, Diagnostics) {
    let mut sink = Sink::new(source);
    let script = parse_into(&mut sink, profile);
    (script, sink.finish())
}

/// Parses a script, reporting into `sink`.
pub(crate) fn parse_into(sink: &mut Sink<'_>, profile: Profile) -> Script {
    let Tokens { list, directives, options, foreign } = lex(sink, profile);
    if let Some(first) = directives.first() {
        let words = &sink.source()[first.start as usize..first.end as usize];
        let word = words.split_whitespace().next().unwrap_or("#");
        let more = match directives.len() {
            1 => String::new(),
            n => format!(" (and {} more directives)", n - 1),
        };
        sink.error_hint(
            *first,
            "preprocessor",
            format!("{word} is a preprocessor directive{more}; no grid's compiler reads it"),
            "run the script through the preprocessor it was written for (Firestorm's, or a build script) and check the result",
        );
    }
    let mut parser =
        Parser { list, at: 0, depth: 0, vector_end: false, quiet_at: None, sink, profile, options };
    // Without its preprocessor, or without knowing its words, a script's errors would be noise.
    if !directives.is_empty() || foreign {
        return Script::default();
    }
    parser.script()
}

/// An error was reported; the caller decides where to read on.
pub(crate) struct Failed;

type Read<T> = Result<T, Failed>;

struct Parser<'s, 'src> {
    list: Vec<(Token, Span)>,
    at: usize,
    depth: u16,
    /// Reading the last part of a vector or rotation, where `>` may be its end.
    vector_end: bool,
    /// The token at which the last error was reported: one error per place.
    quiet_at: Option<usize>,
    sink: &'s mut Sink<'src>,
    profile: Profile,
    /// YEngine's own words that the script has switched on.
    options: YOptions,
}

impl Parser<'_, '_> {
    fn peek(&self) -> &Token {
        &self.list[self.at.min(self.list.len() - 1)].0
    }

    fn peek_at(&self, ahead: usize) -> &Token {
        &self.list[(self.at + ahead).min(self.list.len() - 1)].0
    }

    fn span(&self) -> Span {
        self.list[self.at.min(self.list.len() - 1)].1
    }

    fn previous(&self) -> Span {
        self.list[self.at.saturating_sub(1)].1
    }

    fn advance(&mut self) {
        if self.at < self.list.len() - 1 {
            self.at += 1;
        }
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(s) if *s == sign)
    }

    fn is_at(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.peek_at(ahead), Token::Sign(s) if *s == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Name(n) if n == word)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let yes = self.is(sign);
        if yes {
            self.advance();
        }
        yes
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let yes = self.is_word(word);
        if yes {
            self.advance();
        }
        yes
    }

    fn found(&self) -> String {
        match self.peek() {
            Token::Name(n) if is_keyword(n) => format!("the keyword {n}"),
            Token::Name(n) => format!("the name {n}"),
            Token::Integer(_) | Token::Float(_) => {
                let s = self.span();
                format!("the number {}", &self.sink.source()[s.start as usize..s.end as usize])
            }
            Token::Str(_) => "a string".to_owned(),
            Token::Sign(s) => format!("'{s}'"),
            Token::End => "the end of the script".to_owned(),
        }
    }

    fn fail(&mut self, span: Span, message: String, hint: Option<String>) -> Failed {
        if self.quiet_at != Some(self.at) {
            self.quiet_at = Some(self.at);
            self.sink.push(crate::diagnostic::Severity::Error, span, "syntax", message, hint);
        }
        Failed
    }

    /// Reports "expected …, found …" at the current token.
    fn expected(&mut self, what: &str, hint: Option<&str>) -> Failed {
        let message = format!("expected {what}, found {}", self.found());
        let span = self.span();
        self.fail(span, message, hint.map(str::to_owned))
    }

    fn expect(&mut self, sign: &'static str, after: &str) -> Read<()> {
        if self.eat(sign) {
            return Ok(());
        }
        if sign == ";" || sign == ")" || sign == "]" {
            // What is missing is missing behind the last token, not before the next one.
            let last = self.previous();
            let place = Span::new(last.end.saturating_sub(1).max(last.start), last.end);
            let hint = match self.peek() {
                Token::Sign("=") => "to compare, write ==".to_owned(),
                Token::Name(n) if YOption::of_word(n) == Some(YOption::AdvFlowCtl) => self.no_such_word(n),
                _ => format!("add '{sign}' here"),
            };
            let message = format!("'{sign}' is missing after {after}: found {}", self.found());
            let failed = self.fail(place, message, Some(hint));
            // A forgotten ';' at the end of a line: read on as if it were there.
            if sign == ";" && self.fresh_line() && *self.peek() != Token::End {
                return Ok(());
            }
            return Err(failed);
        }
        let what = format!("'{sign}' {after}");
        Err(self.expected(&what, None))
    }

    fn name(&mut self, what: &str) -> Read<Name> {
        let span = self.span();
        match self.peek() {
            Token::Name(n) if !is_keyword(n) => {
                let text = n.clone();
                self.advance();
                Ok(Name { text, span })
            }
            Token::Name(n) => {
                let message = format!("{n} is a word of the language and cannot be {what}");
                Err(self.fail(span, message, Some("choose another name".to_owned())))
            }
            Token::Integer(_) | Token::Float(_) | Token::Str(_) | Token::Sign(_) | Token::End => {
                Err(self.expected(what, None))
            }
        }
    }

    /// YEngine's words for flow control are on.
    fn flow(&self) -> bool {
        self.options.has(YOption::AdvFlowCtl)
    }

    /// What to do about a word that some LSL has and this grid's has not.
    fn no_such_word(&self, word: &str) -> String {
        match YOption::of_word(word) {
            Some(option) if self.profile.is_opensim() => {
                let name = option.name();
                format!(
                    "YEngine reads {word} only below a line `yoption {name};` at the top of the script; plain LSL has no {word}"
                )
            }
            _ => format!(
                "LSL has no {word}; some viewers' preprocessors and OpenSimulator's yoption have it, this grid has not"
            ),
        }
    }

    /// A type keyword at the current token.
    fn type_ahead(&self, ahead: usize) -> Option<Type> {
        match self.peek_at(ahead) {
            Token::Name(n) => match type_named(n) {
                Type::Void => None,
                t => Some(t),
            },
            Token::Integer(_) | Token::Float(_) | Token::Str(_) | Token::Sign(_) | Token::End => None,
        }
    }

    /// Enters one level of nesting; every `Ok` needs a [`Self::leave`].
    fn enter(&mut self) -> Read<()> {
        if self.depth >= MAX_NESTING {
            let span = self.span();
            let message = format!("nested deeper than {MAX_NESTING} levels");
            return Err(self.fail(span, message, Some("split this into functions or variables".to_owned())));
        }
        self.depth += 1;
        Ok(())
    }

    const fn leave(&mut self) {
        self.depth -= 1;
    }

    fn script(&mut self) -> Script {
        let mut script = Script::default();
        while *self.peek() != Token::End && !self.sink.full() {
            let before = self.at;
            if self.item(&mut script).is_err() {
                self.depth = 0;
                self.vector_end = false;
                self.skip_item(before);
            }
        }
        script
    }

    /// Skips to behind the item that could not be read: a `;` or the `}` that closes what was opened since `from`.
    fn skip_item(&mut self, from: usize) {
        let mut open = 0i32;
        for (t, _) in &self.list[from..self.at] {
            match t {
                Token::Sign("{") => open += 1,
                Token::Sign("}") => open -= 1,
                _ => {}
            }
        }
        if self.at == from {
            self.step_out(&mut open);
        }
        while *self.peek() != Token::End {
            let at_start = open <= 0
                && (self.is_word("default") && self.is_at(1, "{")
                    || self.is_word("state") && self.is_at(2, "{")
                    || self.type_ahead(0).is_some() && self.fresh_line());
            if at_start {
                return;
            }
            let closes = self.is("}") && open <= 1 || self.is(";") && open <= 0;
            self.step_out(&mut open);
            if closes {
                return;
            }
        }
    }

    fn fresh_line(&self) -> bool {
        self.sink.lines.line(self.previous().end) < self.sink.lines.line(self.span().start)
    }

    fn step_out(&mut self, open: &mut i32) {
        match self.peek() {
            Token::Sign("{") => *open += 1,
            Token::Sign("}") => *open -= 1,
            _ => {}
        }
        self.advance();
    }

    fn item(&mut self, script: &mut Script) -> Read<()> {
        let span = self.span();
        if self.is_word("default") {
            self.advance();
            script.states.push(self.state(Name { text: SmolStr::new("default"), span })?);
            return Ok(());
        }
        if self.eat_word("state") {
            let name = if self.is_word("default") {
                let message = "the default state is declared without the word state".to_owned();
                return Err(self.fail(span, message, Some("write default { … }".to_owned())));
            } else {
                self.name("the state's name")?
            };
            script.states.push(self.state(name)?);
            return Ok(());
        }
        if self.flow() && self.eat_word("constant") {
            let name = self.name("a constant's name")?;
            self.expect("=", "after a constant's name")?;
            let init = Some(self.expression()?);
            self.expect(";", "the constant")?;
            script.globals.push(Global { ty: Type::Void, name, init });
            return Ok(());
        }
        if let Some(ty) = self.type_ahead(0) {
            self.advance();
            let name = self.name("a variable's or function's name")?;
            if self.is("(") {
                let f = self.function(ty, name)?;
                script.functions.push(f);
                return Ok(());
            }
            let init = if self.eat("=") { Some(self.expression()?) } else { None };
            self.expect(";", "the declaration of a global variable")?;
            script.globals.push(Global { ty, name, init });
            return Ok(());
        }
        if matches!(self.peek(), Token::Name(n) if !is_keyword(n)) && self.is_at(1, "(") {
            let name = self.name("a function's name")?;
            let f = self.function(Type::Void, name)?;
            script.functions.push(f);
            return Ok(());
        }
        if self.is(";") {
            self.advance();
            // YEngine steps over it.
            if !self.profile.is_opensim() {
                self.sink.error_hint(span, "syntax", "a ';' on its own outside a function", "delete it");
            }
            return Ok(());
        }
        if self.is("}") {
            self.advance();
            self.sink.error_hint(
                span,
                "syntax",
                "this '}' closes nothing",
                "delete it, or look for a missing '{' above",
            );
            return Ok(());
        }
        let hint = match self.peek() {
            Token::Name(n) if n == "void" => "a function without a result has no type in front of its name",
            Token::Name(n) if n == "constant" && self.profile.is_opensim() => {
                "YEngine reads constant only below a line `yoption advflowctl;` at the top of the script"
            }
            Token::Name(n) if n == "constant" || n == "const" => {
                "LSL has no constants of your own: drop this word"
            }
            Token::Name(n) if n.eq_ignore_ascii_case("yoption") || n.eq_ignore_ascii_case("yoptions") => {
                "only OpenSimulator knows this line: it switches on words that this grid does not have"
            }
            Token::Name(n) if is_keyword(n) => {
                "statements stand inside functions and event handlers; look for a '}' too many above"
            }
            Token::Name(_) if matches!(self.peek_at(1), Token::Name(_)) => {
                "types are integer, float, string, key, vector, rotation and list"
            }
            _ => "a script consists of global variables, functions, then default { … } and other states",
        };
        Err(self.expected("a global variable, a function or a state", Some(hint)))
    }

    fn params(&mut self) -> Read<Vec<ParamDef>> {
        self.expect("(", "before the arguments")?;
        let mut out = Vec::new();
        while !self.is(")") {
            if !out.is_empty() {
                self.expect(",", "between arguments")?;
            }
            let Some(ty) = self.type_ahead(0) else {
                return Err(
                    self.expected("an argument's type", Some("each argument needs its type: integer count"))
                );
            };
            self.advance();
            out.push(ParamDef { ty, name: self.name("an argument's name")? });
        }
        self.expect(")", "the arguments")?;
        Ok(out)
    }

    fn function(&mut self, returns: Type, name: Name) -> Read<FunctionDef> {
        let params = self.params()?;
        let body = self.braces("the function's body")?;
        Ok(FunctionDef { returns, name, params, body })
    }

    fn state(&mut self, name: Name) -> Read<StateDef> {
        if !self.eat("{") {
            let what = format!("'{{' after the state {}", name.text);
            return Err(self.expected(&what, None));
        }
        let mut handlers = Vec::new();
        while !self.is("}") {
            if *self.peek() == Token::End {
                return Err(self.expected(
                    "'}' at the end of the state",
                    Some("a closing brace is missing somewhere above"),
                ));
            }
            if self.is(";") && self.profile == Profile::SecondLife {
                let span = self.span();
                self.advance();
                self.sink.error_hint(span, "syntax", "a ';' between event handlers", "delete it");
                continue;
            }
            if self.type_ahead(0).is_some() {
                return Err(self.expected(
                    "an event handler",
                    Some(
                        "a state holds only event handlers; variables and functions go above the first state",
                    ),
                ));
            }
            let handler = self.name("an event's name")?;
            let params = self.params()?;
            let body = self.braces("the event handler's body")?;
            handlers.push(HandlerDef { name: handler, params, body });
        }
        self.advance();
        Ok(StateDef { name, handlers })
    }

    fn braces(&mut self, what: &str) -> Read<Block> {
        if !self.is("{") {
            let what = format!("'{{' before {what}");
            return Err(self.expected(&what, None));
        }
        self.block()
    }
}

/// Words that cannot be names.
pub(crate) fn is_keyword(word: &str) -> bool {
    matches!(word, "default" | "state" | "jump" | "return" | "if" | "else" | "for" | "do" | "while" | "event")
        || type_named(word) != Type::Void
}
