//! The interpreter's loop.

use super::arith;
use super::code::{Op, Program, Target};
use super::intrinsic::{Intrinsic, detected};
use super::script::{CHANGE, CHANGE_BUDGET, Script, Work};
use crate::error::{ErrorKind, RuntimeError};
use crate::host::{ForcedSleep, Host, Then};
use crate::library::LibCtx;
use crate::profile::Profile;
use crate::value::{Type, Value};
use std::sync::Arc;

/// A call under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) body: u16,
    pub(crate) pc: u32,
    /// Where its window begins in the register stack.
    pub(crate) base: u32,
}

/// Why the loop stopped.
#[derive(Debug)]
pub(crate) enum Pause {
    Preempted,
    Sleep(f64),
    Done,
    State(u16),
    Reset,
    Failed(RuntimeError),
}

/// What the loop does after a function of the grid.
enum After {
    Go,
    Sleep(f64),
    Done,
    Reset,
}

/// Bytes of a long value that cost as much as an instruction.
const BYTES_PER_STEP: u64 = 32;
/// Instructions that one count of the memory stands for.
const COUNTING: u64 = 256;
/// Registers of all calls together: bounds the host's memory whatever a script does.
const MAX_STACK: usize = 200_000;

#[inline(always)]
fn int(v: &Value) -> i32 {
    match v {
        Value::Integer(i) => *i,
        _ => 0,
    }
}

#[inline(always)]
fn float(v: &Value) -> f64 {
    match v {
        Value::Float(f) => *f,
        _ => 0.0,
    }
}

#[inline(always)]
fn vector(v: &Value) -> [f64; 3] {
    match v {
        Value::Vector(v) => *v,
        _ => [0.0; 3],
    }
}

#[inline(always)]
fn rotation(v: &Value) -> [f64; 4] {
    match v {
        Value::Rotation(r) => *r,
        _ => [0.0, 0.0, 0.0, 1.0],
    }
}

#[inline(always)]
fn text(v: &Value) -> &str {
    match v {
        Value::Str(s) | Value::Key(s) => s,
        _ => "",
    }
}

fn part(v: &Value, i: u16) -> f64 {
    let i = usize::from(i);
    match v {
        Value::Vector(v) => v.get(i).copied().unwrap_or_default(),
        Value::Rotation(r) => r.get(i).copied().unwrap_or_default(),
        _ => 0.0,
    }
}

fn set_part(v: &mut Value, i: u16, x: f64) {
    let i = usize::from(i);
    let place = match v {
        Value::Vector(v) => v.get_mut(i),
        Value::Rotation(r) => r.get_mut(i),
        _ => None,
    };
    if let Some(p) = place {
        *p = x;
    }
}

/// Stores a number. The slot mostly holds one of the same type already: then nothing is to be dropped.
#[inline(always)]
fn put_int(slot: &mut Value, v: i32) {
    if let Value::Integer(old) = slot {
        *old = v;
    } else {
        *slot = Value::Integer(v);
    }
}

#[inline(always)]
fn put_float(slot: &mut Value, v: f64) {
    if let Value::Float(old) = slot {
        *old = v;
    } else {
        *slot = Value::Float(v);
    }
}

/// Copies a value; numbers without the detour over `clone`.
#[inline(always)]
fn copy(from: &Value, to: &mut Value) {
    match from {
        Value::Integer(i) => put_int(to, *i),
        Value::Float(f) => put_float(to, *f),
        v => *to = v.clone(),
    }
}

#[inline(always)]
fn is_true(v: &Value, profile: Profile) -> bool {
    match v {
        Value::Integer(i) => *i != 0,
        v => v.is_true(profile),
    }
}

/// Lets go of what a register holds; numbers may stay.
#[inline(always)]
fn release(v: &mut Value) {
    if matches!(v, Value::Str(_) | Value::Key(_) | Value::List(_)) {
        *v = Value::Integer(0);
    }
}

/// The digits of an integer.
struct Digits {
    text: [u8; 11],
    from: usize,
}

impl Digits {
    #[inline]
    fn of(i: i32) -> Self {
        let mut text = [0u8; 11];
        let mut from = text.len();
        let mut n = i.unsigned_abs();
        loop {
            from -= 1;
            text[from] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        if i < 0 {
            from -= 1;
            text[from] = b'-';
        }
        Self { text, from }
    }

    #[inline]
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[self.from..]).unwrap_or_default()
    }
}

fn append_integer(to: &mut Value, i: i32) -> usize {
    let Value::Str(s) = to else { return 0 };
    let d = Digits::of(i);
    s.push_str(d.as_str());
    2 * d.as_str().len()
}

const fn truth(b: bool) -> Value {
    Value::Integer(b as i32)
}

fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

fn narrow<const F32: bool>(x: f64) -> f64 {
    if F32 { single(x) } else { x }
}

fn narrow_all<const F32: bool, const N: usize>(x: [f64; N]) -> [f64; N] {
    if F32 { x.map(single) } else { x }
}

/// Bytes that go into the accounting when this value was made.
fn weight(v: &Value) -> usize {
    match v {
        Value::Str(s) | Value::Key(s) => 20 + 2 * s.len(),
        Value::List(l) => 72 + 20 * l.len(),
        _ => 4,
    }
}

fn append(to: &mut Value, more: &Value) -> usize {
    let (Value::Str(s), Value::Str(m) | Value::Key(m)) = (to, more) else { return 0 };
    s.push_str(m);
    2 * m.len()
}

fn push(to: &mut Value, more: &Value) -> usize {
    let Value::List(l) = to else { return 0 };
    let items = Arc::make_mut(l);
    match more {
        Value::List(m) => {
            items.extend(m.iter().cloned());
            m.iter().map(|v| 16 + weight(v)).sum()
        }
        v => {
            items.push(v.clone());
            16 + weight(v)
        }
    }
}

fn join(a: &Value, b: &Value) -> Value {
    let mut out = Vec::new();
    for v in [a, b] {
        match v {
            Value::List(l) => out.extend(l.iter().cloned()),
            v => out.push(v.clone()),
        }
    }
    Value::list(out)
}

fn zero_division() -> RuntimeError {
    RuntimeError::math("division by zero")
}

impl Script {
    /// Runs the current handler until it ends, pauses or fails.
    pub(crate) fn execute<const F32: bool>(&mut self, host: &mut dyn Host, budget: &mut u64) -> Pause {
        let program = Arc::clone(&self.program);
        let Some(mut work) = self.work.take() else { return Pause::Done };
        let before = *budget;
        let mut pause = self.run::<F32>(&program, &mut work, host, budget);
        self.spent += before - *budget;
        if matches!(pause, Pause::State(_) | Pause::Reset) {
            self.spent += CHANGE;
            *budget = budget.saturating_sub(CHANGE_BUDGET);
        }
        if let Pause::Failed(e) = &mut pause {
            if e.line == 0
                && let Some(f) = work.frames.last()
            {
                let lines = &program.bodies[usize::from(f.body)].lines;
                e.line = lines.get((f.pc as usize).saturating_sub(1)).copied().unwrap_or(0);
            }
        } else if matches!(pause, Pause::Preempted | Pause::State(_) | Pause::Reset)
            && self.spent > self.limits.runaway
        {
            // A preempted script stands before its next instruction, one that changes state behind the last.
            let back = usize::from(!matches!(pause, Pause::Preempted));
            let line = work.frames.last().map_or(0, |f| {
                let lines = &program.bodies[usize::from(f.body)].lines;
                lines.get((f.pc as usize).saturating_sub(back)).copied().unwrap_or(0)
            });
            let what = match pause {
                Pause::State(_) => "states that change into each other",
                Pause::Reset => "resets one after the other",
                _ => "instructions",
            };
            let mut e = RuntimeError::new(
                ErrorKind::Runaway,
                format!(
                    "stopped: {what} without an end, an event or a sleep, as much as {} instructions",
                    self.spent
                ),
            );
            e.line = line;
            pause = Pause::Failed(e);
        }
        self.work = Some(work);
        pause
    }

    /// Whether the memory has to be counted, now that so many bytes more were made.
    #[inline(always)]
    const fn charge(&mut self, bytes: usize) -> bool {
        self.fresh += bytes;
        self.used + self.fresh > self.limits.memory
    }

    /// Counting needs the script whole; the work is lent to it.
    #[cold]
    fn count(&mut self, work: &mut Work) -> Result<(), RuntimeError> {
        self.work = Some(Box::new(std::mem::take(work)));
        let result = self.count_memory();
        if let Some(w) = self.work.take() {
            *work = *w;
        }
        result
    }

    #[expect(clippy::too_many_lines, clippy::cognitive_complexity, reason = "one arm per instruction")]
    fn run<const F32: bool>(
        &mut self,
        program: &Program,
        work: &mut Work,
        host: &mut dyn Host,
        budget: &mut u64,
    ) -> Pause {
        let Some(mut frame) = work.frames.last().copied() else { return Pause::Done };
        let mut code: &[Op] = &program.bodies[usize::from(frame.body)].code;
        let mut pc = frame.pc as usize;
        let mut base = frame.base as usize;
        let mut fuel = *budget;
        let mut size = usize::from(program.bodies[usize::from(frame.body)].registers);
        let mut regs: &mut [Value] = &mut work.stack[base..base + size];

        // Leaves the loop with everything written back.
        macro_rules! leave {
            ($pause:expr) => {{
                if let Some(f) = work.frames.last_mut() {
                    f.pc = pc as u32;
                }
                *budget = fuel;
                return $pause;
            }};
        }
        macro_rules! attempt {
            ($result:expr) => {
                match $result {
                    Ok(v) => v,
                    Err(e) => leave!(Pause::Failed(e)),
                }
            };
        }
        macro_rules! reg {
            ($r:expr) => {
                regs[usize::from($r)]
            };
        }
        // Moves on to where the code, the position and the window of the current function are.
        macro_rules! window {
            () => {
                regs = &mut work.stack[base..base + size];
            };
        }
        macro_rules! charge {
            ($bytes:expr) => {
                let bytes = $bytes;
                // Long values cost time as well as memory.
                fuel = fuel.saturating_sub(bytes as u64 / BYTES_PER_STEP);
                if self.charge(bytes) {
                    if let Some(f) = work.frames.last_mut() {
                        f.pc = pc as u32;
                    }
                    if let Err(e) = self.count(work) {
                        *budget = fuel;
                        return Pause::Failed(e);
                    }
                    // Counting takes time in proportion to what is held; a script near its limit pays for it.
                    fuel = fuel.saturating_sub(COUNTING);
                    window!();
                }
            };
        }
        // A jump back pays for the instructions of the round; code without jumps is short.
        macro_rules! go {
            ($t:expr) => {{
                let t = $t as usize;
                if t < pc {
                    let cost = (pc - t) as u64;
                    if fuel <= cost {
                        fuel = 0;
                        pc = t;
                        leave!(Pause::Preempted);
                    }
                    fuel -= cost;
                }
                pc = t;
            }};
        }
        macro_rules! ints {
            ($d:expr, $a:expr, $b:expr, $f:expr) => {{
                let v = $f(int(&reg!($a)), int(&reg!($b)));
                put_int(&mut reg!($d), v);
            }};
        }
        macro_rules! floats {
            ($d:expr, $a:expr, $b:expr, $f:expr) => {{
                let v: f64 = $f(float(&reg!($a)), float(&reg!($b)));
                put_float(&mut reg!($d), v);
            }};
        }
        macro_rules! compare {
            ($d:expr, $a:expr, $b:expr, $f:expr) => {{
                let (a, b) = (narrow::<F32>(float(&reg!($a))), narrow::<F32>(float(&reg!($b))));
                put_int(&mut reg!($d), i32::from($f(&a, &b)));
            }};
        }
        macro_rules! vectors {
            ($d:expr, $v:expr) => {{
                let v = $v;
                reg!($d) = Value::Vector(narrow_all::<F32, 3>(v));
            }};
        }
        macro_rules! rotations {
            ($d:expr, $v:expr) => {{
                let v = $v;
                reg!($d) = Value::Rotation(narrow_all::<F32, 4>(v));
            }};
        }

        loop {
            let op = code[pc];
            pc += 1;
            match op {
                Op::Move { d, a } => match &reg!(a) {
                    Value::Integer(i) => {
                        let i = *i;
                        put_int(&mut reg!(d), i);
                    }
                    Value::Float(f) => {
                        let f = *f;
                        put_float(&mut reg!(d), f);
                    }
                    Value::Str(s) => {
                        let s = s.clone();
                        if let Value::Str(old) = &mut reg!(d) {
                            *old = s;
                        } else {
                            reg!(d) = Value::Str(s);
                        }
                    }
                    v => {
                        let v = v.clone();
                        reg!(d) = v;
                    }
                },
                Op::Const { d, k } => copy(&program.constants[usize::from(k)], &mut reg!(d)),
                Op::Int { d, i } => put_int(&mut reg!(d), i),
                Op::GetGlobal { d, g } => copy(&self.globals[usize::from(g)], &mut reg!(d)),
                Op::SetGlobal { g, a } => copy(&reg!(a), &mut self.globals[usize::from(g)]),
                Op::Part { d, a, i } => {
                    let x = part(&reg!(a), i);
                    put_float(&mut reg!(d), x);
                }
                Op::SetPart { d, a, i } => {
                    let x = float(&reg!(a));
                    set_part(&mut reg!(d), i, x);
                }
                Op::GlobalPart { d, g, i } => reg!(d) = Value::Float(part(&self.globals[usize::from(g)], i)),
                Op::SetGlobalPart { g, a, i } => {
                    let x = float(&reg!(a));
                    set_part(&mut self.globals[usize::from(g)], i, x);
                }
                Op::Round { d, a } => {
                    let x = single(float(&reg!(a)));
                    put_float(&mut reg!(d), x);
                }

                Op::AddI { d, a, b } => ints!(d, a, b, i32::wrapping_add),
                Op::SubI { d, a, b } => ints!(d, a, b, i32::wrapping_sub),
                Op::MulI { d, a, b } => ints!(d, a, b, i32::wrapping_mul),
                Op::DivI { d, a, b } => {
                    if int(&reg!(b)) == 0 {
                        leave!(Pause::Failed(zero_division()));
                    }
                    ints!(d, a, b, i32::wrapping_div);
                }
                Op::ModI { d, a, b } => {
                    if int(&reg!(b)) == 0 {
                        leave!(Pause::Failed(zero_division()));
                    }
                    ints!(d, a, b, i32::wrapping_rem);
                }
                Op::AddK { d, a, k } => {
                    let v = int(&reg!(a)).wrapping_add(i32::from(k));
                    put_int(&mut reg!(d), v);
                }
                Op::BitAnd { d, a, b } => ints!(d, a, b, |x, y| x & y),
                Op::BitOr { d, a, b } => ints!(d, a, b, |x, y| x | y),
                Op::BitXor { d, a, b } => ints!(d, a, b, |x, y| x ^ y),
                Op::Shl { d, a, b } => ints!(d, a, b, |x: i32, y: i32| x.wrapping_shl(y.cast_unsigned())),
                Op::Shr { d, a, b } => ints!(d, a, b, |x: i32, y: i32| x.wrapping_shr(y.cast_unsigned())),
                Op::EqI { d, a, b } => ints!(d, a, b, |x, y| i32::from(x == y)),
                Op::NeI { d, a, b } => ints!(d, a, b, |x, y| i32::from(x != y)),
                Op::LtI { d, a, b } => ints!(d, a, b, |x, y| i32::from(x < y)),
                Op::LeI { d, a, b } => ints!(d, a, b, |x, y| i32::from(x <= y)),
                Op::NegI { d, a } => {
                    let v = int(&reg!(a)).wrapping_neg();
                    put_int(&mut reg!(d), v);
                }
                Op::Complement { d, a } => {
                    let v = !int(&reg!(a));
                    put_int(&mut reg!(d), v);
                }

                Op::AddF { d, a, b } => floats!(d, a, b, |x, y| x + y),
                Op::SubF { d, a, b } => floats!(d, a, b, |x, y| x - y),
                Op::MulF { d, a, b } => floats!(d, a, b, |x, y| x * y),
                Op::DivF { d, a, b } => {
                    let (x, y) = (float(&reg!(a)), float(&reg!(b)));
                    let q = x / y;
                    if y == 0.0 || F32 && q.is_nan() {
                        leave!(Pause::Failed(zero_division()));
                    }
                    put_float(&mut reg!(d), q);
                }
                Op::ModF { d, a, b } => {
                    if float(&reg!(b)) == 0.0 {
                        leave!(Pause::Failed(zero_division()));
                    }
                    floats!(d, a, b, |x: f64, y: f64| x % y);
                }
                Op::EqF { d, a, b } => compare!(d, a, b, f64::eq),
                Op::NeF { d, a, b } => compare!(d, a, b, f64::ne),
                Op::LtF { d, a, b } => compare!(d, a, b, f64::lt),
                Op::LeF { d, a, b } => compare!(d, a, b, f64::le),
                Op::NegF { d, a } => {
                    let x = -float(&reg!(a));
                    put_float(&mut reg!(d), x);
                }
                Op::IntToFloat { d, a } => {
                    let x = f64::from(int(&reg!(a)));
                    put_float(&mut reg!(d), x);
                }

                Op::Concat { d, a, b } => {
                    let mut v = match &reg!(a) {
                        Value::Str(s) | Value::Key(s) => Value::Str(s.clone()),
                        _ => Value::str(""),
                    };
                    append(&mut v, &reg!(b));
                    let bytes = weight(&v);
                    reg!(d) = v;
                    charge!(bytes);
                }
                Op::Append { d, a } => {
                    let bytes = if d == a {
                        let more = reg!(a).clone();
                        append(&mut reg!(d), &more)
                    } else {
                        let more = std::mem::take(&mut reg!(a));
                        let n = append(&mut reg!(d), &more);
                        reg!(a) = more;
                        n
                    };
                    charge!(bytes);
                }
                Op::AppendInt { d, a } => {
                    let i = int(&reg!(a));
                    let bytes = append_integer(&mut reg!(d), i);
                    charge!(bytes);
                }
                Op::AppendGlobalInt { g, a } => {
                    let bytes = append_integer(&mut self.globals[usize::from(g)], int(&reg!(a)));
                    charge!(bytes);
                }
                Op::AppendGlobal { g, a } => {
                    let bytes = append(&mut self.globals[usize::from(g)], &reg!(a));
                    charge!(bytes);
                }
                Op::Join { d, a, b } => {
                    let v = join(&reg!(a), &reg!(b));
                    let bytes = weight(&v);
                    reg!(d) = v;
                    charge!(bytes);
                }
                Op::Push { d, a } => {
                    let bytes = if d == a {
                        let more = reg!(a).clone();
                        push(&mut reg!(d), &more)
                    } else {
                        let more = std::mem::take(&mut reg!(a));
                        let n = push(&mut reg!(d), &more);
                        reg!(a) = more;
                        n
                    };
                    charge!(bytes);
                }
                Op::PushGlobal { g, a } => {
                    let more = reg!(a).clone();
                    let bytes = push(&mut self.globals[usize::from(g)], &more);
                    charge!(bytes);
                }
                Op::Equal { d, a, b } => {
                    let v = reg!(a).equals(&reg!(b), program.profile);
                    put_int(&mut reg!(d), i32::from(v));
                }
                Op::Differ { d, a, b } => {
                    let v = reg!(a).differs(&reg!(b), program.profile);
                    put_int(&mut reg!(d), v);
                }
                Op::LtS { d, a, b } => {
                    let v = text(&reg!(a)) < text(&reg!(b));
                    put_int(&mut reg!(d), i32::from(v));
                }
                Op::LeS { d, a, b } => {
                    let v = text(&reg!(a)) <= text(&reg!(b));
                    put_int(&mut reg!(d), i32::from(v));
                }

                Op::AddV { d, a, b } => vectors!(d, arith::add(vector(&reg!(a)), vector(&reg!(b)))),
                Op::SubV { d, a, b } => vectors!(d, arith::sub(vector(&reg!(a)), vector(&reg!(b)))),
                Op::Dot { d, a, b } => {
                    let x = narrow::<F32>(arith::dot(vector(&reg!(a)), vector(&reg!(b))));
                    put_float(&mut reg!(d), x);
                }
                Op::Cross { d, a, b } => vectors!(d, arith::cross(vector(&reg!(a)), vector(&reg!(b)))),
                Op::Scale { d, a, b } => {
                    let k = narrow::<F32>(float(&reg!(b)));
                    vectors!(d, vector(&reg!(a)).map(|x| x * k));
                }
                Op::Shrink { d, a, b } => {
                    let k = narrow::<F32>(float(&reg!(b)));
                    if k == 0.0 {
                        leave!(Pause::Failed(zero_division()));
                    }
                    vectors!(d, vector(&reg!(a)).map(|x| x / k));
                }
                Op::Rotate { d, a, b } => vectors!(d, arith::rotate(vector(&reg!(a)), rotation(&reg!(b)))),
                Op::Unrotate { d, a, b } => {
                    vectors!(d, arith::rotate(vector(&reg!(a)), arith::conjugate(rotation(&reg!(b)))));
                }
                Op::AddR { d, a, b } => rotations!(d, arith::add(rotation(&reg!(a)), rotation(&reg!(b)))),
                Op::SubR { d, a, b } => rotations!(d, arith::sub(rotation(&reg!(a)), rotation(&reg!(b)))),
                Op::MulR { d, a, b } => rotations!(d, arith::compose(rotation(&reg!(a)), rotation(&reg!(b)))),
                Op::DivR { d, a, b } => {
                    rotations!(d, arith::compose(rotation(&reg!(a)), arith::conjugate(rotation(&reg!(b)))));
                }
                Op::NegV { d, a } => vectors!(d, arith::negate(vector(&reg!(a)))),
                Op::NegR { d, a } => rotations!(d, arith::negate(rotation(&reg!(a)))),

                Op::And { d, a, b } => {
                    let v = reg!(a).is_true(program.profile) & reg!(b).is_true(program.profile);
                    put_int(&mut reg!(d), i32::from(v));
                }
                Op::Or { d, a, b } => {
                    let v = reg!(a).is_true(program.profile) | reg!(b).is_true(program.profile);
                    put_int(&mut reg!(d), i32::from(v));
                }
                Op::Not { d, a } => {
                    let v = !reg!(a).is_true(program.profile);
                    put_int(&mut reg!(d), i32::from(v));
                }
                Op::Cast { d, a, to } => {
                    let v = match (&reg!(a), to) {
                        (Value::Integer(i), Type::String) => Value::str(Digits::of(*i).as_str()),
                        (v, _) => attempt!(v.cast(to, program.profile)),
                    };
                    let bytes = weight(&v);
                    reg!(d) = v;
                    charge!(bytes);
                }
                Op::Vector { d, a } => {
                    vectors!(d, [float(&reg!(a)), float(&reg!(a + 1)), float(&reg!(a + 2))]);
                }
                Op::Rotation { d, a } => {
                    rotations!(
                        d,
                        [float(&reg!(a)), float(&reg!(a + 1)), float(&reg!(a + 2)), float(&reg!(a + 3))]
                    );
                }
                Op::List { d, a, n } => {
                    let from = usize::from(a);
                    let items: Vec<Value> =
                        regs[from..from + usize::from(n)].iter_mut().map(std::mem::take).collect();
                    let bytes = 72 + items.iter().map(|v| 16 + weight(v)).sum::<usize>();
                    reg!(d) = Value::list(items);
                    charge!(bytes);
                }

                Op::Jump { t } => go!(t),
                Op::JumpIf { a, t } => {
                    if is_true(&reg!(a), program.profile) {
                        go!(t);
                    }
                }
                Op::JumpIfNot { a, t } => {
                    if !is_true(&reg!(a), program.profile) {
                        go!(t);
                    }
                }
                Op::JumpEq { a, b, t } => {
                    if int(&reg!(a)) == int(&reg!(b)) {
                        go!(t);
                    }
                }
                Op::JumpNe { a, b, t } => {
                    if int(&reg!(a)) != int(&reg!(b)) {
                        go!(t);
                    }
                }
                Op::JumpLt { a, b, t } => {
                    if int(&reg!(a)) < int(&reg!(b)) {
                        go!(t);
                    }
                }
                Op::JumpLe { a, b, t } => {
                    if int(&reg!(a)) <= int(&reg!(b)) {
                        go!(t);
                    }
                }
                Op::JumpNotLt { a, b, t } => {
                    if int(&reg!(a)) >= int(&reg!(b)) {
                        go!(t);
                    }
                }
                Op::JumpNotLe { a, b, t } => {
                    if int(&reg!(a)) > int(&reg!(b)) {
                        go!(t);
                    }
                }

                Op::Call { f, at } => {
                    let to = &program.bodies[usize::from(f)];
                    let start = base + usize::from(at);
                    let end = start + usize::from(to.registers);
                    if fuel < 8 {
                        fuel = 0;
                        pc -= 1;
                        leave!(Pause::Preempted);
                    }
                    fuel -= 8;
                    if work.frames.len() >= self.limits.depth || end > MAX_STACK {
                        leave!(Pause::Failed(RuntimeError::new(
                            ErrorKind::CallDepth,
                            format!(
                                "Stack-Heap Collision: {} calls of functions inside each other",
                                work.frames.len()
                            ),
                        )));
                    }
                    if work.stack.len() < end {
                        work.stack.resize(end, Value::Integer(0));
                    }
                    if let Some(f) = work.frames.last_mut() {
                        f.pc = pc as u32;
                    }
                    frame = Frame { body: f, pc: 0, base: start as u32 };
                    work.frames.push(frame);
                    code = &to.code;
                    pc = 0;
                    base = start;
                    size = usize::from(to.registers);
                    window!();
                    charge!(super::script::FRAME + 4 * usize::from(to.locals));
                }
                Op::Return { .. } | Op::ReturnNothing => {
                    // What the function held is free now; stale text would also keep others from growing in place.
                    // Numbers go the short way: most results are numbers.
                    match op {
                        Op::Return { a } => match &reg!(a) {
                            Value::Integer(i) => {
                                let i = *i;
                                regs.iter_mut().for_each(release);
                                put_int(&mut regs[0], i);
                            }
                            _ => {
                                let value = std::mem::take(&mut reg!(a));
                                regs.iter_mut().for_each(release);
                                regs[0] = value;
                            }
                        },
                        _ => regs.iter_mut().for_each(release),
                    }
                    work.frames.pop();
                    let Some(caller) = work.frames.last() else {
                        *budget = fuel;
                        return Pause::Done;
                    };
                    frame = *caller;
                    let body = &program.bodies[usize::from(frame.body)];
                    code = &body.code;
                    pc = frame.pc as usize;
                    base = frame.base as usize;
                    size = usize::from(body.registers);
                    window!();
                }
                Op::Builtin { f, at, n } => {
                    let start = base + usize::from(at);
                    let end = start + usize::from(n);
                    if fuel < 32 {
                        fuel = 0;
                        pc -= 1;
                        leave!(Pause::Preempted);
                    }
                    let held: usize = work.stack[start..end].iter().map(weight).sum();
                    fuel = (fuel - 32).saturating_sub(held as u64 / BYTES_PER_STEP);
                    let after = self.builtin(program, usize::from(f), work, start..end, host);
                    let after = attempt!(after);
                    window!();
                    match after {
                        After::Go => {}
                        After::Sleep(s) => leave!(Pause::Sleep(s)),
                        After::Done => leave!(Pause::Done),
                        After::Reset => leave!(Pause::Reset),
                    }
                }
                Op::State { s } => leave!(Pause::State(s)),
                Op::Print { a } => host.print(&reg!(a).text(program.profile)),
            }
        }
    }

    /// Calls a function of the grid; its result replaces the first argument.
    fn builtin(
        &mut self,
        program: &Program,
        f: usize,
        work: &mut Work,
        at: std::ops::Range<usize>,
        host: &mut dyn Host,
    ) -> Result<After, RuntimeError> {
        let b = &program.builtins[f];
        let args = &work.stack[at.clone()];
        let mut after = After::Go;
        let value = match b.target {
            Target::Library(call) => {
                let mut ctx = LibCtx { profile: program.profile, host };
                let v = call(&mut ctx, args)?;
                if b.sleep > 0.0 {
                    after = After::Sleep(b.sleep);
                }
                v
            }
            Target::Machine(i) => {
                let args: Vec<Value> = args.to_vec();
                let (v, then) = self.intrinsic(i, &args, work, program.profile)?;
                after = then;
                v
            }
            Target::Host => {
                let r = host.call(b.function, args)?;
                let sleep = match r.sleep {
                    ForcedSleep::Table => b.sleep,
                    ForcedSleep::Seconds(s) => s,
                };
                if sleep > 0.0 {
                    after = After::Sleep(sleep);
                }
                if r.then == Then::EndHandler {
                    after = After::Done;
                }
                fitting(r.value, b.function.returns, b.function.name)?
            }
        };
        if let Value::Integer(i) = value {
            work.stack[at.clone()].iter_mut().for_each(release);
            if let Some(first) = work.stack.get_mut(at.start) {
                put_int(first, i);
            }
            return Ok(after);
        }
        let bytes = weight(&value);
        if let Some((first, rest)) = work.stack[at.start..at.end.max(at.start + 1)].split_first_mut() {
            *first = value;
            rest.iter_mut().for_each(release);
        }
        if bytes > 4 && self.charge(bytes) {
            self.count(work)?;
        }
        Ok(after)
    }

    fn intrinsic(
        &mut self,
        i: Intrinsic,
        args: &[Value],
        work: &mut Work,
        profile: Profile,
    ) -> Result<(Value, After), RuntimeError> {
        let number = |n: usize| Value::Integer(i32::try_from(n).unwrap_or(i32::MAX));
        let value = match i {
            Intrinsic::Sleep => {
                let s = args.first().map_or(0.0, float);
                let after = if s > 0.0 { After::Sleep(s) } else { After::Go };
                return Ok((Value::Integer(0), after));
            }
            Intrinsic::ResetScript => return Ok((Value::Integer(0), After::Reset)),
            Intrinsic::UsedMemory => {
                self.count(work)?;
                number(self.used)
            }
            Intrinsic::FreeMemory => {
                self.count(work)?;
                number(self.limits.memory.saturating_sub(self.used))
            }
            Intrinsic::MemoryLimit => number(self.limits.memory),
            Intrinsic::SetMemoryLimit => {
                let wanted = usize::try_from(args.first().map_or(0, int)).unwrap_or(0);
                self.count(work)?;
                // YEngine has no limit to set; Linden's takes what lies between the present use and 64 KiB.
                let most = super::script::Limits::of(profile).memory;
                let ok = !profile.is_opensim() && wanted >= self.used && wanted <= most;
                if ok {
                    self.limits.memory = wanted;
                }
                truth(ok)
            }
            Intrinsic::PeakMemory => {
                self.count(work)?;
                number(if profile.is_opensim() { self.used } else { self.peak })
            }
            Intrinsic::Profiler => Value::Integer(0),
            Intrinsic::Detected(field) => {
                let n = args.first().map_or(-1, int);
                let of =
                    usize::try_from(n).ok().and_then(|n| work.event.as_ref().and_then(|e| e.detected.get(n)));
                detected(field, of, profile)
            }
        };
        Ok((value, After::Go))
    }
}

/// A host's result has the type the table names; anything else would confuse the typed instructions.
fn fitting(v: Value, wanted: Type, name: &str) -> Result<Value, RuntimeError> {
    let given = v.ty();
    match (v, wanted) {
        (v, Type::Void) => Ok(v),
        (v, t) if given == t => Ok(v),
        (Value::Str(s), Type::Key) => Ok(Value::Key(s)),
        (Value::Key(s), Type::String) => Ok(Value::Str(s)),
        (Value::Integer(i), Type::Float) => Ok(Value::Float(f64::from(i))),
        _ => Err(RuntimeError::new(
            ErrorKind::Host,
            format!("{name} gave a {} instead of a {}", given.name(), wanted.name()),
        )),
    }
}
