//! Expressions.
//!
//! Where Linden has 32-bit floats, a result is rounded when it is stored (variables, arguments, results, lists, vectors);
//! on the way it has 64 bits, as Mono computes. Comparisons round both sides.

use super::FunctionCompiler;
use crate::check::hir::{Expr, ExprKind, Place};
use crate::syntax::ast::{BinaryOp, UnaryOp};
use crate::value::{Type, Value};
use crate::vm::code::{Op, Reg};

impl FunctionCompiler<'_> {
    fn single(&self) -> bool {
        self.shared.profile.single_precision()
    }

    /// Whether the float has to be rounded before it is stored.
    fn wide(&self, e: &Expr) -> bool {
        if !self.single() || e.ty != Type::Float {
            return false;
        }
        match &e.kind {
            // An integer literal that became a float may need more than 24 bits.
            ExprKind::Const(Value::Float(x)) => x.to_bits() != f64::from(*x as f32).to_bits(),
            ExprKind::Const(_)
            | ExprKind::Read(_)
            | ExprKind::Part(..)
            | ExprKind::Call(..)
            | ExprKind::Builtin(..) => false,
            _ => true,
        }
    }

    /// Runs an expression for its effects only.
    pub(super) fn effect(&mut self, e: &Expr) {
        self.line = e.line.max(1);
        match &e.kind {
            ExprKind::Assign(place, value) => {
                self.assign(*place, value, None, false);
            }
            ExprKind::Step { place, by, .. } => {
                self.step(*place, e.ty, true, *by, None, false);
            }
            _ => {
                self.scoped(|me| me.operand(e));
            }
        }
    }

    pub(super) fn declare(&mut self, slot: Reg, value: Option<&Expr>) {
        if let Some(e) = value {
            self.assign(Place::Local(slot), e, None, false);
        } else {
            let ty = self.slot_type(slot);
            self.load(slot, &ty.default_value());
        }
    }

    /// The value in any register: its own where it is a local variable.
    pub(super) fn operand(&mut self, e: &Expr) -> Reg {
        self.expr(e, None)
    }

    /// Like [`Self::operand`], rounded where floats are stored with 32 bits.
    pub(super) fn rounded_operand(&mut self, e: &Expr) -> Reg {
        if self.wide(e) {
            let d = self.temp();
            self.expr(e, Some(d));
            self.emit(Op::Round { d, a: d });
            d
        } else {
            self.operand(e)
        }
    }

    fn rounded_into(&mut self, e: &Expr, d: Reg) {
        self.expr(e, Some(d));
        if self.wide(e) {
            self.emit(Op::Round { d, a: d });
        }
    }

    /// Both operands, the right one evaluated first.
    pub(super) fn operands(&mut self, left: &Expr, right: &Expr) -> (Reg, Reg) {
        let mut b = self.operand(right);
        if let Some(slot) = local_of(right)
            && slot == b
            && writes(left, slot)
        {
            // The left side changes the variable after the right side read it.
            let t = self.temp();
            self.emit(Op::Move { d: t, a: b });
            b = t;
        }
        let a = self.operand(left);
        (a, b)
    }

    /// Evaluates into `want`, or into a register of its own choice. Only the last instruction writes `want`.
    pub(super) fn expr(&mut self, e: &Expr, want: Option<Reg>) -> Reg {
        if e.line > 0 {
            self.line = e.line;
        }
        match &e.kind {
            ExprKind::Error => want.unwrap_or(0),
            ExprKind::Const(v) => {
                let d = self.dest(want);
                self.load(d, v);
                d
            }
            ExprKind::Read(place) => self.read(*place, want),
            ExprKind::Part(inner, i) => {
                let d = self.dest(want);
                self.scoped(|me| {
                    let a = me.operand(inner);
                    me.emit(Op::Part { d, a, i: u16::from(*i) });
                });
                d
            }
            ExprKind::Vector(parts) => self.tuple(&parts[..], want),
            ExprKind::Rotation(parts) => self.tuple(&parts[..], want),
            ExprKind::List(items) => self.list(items, want),
            ExprKind::Call(f, args) => {
                let d = self.dest(want);
                let f = *f;
                self.scoped(|me| {
                    let at = me.arguments(args);
                    me.emit(Op::Call { f, at });
                    if e.ty != Type::Void {
                        me.emit(Op::Move { d, a: at });
                    }
                });
                d
            }
            ExprKind::Builtin(f, args) => {
                let d = self.dest(want);
                let i = self.shared.builtin(f);
                self.scoped(|me| {
                    let at = me.arguments(args);
                    let line = e.line;
                    me.line = line;
                    me.emit(Op::Builtin { f: i, at, n: u16::try_from(args.len()).unwrap_or(u16::MAX) });
                    if e.ty != Type::Void {
                        me.emit(Op::Move { d, a: at });
                    }
                });
                d
            }
            ExprKind::Print(inner) => {
                self.scoped(|me| {
                    let a = me.rounded_operand(inner);
                    me.emit(Op::Print { a });
                });
                want.unwrap_or(0)
            }
            ExprKind::Cast(inner) => {
                let d = self.dest(want);
                self.scoped(|me| {
                    // Casting a float is storing it first: text and integers come from 32 bits.
                    let a = me.rounded_operand(inner);
                    me.line = e.line;
                    me.emit(if inner.ty == Type::Integer && e.ty == Type::Float {
                        Op::IntToFloat { d, a }
                    } else {
                        Op::Cast { d, a, to: e.ty }
                    });
                });
                d
            }
            ExprKind::Unary(op, inner) => {
                let d = self.dest(want);
                self.scoped(|me| {
                    let a = me.operand(inner);
                    me.emit(match (op, inner.ty) {
                        (UnaryOp::Negate, Type::Float) => Op::NegF { d, a },
                        (UnaryOp::Negate, Type::Vector) => Op::NegV { d, a },
                        (UnaryOp::Negate, Type::Rotation) => Op::NegR { d, a },
                        (UnaryOp::Negate, _) => Op::NegI { d, a },
                        (UnaryOp::Complement, _) => Op::Complement { d, a },
                        (UnaryOp::Not, _) => Op::Not { d, a },
                    });
                });
                d
            }
            ExprKind::Binary(op, l, r) => self.binary(e, *op, l, r, want),
            ExprKind::Assign(place, value) => self.assign(*place, value, want, true),
            ExprKind::Step { place, prefix, by } => self.step(*place, e.ty, *prefix, *by, want, true),
            ExprKind::Choose(parts) => {
                let [c, yes, no] = &**parts;
                let d = self.dest(want);
                let t = self.temp();
                let skip = self.branch(c, false);
                self.expr(yes, Some(t));
                let end = self.jump();
                self.patch_here(&[skip]);
                self.expr(no, Some(t));
                self.patch_here(&[end]);
                self.emit(Op::Move { d, a: t });
                d
            }
        }
    }

    fn dest(&mut self, want: Option<Reg>) -> Reg {
        want.unwrap_or_else(|| self.temp())
    }

    fn read(&mut self, place: Place, want: Option<Reg>) -> Reg {
        match (place, want) {
            (Place::Local(slot), None) => slot,
            (Place::Local(slot), Some(d)) => {
                if slot != d {
                    self.emit(Op::Move { d, a: slot });
                }
                d
            }
            (Place::Global(g), _) => {
                let d = self.dest(want);
                self.emit(Op::GetGlobal { d, g });
                d
            }
            (Place::LocalPart(a, i), _) => {
                let d = self.dest(want);
                self.emit(Op::Part { d, a, i: u16::from(i) });
                d
            }
            (Place::GlobalPart(g, i), _) => {
                let d = self.dest(want);
                self.emit(Op::GlobalPart { d, g, i: u16::from(i) });
                d
            }
        }
    }

    /// Arguments from left to right, in a row of registers; gives the first.
    fn arguments(&mut self, args: &[Expr]) -> Reg {
        let at = self.temp();
        for _ in 1..args.len() {
            self.temp();
        }
        for (i, a) in args.iter().enumerate() {
            let d = at + u16::try_from(i).unwrap_or(0);
            self.scoped(|me| me.rounded_into(a, d));
        }
        at
    }

    fn tuple(&mut self, parts: &[Expr], want: Option<Reg>) -> Reg {
        let d = self.dest(want);
        self.scoped(|me| {
            let a = me.arguments(parts);
            me.emit(if parts.len() == 3 { Op::Vector { d, a } } else { Op::Rotation { d, a } });
        });
        d
    }

    /// A list's values are evaluated from the left by Linden's engine, from the right by YEngine.
    fn list(&mut self, items: &[Expr], want: Option<Reg>) -> Reg {
        let d = self.dest(want);
        if items.is_empty() {
            self.load(d, &Type::List.default_value());
            return d;
        }
        self.scoped(|me| {
            let a = me.temp();
            for _ in 1..items.len() {
                me.temp();
            }
            let at = |i: usize| a + u16::try_from(i).unwrap_or(0);
            if me.shared.profile.is_opensim() {
                for (i, e) in items.iter().enumerate().rev() {
                    me.scoped(|me| me.rounded_into(e, at(i)));
                }
            } else {
                for (i, e) in items.iter().enumerate() {
                    me.scoped(|me| me.rounded_into(e, at(i)));
                }
            }
            me.emit(Op::List { d, a, n: u16::try_from(items.len()).unwrap_or(u16::MAX) });
        });
        d
    }

    fn binary(&mut self, e: &Expr, op: BinaryOp, l: &Expr, r: &Expr, want: Option<Reg>) -> Reg {
        if matches!(op, BinaryOp::AndThen | BinaryOp::OrElse) {
            return self.shortcut(op, l, r, want);
        }
        let d = self.dest(want);
        self.scoped(|me| {
            // i + 1, i - 1
            if let (BinaryOp::Add | BinaryOp::Sub, Type::Integer, ExprKind::Const(Value::Integer(k))) =
                (op, l.ty, &r.kind)
                && let Ok(k) = i16::try_from(if op == BinaryOp::Add { *k } else { k.wrapping_neg() })
            {
                let a = me.operand(l);
                me.emit(Op::AddK { d, a, k });
                return;
            }
            let (a, b) = me.operands(l, r);
            let (a, b) =
                if op == BinaryOp::Add && e.ty == Type::List { me.rounded_pair(l, r, a, b) } else { (a, b) };
            me.line = e.line;
            me.emit(instruction(op, l.ty, r.ty, e.ty, d, a, b));
        });
        d
    }

    /// A float that is joined to a list is stored: rounded first.
    fn rounded_pair(&mut self, l: &Expr, r: &Expr, a: Reg, b: Reg) -> (Reg, Reg) {
        let mut one = |e: &Expr, x: Reg| {
            if self.wide(e) {
                let d = self.temp();
                self.emit(Op::Round { d, a: x });
                d
            } else {
                x
            }
        };
        (one(l, a), one(r, b))
    }

    fn shortcut(&mut self, op: BinaryOp, l: &Expr, r: &Expr, want: Option<Reg>) -> Reg {
        let d = self.dest(want);
        let t = self.temp();
        let and = op == BinaryOp::AndThen;
        self.load(t, &Value::Integer(i32::from(!and)));
        let first = self.branch(l, !and);
        let second = self.branch(r, !and);
        self.load(t, &Value::Integer(i32::from(and)));
        self.patch_here(&[first, second]);
        self.emit(Op::Move { d, a: t });
        d
    }

    /// Assigns; gives the register with the assigned value if `read`.
    pub(super) fn assign(&mut self, place: Place, value: &Expr, want: Option<Reg>, read: bool) -> Reg {
        if !read && self.grow(place, value) {
            return 0;
        }
        match place {
            Place::Local(slot) if !read => {
                self.rounded_into_local(value, slot);
                slot
            }
            Place::Local(slot) => {
                // What the assignment gives on Linden's engine is the unrounded value.
                let d = self.dest(want);
                self.expr(value, Some(d));
                let round = self.wide(value);
                self.emit(if round { Op::Round { d: slot, a: d } } else { Op::Move { d: slot, a: d } });
                d
            }
            Place::Global(g) => {
                if read {
                    let d = self.dest(want);
                    self.rounded_into(value, d);
                    self.emit(Op::SetGlobal { g, a: d });
                    d
                } else {
                    self.scoped(|me| {
                        let a = me.rounded_operand(value);
                        me.emit(Op::SetGlobal { g, a });
                    });
                    0
                }
            }
            Place::LocalPart(slot, i) => {
                let d = self.dest(want);
                self.rounded_into(value, d);
                self.emit(Op::SetPart { d: slot, a: d, i: u16::from(i) });
                d
            }
            Place::GlobalPart(g, i) => {
                let d = self.dest(want);
                self.rounded_into(value, d);
                self.emit(Op::SetGlobalPart { g, a: d, i: u16::from(i) });
                d
            }
        }
    }

    fn rounded_into_local(&mut self, value: &Expr, slot: Reg) {
        self.scoped(|me| me.rounded_into(value, slot));
    }

    /// `s = s + …` for text and lists grows the value where it is.
    fn grow(&mut self, place: Place, value: &Expr) -> bool {
        let ExprKind::Binary(BinaryOp::Add, l, r) = &value.kind else { return false };
        let ExprKind::Read(from) = &l.kind else { return false };
        if *from != place || l.ty != value.ty {
            return false;
        }
        let integer = match &r.kind {
            ExprKind::Cast(inner) if r.ty == Type::String && inner.ty == Type::Integer => Some(inner),
            _ => None,
        };
        match (place, value.ty) {
            (Place::Local(d), Type::String) if let Some(i) = integer => self.scoped(|me| {
                let a = me.operand(i);
                me.emit(Op::AppendInt { d, a });
            }),
            (Place::Global(g), Type::String) if let Some(i) = integer => self.scoped(|me| {
                let a = me.operand(i);
                me.emit(Op::AppendGlobalInt { g, a });
            }),
            (Place::Local(d), Type::String) => self.scoped(|me| {
                let a = me.operand(r);
                me.emit(Op::Append { d, a });
            }),
            (Place::Global(g), Type::String) => self.scoped(|me| {
                let a = me.operand(r);
                me.emit(Op::AppendGlobal { g, a });
            }),
            (Place::Local(d), Type::List) => self.scoped(|me| {
                let a = me.rounded_operand(r);
                me.emit(Op::Push { d, a });
            }),
            (Place::Global(g), Type::List) => self.scoped(|me| {
                let a = me.rounded_operand(r);
                me.emit(Op::PushGlobal { g, a });
            }),
            _ => return false,
        }
        true
    }

    /// `++` and `--`.
    fn step(&mut self, place: Place, ty: Type, prefix: bool, by: i32, want: Option<Reg>, read: bool) -> Reg {
        let k = if by < 0 { -1 } else { 1 };
        if let (Place::Local(slot), Type::Integer) = (place, ty) {
            if !read {
                self.emit(Op::AddK { d: slot, a: slot, k });
                return slot;
            }
            let d = self.dest(want);
            if prefix {
                self.emit(Op::AddK { d: slot, a: slot, k });
                self.emit(Op::Move { d, a: slot });
            } else {
                // In `i = i++` the old value is stored last.
                let old = if d == slot { self.temp() } else { d };
                self.emit(Op::Move { d: old, a: slot });
                self.emit(Op::AddK { d: slot, a: slot, k });
                if old != d {
                    self.emit(Op::Move { d, a: old });
                }
            }
            return d;
        }
        let d = self.dest(want);
        self.scoped(|me| {
            let old = me.temp();
            me.read(place, Some(old));
            let new = me.temp();
            if ty == Type::Integer {
                me.emit(Op::AddK { d: new, a: old, k });
            } else {
                let one = me.temp();
                me.load(one, &Value::Float(f64::from(k)));
                me.emit(Op::AddF { d: new, a: old, b: one });
            }
            let round = me.single() && ty == Type::Float;
            let stored = if round {
                let s = me.temp();
                me.emit(Op::Round { d: s, a: new });
                s
            } else {
                new
            };
            match place {
                Place::Local(slot) => me.emit(Op::Move { d: slot, a: stored }),
                Place::Global(g) => me.emit(Op::SetGlobal { g, a: stored }),
                Place::LocalPart(slot, i) => me.emit(Op::SetPart { d: slot, a: stored, i: u16::from(i) }),
                Place::GlobalPart(g, i) => me.emit(Op::SetGlobalPart { g, a: stored, i: u16::from(i) }),
            }
            if read {
                // As with assignments: a local variable gives the unrounded value.
                let new = if matches!(place, Place::Local(_)) { new } else { stored };
                me.emit(Op::Move { d, a: if prefix { new } else { old } });
            }
        });
        d
    }
}

/// The local variable that an expression gives without copying it.
const fn local_of(e: &Expr) -> Option<u16> {
    match &e.kind {
        ExprKind::Read(Place::Local(slot)) => Some(*slot),
        _ => None,
    }
}

/// Whether evaluating the expression changes the local variable.
fn writes(e: &Expr, slot: u16) -> bool {
    let hit = |p: &Place| matches!(p, Place::Local(s) | Place::LocalPart(s, _) if *s == slot);
    match &e.kind {
        ExprKind::Const(_) | ExprKind::Read(_) | ExprKind::Error => false,
        ExprKind::Part(x, _) | ExprKind::Print(x) | ExprKind::Cast(x) | ExprKind::Unary(_, x) => {
            writes(x, slot)
        }
        ExprKind::Vector(parts) => parts.iter().any(|x| writes(x, slot)),
        ExprKind::Rotation(parts) => parts.iter().any(|x| writes(x, slot)),
        ExprKind::List(items) | ExprKind::Call(_, items) | ExprKind::Builtin(_, items) => {
            items.iter().any(|x| writes(x, slot))
        }
        ExprKind::Binary(_, l, r) => writes(l, slot) || writes(r, slot),
        ExprKind::Assign(p, x) => hit(p) || writes(x, slot),
        ExprKind::Step { place, .. } => hit(place),
        ExprKind::Choose(parts) => parts.iter().any(|x| writes(x, slot)),
    }
}

#[expect(clippy::many_single_char_names, reason = "operands of an instruction")]
fn instruction(op: BinaryOp, l: Type, r: Type, result: Type, d: Reg, a: Reg, b: Reg) -> Op {
    use BinaryOp as B;
    match (op, l, r) {
        (B::And, ..) => Op::And { d, a, b },
        (B::Or, ..) => Op::Or { d, a, b },
        (B::Add, ..) if result == Type::List => Op::Join { d, a, b },
        (B::Add, Type::Integer, _) => Op::AddI { d, a, b },
        (B::Sub, Type::Integer, _) => Op::SubI { d, a, b },
        (B::Mul, Type::Integer, _) => Op::MulI { d, a, b },
        (B::Div, Type::Integer, _) => Op::DivI { d, a, b },
        (B::Mod, Type::Integer, _) => Op::ModI { d, a, b },
        (B::Eq, Type::Integer, _) => Op::EqI { d, a, b },
        (B::Ne, Type::Integer, _) => Op::NeI { d, a, b },
        (B::Lt, Type::Integer, _) => Op::LtI { d, a, b },
        (B::Le, Type::Integer, _) => Op::LeI { d, a, b },
        (B::Gt, Type::Integer, _) => Op::LtI { d, a: b, b: a },
        (B::Ge, Type::Integer, _) => Op::LeI { d, a: b, b: a },
        (B::BitAnd, ..) => Op::BitAnd { d, a, b },
        (B::BitOr, ..) => Op::BitOr { d, a, b },
        (B::BitXor, ..) => Op::BitXor { d, a, b },
        (B::Shl, ..) => Op::Shl { d, a, b },
        (B::Shr, ..) => Op::Shr { d, a, b },
        // A number times a vector is the vector scaled.
        (B::Mul, Type::Float, Type::Vector) => Op::Scale { d, a: b, b: a },
        (B::Add, Type::Float, _) => Op::AddF { d, a, b },
        (B::Sub, Type::Float, _) => Op::SubF { d, a, b },
        (B::Mul, Type::Float, _) => Op::MulF { d, a, b },
        (B::Div, Type::Float, _) => Op::DivF { d, a, b },
        (B::Mod, Type::Float, _) => Op::ModF { d, a, b },
        (B::Eq, Type::Float, _) => Op::EqF { d, a, b },
        (B::Ne, Type::Float, _) => Op::NeF { d, a, b },
        (B::Lt, Type::Float, _) => Op::LtF { d, a, b },
        (B::Le, Type::Float, _) => Op::LeF { d, a, b },
        (B::Gt, Type::Float, _) => Op::LtF { d, a: b, b: a },
        (B::Ge, Type::Float, _) => Op::LeF { d, a: b, b: a },
        (B::Eq, ..) => Op::Equal { d, a, b },
        (B::Ne, ..) => Op::Differ { d, a, b },
        (B::Lt, ..) => Op::LtS { d, a, b },
        (B::Le, ..) => Op::LeS { d, a, b },
        (B::Gt, ..) => Op::LtS { d, a: b, b: a },
        (B::Ge, ..) => Op::LeS { d, a: b, b: a },
        (B::Add, Type::Vector, _) => Op::AddV { d, a, b },
        (B::Sub, Type::Vector, _) => Op::SubV { d, a, b },
        (B::Mul, Type::Vector, Type::Vector) => Op::Dot { d, a, b },
        (B::Mul, Type::Vector, Type::Rotation) => Op::Rotate { d, a, b },
        (B::Mul, Type::Vector, _) => Op::Scale { d, a, b },
        (B::Div, Type::Vector, Type::Rotation) => Op::Unrotate { d, a, b },
        (B::Div, Type::Vector, _) => Op::Shrink { d, a, b },
        (B::Mod, Type::Vector, _) => Op::Cross { d, a, b },
        (B::Add, Type::Rotation, _) => Op::AddR { d, a, b },
        (B::Sub, Type::Rotation, _) => Op::SubR { d, a, b },
        (B::Mul, Type::Rotation, _) => Op::MulR { d, a, b },
        (B::Div, Type::Rotation, _) => Op::DivR { d, a, b },
        _ => Op::Concat { d, a, b },
    }
}
