//! Expressions.

use super::hir::{Expr, ExprKind as H, Place};
use super::{Checker, operators};
use crate::profile::Profile;
use crate::syntax::ast::{self, BinaryOp, ExprKind, UnaryOp};
use crate::syntax::span::Span;
use crate::tables::{self, absence, closest};
use crate::value::{Type, Value};

impl Checker<'_, '_> {
    pub(super) fn make(&self, kind: H, ty: Type, span: Span) -> Expr {
        Expr { ty, kind, line: self.line(span) }
    }

    fn failed(&self, span: Span) -> Expr {
        Expr::error(self.line(span))
    }

    /// An expression whose value nobody reads.
    pub(super) fn statement_expr(&mut self, e: &ast::Expr) -> Expr {
        match &e.kind {
            ExprKind::Paren(inner) => self.statement_expr(inner),
            ExprKind::Assign(op, target, value) => self.assign(e.span, *op, target, value, false),
            _ => self.expr(e),
        }
    }

    pub(super) fn expr(&mut self, e: &ast::Expr) -> Expr {
        let span = e.span;
        match &e.kind {
            ExprKind::Error => self.failed(span),
            ExprKind::Integer(i) => self.make(H::Const(Value::Integer(*i)), Type::Integer, span),
            ExprKind::Float(f) => self.make(H::Const(Value::Float(*f)), Type::Float, span),
            ExprKind::Str(s) => self.make(H::Const(Value::Str(s.clone())), Type::String, span),
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Var(name) => self.variable(name),
            ExprKind::Member(base, member) => self.member(base, member),
            ExprKind::Vector(parts) => {
                let [x, y, z] = &**parts;
                let (x, y, z) = (self.part(x, "vector"), self.part(y, "vector"), self.part(z, "vector"));
                self.make(H::Vector(Box::new([x, y, z])), Type::Vector, span)
            }
            ExprKind::Rotation(parts) => {
                let [x, y, z, s] = &**parts;
                let (x, y) = (self.part(x, "rotation"), self.part(y, "rotation"));
                let (z, s) = (self.part(z, "rotation"), self.part(s, "rotation"));
                self.make(H::Rotation(Box::new([x, y, z, s])), Type::Rotation, span)
            }
            ExprKind::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for i in items {
                    let v = self.expr(i);
                    if v.ty == Type::List {
                        self.sink.error_hint(
                            i.span,
                            "list-in-list",
                            "a list cannot hold another list",
                            "join lists with +, or store the inner one as text: llList2CSV(…), llList2Json(…)",
                        );
                    } else if v.ty == Type::Void && !v.is_error() {
                        self.sink.error(i.span, "type-mismatch", "this has no value to put into a list");
                    }
                    out.push(v);
                }
                self.make(H::List(out), Type::List, span)
            }
            ExprKind::Call(name, args) => self.call(span, name, args),
            ExprKind::Cast(to, inner) => self.cast(span, *to, inner),
            ExprKind::Unary(op, inner) => self.unary(span, *op, inner),
            ExprKind::Binary(op, left, right) => {
                let (l, r) = (self.expr(left), self.expr(right));
                self.warn_list_comparison(*op, &l, &r, span);
                self.binary(span, *op, l, r)
            }
            ExprKind::Assign(op, target, value) => self.assign(span, *op, target, value, true),
            ExprKind::Step { prefix, by, target } => self.step(span, *prefix, *by, target),
            ExprKind::Choose(parts) => {
                let [c, yes, no] = &**parts;
                let (c, a, b) = (self.expr(c), self.expr(yes), self.expr(no));
                if c.is_error() || a.is_error() || b.is_error() {
                    return self.failed(span);
                }
                let ty =
                    if a.ty == b.ty || operators::implicit(b.ty, a.ty, self.profile) { a.ty } else { b.ty };
                let a = self.coerce(a, ty, yes.span, "?:");
                let b = self.coerce(b, ty, no.span, "?:");
                self.make(H::Choose(Box::new([c, a, b])), ty, span)
            }
        }
    }

    fn part(&mut self, e: &ast::Expr, of: &str) -> Expr {
        let v = self.expr(e);
        self.coerce(v, Type::Float, e.span, &format!("a part of a {of}"))
    }

    /// Casts a value implicitly, or reports that it does not fit.
    pub(super) fn coerce(&mut self, v: Expr, to: Type, span: Span, place: &str) -> Expr {
        if v.is_error() || v.ty == to {
            return v;
        }
        if !operators::implicit(v.ty, to, self.profile) {
            let message = if v.ty == Type::Void {
                format!("{place} needs a value of type {}, but this has none", to.name())
            } else {
                format!("{place} is of type {}, but this is of type {}", to.name(), v.ty.name())
            };
            if operators::explicit(v.ty, to, self.profile) {
                self.sink.error_hint(span, "type-mismatch", message, format!("cast it: ({})…", to.name()));
            } else {
                self.sink.error(span, "type-mismatch", message);
            }
            return self.failed(span);
        }
        self.convert(v, to)
    }

    /// A cast that is known to exist; constants are cast at once.
    pub(super) fn convert(&self, v: Expr, to: Type) -> Expr {
        if v.ty == to {
            return v;
        }
        let line = v.line;
        if let (H::Const(Value::Integer(i)), Type::Float) = (&v.kind, to) {
            let f = f64::from(*i);
            return Expr { ty: to, kind: H::Const(Value::Float(f)), line };
        }
        Expr { ty: to, kind: H::Cast(Box::new(v)), line }
    }

    fn variable(&mut self, name: &ast::Name) -> Expr {
        if let Some(l) = self.scopes.find(&name.text) {
            l.used = true;
            let (slot, ty) = (l.slot, l.ty);
            return self.make(H::Read(Place::Local(slot)), ty, name.span);
        }
        if let Some(&i) = self.globals.get(&name.text) {
            let g = &mut self.global_vars[usize::from(i)];
            g.used = true;
            let ty = g.ty;
            return self.make(H::Read(Place::Global(i)), ty, name.span);
        }
        if let Some(value) = tables::constant(&name.text, self.profile) {
            let value = value.clone();
            let ty = value.ty();
            return self.make(H::Const(self.single(value)), ty, name.span);
        }
        self.unknown_variable(name);
        self.failed(name.span)
    }

    /// Rounds a constant where floats are 32 bits wide.
    fn single(&self, v: Value) -> Value {
        match v {
            Value::Float(f) if self.profile.single_precision() => Value::Float(f64::from(f as f32)),
            v => v,
        }
    }

    fn unknown_variable(&mut self, name: &ast::Name) {
        let elsewhere = tables::constants_named(&name.text).fold(0, |b, c| b | c.profiles);
        if elsewhere != 0 {
            self.sink.error_hint(
                name.span,
                "unknown-constant",
                format!("the constant {} is {}", name.text, absence(self.profile, elsewhere)),
                format!("it exists in {}", tables::grids(elsewhere)),
            );
            return;
        }
        if !self.whole {
            return;
        }
        let is_function = self.function_names.contains_key(&name.text)
            || tables::functions_named(&name.text).next().is_some();
        if is_function {
            self.sink.error_hint(
                name.span,
                "unknown-name",
                format!("{} is a function", name.text),
                format!("call it: {}(…)", name.text),
            );
            return;
        }
        let bit = self.profile.bit();
        let constants = tables::constants().iter().filter(|c| c.profiles & bit != 0).map(|c| c.name);
        let own = self.scopes.names().chain(self.globals.keys().map(smol_str::SmolStr::as_str));
        if matches!(name.text.as_str(), "break" | "continue") {
            self.sink.error_hint(
                name.span,
                "unknown-name",
                format!("LSL has no {}", name.text),
                if self.profile.is_opensim() {
                    "use jump and a label; YEngine reads this word only below a line `yoption advflowctl;` at the top"
                } else {
                    "use jump and a label, or a flag in the loop's condition"
                },
            );
            return;
        }
        let found = closest(&name.text, own.chain(constants));
        let message = format!("there is no variable or constant {}", name.text);
        match found {
            Some(n) => {
                let hint = format!("did you mean {n}?");
                self.sink.error_hint(name.span, "unknown-name", message, hint);
            }
            None if self.in_global => {
                self.sink.error_hint(
                    name.span,
                    "unknown-name",
                    message,
                    "a global variable can use only those above it",
                );
            }
            None => self.sink.error_hint(
                name.span,
                "unknown-name",
                message,
                "declare it first, in this block or above the first state",
            ),
        }
    }

    /// Which part of a vector or rotation a name means.
    fn part_index(&mut self, ty: Type, member: &ast::Name) -> Option<u8> {
        let index = match (ty, member.text.as_str()) {
            (Type::Vector | Type::Rotation, "x") => 0,
            (Type::Vector | Type::Rotation, "y") => 1,
            (Type::Vector | Type::Rotation, "z") => 2,
            (Type::Rotation, "s") => 3,
            (Type::Vector | Type::Rotation, other) => {
                let parts = if ty == Type::Vector { "x, y and z" } else { "x, y, z and s" };
                let text = format!("a {} has the parts {parts}, not {other}", ty.name());
                self.sink.error(member.span, "unknown-part", text);
                return None;
            }
            _ => {
                let text = format!("only vectors and rotations have parts; this is of type {}", ty.name());
                self.sink.error(member.span, "unknown-part", text);
                return None;
            }
        };
        Some(index)
    }

    fn member(&mut self, base: &ast::Expr, member: &ast::Name) -> Expr {
        let span = base.span.to(member.span);
        let b = self.expr(base);
        if b.is_error() {
            return self.failed(span);
        }
        let Some(index) = self.part_index(b.ty, member) else { return self.failed(span) };
        let kind = match b.kind {
            H::Read(Place::Local(slot)) => H::Read(Place::LocalPart(slot, index)),
            H::Read(Place::Global(slot)) => H::Read(Place::GlobalPart(slot, index)),
            _ => {
                if self.profile == Profile::SecondLife {
                    self.sink.error_hint(
                        span,
                        "part-of-value",
                        format!(".{} works on variables only", member.text),
                        format!("store the {} in a variable first", b.ty.name()),
                    );
                    return self.failed(span);
                }
                H::Part(Box::new(b), index)
            }
        };
        self.make(kind, Type::Float, span)
    }

    fn cast(&mut self, span: Span, to: Type, inner: &ast::Expr) -> Expr {
        if self.profile == Profile::SecondLife {
            let loose = match &inner.kind {
                ExprKind::Cast(..) | ExprKind::Assign(..) => true,
                ExprKind::Unary(UnaryOp::Negate, x) => match &x.kind {
                    ExprKind::Integer(_) | ExprKind::Float(_) => false,
                    ExprKind::Var(n) => tables::constant(&n.text, self.profile).is_none(),
                    _ => true,
                },
                ExprKind::Unary(..) => true,
                ExprKind::Step { prefix, .. } => *prefix,
                _ => false,
            };
            if loose {
                self.sink.error_hint(
                    span,
                    "cast-brackets",
                    "Second Life wants brackets around what this cast applies to",
                    format!("write ({})( … )", to.name()),
                );
            }
        }
        let v = self.expr(inner);
        if v.is_error() {
            return self.failed(span);
        }
        if !operators::explicit(v.ty, to, self.profile) {
            let text = if v.ty == Type::Void {
                "this has no value to cast".to_owned()
            } else {
                format!("a {} cannot be cast to {}", v.ty.name(), to.name())
            };
            self.sink.error(span, "type-mismatch", text);
            return self.failed(span);
        }
        let mut v = self.convert(v, to);
        v.line = self.line(span);
        v
    }

    fn unary(&mut self, span: Span, op: UnaryOp, inner: &ast::Expr) -> Expr {
        let v = self.expr(inner);
        if v.is_error() {
            return self.failed(span);
        }
        let Some(ty) = operators::unary(op, v.ty, self.profile) else {
            let sign = match op {
                UnaryOp::Negate => "-",
                UnaryOp::Not => "!",
                UnaryOp::Complement => "~",
            };
            let hint = match (op, v.ty) {
                (UnaryOp::Not, Type::String) => Some("compare: text == \"\""),
                (UnaryOp::Not, Type::Key) => Some("compare: id == NULL_KEY"),
                (UnaryOp::Not, Type::List) => Some("compare: items == []"),
                (UnaryOp::Not, Type::Float) => Some("compare: number == 0.0"),
                _ => None,
            };
            let text = format!("there is no {sign} for a value of type {}", v.ty.name());
            self.sink.push(crate::Severity::Error, span, "type-mismatch", text, hint.map(str::to_owned));
            return self.failed(span);
        };
        let kind = match (op, &v.kind) {
            (UnaryOp::Negate, H::Const(Value::Integer(i))) => H::Const(Value::Integer(i.wrapping_neg())),
            (UnaryOp::Negate, H::Const(Value::Float(f))) => H::Const(Value::Float(-f)),
            _ => H::Unary(op, Box::new(v)),
        };
        self.make(kind, ty, span)
    }

    fn warn_list_comparison(&mut self, op: BinaryOp, l: &Expr, r: &Expr, span: Span) {
        let empty = |e: &Expr| matches!(&e.kind, H::List(items) if items.is_empty());
        if matches!(op, BinaryOp::Eq | BinaryOp::Ne)
            && l.ty == Type::List
            && r.ty == Type::List
            && !empty(l)
            && !empty(r)
        {
            self.sink.warn_hint(
                span,
                "list-comparison",
                "this compares the lengths of the lists, not what they hold",
                "compare llList2CSV of both, or item by item",
            );
        }
    }

    pub(super) fn binary(&mut self, span: Span, op: BinaryOp, l: Expr, r: Expr) -> Expr {
        if l.is_error() || r.is_error() {
            return self.failed(span);
        }
        let Some(sig) = operators::binary(op, l.ty, r.ty, self.profile) else {
            self.no_operator(span, op, l.ty, r.ty);
            return self.failed(span);
        };
        let (l, r) = if sig.result == Type::List
            || matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::AndThen | BinaryOp::OrElse)
        {
            (l, r)
        } else {
            (self.convert(l, sig.left), self.convert(r, sig.right))
        };
        self.make(H::Binary(op, Box::new(l), Box::new(r)), sig.result, span)
    }

    fn no_operator(&mut self, span: Span, op: BinaryOp, l: Type, r: Type) {
        let sign = op.sign();
        if l == Type::Void || r == Type::Void {
            self.sink.error(span, "type-mismatch", format!("one side of {sign} has no value"));
            return;
        }
        let message = format!("there is no {} {sign} {}", l.name(), r.name());
        let hint = match (op, l, r) {
            (BinaryOp::Add, Type::String, _) => Some("cast the right side: + (string)…".to_owned()),
            (BinaryOp::Add, _, Type::String) => Some("cast the left side: (string)… +".to_owned()),
            (BinaryOp::Add, Type::Key, _) | (BinaryOp::Add, _, Type::Key) => {
                Some("cast to string first: (string)…".to_owned())
            }
            (BinaryOp::Mod, Type::Float, _) | (BinaryOp::Mod, _, Type::Float) => {
                Some("% works on integers; cast: (integer)…".to_owned())
            }
            (BinaryOp::And | BinaryOp::Or, ..) => Some(format!(
                "{sign} joins integers; compare the other values first (text != \"\", id != NULL_KEY)"
            )),
            (BinaryOp::Mul, Type::Rotation, Type::Vector) => {
                Some("the vector stands on the left: vector * rotation".to_owned())
            }
            (BinaryOp::Lt | BinaryOp::Gt | BinaryOp::Le | BinaryOp::Ge, Type::String, Type::String) => {
                Some("text cannot be ordered with operators; use llListSort or llOrd".to_owned())
            }
            (BinaryOp::Eq | BinaryOp::Ne, a, b) if operators::explicit(a, b, self.profile) => {
                Some(format!("cast one side, for instance ({})…", b.name()))
            }
            _ => None,
        };
        self.sink.push(crate::Severity::Error, span, "type-mismatch", message, hint);
    }

    fn place(&mut self, target: &ast::Expr) -> Option<(Place, Type)> {
        match &target.kind {
            ExprKind::Var(name) => {
                let v = self.variable(name);
                match v.kind {
                    H::Read(place) if self.is_constant(place) => {
                        let text = format!("{} is a constant and cannot be changed", name.text);
                        self.sink.error(target.span, "assign-constant", text);
                        None
                    }
                    H::Read(place) => Some((place, v.ty)),
                    H::Const(_) => {
                        let text = format!("{} is a constant and cannot be changed", name.text);
                        self.sink.error(target.span, "assign-constant", text);
                        None
                    }
                    _ => None,
                }
            }
            ExprKind::Member(base, member) => {
                let ExprKind::Var(name) = &base.kind else {
                    self.sink.error(
                        target.span,
                        "assign-constant",
                        "only a part of a variable can be changed",
                    );
                    return None;
                };
                let v = self.variable(name);
                if v.is_error() {
                    return None;
                }
                let index = self.part_index(v.ty, member)?;
                match v.kind {
                    H::Read(place) if self.is_constant(place) => {
                        let text = format!("{} is a constant and cannot be changed", name.text);
                        self.sink.error(target.span, "assign-constant", text);
                        None
                    }
                    H::Read(Place::Local(s)) => Some((Place::LocalPart(s, index), Type::Float)),
                    H::Read(Place::Global(s)) => Some((Place::GlobalPart(s, index), Type::Float)),
                    _ => {
                        let text = format!("{} is a constant and cannot be changed", name.text);
                        self.sink.error(target.span, "assign-constant", text);
                        None
                    }
                }
            }
            _ => {
                self.sink.error(target.span, "assign-constant", "only a variable can be changed");
                None
            }
        }
    }

    fn assign(
        &mut self,
        span: Span,
        op: Option<BinaryOp>,
        target: &ast::Expr,
        value: &ast::Expr,
        read: bool,
    ) -> Expr {
        let place = self.place(target);
        let v = self.expr(value);
        let Some((place, ty)) = place else { return self.failed(span) };
        if v.is_error() {
            return self.failed(span);
        }
        let v = match op {
            None => self.coerce(v, ty, value.span, &assigned(target)),
            Some(op) => {
                let old = self.make(H::Read(place), ty, target.span);
                let new = self.binary(span, op, old, v);
                let narrowing = ty == Type::Integer && new.ty == Type::Float;
                // A slip in Linden's compiler: `integer *= float` passes. YEngine lets all of these pass.
                if narrowing && (op == BinaryOp::Mul || self.profile.is_opensim()) {
                    if self.profile == Profile::SecondLife && read {
                        self.sink.warn_hint(
                            span,
                            "integer-times-float",
                            "the value of integer *= float cannot be used on Second Life: the script stops here",
                            "write i = (integer)(i * f)",
                        );
                    }
                    self.convert(new, Type::Integer)
                } else {
                    self.coerce(new, ty, span, &assigned(target))
                }
            }
        };
        if v.is_error() {
            return self.failed(span);
        }
        self.make(H::Assign(place, Box::new(v)), ty, span)
    }

    fn step(&mut self, span: Span, prefix: bool, by: i32, target: &ast::Expr) -> Expr {
        let Some((place, ty)) = self.place(target) else { return self.failed(span) };
        if !matches!(ty, Type::Integer | Type::Float) {
            let sign = if by > 0 { "++" } else { "--" };
            let text = format!("{sign} works on integers and floats, this is of type {}", ty.name());
            self.sink.error(span, "type-mismatch", text);
            return self.failed(span);
        }
        self.make(H::Step { place, prefix, by }, ty, span)
    }
}

fn assigned(target: &ast::Expr) -> String {
    match &target.kind {
        ExprKind::Var(n) => format!("the variable {}", n.text),
        ExprKind::Member(b, m) => match &b.kind {
            ExprKind::Var(n) => format!("{}.{}", n.text, m.text),
            _ => "this".to_owned(),
        },
        _ => "this".to_owned(),
    }
}
