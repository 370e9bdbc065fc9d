//! Calls: which function is meant, and do the arguments fit.

use super::hir::{Expr, ExprKind as H};
use super::{Checker, operators};
use crate::syntax::ast;
use crate::syntax::span::Span;
use crate::tables::{self, Function, absence, closest};
use crate::value::Type;

impl Checker<'_, '_> {
    pub(super) fn call(&mut self, span: Span, name: &ast::Name, args: &[ast::Expr]) -> Expr {
        let values: Vec<Expr> = args.iter().map(|a| self.expr(a)).collect();
        let line = self.line(span);
        if let Some(ids) = self.function_names.get(&name.text).cloned() {
            let given: Vec<Option<Type>> = values.iter().map(type_of).collect();
            let best = ids.iter().copied().min_by_key(|&i| {
                self.cost(&given, &self.functions[usize::from(i)].params).unwrap_or(usize::MAX)
            });
            let id = best.unwrap_or(0);
            let f = &mut self.functions[usize::from(id)];
            f.used = true;
            let (returns, params) = (f.returns, f.params.clone());
            let list: Vec<&str> = params.iter().map(|t| t.name()).collect();
            let declared = format!("{}({})", name.text, list.join(", "));
            return match self.arguments(name, values, args, &params, &declared, span) {
                Some(values) => Expr { ty: returns, kind: H::Call(id, values), line },
                None => Expr { ty: returns, kind: H::Error, line },
            };
        }
        let bit = self.profile.bit();
        let here: Vec<&'static Function> =
            tables::functions_named(&name.text).filter(|f| f.profiles & bit != 0).collect();
        if here.is_empty() {
            if name.text == "print" && !self.profile.is_opensim() && values.len() == 1 {
                self.sink.warn_hint(
                    name.span,
                    "print",
                    "print does nothing in the world",
                    "use llOwnerSay or llSay",
                );
                return match values.into_iter().next() {
                    Some(v) if v.ty != Type::Void => {
                        Expr { ty: Type::Void, kind: H::Print(Box::new(v)), line }
                    }
                    _ => Expr::error(line),
                };
            }
            self.unknown_function(name);
            return Expr::error(line);
        }
        let given: Vec<Option<Type>> = values.iter().map(type_of).collect();
        let best = here
            .iter()
            .filter_map(|f| {
                let wanted: Vec<Type> = f.params.iter().map(|p| p.ty).collect();
                self.cost(&given, &wanted).map(|c| (c, *f))
            })
            .min_by_key(|(c, _)| *c)
            .map(|(_, f)| f);
        // Where none fits, complain about the one with the right number of arguments.
        let f =
            best.or_else(|| here.iter().copied().find(|f| f.params.len() == values.len())).unwrap_or(here[0]);
        let wanted: Vec<Type> = f.params.iter().map(|p| p.ty).collect();
        let declared = if here.len() > 1 && best.is_none() {
            here.iter().map(|f| f.signature()).collect::<Vec<_>>().join(" or ")
        } else {
            f.signature()
        };
        match self.arguments(name, values, args, &wanted, &declared, span) {
            Some(values) => in_place(f, values, line),
            None => Expr { ty: f.returns, kind: H::Error, line },
        }
    }

    /// How many casts a call needs; `None` where it does not fit. Unknown arguments fit anything.
    fn cost(&self, given: &[Option<Type>], wanted: &[Type]) -> Option<usize> {
        if given.len() != wanted.len() {
            return None;
        }
        let mut cost = 0;
        for (g, &w) in given.iter().zip(wanted) {
            match g {
                None => {}
                Some(g) if *g == w => {}
                // For YEngine a key is a string.
                Some(Type::Key | Type::String) if matches!(w, Type::Key | Type::String) => cost += 1,
                Some(g) if operators::implicit(*g, w, self.profile) => cost += 2,
                Some(_) => return None,
            }
        }
        Some(cost)
    }

    /// Checks number and types; casts where the language does. `None` if something does not fit or was wrong before.
    fn arguments(
        &mut self,
        name: &ast::Name,
        values: Vec<Expr>,
        args: &[ast::Expr],
        wanted: &[Type],
        declared: &str,
        span: Span,
    ) -> Option<Vec<Expr>> {
        if values.len() != wanted.len() {
            let count = |n: usize| if n == 1 { "1 argument".to_owned() } else { format!("{n} arguments") };
            let few = values.len() < wanted.len();
            let at =
                if few { Span::new(span.end.saturating_sub(1), span.end) } else { args[wanted.len()].span };
            self.sink.error_hint(
                at,
                "argument-count",
                format!("{} takes {}, not {}", name.text, count(wanted.len()), values.len()),
                declared,
            );
            return None;
        }
        let mut ok = true;
        let mut out = Vec::with_capacity(values.len());
        for (i, ((v, a), &w)) in values.into_iter().zip(args).zip(wanted).enumerate() {
            if v.is_error() {
                ok = false;
                continue;
            }
            if v.ty != w && !operators::implicit(v.ty, w, self.profile) {
                ok = false;
                let message = if v.ty == Type::Void {
                    format!(
                        "argument {} of {} has to be of type {}, but this has no value",
                        i + 1,
                        name.text,
                        w.name()
                    )
                } else {
                    format!(
                        "argument {} of {} has to be of type {}, this is of type {}",
                        i + 1,
                        name.text,
                        w.name(),
                        v.ty.name()
                    )
                };
                let hint = match (v.ty, w) {
                    (Type::Void, _) => declared.to_owned(),
                    (_, Type::List) => format!("put it into brackets: […]. {declared}"),
                    (f, t) if operators::explicit(f, t, self.profile) => {
                        format!("cast it: ({})…. {declared}", t.name())
                    }
                    _ => declared.to_owned(),
                };
                self.sink.error_hint(a.span, "type-mismatch", message, hint);
                continue;
            }
            out.push(self.convert(v, w));
        }
        ok.then_some(out)
    }

    fn unknown_function(&mut self, name: &ast::Name) {
        let elsewhere = tables::functions_named(&name.text).fold(0, |b, f| b | f.profiles);
        if elsewhere != 0 {
            self.sink.error_hint(
                name.span,
                "unknown-function",
                format!("{} is {}", name.text, absence(self.profile, elsewhere)),
                format!("it exists in {}", tables::grids(elsewhere)),
            );
            return;
        }
        if !self.whole {
            return;
        }
        let bit = self.profile.bit();
        let built_in = tables::functions().iter().filter(|f| f.profiles & bit != 0).map(|f| f.name);
        let own = self.function_names.keys().map(smol_str::SmolStr::as_str);
        let hint = match closest(&name.text, own.chain(built_in)) {
            Some(n) => format!("did you mean {n}?"),
            None => match name.text.as_str() {
                "if" | "while" | "for" => "this word is written in lower case".to_owned(),
                "switch" | "foreach" => format!("LSL has no {}", name.text),
                _ => format!("define it above the first state: {}(…) {{ … }}", name.text),
            },
        };
        self.sink.error_hint(
            name.span,
            "unknown-function",
            format!("there is no function {}", name.text),
            hint,
        );
    }
}

const fn type_of(e: &Expr) -> Option<Type> {
    if e.is_error() { None } else { Some(e.ty) }
}

/// A call. OpenSimulator's functions that sort a list where it is become the sorted list's assignment to the variable.
fn in_place(f: &'static Function, mut values: Vec<Expr>, line: u32) -> Expr {
    let sorts = match f.name {
        "osListSortInPlace" => "llListSort",
        "osListSortInPlaceStrided" => "llListSortStrided",
        _ => return Expr { ty: f.returns, kind: H::Builtin(f, values), line },
    };
    let place = match values.first_mut().map(|v| &v.kind) {
        Some(H::Read(place)) => Some(*place),
        _ => None,
    };
    let Some(sort) = tables::functions_named(sorts).next() else {
        return Expr { ty: f.returns, kind: H::Builtin(f, values), line };
    };
    let sorted = Expr { ty: Type::List, kind: H::Builtin(sort, values), line };
    match place {
        Some(place) => Expr { ty: Type::List, kind: H::Assign(place, Box::new(sorted)), line },
        // A list that nobody keeps: what is sorted is lost, as there.
        None => sorted,
    }
}
