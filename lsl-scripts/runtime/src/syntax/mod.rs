//! Text to tree: [`lexer`], [`parser`], the tree itself ([`ast`]), positions in the source ([`span`]).

pub mod ast;
pub mod lexer;
pub mod parser;
pub mod span;
pub mod yoption;

pub use parser::parse;
pub use span::{LineIndex, Span};
