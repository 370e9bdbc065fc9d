//! What YEngine's `yoption advflowctl;` brings: `break`, `continue` and `switch`, all made of jumps and hidden labels.

use super::{Checker, hir};
use crate::syntax::ast::{self, BinaryOp, CaseLabel};
use crate::syntax::span::Span;
use crate::value::Type;

/// A loop or switch, and the labels its `break` and `continue` jump to, made when the first is met.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exit {
    is_loop: bool,
    leave: Option<u16>,
    again: Option<u16>,
}

fn jump(label: u16) -> hir::StmtKind {
    hir::StmtKind::Jump(label)
}

impl Checker<'_, '_> {
    /// A variable that YEngine's `constant` declared.
    pub(super) fn is_constant(&self, place: hir::Place) -> bool {
        match place {
            hir::Place::Local(slot) | hir::Place::LocalPart(slot, _) => self.scopes.constants.contains(&slot),
            hir::Place::Global(slot) | hir::Place::GlobalPart(slot, _) => {
                self.global_vars.get(usize::from(slot)).is_some_and(|g| g.constant)
            }
        }
    }

    /// The body of a loop, with the label that `continue` jumps to behind it.
    pub(super) fn looped(&mut self, body: &ast::Stmt) -> (Vec<hir::Stmt>, Exit) {
        self.exits.push(Exit { is_loop: true, leave: None, again: None });
        let mut out = self.nested(body);
        let exit = self.exits.pop().unwrap_or(Exit { is_loop: true, leave: None, again: None });
        if let Some(label) = exit.again {
            out.push(hir::Stmt { kind: hir::StmtKind::Label(label), line: self.line(body.span) });
        }
        (out, exit)
    }

    /// A loop with the label that `break` jumps to behind it, if there is one.
    pub(super) fn left(&self, statement: hir::Stmt, exit: Exit) -> hir::Stmt {
        let Some(label) = exit.leave else { return statement };
        let line = statement.line;
        let end = hir::Stmt { kind: hir::StmtKind::Label(label), line };
        hir::Stmt { kind: hir::StmtKind::Block(vec![statement, end]), line }
    }

    pub(super) fn broken(&mut self, span: Span) -> Option<hir::StmtKind> {
        let Some(at) = self.exits.len().checked_sub(1) else {
            self.sink.error(span, "break-outside", "break stands in no loop and in no switch");
            return None;
        };
        let label = match self.exits[at].leave {
            Some(label) => label,
            None => *self.exits[at].leave.insert(self.scopes.hidden_label()),
        };
        Some(jump(label))
    }

    pub(super) fn continued(&mut self, span: Span) -> Option<hir::StmtKind> {
        let Some(at) = self.exits.iter().rposition(|e| e.is_loop) else {
            self.sink.error(span, "break-outside", "continue stands in no loop");
            return None;
        };
        let label = match self.exits[at].again {
            Some(label) => label,
            None => *self.exits[at].again.insert(self.scopes.hidden_label()),
        };
        Some(jump(label))
    }

    /// The value goes into a hidden variable, is compared with case after case, and control jumps to the first that fits.
    pub(super) fn switch(
        &mut self,
        value: &ast::Expr,
        sections: &[ast::Section],
        line: u32,
    ) -> Vec<hir::Stmt> {
        let of = self.expr(value);
        let ty = match of.ty {
            Type::String | Type::Key => Type::String,
            _ => Type::Integer,
        };
        let of = self.coerce(of, ty, value.span, "the value of a switch");
        self.scopes.open();
        let Some(slot) = self.scopes.declare(smol_str::SmolStr::default(), ty, value.span, true) else {
            self.sink.error(value.span, "too-large", "too many local variables in one function");
            self.close_scope();
            return Vec::new();
        };
        let end = self.scopes.hidden_label();
        let mut out = vec![hir::Stmt { kind: hir::StmtKind::Declare(slot, Some(of)), line }];
        let mut body = Vec::new();
        let mut otherwise = end;
        let mut has_default = false;
        self.exits.push(Exit { is_loop: false, leave: Some(end), again: None });
        for section in sections {
            let label = self.scopes.hidden_label();
            match &section.label {
                CaseLabel::Default => {
                    if has_default {
                        self.sink.error(value.span, "duplicate-name", "a second default in the same switch");
                    }
                    has_default = true;
                    otherwise = label;
                }
                CaseLabel::Value(first, last) => {
                    let read =
                        |line| hir::Expr { ty, kind: hir::ExprKind::Read(hir::Place::Local(slot)), line };
                    let case_line = self.line(first.span);
                    let test = |me: &mut Self, op, with: &ast::Expr| {
                        let with_value = me.expr(with);
                        let with_value = me.coerce(with_value, ty, with.span, "a case");
                        hir::Expr {
                            ty: Type::Integer,
                            kind: hir::ExprKind::Binary(op, Box::new(read(case_line)), Box::new(with_value)),
                            line: case_line,
                        }
                    };
                    let to = vec![hir::Stmt { kind: jump(label), line: case_line }];
                    let chosen = match last {
                        None => vec![(test(self, BinaryOp::Eq, first), to)],
                        Some(last) => {
                            let above = test(self, BinaryOp::Le, last);
                            let inner = hir::StmtKind::If(vec![(above, to)], None);
                            let below = test(self, BinaryOp::Ge, first);
                            vec![(below, vec![hir::Stmt { kind: inner, line: case_line }])]
                        }
                    };
                    out.push(hir::Stmt { kind: hir::StmtKind::If(chosen, None), line: case_line });
                }
            }
            body.push(hir::Stmt { kind: hir::StmtKind::Label(label), line });
            self.conditional += 1;
            for s in &section.statements {
                body.extend(self.stmt(s));
            }
            self.conditional -= 1;
        }
        self.exits.pop();
        out.push(hir::Stmt { kind: jump(otherwise), line });
        out.extend(body);
        out.push(hir::Stmt { kind: hir::StmtKind::Label(end), line });
        self.close_scope();
        out
    }
}
