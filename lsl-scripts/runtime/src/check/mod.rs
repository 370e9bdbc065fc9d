//! Names and types per profile.
//!
//! [`diagnose`] reports everything that is wrong with a script; [`crate::check`] also gives the program.

mod calls;
mod expression;
mod flow;
pub(crate) mod hir;
mod operators;
mod scope;
mod statement;

use crate::diagnostic::{Diagnostics, Sink};
use crate::profile::Profile;
use crate::syntax::ast;
use crate::syntax::parser::parse_into;
use crate::syntax::span::Span;
use crate::tables;
use crate::value::Type;
use flow::Exit;
use scope::Scopes;
use smol_str::SmolStr;
use std::collections::HashMap;

/// Parses and checks a script and reports everything found, warnings included.
#[must_use]
pub fn diagnose(source: &str, profile: Profile) -> Diagnostics {
    checked(source, profile).1
}

/// The checked tree, present if there are no errors, and all findings.
pub(crate) fn checked(source: &str, profile: Profile) -> (Option<hir::Script>, Diagnostics) {
    if source.len() > MAX_SOURCE {
        let mut sink = Sink::new("");
        sink.error(
            Span::default(),
            "too-large",
            format!("a script may have {MAX_SOURCE} bytes, this one has {}", source.len()),
        );
        return (None, sink.finish());
    }
    let mut sink = Sink::new(source);
    let tree = parse_into(&mut sink, profile);
    // A tree with holes would only produce follow-up errors about names that were not read.
    let whole = sink.errors() == 0;
    let mut checker = Checker::new(&mut sink, profile, whole);
    let script = checker.script(&tree);
    let ok = sink.errors() == 0;
    (ok.then_some(script), sink.finish())
}

/// Longer sources are refused: no grid takes them (Second Life and OpenSimulator stop at 64 KiB and 256 KiB).
const MAX_SOURCE: usize = 1 << 20;

struct GlobalVar {
    ty: Type,
    span: Span,
    used: bool,
    /// Its declaration was read: later globals may use it.
    ready: bool,
    /// Declared with YEngine's `constant`.
    constant: bool,
}

struct UserFunction {
    name: SmolStr,
    returns: Type,
    params: Vec<Type>,
    span: Span,
    used: bool,
}

struct Checker<'s, 'src> {
    sink: &'s mut Sink<'src>,
    profile: Profile,
    /// The whole script could be parsed: names that are missing are really missing.
    whole: bool,
    globals: HashMap<SmolStr, u16>,
    global_vars: Vec<GlobalVar>,
    functions: Vec<UserFunction>,
    function_names: HashMap<SmolStr, Vec<u16>>,
    states: HashMap<SmolStr, u16>,
    scopes: Scopes,
    /// Result type of the function being checked; `None` inside an event handler.
    returns: Option<Type>,
    /// Inside the initial value of a global variable.
    in_global: bool,
    /// The loops and switches around the statement being checked, for YEngine's `break` and `continue`.
    exits: Vec<Exit>,
    /// How many `if`s and loops are around the statement being checked.
    conditional: u32,
    /// The state whose handler is being checked.
    current_state: Option<u16>,
}

impl<'s, 'src> Checker<'s, 'src> {
    fn new(sink: &'s mut Sink<'src>, profile: Profile, whole: bool) -> Self {
        Self {
            sink,
            profile,
            whole,
            globals: HashMap::new(),
            global_vars: Vec::new(),
            functions: Vec::new(),
            function_names: HashMap::new(),
            states: HashMap::new(),
            scopes: Scopes::default(),
            returns: None,
            in_global: false,
            exits: Vec::new(),
            conditional: 0,
            current_state: None,
        }
    }

    fn line(&self, span: Span) -> u32 {
        self.sink.lines.line(span.start)
    }

    fn script(&mut self, tree: &ast::Script) -> hir::Script {
        self.declare_functions(tree);
        self.declare_states(tree);
        self.shared_names(tree);
        let globals = tree.globals.iter().map(|g| self.global(g)).collect();
        let functions = tree.functions.iter().map(|f| self.function(f)).collect();
        let mut states: Vec<hir::State> = tree.states.iter().map(|s| self.state(s)).collect();
        if let Some(at) = states.iter().position(|s| s.name == "default") {
            // Slot 0 is the default state, wherever it stands in the source.
            let d = states.remove(at);
            states.insert(0, d);
        } else if self.whole {
            let end = self.sink.source().trim_end().len();
            let at = crate::syntax::span::offset(end.saturating_sub(1));
            self.sink.error_hint(
                Span::new(at, at + 1),
                "no-default-state",
                "a script needs a default state",
                "add: default { state_entry() { } }",
            );
        }
        self.report_unused();
        hir::Script { globals, functions, states }
    }

    /// Says so where a name belongs to the grid.
    fn reserved(&mut self, name: &ast::Name, what: &str) -> bool {
        let bit = self.profile.bit();
        if tables::constants_named(&name.text).any(|c| c.profiles & bit != 0) {
            self.sink.error_hint(
                name.span,
                "duplicate-name",
                format!("{} is a constant of the grid and cannot be the name of a {what}", name.text),
                "choose another name",
            );
            return true;
        }
        if self.profile == Profile::SecondLife
            && tables::event(&name.text).is_some_and(|e| e.sig().profiles & bit != 0)
        {
            self.sink.error_hint(
                name.span,
                "duplicate-name",
                format!("{} is the name of an event and cannot be the name of a {what}", name.text),
                "choose another name",
            );
            return true;
        }
        false
    }

    fn previously(&self, span: Span) -> String {
        format!("the first one is on line {}", self.line(span))
    }

    /// On Second Life variables, functions and states share their names.
    fn shared_names(&mut self, tree: &ast::Script) {
        if self.profile != Profile::SecondLife {
            return;
        }
        let variables = tree.globals.iter().map(|g| ("global variable", &g.name));
        let functions = tree.functions.iter().map(|f| ("function", &f.name));
        let states = tree.states.iter().map(|s| ("state", &s.name));
        let mut taken: HashMap<&str, (&str, Span)> = HashMap::new();
        for (what, name) in variables.chain(functions).chain(states) {
            let (kind, first) = *taken.entry(name.text.as_str()).or_insert((what, name.span));
            // Two of a kind are reported where that kind is declared.
            if kind != what {
                let hint = format!("the {kind} is on line {}; choose another name", self.line(first));
                let text = format!("a {what} named {}, as a {kind} is already", name.text);
                self.sink.error_hint(name.span, "duplicate-name", text, hint);
            }
        }
    }

    fn declare_functions(&mut self, tree: &ast::Script) {
        for f in &tree.functions {
            self.reserved(&f.name, "function");
            let bit = self.profile.bit();
            if tables::functions_named(&f.name.text).any(|b| b.profiles & bit != 0) {
                let text = format!("{} is a function of the grid", f.name.text);
                if self.profile.is_opensim() {
                    self.sink.warn_hint(
                        f.name.span,
                        "duplicate-name",
                        text,
                        "the script's own one is used; a different name is clearer",
                    );
                } else {
                    self.sink.error_hint(f.name.span, "duplicate-name", text, "choose another name");
                }
            }
            let params: Vec<Type> = f.params.iter().map(|p| p.ty).collect();
            let known = self.function_names.get(&f.name.text).cloned().unwrap_or_default();
            let clash = known
                .iter()
                .copied()
                .find(|&i| !self.profile.is_opensim() || self.functions[usize::from(i)].params == params);
            if let Some(i) = clash {
                let hint = self.previously(self.functions[usize::from(i)].span);
                let text = format!("a second function named {}", f.name.text);
                self.sink.error_hint(f.name.span, "duplicate-name", text, hint);
            }
            let id = u16::try_from(self.functions.len()).unwrap_or(u16::MAX);
            self.functions.push(UserFunction {
                name: f.name.text.clone(),
                returns: f.returns,
                params,
                span: f.name.span,
                used: false,
            });
            self.function_names.entry(f.name.text.clone()).or_default().push(id);
        }
    }

    fn declare_states(&mut self, tree: &ast::Script) {
        let mut next = 1;
        let mut seen: HashMap<&str, Span> = HashMap::new();
        for s in &tree.states {
            if let Some(&first) = seen.get(s.name.text.as_str()) {
                let hint = self.previously(first);
                let text = format!("a second state named {}", s.name.text);
                self.sink.error_hint(s.name.span, "duplicate-name", text, hint);
            }
            seen.insert(&s.name.text, s.name.span);
            let id = if s.name.text == "default" { 0 } else { next };
            if id != 0 {
                next += 1;
            }
            self.states.entry(s.name.text.clone()).or_insert(id);
            if s.handlers.is_empty() && self.profile == Profile::SecondLife {
                let text = format!("the state {} has no event handler", s.name.text);
                self.sink.error_hint(
                    s.name.span,
                    "empty-state",
                    text,
                    "Second Life wants at least one: state_entry() { }",
                );
            }
        }
        if let Some(first) = tree.states.first()
            && first.name.text != "default"
            && seen.contains_key("default")
            && self.profile == Profile::SecondLife
        {
            self.sink.error_hint(
                first.name.span,
                "state-order",
                "the default state has to be the first one",
                "move default { … } above the other states",
            );
        }
    }

    fn global(&mut self, g: &ast::Global) -> hir::Global {
        self.reserved(&g.name, "variable");
        if let Some(&i) = self.globals.get(&g.name.text) {
            let hint = self.previously(self.global_vars[usize::from(i)].span);
            let text = format!("a second global variable named {}", g.name.text);
            self.sink.error_hint(g.name.span, "duplicate-name", text, hint);
        }
        let id = u16::try_from(self.global_vars.len()).unwrap_or(u16::MAX);
        let mut ty = g.ty;
        let constant = ty == Type::Void;
        self.global_vars.push(GlobalVar { ty, span: g.name.span, used: false, ready: false, constant });
        if self.global_vars.len() > MAX_GLOBALS {
            self.sink.error(g.name.span, "too-large", format!("more than {MAX_GLOBALS} global variables"));
        }
        let init = g.init.as_ref().map(|e| {
            self.in_global = true;
            if self.profile == Profile::SecondLife && !simple(e, self.profile) {
                self.sink.error_hint(
                    e.span,
                    "global-initializer",
                    "Second Life lets a global variable begin only with a literal, a constant or another global variable",
                    "assign it in state_entry of the default state",
                );
            }
            let value = self.expr(e);
            self.in_global = false;
            if constant {
                // Its type is that of its value.
                ty = value.ty;
                return value;
            }
            self.coerce(value, ty, e.span, &format!("the variable {}", g.name.text))
        });
        self.globals.entry(g.name.text.clone()).or_insert(id);
        self.global_vars[usize::from(id)].ready = true;
        self.global_vars[usize::from(id)].ty = ty;
        hir::Global { name: g.name.text.to_string(), ty, init }
    }

    fn report_unused(&mut self) {
        if !self.whole {
            return;
        }
        let mut found = Vec::new();
        for (name, &i) in &self.globals {
            let g = &self.global_vars[usize::from(i)];
            if !g.used && !name.starts_with('_') {
                found.push((g.span, "unused-variable", format!("the global variable {name} is never used")));
            }
        }
        for f in &self.functions {
            if !f.used && !f.name.starts_with('_') {
                found.push((f.span, "unused-function", format!("the function {} is never called", f.name)));
            }
        }
        found.sort_by_key(|(s, ..)| s.start);
        for (span, code, text) in found {
            self.sink.warn(span, code, text);
        }
    }
}

/// Registers and slots are 16 bits wide; a script that needs more would not fit a grid's memory anyway.
const MAX_GLOBALS: usize = 16_384;

/// What Second Life takes as the first value of a global variable.
fn simple(e: &ast::Expr, profile: Profile) -> bool {
    use ast::ExprKind as E;
    match &e.kind {
        E::Integer(_) | E::Float(_) | E::Str(_) | E::Var(_) | E::Error => true,
        E::Unary(ast::UnaryOp::Negate, inner) => match &inner.kind {
            E::Integer(_) | E::Float(_) => true,
            E::Var(n) => tables::constant(&n.text, profile).is_some(),
            _ => false,
        },
        E::Vector(parts) => parts.iter().all(|p| simple(p, profile)),
        E::Rotation(parts) => parts.iter().all(|p| simple(p, profile)),
        E::List(items) => items.iter().all(|i| simple(i, profile)),
        _ => false,
    }
}
