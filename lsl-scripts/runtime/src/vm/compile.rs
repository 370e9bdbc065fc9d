//! Checked tree to compact code.

mod expression;

use super::code::{Body, Builtin, NO_HANDLER, Op, Program, Reg, State, Target};
use super::intrinsic::Intrinsic;
use crate::check::hir::{self, Expr, ExprKind, Place, Stmt, StmtKind};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::library;
use crate::profile::Profile;
use crate::syntax::ast::BinaryOp;
use crate::tables;
use crate::value::{Type, Value};
use std::collections::HashMap;

/// Compiles a checked script.
///
/// # Errors
///
/// A function is too large for the code's 16-bit positions.
pub(crate) fn compile(
    script: hir::Script,
    profile: Profile,
    warnings: Diagnostics,
) -> Result<Program, Diagnostics> {
    let hir::Script { globals, functions, states } = script;
    let mut shared =
        Shared { profile, constants: Vec::new(), builtins: Vec::new(), by_function: HashMap::new() };
    let mut bodies = Vec::new();
    let mut too_large = None;
    let mut add = |shared: &mut Shared, body: &hir::Body, bodies: &mut Vec<Body>| -> u16 {
        let compiled = FunctionCompiler::new(shared, body).run(body);
        if compiled.code.len() > usize::from(u16::MAX) || compiled.registers > MAX_REGISTERS {
            too_large.get_or_insert_with(|| compiled.name.clone());
        }
        bodies.push(compiled);
        u16::try_from(bodies.len() - 1).unwrap_or(u16::MAX)
    };
    // Function n of the tree is body n.
    for f in &functions {
        add(&mut shared, f, &mut bodies);
    }
    let init = hir::Body {
        name: "global variables".to_owned(),
        returns: Type::Void,
        params: Vec::new(),
        locals: Vec::new(),
        labels: 0,
        statements: Vec::new(),
    };
    let mut init_statements = init;
    let mut first = Vec::with_capacity(globals.len());
    let mut global_names = Vec::with_capacity(globals.len());
    for (i, g) in globals.into_iter().enumerate() {
        let default = g.ty.default_value();
        global_names.push(g.name);
        match g.init {
            None => first.push(default),
            Some(Expr { kind: ExprKind::Const(v), .. }) if v.ty() == g.ty => first.push(v),
            Some(e) => {
                first.push(default);
                let line = e.line;
                let place = Place::Global(u16::try_from(i).unwrap_or(u16::MAX));
                let assign = Expr { ty: g.ty, kind: ExprKind::Assign(place, Box::new(e)), line };
                init_statements.statements.push(Stmt { kind: StmtKind::Expr(assign), line });
            }
        }
    }
    let init = add(&mut shared, &init_statements, &mut bodies);
    let mut compiled_states = Vec::with_capacity(states.len());
    for s in &states {
        let mut handlers = vec![NO_HANDLER; tables::events().len()];
        for (event, body) in &s.handlers {
            handlers[usize::from(event.0)] = add(&mut shared, body, &mut bodies);
        }
        compiled_states.push(State { name: s.name.clone(), handlers });
    }
    if bodies.len() >= usize::from(NO_HANDLER) {
        too_large = Some("the script".to_owned());
    }
    if let Some(name) = too_large {
        let message = format!("{name} is too large: split it into smaller functions");
        return Err(Diagnostics(vec![Diagnostic {
            severity: Severity::Error,
            code: "too-large",
            line: 1,
            column: 1,
            end_line: 1,
            end_column: 1,
            message,
            hint: None,
        }]));
    }
    let Shared { constants, builtins, .. } = shared;
    let code_size = code_size(&bodies, &constants, profile);
    Ok(Program {
        profile,
        bodies,
        init,
        constants,
        builtins,
        states: compiled_states,
        globals: first,
        global_names,
        code_size,
        warnings,
    })
}

/// Windows larger than this are refused: a few calls would fill the register stack.
const MAX_REGISTERS: u16 = 32_000;

/// What the code takes of the script's memory. On Second Life code and data share 64 KiB; an empty script there reports
/// about 3.6 KiB used. YEngine counts data only.
fn code_size(bodies: &[Body], constants: &[Value], profile: Profile) -> usize {
    if profile.is_opensim() {
        return 0;
    }
    let code: usize = bodies.iter().map(|b| 40 + 5 * b.code.len()).sum();
    let text: usize = constants
        .iter()
        .map(|v| match v {
            Value::Str(s) | Value::Key(s) => 2 * s.len(),
            _ => 4,
        })
        .sum();
    3_600 + code + text
}

/// What all functions of a script share.
struct Shared {
    profile: Profile,
    constants: Vec<Value>,
    builtins: Vec<Builtin>,
    by_function: HashMap<u16, u16>,
}

impl Shared {
    fn constant(&mut self, v: &Value) -> u16 {
        // Bit patterns, not `==`: -0.0 and 0.0 are different constants.
        let same = |a: &Value, b: &Value| match (a, b) {
            (Value::Float(x), Value::Float(y)) => x.to_bits() == y.to_bits(),
            (Value::Vector(x), Value::Vector(y)) => x.map(f64::to_bits) == y.map(f64::to_bits),
            (Value::Rotation(x), Value::Rotation(y)) => x.map(f64::to_bits) == y.map(f64::to_bits),
            _ => a == b,
        };
        let at = self.constants.iter().position(|c| same(c, v)).unwrap_or_else(|| {
            self.constants.push(v.clone());
            self.constants.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    fn builtin(&mut self, f: &'static tables::Function) -> u16 {
        if let Some(&i) = self.by_function.get(&f.id) {
            return i;
        }
        let target = match (Intrinsic::named(f.name), library::resolve(f.name, self.profile)) {
            (Some(i), _) => Target::Machine(i),
            (None, Some(l)) => Target::Library(l),
            (None, None) => Target::Host,
        };
        let i = u16::try_from(self.builtins.len()).unwrap_or(u16::MAX);
        self.builtins.push(Builtin { function: f, target, sleep: f.sleep(self.profile) });
        self.by_function.insert(f.id, i);
        i
    }
}

struct FunctionCompiler<'a> {
    shared: &'a mut Shared,
    code: Vec<Op>,
    lines: Vec<u32>,
    line: u32,
    /// First free temporary.
    next: u32,
    most: u32,
    returns: Type,
    types: Vec<Type>,
    /// Position of each label, once known.
    labels: Vec<Option<u32>>,
    /// Jumps whose label came later.
    waiting: Vec<(usize, u16)>,
}

impl<'a> FunctionCompiler<'a> {
    fn new(shared: &'a mut Shared, body: &hir::Body) -> Self {
        let locals = u32::try_from(body.locals.len()).unwrap_or(u32::MAX);
        Self {
            shared,
            code: Vec::new(),
            lines: Vec::new(),
            line: 0,
            next: locals,
            most: locals.max(1),
            returns: body.returns,
            types: body.locals.clone(),
            labels: vec![None; usize::from(body.labels)],
            waiting: Vec::new(),
        }
    }

    fn run(mut self, body: &hir::Body) -> Body {
        if body.labels > 0 {
            // A jump may pass over a declaration; the variable behind it still has its default.
            for (slot, ty) in body.locals.iter().enumerate().skip(body.params.len()) {
                self.load(u16::try_from(slot).unwrap_or(u16::MAX), &ty.default_value());
            }
        }
        self.statements(&body.statements);
        // Functions with a result end in a return; where the checker let a hole pass, the type's default is returned.
        if body.returns == Type::Void {
            self.emit(Op::ReturnNothing);
        } else {
            let t = self.temp();
            self.load(t, &body.returns.default_value());
            self.emit(Op::Return { a: t });
        }
        for (at, label) in std::mem::take(&mut self.waiting) {
            let t = self.labels[usize::from(label)].unwrap_or(0);
            self.patch(at, t);
        }
        Body {
            name: body.name.clone(),
            code: self.code,
            lines: self.lines,
            registers: u16::try_from(self.most).unwrap_or(u16::MAX),
            locals: u16::try_from(body.locals.len()).unwrap_or(u16::MAX),
        }
    }

    fn slot_type(&self, slot: Reg) -> Type {
        self.types.get(usize::from(slot)).copied().unwrap_or(Type::Integer)
    }

    fn emit(&mut self, op: Op) {
        self.code.push(op);
        self.lines.push(self.line);
    }

    fn here(&self) -> u32 {
        u32::try_from(self.code.len()).unwrap_or(u32::MAX)
    }

    fn temp(&mut self) -> Reg {
        let t = self.next;
        self.next += 1;
        self.most = self.most.max(self.next);
        u16::try_from(t).unwrap_or(u16::MAX)
    }

    /// Runs `f`, then frees the temporaries it took.
    fn scoped<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.next;
        let out = f(self);
        self.next = before;
        out
    }

    fn load(&mut self, d: Reg, v: &Value) {
        if let Value::Integer(i) = v {
            self.emit(Op::Int { d, i: *i });
        } else {
            let k = self.shared.constant(v);
            self.emit(Op::Const { d, k });
        }
    }

    fn statements(&mut self, list: &[Stmt]) {
        for s in list {
            self.statement(s);
        }
    }

    fn patch(&mut self, at: usize, to: u32) {
        let short = u16::try_from(to).unwrap_or(u16::MAX);
        match &mut self.code[at] {
            Op::Jump { t } | Op::JumpIf { t, .. } | Op::JumpIfNot { t, .. } => *t = to,
            Op::JumpEq { t, .. }
            | Op::JumpNe { t, .. }
            | Op::JumpLt { t, .. }
            | Op::JumpLe { t, .. }
            | Op::JumpNotLt { t, .. }
            | Op::JumpNotLe { t, .. } => *t = short,
            _ => {}
        }
    }

    fn patch_here(&mut self, jumps: &[usize]) {
        let here = self.here();
        for &at in jumps {
            self.patch(at, here);
        }
    }

    /// Emits a jump whose target is filled in later; gives its position.
    fn jump(&mut self) -> usize {
        self.emit(Op::Jump { t: 0 });
        self.code.len() - 1
    }

    /// A jump taken if the condition is `when`; its target is filled in later.
    fn branch(&mut self, c: &Expr, when: bool) -> usize {
        self.line = c.line;
        self.scoped(|me| {
            if let ExprKind::Binary(op, l, r) = &c.kind
                && l.ty == Type::Integer
                && r.ty == Type::Integer
                && matches!(
                    op,
                    BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
                )
            {
                let (a, b) = me.operands(l, r);
                let t = 0;
                me.emit(match (op, when) {
                    (BinaryOp::Eq, true) | (BinaryOp::Ne, false) => Op::JumpEq { a, b, t },
                    (BinaryOp::Ne, true) | (BinaryOp::Eq, false) => Op::JumpNe { a, b, t },
                    (BinaryOp::Lt, true) => Op::JumpLt { a, b, t },
                    (BinaryOp::Le, true) => Op::JumpLe { a, b, t },
                    (BinaryOp::Gt, true) => Op::JumpLt { a: b, b: a, t },
                    (BinaryOp::Ge, true) => Op::JumpLe { a: b, b: a, t },
                    (BinaryOp::Lt, false) => Op::JumpNotLt { a, b, t },
                    (BinaryOp::Le, false) => Op::JumpNotLe { a, b, t },
                    (BinaryOp::Gt, false) => Op::JumpNotLt { a: b, b: a, t },
                    _ => Op::JumpNotLe { a: b, b: a, t },
                });
            } else {
                let a = me.operand(c);
                me.emit(if when { Op::JumpIf { a, t: 0 } } else { Op::JumpIfNot { a, t: 0 } });
            }
        });
        self.code.len() - 1
    }

    fn statement(&mut self, s: &Stmt) {
        self.line = s.line;
        match &s.kind {
            StmtKind::Expr(e) => self.effect(e),
            StmtKind::Declare(slot, value) => self.declare(*slot, value.as_ref()),
            StmtKind::If(branches, otherwise) => {
                let mut ends = Vec::new();
                for (i, (c, body)) in branches.iter().enumerate() {
                    let skip = self.branch(c, false);
                    self.statements(body);
                    if i + 1 < branches.len() || otherwise.is_some() {
                        ends.push(self.jump());
                    }
                    self.patch_here(&[skip]);
                }
                if let Some(body) = otherwise {
                    self.statements(body);
                }
                self.patch_here(&ends);
            }
            StmtKind::While(c, body) => {
                let enter = self.jump();
                let top = self.here();
                self.statements(body);
                self.patch_here(&[enter]);
                let back = self.branch(c, true);
                self.patch(back, top);
            }
            StmtKind::DoWhile(body, c) => {
                let top = self.here();
                self.statements(body);
                let back = self.branch(c, true);
                self.patch(back, top);
            }
            StmtKind::For(init, c, step, body) => {
                for e in init {
                    self.effect(e);
                }
                let enter = self.jump();
                let top = self.here();
                self.statements(body);
                for e in step {
                    self.line = e.line;
                    self.effect(e);
                }
                self.patch_here(&[enter]);
                let back = match c {
                    Some(c) => self.branch(c, true),
                    None => self.jump(),
                };
                self.patch(back, top);
            }
            StmtKind::Jump(label) => {
                let at = self.jump();
                match self.labels[usize::from(*label)] {
                    Some(t) => self.patch(at, t),
                    None => self.waiting.push((at, *label)),
                }
            }
            StmtKind::Label(label) => self.labels[usize::from(*label)] = Some(self.here()),
            StmtKind::Return(value) => self.returned(value.as_ref()),
            StmtKind::State(s) => self.emit(Op::State { s: *s }),
            StmtKind::Block(list) => self.statements(list),
        }
    }

    fn returned(&mut self, value: Option<&Expr>) {
        match value {
            Some(e) if self.returns != Type::Void => self.scoped(|me| {
                let a = me.rounded_operand(e);
                me.emit(Op::Return { a });
            }),
            Some(e) => {
                self.effect(e);
                self.emit(Op::ReturnNothing);
            }
            None => self.emit(Op::ReturnNothing),
        }
    }
}
