//! A linkset, and what is left of one when it is taken or copied.

use crate::ids::PrimId;
use crate::prim::Prim;
use primrack_lsl::Script;
use primrack_lsl::library::LinksetData;
use primrack_lsl::vm::Program;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) owner: Uuid,
    pub(crate) creator: Uuid,
    /// Root first. A link number is the index plus 1, and 0 for a prim on its own.
    pub(crate) prims: Vec<PrimId>,
    pub(crate) data: LinksetData,
    pub(crate) rezzer: Uuid,
    pub(crate) start_param: i32,
    pub(crate) start_string: String,
}

/// An object out of the world: in an inventory, or about to be rezzed.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) creator: Uuid,
    /// Root first; scripts in their inventories are named by [`TemplateScript::item`].
    pub(crate) prims: Vec<TemplatePrim>,
    pub(crate) data: LinksetData,
}

#[derive(Debug)]
pub(crate) struct TemplatePrim {
    pub(crate) prim: Prim,
    pub(crate) scripts: Vec<TemplateScript>,
}

#[derive(Debug)]
pub(crate) struct TemplateScript {
    pub(crate) item: String,
    pub(crate) running: bool,
    pub(crate) what: Compiled,
}

/// A script as it lies in an inventory: what it runs, or why it does not.
#[derive(Debug, Clone)]
pub(crate) enum Compiled {
    Program(Arc<Program>),
    /// It does not compile on this grid.
    Broken(Arc<str>),
}

impl Compiled {
    pub(crate) fn start(&self, id: primrack_lsl::vm::ScriptId) -> Option<Box<Script>> {
        match self {
            Self::Program(p) => Some(Box::new(Script::new(Arc::clone(p), id))),
            Self::Broken(_) => None,
        }
    }
}
