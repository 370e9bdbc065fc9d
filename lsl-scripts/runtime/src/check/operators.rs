//! Which operators and casts exist for which types, per engine.

use crate::profile::Profile;
use crate::syntax::ast::{BinaryOp, UnaryOp};
use crate::value::Type;
use Type::{Float, Integer, Key, List, Rotation, String, Vector, Void};

/// The result of an operator, and the type each operand has to be cast to first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) result: Type,
    pub(crate) left: Type,
    pub(crate) right: Type,
}

const fn same(t: Type) -> Option<Signature> {
    Some(Signature { result: t, left: t, right: t })
}

const fn compare(t: Type) -> Option<Signature> {
    Some(Signature { result: Integer, left: t, right: t })
}

const fn text(t: Type) -> bool {
    matches!(t, String | Key)
}

const fn number(t: Type) -> bool {
    matches!(t, Integer | Float)
}

/// Looks an operator up; `None` where the grid has none for these types.
pub(crate) fn binary(op: BinaryOp, left: Type, right: Type, profile: Profile) -> Option<Signature> {
    use BinaryOp::{
        Add, And, AndThen, BitAnd, BitOr, BitXor, Div, Eq, Ge, Gt, Le, Lt, Mod, Mul, Ne, Or, OrElse, Shl,
        Shr, Sub,
    };
    if left == Void || right == Void {
        return None;
    }
    let yengine = profile.is_opensim();
    let numbers = number(left) && number(right);
    match op {
        Add if left == List || right == List => Some(Signature { result: List, left, right }),
        Add if left == String && right == String => same(String),
        // YEngine joins numbers to text without a cast.
        Add if yengine && left == String && number(right) => same(String),
        Add if yengine && number(left) && right == String => same(String),
        Add | Sub if left == right && matches!(left, Vector | Rotation) => same(left),
        Mul | Div | Add | Sub if left == Integer && right == Integer => same(Integer),
        Mul | Div | Add | Sub if numbers => same(Float),
        Mul if number(left) && right == Vector => {
            Some(Signature { result: Vector, left: Float, right: Vector })
        }
        Mul | Div if left == Vector && number(right) => {
            Some(Signature { result: Vector, left: Vector, right: Float })
        }
        Mul if left == Vector && right == Vector => Some(Signature { result: Float, left, right }),
        Mul | Div if left == Vector && right == Rotation => Some(Signature { result: Vector, left, right }),
        Mul | Div if left == Rotation && right == Rotation => same(Rotation),
        Mod if left == Integer && right == Integer => same(Integer),
        Mod if left == Vector && right == Vector => same(Vector),
        Mod if yengine && numbers => same(Float),
        Eq | Ne if left == right => compare(left),
        Eq | Ne if text(left) && text(right) => compare(String),
        Eq | Ne | Lt | Le | Gt | Ge if left == Integer && right == Integer => compare(Integer),
        Eq | Ne | Lt | Le | Gt | Ge if numbers => compare(Float),
        Lt | Le | Gt | Ge if yengine && left == String && right == String => compare(String),
        BitAnd | BitOr | BitXor | Shl | Shr if left == Integer && right == Integer => same(Integer),
        And | Or | AndThen | OrElse if left == Integer && right == Integer => same(Integer),
        And | Or | AndThen | OrElse if yengine => {
            let ok = |t| matches!(t, Float | Integer | Key | List | String);
            (ok(left) && ok(right)).then_some(Signature { result: Integer, left, right })
        }
        _ => None,
    }
}

/// The result of an operator with one operand.
pub(crate) const fn unary(op: UnaryOp, t: Type, profile: Profile) -> Option<Type> {
    match (op, t) {
        (UnaryOp::Negate, Integer | Float | Vector | Rotation) => Some(t),
        (UnaryOp::Not | UnaryOp::Complement, Integer) => Some(Integer),
        (UnaryOp::Not, Void) => None,
        (UnaryOp::Not, _) if profile.is_opensim() => Some(Integer),
        _ => None,
    }
}

/// Whether a value becomes the wanted type without a cast being written.
pub(crate) const fn implicit(from: Type, to: Type, profile: Profile) -> bool {
    match (from, to) {
        (Integer, Float) | (String, Key) | (Key, String) => true,
        (Void, _) | (_, Void) => false,
        (Integer | Float | Vector | Rotation | List, String) => profile.is_opensim(),
        (Integer | Float | Vector | Rotation | String | Key, List) => profile.is_opensim(),
        _ => from as u8 == to as u8,
    }
}

/// Whether `(to)value` exists.
pub(crate) const fn explicit(from: Type, to: Type, profile: Profile) -> bool {
    match (from, to) {
        (Void, _) | (_, Void) => false,
        (_, String | List) => true,
        (Integer | Float, Integer | Float) => true,
        (String, Integer | Float | Key | Vector | Rotation) => true,
        // For YEngine a key is a string in every cast.
        (Key, Integer | Float | Vector | Rotation) => profile.is_opensim(),
        _ => from as u8 == to as u8,
    }
}
