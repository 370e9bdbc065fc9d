//! The tree a script is parsed into. Nothing is resolved yet: names are names.

use super::span::Span;
use crate::value::{Text, Type};
use smol_str::SmolStr;

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The identifier.
    pub text: SmolStr,
    /// Where.
    pub span: Span,
}

/// A whole script.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Script {
    /// Global variables, in order.
    pub globals: Vec<Global>,
    /// Functions, in order.
    pub functions: Vec<FunctionDef>,
    /// States, in order; `default` has that name.
    pub states: Vec<StateDef>,
}

/// `type name = value;`
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// Declared type; [`Type::Void`] for `constant name = value;` (YEngine, advflowctl).
    pub ty: Type,
    /// Its name.
    pub name: Name,
    /// Its first value.
    pub init: Option<Expr>,
}

/// `type name`
#[derive(Debug, Clone, PartialEq)]
pub struct ParamDef {
    /// Declared type.
    pub ty: Type,
    /// Its name.
    pub name: Name,
}

/// `type name(params) { body }`
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionDef {
    /// Result, [`Type::Void`] for none.
    pub returns: Type,
    /// Its name.
    pub name: Name,
    /// Its arguments.
    pub params: Vec<ParamDef>,
    /// Its statements.
    pub body: Block,
}

/// `default { events }` or `state name { events }`
#[derive(Debug, Clone, PartialEq)]
pub struct StateDef {
    /// Its name.
    pub name: Name,
    /// Its event handlers.
    pub handlers: Vec<HandlerDef>,
}

/// `event(params) { body }`
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerDef {
    /// The event.
    pub name: Name,
    /// Its arguments as the script names them.
    pub params: Vec<ParamDef>,
    /// Its statements.
    pub body: Block,
}

/// `{ statements }`
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Block {
    /// In order.
    pub statements: Vec<Stmt>,
    /// The closing brace.
    pub end: Span,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq)]
pub enum StmtKind {
    /// `;`
    Empty,
    /// `expression;`
    Expr(Expr),
    /// `type name = value;`. The type is [`Type::Void`] for `constant name = value;` (YEngine, advflowctl).
    Declare(Type, Name, Option<Expr>),
    /// `if (…) … else if (…) … else …`, as a flat chain.
    If(Vec<(Expr, Stmt)>, Option<Box<Stmt>>),
    /// `while (…) …`
    While(Expr, Box<Stmt>),
    /// `do … while (…);`
    DoWhile(Box<Stmt>, Expr),
    /// `for (init; condition; step) …`
    For(Vec<Expr>, Option<Expr>, Vec<Expr>, Box<Stmt>),
    /// `jump name;`
    Jump(Name),
    /// `@name;`
    Label(Name),
    /// `return value;`
    Return(Option<Expr>),
    /// `state name;`
    State(Name),
    /// `{ … }`
    Block(Block),
    /// `break;` (YEngine, advflowctl)
    Break,
    /// `continue;` (YEngine, advflowctl)
    Continue,
    /// `switch (value) { case …: … }` (YEngine, advflowctl)
    Switch(Expr, Vec<Section>),
}

/// What stands below one label of a switch.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// When it is entered.
    pub label: CaseLabel,
    /// Statements up to the next label; control falls through to that.
    pub statements: Vec<Stmt>,
}

/// A label of a switch.
#[derive(Debug, Clone, PartialEq)]
pub enum CaseLabel {
    /// `default:`
    Default,
    /// `case a:` or `case a ... b:`
    Value(Expr, Option<Expr>),
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
    /// How deep the tree below is; bounded, so that later passes may recurse.
    pub height: u16,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// An integer literal.
    Integer(i32),
    /// A float literal.
    Float(f64),
    /// A string literal, escapes resolved.
    Str(Text),
    /// A variable or constant.
    Var(Name),
    /// `value.x`
    Member(Box<Expr>, Name),
    /// `<x, y, z>`
    Vector(Box<[Expr; 3]>),
    /// `<x, y, z, s>`
    Rotation(Box<[Expr; 4]>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `name(args)`
    Call(Name, Vec<Expr>),
    /// `(type)value`
    Cast(Type, Box<Expr>),
    /// `-a`, `!a`, `~a`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a = b`, `a += b`
    Assign(Option<BinaryOp>, Box<Expr>, Box<Expr>),
    /// `++a`, `a--`
    Step {
        /// Before (`++a`) or after (`a++`) the operand.
        prefix: bool,
        /// 1 or -1.
        by: i32,
        /// The variable.
        target: Box<Expr>,
    },
    /// `(a)`
    Paren(Box<Expr>),
    /// `a ? b : c` (YEngine)
    Choose(Box<[Expr; 3]>),
    /// What could not be parsed; an error was reported.
    Error,
}

/// An operator with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Negate,
    /// `!`
    Not,
    /// `~`
    Complement,
}

/// An operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the operators' signs say all: see `sign`")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
    And,
    Or,
    /// `&&&` of YEngine: the right operand only if the left is true.
    AndThen,
    /// `|||` of YEngine: the right operand only if the left is false.
    OrElse,
}

impl BinaryOp {
    /// The operator as written.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::Shl => "<<",
            Self::Shr => ">>",
            Self::And => "&&",
            Self::Or => "||",
            Self::AndThen => "&&&",
            Self::OrElse => "|||",
        }
    }
}
