//! Regular expressions. The grids use backtracking engines with a time-out; ours runs in linear time and knows no
//! look-around and no back references: such a pattern matches nothing, as one that timed out.

use super::args::Output;
use crate::error::RuntimeError;
use crate::profile::Profile;
use crate::value::Value;
use regex::{Captures, Regex, RegexBuilder};

/// The compiled pattern, or nothing where it is wrong or too large.
pub(super) fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).size_limit(1 << 20).dfa_size_limit(1 << 20).nest_limit(64).build().ok()
}

/// Replaces matches from byte `from` on: the first `count`, the last `-count`, or all for 0. `$1`, `${name}` and `$0`
/// stand for groups, `$$` for a dollar, as in .NET.
pub(super) fn replace(
    profile: Profile,
    regex: &Regex,
    text: &str,
    new: &str,
    count: i32,
    from: usize,
) -> Result<Value, RuntimeError> {
    let mut hits: Vec<Captures<'_>> = Vec::new();
    for hit in captures_from(regex, text, from) {
        hits.push(hit);
        if count > 0 && hits.len() == count.unsigned_abs() as usize {
            break;
        }
    }
    if count < 0 {
        let drop = hits.len().saturating_sub(count.unsigned_abs() as usize);
        hits.drain(..drop);
    }
    let mut out = Output::new(profile);
    let mut at = 0;
    for hit in hits {
        let Some(whole) = hit.get(0) else { continue };
        out.push(&text[at..whole.start()])?;
        expand(&mut out, new, &hit)?;
        at = whole.end();
    }
    out.push(&text[at..])?;
    out.finish()
}

/// Every match that starts at or after `from`.
pub(super) fn captures_from<'t>(
    regex: &'t Regex,
    text: &'t str,
    from: usize,
) -> impl Iterator<Item = Captures<'t>> + 't {
    let mut at = Some(from);
    std::iter::from_fn(move || {
        let hit = regex.captures_at(text, at?)?;
        let whole = hit.get(0)?;
        at = if whole.is_empty() {
            text[whole.end()..].chars().next().map(|c| whole.end() + c.len_utf8())
        } else {
            Some(whole.end())
        };
        Some(hit)
    })
}

fn expand(out: &mut Output, new: &str, hit: &Captures<'_>) -> Result<(), RuntimeError> {
    let mut rest = new;
    while let Some(at) = rest.find('$') {
        out.push(&rest[..at])?;
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('$') {
            out.push("$")?;
            rest = after;
            continue;
        }
        let (used, group) = if tail.starts_with('&') {
            (1, hit.get(0))
        } else if let Some((name, _)) = tail.strip_prefix('{').and_then(|t| t.split_once('}')) {
            let group = name.parse::<usize>().map_or_else(|_| hit.name(name), |n| hit.get(n));
            (name.len() + 2, group)
        } else {
            let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
            (digits, tail[..digits].parse::<usize>().ok().and_then(|n| hit.get(n)))
        };
        match group {
            Some(group) => out.push(group.as_str())?,
            // A group the pattern does not have stays as written; one that did not take part is empty.
            None => out.push(&rest[at..=at + used])?,
        }
        rest = &tail[used..];
    }
    out.push(rest)
}
