//! Functions, handlers and statements.

use super::{Checker, hir, scope::Label};
use crate::profile::Profile;
use crate::syntax::ast::{self, ExprKind, StmtKind};
use crate::tables::{self, absence, closest};
use crate::value::Type;
use std::collections::HashMap;

impl Checker<'_, '_> {
    pub(super) fn function(&mut self, f: &ast::FunctionDef) -> hir::Body {
        self.returns = Some(f.returns);
        self.current_state = None;
        let body = self.body(&f.name, f.returns, &f.params, &f.body);
        if f.returns != Type::Void && falls_through(&f.body.statements, self.profile) {
            self.sink.error_hint(
                f.body.end,
                "missing-return",
                format!("{} can end here without returning its {}", f.name.text, f.returns.name()),
                "add a return statement at the end",
            );
        }
        body
    }

    pub(super) fn state(&mut self, s: &ast::StateDef) -> hir::State {
        self.current_state = self.states.get(&s.name.text).copied();
        let mut handlers = Vec::new();
        let mut seen = HashMap::new();
        for h in &s.handlers {
            if let Some(&first) = seen.get(&h.name.text) {
                let hint = self.previously(first);
                let text = format!("a second handler for {} in the state {}", h.name.text, s.name.text);
                self.sink.error_hint(h.name.span, "duplicate-name", text, hint);
            }
            seen.insert(h.name.text.clone(), h.name.span);
            self.returns = None;
            let event = self.event(h);
            let body = self.body(&h.name, Type::Void, &h.params, &h.body);
            if let Some(event) = event {
                handlers.push((event, body));
            }
        }
        hir::State { name: s.name.text.to_string(), handlers }
    }

    fn event(&mut self, h: &ast::HandlerDef) -> Option<tables::EventId> {
        let bit = self.profile.bit();
        let Some(id) = tables::event(&h.name.text) else {
            let names = tables::events().iter().filter(|e| e.profiles & bit != 0).map(|e| e.name);
            let hint = match closest(&h.name.text, names) {
                Some(n) => format!("did you mean {n}?"),
                None => "a function of your own goes above the first state".to_owned(),
            };
            self.sink.error_hint(
                h.name.span,
                "unknown-event",
                format!("there is no event {}", h.name.text),
                hint,
            );
            return None;
        };
        let sig = id.sig();
        if sig.profiles & bit == 0 {
            self.sink.error_hint(
                h.name.span,
                "unknown-event",
                format!("the event {} is {}", sig.name, absence(self.profile, sig.profiles)),
                format!("it exists in {}", tables::grids(sig.profiles)),
            );
            return None;
        }
        let given: Vec<Type> = h.params.iter().map(|p| p.ty).collect();
        let wanted: Vec<Type> = sig.params.iter().map(|p| p.ty).collect();
        // For YEngine a key and a string are the same thing in a handler's arguments.
        let alike = |a: &Type, b: &Type| {
            a == b
                || self.profile.is_opensim()
                    && matches!((a, b), (Type::Key, Type::String) | (Type::String, Type::Key))
        };
        if given.len() != wanted.len() || !given.iter().zip(&wanted).all(|(a, b)| alike(a, b)) {
            let args: Vec<String> =
                sig.params.iter().map(|p| format!("{} {}", p.ty.name(), p.name)).collect();
            self.sink.error_hint(
                h.name.span,
                "event-signature",
                format!("the arguments of {} do not match the event's", sig.name),
                format!("write {}({})", sig.name, args.join(", ")),
            );
        }
        Some(id)
    }

    fn body(
        &mut self,
        name: &ast::Name,
        returns: Type,
        params: &[ast::ParamDef],
        block: &ast::Block,
    ) -> hir::Body {
        self.scopes.reset();
        self.exits.clear();
        self.conditional = 0;
        self.scopes.open();
        for p in params {
            self.declare_local(&p.name, p.ty, true);
        }
        for s in &block.statements {
            self.find_labels(s);
        }
        let statements = self.block(block);
        self.close_scope();
        hir::Body {
            name: name.text.to_string(),
            returns,
            params: params.iter().map(|p| p.ty).collect(),
            locals: std::mem::take(&mut self.scopes.types),
            labels: u16::try_from(self.scopes.labels.len()).unwrap_or(u16::MAX),
            statements,
        }
    }

    /// Every label of a function is known before its statements are read: jumps go down as well as up.
    fn find_labels(&mut self, s: &ast::Stmt) {
        match &s.kind {
            StmtKind::Label(name) => {
                let id = u16::try_from(self.scopes.labels.len()).unwrap_or(u16::MAX);
                self.scopes.labels.push(Label { name: name.text.clone(), id, span: name.span, open: None });
            }
            StmtKind::Block(b) => b.statements.iter().for_each(|s| self.find_labels(s)),
            StmtKind::If(branches, otherwise) => {
                branches.iter().for_each(|(_, s)| self.find_labels(s));
                if let Some(s) = otherwise {
                    self.find_labels(s);
                }
            }
            StmtKind::While(_, s) | StmtKind::DoWhile(s, _) | StmtKind::For(.., s) => self.find_labels(s),
            StmtKind::Switch(_, sections) => {
                sections.iter().flat_map(|s| &s.statements).for_each(|s| self.find_labels(s));
            }
            _ => {}
        }
    }

    fn declare_local(&mut self, name: &ast::Name, ty: Type, argument: bool) -> u16 {
        self.reserved(name, "variable");
        if let Some(first) = self.scopes.find_here(&name.text) {
            let hint = self.previously(first.span);
            let text = format!("a second variable named {} in the same block", name.text);
            self.sink.error_hint(name.span, "duplicate-name", text, hint);
        } else if !argument
            && self.profile == Profile::SecondLife
            && self.scopes.depth() == 2
            && let Some(first) = self.scopes.find(&name.text)
            && first.argument
        {
            let first = first.span;
            let hint = self.previously(first);
            self.sink.warn_hint(
                name.span,
                "shadowed",
                format!("{} hides the argument of the same name", name.text),
                hint,
            );
        }
        if let Some(slot) = self.scopes.declare(name.text.clone(), ty, name.span, argument) {
            slot
        } else {
            self.sink.error(name.span, "too-large", "too many local variables in one function");
            0
        }
    }

    pub(super) fn close_scope(&mut self) {
        for l in self.scopes.close() {
            if !l.used && !l.argument && self.whole && !l.name.starts_with('_') {
                self.sink.warn(l.span, "unused-variable", format!("the variable {} is never used", l.name));
            }
        }
    }

    fn block(&mut self, block: &ast::Block) -> Vec<hir::Stmt> {
        self.scopes.open();
        let depth = self.scopes.depth();
        for s in &block.statements {
            if let StmtKind::Label(name) = &s.kind {
                if self.scopes.labels.iter().any(|l| l.name == name.text && l.open == Some(depth)) {
                    let text = format!("a second label named {} in the same block", name.text);
                    self.sink.error(name.span, "duplicate-name", text);
                }
                self.scopes.open_label(name.span);
            }
        }
        let mut out = Vec::with_capacity(block.statements.len());
        let mut ended = false;
        for s in &block.statements {
            match s.kind {
                StmtKind::Label(_) => ended = false,
                StmtKind::Empty => {}
                _ if ended => {
                    self.sink.warn(s.span, "unreachable", "this is never reached");
                    ended = false;
                }
                _ => {}
            }
            if let Some(s) = self.stmt(s) {
                out.push(s);
            }
            if matches!(
                s.kind,
                StmtKind::Return(_)
                    | StmtKind::Jump(_)
                    | StmtKind::State(_)
                    | StmtKind::Break
                    | StmtKind::Continue
            ) {
                ended = true;
            }
        }
        self.close_scope();
        out
    }

    /// The statement below an `if` or loop, with its own scope.
    pub(super) fn nested(&mut self, s: &ast::Stmt) -> Vec<hir::Stmt> {
        if let StmtKind::Declare(_, name, _) = &s.kind
            && self.profile == Profile::SecondLife
        {
            self.sink.error_hint(
                name.span,
                "declaration-place",
                format!("{} cannot be declared here", name.text),
                "put { } around the statement",
            );
        }
        self.conditional += 1;
        let out = if let StmtKind::Block(b) = &s.kind {
            self.block(b)
        } else {
            self.scopes.open();
            if let StmtKind::Label(name) = &s.kind {
                self.scopes.open_label(name.span);
            }
            let out = self.stmt(s).into_iter().collect();
            self.close_scope();
            out
        };
        self.conditional -= 1;
        out
    }

    fn condition(&mut self, e: &ast::Expr) -> hir::Expr {
        let c = self.expr(e);
        if !c.is_error() && c.ty == Type::Void {
            self.sink.error(e.span, "type-mismatch", "this has no value and cannot be a condition");
        }
        if matches!(e.kind, ExprKind::Assign(None, ..)) {
            self.sink.warn_hint(
                e.span,
                "assignment-as-condition",
                "this assigns and does not compare",
                "to compare, write ==; if the assignment is meant, put it into brackets of its own",
            );
        }
        c
    }

    pub(super) fn stmt(&mut self, s: &ast::Stmt) -> Option<hir::Stmt> {
        let line = self.line(s.span);
        let kind = match &s.kind {
            StmtKind::Empty => return None,
            StmtKind::Expr(e) => {
                let bare = {
                    let mut e = e;
                    while let ExprKind::Paren(inner) = &e.kind {
                        e = inner;
                    }
                    e
                };
                if matches!(bare.kind, ExprKind::Binary(ast::BinaryOp::Eq, ..)) {
                    self.sink.warn_hint(
                        e.span,
                        "comparison-as-statement",
                        "this compares and throws the result away",
                        "to assign, write =",
                    );
                }
                hir::StmtKind::Expr(self.statement_expr(e))
            }
            StmtKind::Declare(ty, name, init) => {
                let mut ty = *ty;
                let constant = ty == Type::Void;
                let value = init.as_ref().map(|e| {
                    let v = self.expr(e);
                    if constant {
                        // Its type is that of its value.
                        ty = v.ty;
                        return v;
                    }
                    self.coerce(v, ty, e.span, &format!("the variable {}", name.text))
                });
                let slot = self.declare_local(name, ty, false);
                if constant {
                    self.scopes.constants.push(slot);
                }
                hir::StmtKind::Declare(slot, value)
            }
            StmtKind::If(branches, otherwise) => {
                let mut out = Vec::with_capacity(branches.len());
                for (c, body) in branches {
                    if matches!(body.kind, StmtKind::Empty) && otherwise.is_none() && branches.len() == 1 {
                        self.sink.warn_hint(
                            body.span,
                            "empty-if",
                            "this ';' is all that the if controls",
                            "delete it, or what follows runs in any case",
                        );
                    }
                    out.push((self.condition(c), self.nested(body)));
                }
                hir::StmtKind::If(out, otherwise.as_ref().map(|s| self.nested(s)))
            }
            StmtKind::While(c, body) => {
                let c = self.condition(c);
                let (body, exit) = self.looped(body);
                return Some(self.left(hir::Stmt { kind: hir::StmtKind::While(c, body), line }, exit));
            }
            StmtKind::DoWhile(body, c) => {
                let (body, exit) = self.looped(body);
                let kind = hir::StmtKind::DoWhile(body, self.condition(c));
                return Some(self.left(hir::Stmt { kind, line }, exit));
            }
            StmtKind::For(init, c, step, body) => {
                let init = init.iter().map(|e| self.statement_expr(e)).collect();
                if c.is_none() && self.profile == Profile::SecondLife {
                    self.sink.error_hint(
                        s.span,
                        "syntax",
                        "Second Life wants a condition in for (…; …; …)",
                        "write TRUE between the semicolons",
                    );
                }
                let c = c.as_ref().map(|e| self.condition(e));
                let step = step.iter().map(|e| self.statement_expr(e)).collect();
                let (body, exit) = self.looped(body);
                let kind = hir::StmtKind::For(init, c, step, body);
                return Some(self.left(hir::Stmt { kind, line }, exit));
            }
            StmtKind::Jump(name) => {
                let Some(id) = self.scopes.label(&name.text) else {
                    let known = self.scopes.labels.iter().map(|l| l.name.as_str());
                    let hint = match closest(&name.text, known) {
                        Some(n) => format!("did you mean {n}?"),
                        None => format!("add @{}; where it should go on", name.text),
                    };
                    self.sink.error_hint(
                        name.span,
                        "unknown-label",
                        format!("there is no label {}", name.text),
                        hint,
                    );
                    return None;
                };
                hir::StmtKind::Jump(id)
            }
            StmtKind::Label(name) => {
                hir::StmtKind::Label(self.scopes.labels.iter().find(|l| l.span == name.span)?.id)
            }
            StmtKind::Return(value) => self.returned(s, value.as_ref()),
            StmtKind::State(name) => self.state_change(name)?,
            StmtKind::Block(b) => hir::StmtKind::Block(self.block(b)),
            StmtKind::Break => self.broken(s.span)?,
            StmtKind::Continue => self.continued(s.span)?,
            StmtKind::Switch(value, sections) => hir::StmtKind::Block(self.switch(value, sections, line)),
        };
        Some(hir::Stmt { kind, line })
    }

    fn returned(&mut self, s: &ast::Stmt, value: Option<&ast::Expr>) -> hir::StmtKind {
        let checked = value.map(|e| (self.expr(e), e.span));
        let result = match (self.returns, checked) {
            (None | Some(Type::Void), Some((v, span))) => {
                // The grids let a handler return the nothing that a function gives, but not a value.
                if !v.is_error() && v.ty != Type::Void {
                    let what = if self.returns.is_none() { "an event handler" } else { "this function" };
                    self.sink.error_hint(
                        span,
                        "return-value",
                        format!("{what} has no result to return"),
                        if self.returns.is_none() {
                            "write return;".to_owned()
                        } else {
                            format!("write return; or give the function the type {}", v.ty.name())
                        },
                    );
                } else if !v.is_error() && self.profile == Profile::SecondLife && self.conditional == 0 {
                    // Linden's compiler lets it pass below an if or a loop, and only there.
                    self.sink.error_hint(
                        span,
                        "return-value",
                        "Second Life does not return a call without a value here",
                        "write the call as a statement, then return;",
                    );
                }
                Some(v)
            }
            (None | Some(Type::Void), None) => None,
            (Some(ty), None) => {
                self.sink.error(
                    s.span,
                    "return-value",
                    format!("this function has to return a value of type {}", ty.name()),
                );
                None
            }
            (Some(ty), Some((v, span))) => Some(self.coerce(v, ty, span, "the function's result")),
        };
        hir::StmtKind::Return(result)
    }

    fn state_change(&mut self, name: &ast::Name) -> Option<hir::StmtKind> {
        let Some(&id) = self.states.get(&name.text) else {
            if self.whole || !self.states.is_empty() {
                let hint = match closest(&name.text, self.states.keys().map(smol_str::SmolStr::as_str)) {
                    Some(n) => format!("did you mean {n}?"),
                    None => format!("add: state {} {{ … }}", name.text),
                };
                self.sink.error_hint(
                    name.span,
                    "unknown-state",
                    format!("there is no state {}", name.text),
                    hint,
                );
            }
            return None;
        };
        if self.returns.is_some() {
            if self.profile == Profile::SecondLife && self.conditional == 0 {
                self.sink.error_hint(
                    name.span,
                    "state-in-function",
                    "a function cannot change the state",
                    "return a value that tells the event handler to do it",
                );
            } else {
                self.sink.warn_hint(
                    name.span,
                    "state-in-function",
                    "a state change inside a function; the grid lets this pass, but it is easily overlooked",
                    "return a value that tells the event handler to do it",
                );
            }
        } else if self.current_state == Some(id) {
            self.sink.warn_hint(
                name.span,
                "state-change-to-itself",
                format!("the script is already in the state {}: this acts like return", name.text),
                "neither state_exit nor state_entry will run",
            );
        }
        Some(hir::StmtKind::State(id))
    }
}

/// Whether control can reach the end of these statements.
fn falls_through(statements: &[ast::Stmt], profile: Profile) -> bool {
    if profile == Profile::SecondLife {
        // Linden's compiler looks at the last statement only.
        return statements.last().is_none_or(|s| passes(s, profile));
    }
    let mut open = true;
    for s in statements {
        match s.kind {
            StmtKind::Label(_) => open = true,
            _ if !open => {}
            _ => open = passes(s, profile),
        }
    }
    open
}

/// Whether control can reach what comes after this statement.
fn passes(s: &ast::Stmt, profile: Profile) -> bool {
    match &s.kind {
        StmtKind::Return(_) => false,
        StmtKind::Jump(_) | StmtKind::State(_) => profile == Profile::SecondLife,
        StmtKind::Block(b) => falls_through(&b.statements, profile),
        StmtKind::If(branches, otherwise) => {
            branches.iter().any(|(_, b)| passes(b, profile))
                || otherwise.as_ref().is_none_or(|b| passes(b, profile))
        }
        StmtKind::DoWhile(body, _) => passes(body, profile) || breaks(body),
        // YEngine sees that a loop without an end has nothing behind it.
        StmtKind::While(c, body) => !(profile.is_opensim() && always(c)) || breaks(body),
        StmtKind::For(_, c, _, body) => {
            !(profile.is_opensim() && c.as_ref().is_none_or(always)) || breaks(body)
        }
        StmtKind::Break | StmtKind::Continue => false,
        StmtKind::Switch(_, sections) => {
            !sections.iter().any(|s| s.label == ast::CaseLabel::Default)
                || sections.iter().flat_map(|s| &s.statements).any(breaks)
                || sections.last().is_none_or(|s| falls_through(&s.statements, profile))
        }
        StmtKind::Empty | StmtKind::Expr(_) | StmtKind::Declare(..) | StmtKind::Label(_) => true,
    }
}

/// Whether a `break` in this statement leaves the loop or switch around it.
fn breaks(s: &ast::Stmt) -> bool {
    match &s.kind {
        StmtKind::Break => true,
        StmtKind::Block(b) => b.statements.iter().any(breaks),
        StmtKind::If(branches, otherwise) => {
            branches.iter().any(|(_, s)| breaks(s)) || otherwise.as_ref().is_some_and(|s| breaks(s))
        }
        _ => false,
    }
}

fn always(e: &ast::Expr) -> bool {
    match &e.kind {
        ExprKind::Integer(i) => *i != 0,
        ExprKind::Var(n) => n.text == "TRUE",
        ExprKind::Paren(inner) => always(inner),
        _ => false,
    }
}
