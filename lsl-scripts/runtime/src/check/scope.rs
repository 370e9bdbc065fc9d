//! Local variables and labels by the block they stand in.

use crate::syntax::span::Span;
use crate::value::Type;
use smol_str::SmolStr;

/// A local variable.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) name: SmolStr,
    pub(super) slot: u16,
    pub(super) ty: Type,
    pub(super) span: Span,
    pub(super) used: bool,
    /// An argument: never reported as unused, events force their lists of arguments on everyone.
    pub(super) argument: bool,
}

#[derive(Debug)]
pub(super) struct Label {
    pub(super) name: SmolStr,
    pub(super) id: u16,
    pub(super) span: Span,
    /// Depth of its block while that is open; `None` once it was left.
    pub(super) open: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Scopes {
    blocks: Vec<Vec<Local>>,
    pub(super) labels: Vec<Label>,
    pub(super) types: Vec<Type>,
    /// Slots of YEngine's `constant`.
    pub(super) constants: Vec<u16>,
}

impl Scopes {
    /// Begins a function.
    pub(super) fn reset(&mut self) {
        self.blocks.clear();
        self.labels.clear();
        self.types.clear();
        self.constants.clear();
    }

    pub(super) fn depth(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn open(&mut self) {
        self.blocks.push(Vec::new());
    }

    /// Leaves a block and gives what was declared in it.
    pub(super) fn close(&mut self) -> Vec<Local> {
        let depth = self.blocks.len();
        for l in &mut self.labels {
            if l.open == Some(depth) {
                l.open = None;
            }
        }
        self.blocks.pop().unwrap_or_default()
    }

    pub(super) fn find(&mut self, name: &str) -> Option<&mut Local> {
        self.blocks.iter_mut().rev().find_map(|b| b.iter_mut().rev().find(|l| l.name == name))
    }

    /// The variable of that name in the innermost block only.
    pub(super) fn find_here(&self, name: &str) -> Option<&Local> {
        self.blocks.last().and_then(|b| b.iter().find(|l| l.name == name))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().flatten().map(|l| l.name.as_str())
    }

    pub(super) fn declare(&mut self, name: SmolStr, ty: Type, span: Span, argument: bool) -> Option<u16> {
        let slot = u16::try_from(self.types.len()).ok().filter(|&s| s < MAX_LOCALS)?;
        self.types.push(ty);
        if let Some(block) = self.blocks.last_mut() {
            block.push(Local { name, slot, ty, span, used: false, argument });
        }
        Some(slot)
    }

    /// A label that no jump of the script can name. Its number.
    pub(super) fn hidden_label(&mut self) -> u16 {
        let id = u16::try_from(self.labels.len()).unwrap_or(u16::MAX);
        self.labels.push(Label { name: SmolStr::default(), id, span: Span::default(), open: None });
        id
    }

    /// Marks a label as belonging to the innermost block.
    pub(super) fn open_label(&mut self, span: Span) {
        let depth = self.depth();
        if let Some(l) = self.labels.iter_mut().find(|l| l.span == span) {
            l.open = Some(depth);
        }
    }

    /// The label a jump means: of the innermost open block that has one, else the only one of that name.
    pub(super) fn label(&self, name: &str) -> Option<u16> {
        let mut found: Vec<&Label> = self.labels.iter().filter(|l| l.name == name).collect();
        found.sort_by_key(|l| std::cmp::Reverse(l.open));
        found.first().map(|l| l.id)
    }
}

/// Local variables of one function.
const MAX_LOCALS: u16 = 16_384;
