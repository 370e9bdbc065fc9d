//! The checked tree: every name resolved to a slot, every type known, every implicit cast written out.

use crate::syntax::ast::{BinaryOp, UnaryOp};
use crate::tables::{EventId, Function};
use crate::value::{Type, Value};

/// A checked script.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) globals: Vec<Global>,
    pub(crate) functions: Vec<Body>,
    /// The default state first.
    pub(crate) states: Vec<State>,
}

#[derive(Debug)]
pub(crate) struct Global {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) init: Option<Expr>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) handlers: Vec<(EventId, Body)>,
}

/// A function or handler.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) name: String,
    pub(crate) returns: Type,
    pub(crate) params: Vec<Type>,
    /// Types of all local slots; the arguments come first.
    pub(crate) locals: Vec<Type>,
    pub(crate) labels: u16,
    pub(crate) statements: Vec<Stmt>,
}

#[derive(Debug)]
pub(crate) struct Stmt {
    pub(crate) kind: StmtKind,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) enum StmtKind {
    Expr(Expr),
    Declare(u16, Option<Expr>),
    If(Vec<(Expr, Vec<Stmt>)>, Option<Vec<Stmt>>),
    While(Expr, Vec<Stmt>),
    DoWhile(Vec<Stmt>, Expr),
    For(Vec<Expr>, Option<Expr>, Vec<Expr>, Vec<Stmt>),
    Jump(u16),
    Label(u16),
    Return(Option<Expr>),
    State(u16),
    Block(Vec<Stmt>),
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) ty: Type,
    pub(crate) kind: ExprKind,
    pub(crate) line: u32,
}

/// Something that can be assigned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Local(u16),
    Global(u16),
    /// Part 0..=3 of a local vector or rotation.
    LocalPart(u16, u8),
    GlobalPart(u16, u8),
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Const(Value),
    Read(Place),
    /// Part of a value that is no variable.
    Part(Box<Expr>, u8),
    Vector(Box<[Expr; 3]>),
    Rotation(Box<[Expr; 4]>),
    List(Vec<Expr>),
    /// A function of the script.
    Call(u16, Vec<Expr>),
    /// A function of the grid.
    Builtin(&'static Function, Vec<Expr>),
    /// `print(value)`: an oddity of the language that does nothing in the world.
    Print(Box<Expr>),
    Cast(Box<Expr>),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Assign(Place, Box<Expr>),
    Step {
        place: Place,
        prefix: bool,
        by: i32,
    },
    Choose(Box<[Expr; 3]>),
    /// An error was reported.
    Error,
}

impl Expr {
    pub(crate) const fn error(line: u32) -> Self {
        Self { ty: Type::Void, kind: ExprKind::Error, line }
    }

    pub(crate) const fn is_error(&self) -> bool {
        matches!(self.kind, ExprKind::Error)
    }
}
