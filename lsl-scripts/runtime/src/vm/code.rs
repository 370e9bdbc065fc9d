//! The compact code a script is compiled to, and the program that every copy of the script shares.
//!
//! A register machine: each function has its own window of registers (arguments, local variables, temporaries), a call's
//! arguments lie where the called function's window begins, so nothing is copied. The checker knows every type, so that
//! each instruction is for one type and the interpreter never asks.

use crate::diagnostic::Diagnostics;
use crate::library::LibFn;
use crate::profile::Profile;
use crate::tables::{EventId, Function};
use crate::value::{Type, Value};

/// A register of the current window, a constant, a global or a function, by position.
pub(crate) type Reg = u16;

/// An instruction. `d` is where the result goes, `a` and `b` are the operands, `t` is a target in the same function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    Move {
        d: Reg,
        a: Reg,
    },
    Const {
        d: Reg,
        k: u16,
    },
    Int {
        d: Reg,
        i: i32,
    },
    GetGlobal {
        d: Reg,
        g: u16,
    },
    SetGlobal {
        g: u16,
        a: Reg,
    },
    Part {
        d: Reg,
        a: Reg,
        i: u16,
    },
    SetPart {
        d: Reg,
        a: Reg,
        i: u16,
    },
    GlobalPart {
        d: Reg,
        g: u16,
        i: u16,
    },
    SetGlobalPart {
        g: u16,
        a: Reg,
        i: u16,
    },
    /// To 32 bits.
    Round {
        d: Reg,
        a: Reg,
    },

    AddI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    SubI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    MulI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    DivI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    ModI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// `a + k`
    AddK {
        d: Reg,
        a: Reg,
        k: i16,
    },
    BitAnd {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    BitOr {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    BitXor {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Shl {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Shr {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    EqI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    NeI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    LtI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    LeI {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    NegI {
        d: Reg,
        a: Reg,
    },
    Complement {
        d: Reg,
        a: Reg,
    },

    AddF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    SubF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    MulF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    DivF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    ModF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    EqF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    NeF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    LtF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    LeF {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    NegF {
        d: Reg,
        a: Reg,
    },
    IntToFloat {
        d: Reg,
        a: Reg,
    },

    Concat {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// `d += a` for text, in place where possible.
    Append {
        d: Reg,
        a: Reg,
    },
    AppendGlobal {
        g: u16,
        a: Reg,
    },
    /// `d += (string)a` for an integer.
    AppendInt {
        d: Reg,
        a: Reg,
    },
    AppendGlobalInt {
        g: u16,
        a: Reg,
    },
    /// List + list, list + value, value + list.
    Join {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// `d += a` for lists, in place where possible.
    Push {
        d: Reg,
        a: Reg,
    },
    PushGlobal {
        g: u16,
        a: Reg,
    },
    /// `==` and `!=` for everything but numbers.
    Equal {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Differ {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// Text order (YEngine).
    LtS {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    LeS {
        d: Reg,
        a: Reg,
        b: Reg,
    },

    AddV {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    SubV {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Dot {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Cross {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// Vector by float.
    Scale {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Shrink {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    /// Vector by rotation.
    Rotate {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Unrotate {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    AddR {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    SubR {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    MulR {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    DivR {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    NegV {
        d: Reg,
        a: Reg,
    },
    NegR {
        d: Reg,
        a: Reg,
    },

    And {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Or {
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Not {
        d: Reg,
        a: Reg,
    },
    Cast {
        d: Reg,
        a: Reg,
        to: Type,
    },
    /// From three registers beginning at `a`.
    Vector {
        d: Reg,
        a: Reg,
    },
    Rotation {
        d: Reg,
        a: Reg,
    },
    List {
        d: Reg,
        a: Reg,
        n: u16,
    },

    Jump {
        t: u32,
    },
    JumpIf {
        a: Reg,
        t: u32,
    },
    JumpIfNot {
        a: Reg,
        t: u32,
    },
    JumpEq {
        a: Reg,
        b: Reg,
        t: u16,
    },
    JumpNe {
        a: Reg,
        b: Reg,
        t: u16,
    },
    JumpLt {
        a: Reg,
        b: Reg,
        t: u16,
    },
    JumpLe {
        a: Reg,
        b: Reg,
        t: u16,
    },
    JumpNotLt {
        a: Reg,
        b: Reg,
        t: u16,
    },
    JumpNotLe {
        a: Reg,
        b: Reg,
        t: u16,
    },

    /// A function of the script; its window begins at `at`, its result goes there.
    Call {
        f: u16,
        at: Reg,
    },
    /// A function of the grid.
    Builtin {
        f: u16,
        at: Reg,
        n: u16,
    },
    Return {
        a: Reg,
    },
    ReturnNothing,
    State {
        s: u16,
    },
    Print {
        a: Reg,
    },
}

/// Where a function of the grid is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Library(LibFn),
    Machine(super::intrinsic::Intrinsic),
    Host,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Builtin {
    pub(crate) function: &'static Function,
    pub(crate) target: Target,
    /// Forced sleep for the library's functions; the host decides for its own.
    pub(crate) sleep: f64,
}

/// A compiled function or handler.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) name: String,
    pub(crate) code: Vec<Op>,
    /// The source line of each instruction.
    pub(crate) lines: Vec<u32>,
    /// Registers its window needs.
    pub(crate) registers: u16,
    /// Of those, arguments and local variables.
    pub(crate) locals: u16,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: String,
    /// Function of each event by its id; `NO_HANDLER` for none.
    pub(crate) handlers: Vec<u16>,
}

pub(crate) const NO_HANDLER: u16 = u16::MAX;

/// A compiled script, shared by all its copies.
#[derive(Debug)]
pub struct Program {
    pub(crate) profile: Profile,
    pub(crate) bodies: Vec<Body>,
    /// The body that gives the global variables their first values.
    pub(crate) init: u16,
    pub(crate) constants: Vec<Value>,
    pub(crate) builtins: Vec<Builtin>,
    pub(crate) states: Vec<State>,
    pub(crate) globals: Vec<Value>,
    pub(crate) global_names: Vec<String>,
    /// Bytes of the script's memory that the code takes.
    pub(crate) code_size: usize,
    pub(crate) warnings: Diagnostics,
}

impl Program {
    /// The grid it was compiled for.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// What the checker had to say besides errors.
    #[must_use]
    pub const fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// Names of the states, `default` first.
    pub fn states(&self) -> impl Iterator<Item = &str> {
        self.states.iter().map(|s| s.name.as_str())
    }

    /// Whether any state has a handler for the event.
    #[must_use]
    pub fn handles(&self, event: EventId) -> bool {
        self.states.iter().any(|s| s.handlers[usize::from(event.0)] != NO_HANDLER)
    }

    /// Whether the script calls that function of the grid anywhere.
    #[must_use]
    pub fn calls(&self, function: &str) -> bool {
        self.builtins.iter().any(|b| b.function.name == function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_has_eight_bytes() {
        assert_eq!(size_of::<Op>(), 8);
    }
}
