//! Statements.

use super::{Parser, Read, is_keyword};
use crate::syntax::ast::{Block, CaseLabel, Expr, Name, Section, Stmt, StmtKind};
use crate::syntax::lexer::Token;
use crate::value::Type;
use smol_str::SmolStr;

impl Parser<'_, '_> {
    /// `{ … }`; the current token is the `{`.
    pub(super) fn block(&mut self) -> Read<Block> {
        self.enter()?;
        self.advance();
        let mut block = Block::default();
        while !self.is("}") {
            if *self.peek() == Token::End {
                return Err(self.expected("'}'", Some("a closing brace is missing somewhere above")));
            }
            let before = self.at;
            let depth = self.depth;
            match self.statement() {
                Ok(s) => block.statements.push(s),
                Err(failed) => {
                    if self.sink.full() {
                        return Err(failed);
                    }
                    self.depth = depth;
                    self.vector_end = false;
                    if self.handler_ahead() {
                        return Err(failed);
                    }
                    self.skip_statement(before);
                }
            }
        }
        block.end = self.span();
        self.advance();
        self.leave();
        Ok(block)
    }

    /// Whether what stands here can only be the next handler or state: a brace was forgotten.
    fn handler_ahead(&self) -> bool {
        matches!(self.peek(), Token::Name(n) if n == "default" || n == "state" && self.is_at(2, "{"))
            || *self.peek() == Token::End
    }

    /// Skips to behind the next `;`, or to a `}` that belongs to somebody further out.
    fn skip_statement(&mut self, from: usize) {
        let mut open = 0i32;
        for (t, _) in &self.list[from..self.at] {
            match t {
                Token::Sign("{") => open += 1,
                Token::Sign("}") => open -= 1,
                _ => {}
            }
        }
        let mut open = open.max(0);
        loop {
            match self.peek() {
                Token::End => return,
                Token::Sign("{") => open += 1,
                Token::Sign("}") if open == 0 => return,
                Token::Sign("}") => {
                    open -= 1;
                    if open == 0 {
                        self.advance();
                        return;
                    }
                }
                Token::Sign(";") if open == 0 => {
                    self.advance();
                    return;
                }
                // A statement keyword at the start of a line: what was broken ended before it.
                Token::Name(n)
                    if open == 0 && self.at > from && is_keyword(n) && n != "else" && self.fresh_line() =>
                {
                    return;
                }
                _ => {}
            }
            self.advance();
        }
    }

    fn statement(&mut self) -> Read<Stmt> {
        let start = self.span();
        let kind = self.statement_kind()?;
        Ok(Stmt { kind, span: start.to(self.previous()) })
    }

    /// The statement under an `if` or a loop.
    fn body(&mut self) -> Read<Stmt> {
        self.enter()?;
        let s = self.statement()?;
        self.leave();
        Ok(s)
    }

    fn statement_kind(&mut self) -> Read<StmtKind> {
        let span = self.span();
        let word: SmolStr = match self.peek() {
            Token::Sign(";") => {
                self.advance();
                return Ok(StmtKind::Empty);
            }
            Token::Sign("{") => return Ok(StmtKind::Block(self.block()?)),
            Token::Sign("@") => {
                self.advance();
                let name = self.name("a label's name")?;
                self.expect(";", "the label")?;
                return Ok(StmtKind::Label(name));
            }
            Token::Name(n) => n.clone(),
            _ => SmolStr::default(),
        };
        if let Some(ty) = self.type_ahead(0) {
            self.advance();
            let name = self.name("a variable's name")?;
            let init = if self.eat("=") { Some(self.expression()?) } else { None };
            self.expect(";", "the declaration")?;
            return Ok(StmtKind::Declare(ty, name, init));
        }
        if self.flow() && ["break", "continue", "constant", "switch"].contains(&word.as_str()) {
            return self.flow_control(&word);
        }
        match word.as_str() {
            "if" => self.if_chain(),
            "while" => {
                self.advance();
                let condition = self.condition("while")?;
                Ok(StmtKind::While(condition, Box::new(self.body()?)))
            }
            "do" => {
                self.advance();
                let body = self.body()?;
                if !self.eat_word("while") {
                    return Err(
                        self.expected("while after the body of do", Some("do { … } while (condition);"))
                    );
                }
                let condition = self.condition("while")?;
                self.expect(";", "do … while (…)")?;
                Ok(StmtKind::DoWhile(Box::new(body), condition))
            }
            "for" => {
                self.advance();
                self.expect("(", "after for")?;
                // YEngine lets the loop declare its variable, in a block of its own.
                if self.profile.is_opensim()
                    && let Some(ty) = self.type_ahead(0)
                {
                    return self.declaring_for(ty);
                }
                let init = self.expressions(";")?;
                self.expect(";", "the first part of for")?;
                let condition = if self.is(";") { None } else { Some(self.expression()?) };
                self.expect(";", "the condition of for")?;
                let step = self.expressions(")")?;
                self.expect(")", "the last part of for")?;
                Ok(StmtKind::For(init, condition, step, Box::new(self.body()?)))
            }
            "jump" => {
                self.advance();
                let name = self.name("a label's name")?;
                self.expect(";", "jump")?;
                Ok(StmtKind::Jump(name))
            }
            "return" => {
                self.advance();
                let value = if self.is(";") { None } else { Some(self.expression()?) };
                self.expect(";", "return")?;
                Ok(StmtKind::Return(value))
            }
            "state" => {
                self.advance();
                let at = self.span();
                let name = if self.eat_word("default") {
                    Name { text: SmolStr::new("default"), span: at }
                } else {
                    self.name("a state's name")?
                };
                self.expect(";", "the state change")?;
                Ok(StmtKind::State(name))
            }
            "else" => {
                let message = "this else belongs to no if".to_owned();
                let hint = "an if without braces holds one statement only; look for a ';' behind the if, or add braces";
                Err(self.fail(span, message, Some(hint.to_owned())))
            }
            "switch" | "foreach" if self.is_at(1, "(") => {
                let message = format!("LSL has no {word}");
                let hint = if self.profile.is_opensim() {
                    self.no_such_word(&word)
                } else {
                    "write if … else if …; some viewers' preprocessors know it, the grids do not".to_owned()
                };
                Err(self.fail(span, message, Some(hint)))
            }
            "default" => Err(self.expected(
                "a statement",
                Some("a '}' is missing above: the state begins inside another block"),
            )),
            _ => {
                let e = self.expression()?;
                // YEngine has the comma of C; as a statement of its own it is two.
                if self.profile.is_opensim() && self.is(",") {
                    let mut statements = vec![Stmt { span: e.span, kind: StmtKind::Expr(e) }];
                    while self.eat(",") {
                        let e = self.expression()?;
                        statements.push(Stmt { span: e.span, kind: StmtKind::Expr(e) });
                    }
                    let end = self.span();
                    self.expect(";", "the statement")?;
                    return Ok(StmtKind::Block(Block { statements, end }));
                }
                self.expect(";", "the statement")?;
                Ok(StmtKind::Expr(e))
            }
        }
    }

    /// `for (type name = value; …; …) …`; the current token is the type.
    fn declaring_for(&mut self, ty: Type) -> Read<StmtKind> {
        let start = self.span();
        self.advance();
        let name = self.name("a variable's name")?;
        let init = if self.eat("=") { Some(self.expression()?) } else { None };
        self.expect(";", "the first part of for")?;
        let declared = Stmt { span: start.to(self.previous()), kind: StmtKind::Declare(ty, name, init) };
        let condition = if self.is(";") { None } else { Some(self.expression()?) };
        self.expect(";", "the condition of for")?;
        let step = self.expressions(")")?;
        self.expect(")", "the last part of for")?;
        let body = Box::new(self.body()?);
        let end = self.previous();
        let kind = StmtKind::For(Vec::new(), condition, step, body);
        let statements = vec![declared, Stmt { span: start.to(end), kind }];
        Ok(StmtKind::Block(Block { statements, end }))
    }

    /// What `yoption advflowctl;` switches on.
    fn flow_control(&mut self, word: &str) -> Read<StmtKind> {
        self.advance();
        match word {
            "switch" => {
                let value = self.condition("switch")?;
                Ok(StmtKind::Switch(value, self.sections()?))
            }
            "constant" => {
                let name = self.name("a constant's name")?;
                self.expect("=", "after a constant's name")?;
                let value = self.expression()?;
                self.expect(";", "the constant")?;
                Ok(StmtKind::Declare(Type::Void, name, Some(value)))
            }
            _ => {
                self.expect(";", word)?;
                Ok(if word == "break" { StmtKind::Break } else { StmtKind::Continue })
            }
        }
    }

    /// The body of a switch.
    fn sections(&mut self) -> Read<Vec<Section>> {
        self.expect("{", "after the value of the switch")?;
        self.enter()?;
        let mut sections: Vec<Section> = Vec::new();
        while !self.is("}") {
            if *self.peek() == Token::End {
                return Err(self.expected("'}' at the end of the switch", None));
            }
            let label = if self.eat_word("case") {
                let first = self.expression()?;
                let last = if self.eat("...") { Some(self.expression()?) } else { None };
                Some(CaseLabel::Value(first, last))
            } else if self.is_word("default") && self.is_at(1, ":") {
                self.advance();
                Some(CaseLabel::Default)
            } else {
                None
            };
            match label {
                Some(label) => {
                    self.expect(":", "after a case")?;
                    sections.push(Section { label, statements: Vec::new() });
                }
                None => {
                    let statement = self.statement()?;
                    let Some(section) = sections.last_mut() else {
                        return Err(self.fail(
                            statement.span,
                            "a switch begins with case or default".to_owned(),
                            None,
                        ));
                    };
                    section.statements.push(statement);
                }
            }
        }
        self.advance();
        self.leave();
        Ok(sections)
    }

    fn condition(&mut self, word: &str) -> Read<Expr> {
        let after = format!("after {word}");
        self.expect("(", &after)?;
        let e = self.expression()?;
        self.expect(")", "the condition")?;
        Ok(e)
    }

    /// `if … else if … else`: read in a loop, so that a long chain is not a deep one.
    fn if_chain(&mut self) -> Read<StmtKind> {
        let mut branches = Vec::new();
        loop {
            self.advance();
            let condition = self.condition("if")?;
            branches.push((condition, self.body()?));
            if !self.eat_word("else") {
                return Ok(StmtKind::If(branches, None));
            }
            if !self.is_word("if") {
                return Ok(StmtKind::If(branches, Some(Box::new(self.body()?))));
            }
        }
    }

    fn expressions(&mut self, end: &str) -> Read<Vec<Expr>> {
        let mut out = Vec::new();
        if self.is(end) {
            return Ok(out);
        }
        if self.type_ahead(0).is_some() {
            return Err(self.expected(
                "an expression",
                Some("LSL does not declare variables inside for (…): declare it on the line above"),
            ));
        }
        loop {
            out.push(self.expression()?);
            if !self.eat(",") {
                return Ok(out);
            }
        }
    }
}
