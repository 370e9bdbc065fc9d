//! Expressions, by precedence.
//!
//! From loose to tight: assignment (binds to the variable directly before it, reads everything to its right),
//! `?:`, `|||`, `&&&` (YEngine), `&&` and `||` (equal rank, from the left), `|`, `^`, `&`, `== !=`, `< <= > >=`, `<< >>`,
//! `+ -`, `* / %`, then casts and the operators with one operand.

use super::{MAX_HEIGHT, Parser, Read};
use crate::syntax::ast::{BinaryOp, Expr, ExprKind, Name, UnaryOp};
use crate::syntax::lexer::Token;
use crate::syntax::span::Span;
use crate::value::Text;

impl Parser<'_, '_> {
    /// Any expression.
    pub(super) fn expression(&mut self) -> Read<Expr> {
        self.enter()?;
        let e = self.binary(0)?;
        let e = if self.is("?") { self.choose(e)? } else { e };
        self.leave();
        Ok(e)
    }

    /// An expression inside brackets, where `>` is always a comparison.
    fn bracketed(&mut self) -> Read<Expr> {
        let outer = std::mem::replace(&mut self.vector_end, false);
        let e = self.expression()?;
        self.vector_end = outer;
        Ok(e)
    }

    fn choose(&mut self, condition: Expr) -> Read<Expr> {
        self.advance();
        let yes = self.expression()?;
        self.expect(":", "between the two values of ?:")?;
        let no = self.expression()?;
        let span = condition.span.to(no.span);
        let height = condition.height.max(yes.height).max(no.height);
        self.node(ExprKind::Choose(Box::new([condition, yes, no])), span, height)
    }

    fn node(&mut self, kind: ExprKind, span: Span, below: u16) -> Read<Expr> {
        let height = below + 1;
        if height > MAX_HEIGHT {
            let message = format!("this expression has more than {MAX_HEIGHT} levels");
            return Err(self.fail(span, message, Some("compute it in several steps".to_owned())));
        }
        Ok(Expr { kind, span, height })
    }

    fn operator(&self) -> Option<(BinaryOp, u8)> {
        let Token::Sign(s) = self.peek() else { return None };
        Some(match *s {
            "|||" => (BinaryOp::OrElse, 1),
            "&&&" => (BinaryOp::AndThen, 2),
            "&&" => (BinaryOp::And, 3),
            "||" => (BinaryOp::Or, 3),
            "|" => (BinaryOp::BitOr, 4),
            "^" => (BinaryOp::BitXor, 5),
            "&" => (BinaryOp::BitAnd, 6),
            "==" => (BinaryOp::Eq, 7),
            "!=" => (BinaryOp::Ne, 7),
            "<" => (BinaryOp::Lt, 8),
            "<=" => (BinaryOp::Le, 8),
            ">" if self.closes_vector() => return None,
            ">" => (BinaryOp::Gt, 8),
            ">=" => (BinaryOp::Ge, 8),
            "<<" => (BinaryOp::Shl, 9),
            ">>" => (BinaryOp::Shr, 9),
            "+" => (BinaryOp::Add, 10),
            "-" => (BinaryOp::Sub, 10),
            "*" => (BinaryOp::Mul, 11),
            "/" => (BinaryOp::Div, 11),
            "%" => (BinaryOp::Mod, 11),
            _ => return None,
        })
    }

    /// In the last part of a vector, `>` is a comparison only if what follows can begin nothing but an operand.
    fn closes_vector(&self) -> bool {
        self.vector_end
            && !matches!(
                self.peek_at(1),
                Token::Name(_) | Token::Integer(_) | Token::Float(_) | Token::Str(_) | Token::Sign("(" | "[")
            )
    }

    fn binary(&mut self, least: u8) -> Read<Expr> {
        let mut left = self.unary()?;
        while let Some((op, rank)) = self.operator() {
            if rank < least {
                break;
            }
            self.advance();
            let right = self.binary(rank + 1)?;
            let span = left.span.to(right.span);
            let height = left.height.max(right.height);
            left = self.node(ExprKind::Binary(op, Box::new(left), Box::new(right)), span, height)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Read<Expr> {
        let start = self.span();
        let op = match self.peek() {
            Token::Sign("-") => Some(UnaryOp::Negate),
            Token::Sign("!") => Some(UnaryOp::Not),
            Token::Sign("~") => Some(UnaryOp::Complement),
            _ => None,
        };
        if let Some(op) = op {
            self.enter()?;
            self.advance();
            let operand = self.unary()?;
            self.leave();
            let (span, height) = (start.to(operand.span), operand.height);
            return self.node(ExprKind::Unary(op, Box::new(operand)), span, height);
        }
        let step = match self.peek() {
            Token::Sign("++") => Some(1),
            Token::Sign("--") => Some(-1),
            _ => None,
        };
        if let Some(by) = step {
            self.enter()?;
            self.advance();
            let target = self.postfix()?;
            self.leave();
            let (span, height) = (start.to(target.span), target.height);
            return self.node(ExprKind::Step { prefix: true, by, target: Box::new(target) }, span, height);
        }
        if self.is("(")
            && self.is_at(2, ")")
            && let Some(ty) = self.type_ahead(1)
        {
            self.enter()?;
            self.advance();
            self.advance();
            self.advance();
            let operand = self.unary()?;
            self.leave();
            let (span, height) = (start.to(operand.span), operand.height);
            return self.node(ExprKind::Cast(ty, Box::new(operand)), span, height);
        }
        let e = self.postfix()?;
        self.assignment(e)
    }

    /// `variable = …` and its relatives: they bind to the variable directly before the sign.
    fn assignment(&mut self, target: Expr) -> Read<Expr> {
        let op = match self.peek() {
            Token::Sign("=") => None,
            Token::Sign("+=") => Some(BinaryOp::Add),
            Token::Sign("-=") => Some(BinaryOp::Sub),
            Token::Sign("*=") => Some(BinaryOp::Mul),
            Token::Sign("/=") => Some(BinaryOp::Div),
            Token::Sign("%=") => Some(BinaryOp::Mod),
            Token::Sign("&=") => Some(BinaryOp::BitAnd),
            Token::Sign("|=") => Some(BinaryOp::BitOr),
            Token::Sign("^=") => Some(BinaryOp::BitXor),
            Token::Sign("<<=") => Some(BinaryOp::Shl),
            Token::Sign(">>=") => Some(BinaryOp::Shr),
            _ => return Ok(target),
        };
        if let Some(
            op @ (BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor | BinaryOp::Shl | BinaryOp::Shr),
        ) = op
            && !self.profile.is_opensim()
        {
            let sign = op.sign();
            let span = self.span();
            let message = format!("Second Life has no {sign}= operator");
            return Err(self.fail(span, message, Some(format!("write a = a {sign} b"))));
        }
        if !matches!(target.kind, ExprKind::Var(_) | ExprKind::Member(..)) {
            let message = "only a variable, or one part of it, can be assigned to".to_owned();
            return Err(self.fail(target.span, message, Some("to compare, write ==".to_owned())));
        }
        self.advance();
        let value = self.expression()?;
        let (span, height) = (target.span.to(value.span), target.height.max(value.height));
        self.node(ExprKind::Assign(op, Box::new(target), Box::new(value)), span, height)
    }

    /// A primary expression with `.x`, `++` and `--` behind it.
    fn postfix(&mut self) -> Read<Expr> {
        let mut e = self.primary()?;
        loop {
            if self.is(".") {
                self.advance();
                let member = self.name("x, y, z or s")?;
                let (span, height) = (e.span.to(member.span), e.height);
                e = self.node(ExprKind::Member(Box::new(e), member), span, height)?;
                continue;
            }
            let by = match self.peek() {
                Token::Sign("++") => 1,
                Token::Sign("--") => -1,
                _ => return Ok(e),
            };
            if !matches!(e.kind, ExprKind::Var(_) | ExprKind::Member(..)) {
                return Ok(e);
            }
            let (span, height) = (e.span.to(self.span()), e.height);
            self.advance();
            e = self.node(ExprKind::Step { prefix: false, by, target: Box::new(e) }, span, height)?;
        }
    }

    fn primary(&mut self) -> Read<Expr> {
        let span = self.span();
        let kind = match self.peek() {
            Token::Integer(i) => ExprKind::Integer(*i),
            Token::Float(f) => ExprKind::Float(*f),
            Token::Str(s) => {
                let text: Text = s.clone();
                ExprKind::Str(text)
            }
            Token::Name(n) if super::is_keyword(n) => {
                let hint = if crate::tables::type_named(n) == crate::value::Type::Void {
                    None
                } else {
                    Some("a cast is written (type)value; a variable cannot be declared inside an expression")
                };
                return Err(self.expected("an expression", hint));
            }
            Token::Name(n) => {
                let name = Name { text: n.clone(), span };
                self.advance();
                if self.is("(") {
                    self.advance();
                    let (args, below) = self.items(")", "the arguments")?;
                    let span = span.to(self.previous());
                    return self.node(ExprKind::Call(name, args), span, below);
                }
                return self.node(ExprKind::Var(name), span, 0);
            }
            Token::Sign("(") => {
                self.advance();
                let inner = self.bracketed()?;
                self.expect(")", "the expression in brackets")?;
                let (span, height) = (span.to(self.previous()), inner.height);
                return self.node(ExprKind::Paren(Box::new(inner)), span, height);
            }
            Token::Sign("[") => {
                self.advance();
                let (items, below) = self.items("]", "the list")?;
                let span = span.to(self.previous());
                return self.node(ExprKind::List(items), span, below);
            }
            Token::Sign("<") => return self.vector(span),
            _ => return Err(self.expected("an expression", None)),
        };
        self.advance();
        self.node(kind, span, 0)
    }

    /// Values between commas up to `end`, which is eaten.
    fn items(&mut self, end: &'static str, what: &str) -> Read<(Vec<Expr>, u16)> {
        let outer = std::mem::replace(&mut self.vector_end, false);
        let mut out = Vec::new();
        let mut below = 0;
        while !self.is(end) {
            let e = self.expression()?;
            below = below.max(e.height);
            out.push(e);
            if !self.eat(",") {
                break;
            }
            if self.is(end) {
                let span = self.previous();
                return Err(self.fail(span, format!("a comma before '{end}'"), Some("delete it".to_owned())));
            }
        }
        self.expect(end, what)?;
        self.vector_end = outer;
        Ok((out, below))
    }

    /// `<x, y, z>` or `<x, y, z, s>`; the current token is the `<`.
    fn vector(&mut self, start: Span) -> Read<Expr> {
        self.enter()?;
        self.advance();
        let outer = std::mem::replace(&mut self.vector_end, false);
        let x = self.expression()?;
        self.expect(",", "after the first part of a vector")?;
        let y = self.expression()?;
        self.expect(",", "after the second part of a vector")?;
        self.vector_end = true;
        let z = self.expression()?;
        let s = if self.eat(",") { Some(self.expression()?) } else { None };
        self.vector_end = outer;
        if !self.eat(">") {
            return Err(self.expected("'>' at the end of the vector", None));
        }
        self.leave();
        let span = start.to(self.previous());
        let below = x.height.max(y.height).max(z.height);
        match s {
            None => self.node(ExprKind::Vector(Box::new([x, y, z])), span, below),
            Some(s) => {
                let below = below.max(s.height);
                self.node(ExprKind::Rotation(Box::new([x, y, z, s])), span, below)
            }
        }
    }
}
