//! JSON of Second Life: values are cut out of the text as they stand, and only the levels on the way are checked.

use super::{ARRAY, DELETE, FALSE, INVALID, Invalid, NULL, NUMBER, OBJECT, STRING, TRUE, quoted};
use crate::profile::Profile;
use crate::value::{Value, format, number};

const GRID: Profile = Profile::SecondLife;
/// Paths deeper than this are not followed.
const DEPTH: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Punctuation(u8),
    Str,
    Number,
    Null,
    True,
    False,
    Object,
    Array,
    Bad,
    End,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    from: usize,
    to: usize,
    kind: Kind,
}

fn is_space(b: u8) -> bool {
    matches!(b, b'\t'..=b'\r' | b' ')
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c| u8::try_from(c).is_ok_and(is_space))
}

/// Length of the number at the start, and whether it is a plain integer. The grid's rule is loose: digits with at most one
/// point and one `e` in nearly any order; `e` alone is a number.
fn number_len(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let digits =
        |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|b| wanted.contains(b));
    if !is(at, b"0123456789eE.") {
        return None;
    }
    at += digits(at);
    let whole = at;
    if is(at, b"eE") {
        at += 1 + usize::from(is(at + 1, b"-"));
        at += digits(at);
        at += usize::from(is(at, b"."));
        at += digits(at);
    } else {
        at += usize::from(is(at, b"."));
        at += digits(at);
        if is(at, b"eE") {
            at += 1 + usize::from(is(at + 1, b"-"));
        }
        at += digits(at);
    }
    Some((at, at == whole))
}

fn string_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' if bytes.get(at + 1) == Some(&b'\n') => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn token(json: &str, from: usize) -> Token {
    let bytes = json.as_bytes();
    let from = from + bytes[from.min(bytes.len())..].iter().take_while(|b| is_space(**b)).count();
    let Some(&first) = bytes.get(from) else { return Token { from, to: from, kind: Kind::End } };
    let rest = &bytes[from..];
    if b",:{}[]".contains(&first) {
        return Token { from, to: from + 1, kind: Kind::Punctuation(first) };
    }
    if first == b'"'
        && let Some(len) = string_len(rest)
        && json.is_char_boundary(from + len)
    {
        return Token { from, to: from + len, kind: Kind::Str };
    }
    if let Some((len, _)) = number_len(rest) {
        return Token { from, to: from + len, kind: Kind::Number };
    }
    let len = rest.iter().take_while(|b| !b"]},".contains(b)).count();
    let word = json[from..from + len].trim_end_matches(|c| u8::try_from(c).is_ok_and(is_space));
    let kind = match word {
        "null" => Kind::Null,
        "true" => Kind::True,
        "false" => Kind::False,
        _ => Kind::Bad,
    };
    Token { from, to: from + word.len(), kind }
}

/// The end of the object or array that opens at `from`; only brackets of its own sort and strings are looked at.
fn closing(json: &str, from: usize) -> Option<usize> {
    let bytes = json.as_bytes();
    let open = bytes[from];
    let close = if open == b'{' { b'}' } else { b']' };
    let (mut level, mut string, mut at) = (1, false, from + 1);
    while let Some(&b) = bytes.get(at) {
        match b {
            b'\\' if string => at += 1,
            b'"' => string = !string,
            _ if string => {}
            _ if b == open => level += 1,
            _ if b == close => {
                level -= 1;
                if level == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// A token, with an object or array taken whole.
fn full(json: &str, from: usize) -> Token {
    let t = token(json, from);
    match t.kind {
        Kind::Punctuation(b @ (b'{' | b'[')) => match closing(json, t.from) {
            Some(to) => Token { from: t.from, to, kind: if b == b'{' { Kind::Object } else { Kind::Array } },
            None => t,
        },
        _ => t,
    }
}

/// The text between quotes. Letters after a backslash that mean nothing stand for themselves: `\u00e9` is `u00e9`.
fn unquoted(text: &str) -> String {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next() {
            None => '\\',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(c) => c,
        });
    }
    out
}

fn is_quoted(text: &str) -> bool {
    text.len() > 1 && text.starts_with('"') && text.ends_with('"')
}

fn text_json(text: &str, numbers: bool) -> String {
    let text = trim(text);
    let wrapped = |a: char, b: char| text.starts_with(a) && text.ends_with(b);
    match text {
        "" => return "\"\"".to_owned(),
        NULL => return "null".to_owned(),
        TRUE => return "true".to_owned(),
        FALSE => return "false".to_owned(),
        "null" | "true" | "false" => return text.to_owned(),
        _ => {}
    }
    let is_number = || number_len(text.as_bytes()).is_some_and(|(len, _)| len == text.len());
    if is_quoted(text) || wrapped('[', ']') || wrapped('{', '}') || (numbers && is_number()) {
        return text.to_owned();
    }
    if text == INVALID { String::new() } else { quoted(text, false) }
}

fn element(value: &Value) -> String {
    let tuple = |parts: &[f64]| {
        let parts: Vec<String> = parts.iter().map(|x| format::c_float(*x, GRID)).collect();
        format!("\"<{}>\"", parts.join(", "))
    };
    match value {
        Value::Str(s) => text_json(s, false),
        Value::Key(k) => format!("\"{k}\""),
        Value::Vector(v) => tuple(v),
        Value::Rotation(r) => tuple(r),
        Value::Float(x) => format::c_float(*x, GRID).replace("-nan", "nan"),
        Value::Integer(_) | Value::List(_) => value.list_text(GRID).to_string(),
    }
}

pub(super) fn from_list(kind: &str, list: &[Value]) -> Result<String, Invalid> {
    match kind {
        ARRAY => Ok(format!("[{}]", list.iter().map(element).collect::<Vec<_>>().join(","))),
        OBJECT => {
            let pairs: Result<Vec<String>, Invalid> = list
                .chunks(2)
                .map(|pair| match pair {
                    [Value::Str(name) | Value::Key(name), value] => {
                        Ok(format!("{}:{}", quoted(name, false), element(value)))
                    }
                    _ => Err(Invalid),
                })
                .collect();
            Ok(format!("{{{}}}", pairs?.join(",")))
        }
        _ => Err(Invalid),
    }
}

/// One member of an object or array: its raw name (objects only) and where its value stands.
struct Member {
    name: Option<(usize, usize)>,
    value: Token,
}

/// Calls `visit` for every member of the object or array that opens at `from`; gives where it ends. `visit` may give
/// the end of a member it read itself.
fn members(
    json: &str,
    from: usize,
    mut visit: impl FnMut(&Member) -> Result<Option<usize>, Invalid>,
) -> Result<usize, Invalid> {
    let object = json.as_bytes()[from] == b'{';
    let close = Kind::Punctuation(if object { b'}' } else { b']' });
    let mut t = token(json, from + 1);
    if t.kind == close {
        return Ok(t.to);
    }
    loop {
        let mut name = None;
        if object {
            if t.kind != Kind::Str {
                return Err(Invalid);
            }
            name = Some((t.from, t.to));
            let colon = token(json, t.to);
            if colon.kind != Kind::Punctuation(b':') {
                return Err(Invalid);
            }
            t = token(json, colon.to);
        }
        let opens = matches!(t.kind, Kind::Punctuation(b'{' | b'['));
        if matches!(t.kind, Kind::Bad | Kind::End) || (matches!(t.kind, Kind::Punctuation(_)) && !opens) {
            return Err(Invalid);
        }
        let end = match visit(&Member { name, value: t })? {
            Some(end) => end,
            None if opens => closing(json, t.from).ok_or(Invalid)?,
            None => t.to,
        };
        let next = token(json, end);
        if next.kind == close {
            return Ok(next.to);
        }
        if next.kind != Kind::Punctuation(b',') {
            return Err(Invalid);
        }
        t = token(json, next.to);
    }
}

/// True where a step of a path names this member. An index does not fit a name; a name fits an index by its digits.
fn fits(json: &str, member: &Member, index: i32, step: &Value) -> Result<bool, Invalid> {
    match (member.name, step) {
        (Some((from, to)), Value::Str(s) | Value::Key(s)) => Ok(*s == unquoted(&json[from..to]).as_str()),
        (None, Value::Integer(i)) => Ok(*i == index),
        (None, Value::Str(s) | Value::Key(s)) => {
            let digits = s.bytes().take(9).take_while(u8::is_ascii_digit).count();
            s[..digits].parse::<i32>().map(|i| i == index).map_err(|_| Invalid)
        }
        _ => Err(Invalid),
    }
}

/// The last member that the path names, and the end of the object or array at `from`.
fn follow(json: &str, from: usize, path: &[Value]) -> Result<(Option<Token>, usize), Invalid> {
    let [step, rest @ ..] = path else { return Err(Invalid) };
    let mut found = None;
    let mut index = 0;
    let end = members(json, from, |member| {
        let here = fits(json, member, index, step)?;
        index += 1;
        if !here {
            return Ok(None);
        }
        let opens = matches!(member.value.kind, Kind::Punctuation(_));
        found = None;
        if rest.is_empty() {
            let whole = full(json, member.value.from);
            if matches!(whole.kind, Kind::Punctuation(_)) {
                return Err(Invalid);
            }
            found = Some(whole);
            return Ok(Some(whole.to));
        }
        if !opens {
            return Ok(None);
        }
        let (inner, end) = follow(json, member.value.from, rest)?;
        found = inner;
        Ok(Some(end))
    })?;
    Ok((found, end))
}

fn find(json: &str, path: &[Value]) -> Result<Token, Invalid> {
    let first = token(json, 0);
    if path.is_empty() {
        let (open, close) = match first.kind {
            Kind::Punctuation(b'{') => (Kind::Object, '}'),
            Kind::Punctuation(b'[') => (Kind::Array, ']'),
            Kind::Punctuation(_) | Kind::End => return Err(Invalid),
            _ if token(json, first.to).kind == Kind::End => return Ok(first),
            _ => return Err(Invalid),
        };
        // The inside is not looked at.
        let body = json.trim_end_matches(|c| u8::try_from(c).is_ok_and(is_space));
        return if body.ends_with(close) {
            Ok(Token { from: first.from, to: body.len(), kind: open })
        } else {
            Err(Invalid)
        };
    }
    if path.len() > DEPTH || !matches!(first.kind, Kind::Punctuation(b'{' | b'[')) {
        return Err(Invalid);
    }
    let (found, end) = follow(json, first.from, path)?;
    if token(json, end).kind == Kind::End { found.ok_or(Invalid) } else { Err(Invalid) }
}

pub(super) fn get(json: &str, path: &[Value]) -> Result<String, Invalid> {
    let t = find(json, path)?;
    let text = &json[t.from..t.to];
    Ok(match t.kind {
        Kind::Str => unquoted(text),
        Kind::Bad if is_quoted(text) => unquoted(text),
        Kind::Null => NULL.to_owned(),
        Kind::True => TRUE.to_owned(),
        Kind::False => FALSE.to_owned(),
        Kind::Number | Kind::Object | Kind::Array => text.to_owned(),
        Kind::Bad | Kind::End | Kind::Punctuation(_) => return Err(Invalid),
    })
}

pub(super) fn kind(json: &str, path: &[Value]) -> Result<&'static str, Invalid> {
    Ok(match find(json, path)?.kind {
        Kind::Str => STRING,
        Kind::Number => NUMBER,
        Kind::Null => NULL,
        Kind::True => TRUE,
        Kind::False => FALSE,
        Kind::Object => OBJECT,
        Kind::Array => ARRAY,
        Kind::Bad | Kind::End | Kind::Punctuation(_) => return Err(Invalid),
    })
}

/// A raw value as an element of a list; integers out of range stop at the ends.
fn leaf(text: &str) -> Value {
    match text {
        "null" => return Value::str(NULL),
        "true" => return Value::str(TRUE),
        "false" => return Value::str(FALSE),
        _ => {}
    }
    if let Some((len, integer)) = number_len(text.as_bytes())
        && len == text.len()
    {
        if integer {
            let ends = if text.starts_with('-') { i32::MIN } else { i32::MAX };
            return Value::Integer(text.parse().unwrap_or(if text == "-" { 0 } else { ends }));
        }
        return Value::Float(number::float(text, GRID).unwrap_or(0.0));
    }
    Value::str(if is_quoted(text) { unquoted(text) } else { text.to_owned() })
}

pub(super) fn to_list(json: &str) -> Result<Vec<Value>, Invalid> {
    let json = trim(json);
    if json.is_empty() {
        return Ok(Vec::new());
    }
    let object = json.starts_with('{') && json.ends_with('}');
    if !(object || (json.starts_with('[') && json.ends_with(']'))) {
        return Ok(vec![leaf(json)]);
    }
    let close = Kind::Punctuation(if object { b'}' } else { b']' });
    let ends = |t: Token| t.kind == close && t.to == json.len();
    let mut out = Vec::new();
    let mut t = full(json, 1);
    if ends(t) {
        return Ok(out);
    }
    loop {
        // Missing members are empty strings; in an object the last one may lack its name.
        let missing = ends(t) || (!object && t.kind == Kind::Punctuation(b','));
        let mut named = true;
        if object {
            named = false;
            let mut name = String::new();
            if t.kind == Kind::Str {
                let colon = full(json, t.to);
                if colon.kind == Kind::Punctuation(b':') {
                    name = unquoted(&json[t.from..t.to]);
                    named = !name.is_empty();
                    t = full(json, colon.to);
                }
            }
            out.push(Value::str(name));
        }
        if missing {
            out.push(Value::str(""));
        } else if matches!(t.kind, Kind::Punctuation(b':' | b',')) {
            return Err(Invalid);
        } else {
            out.push(leaf(&json[t.from..t.to]));
            t = full(json, t.to);
        }
        if ends(t) {
            return Ok(out);
        }
        if t.kind != Kind::Punctuation(b',') || !named {
            return Err(Invalid);
        }
        t = full(json, t.to);
    }
}

/// The text of a new value below the rest of a path.
fn build(path: &[Value], value: &str) -> Result<String, Invalid> {
    if value == DELETE || path.len() > DEPTH {
        return Err(Invalid);
    }
    let mut made = text_json(value, true);
    for step in path.iter().rev() {
        made = match step {
            Value::Integer(0 | -1) => format!("[{made}]"),
            Value::Str(name) | Value::Key(name) => format!("{{{}:{made}}}", quoted(name, false)),
            _ => return Err(Invalid),
        };
    }
    Ok(made)
}

pub(super) fn set(json: &str, path: &[Value], value: &str) -> Result<String, Invalid> {
    if path.is_empty() && value == DELETE {
        return Ok(value.to_owned());
    }
    if path.len() > DEPTH {
        return Err(Invalid);
    }
    set_at(json, path, value)
}

/// `json` with the value at the path. What has the wrong shape for a step is replaced whole.
fn set_at(json: &str, path: &[Value], value: &str) -> Result<String, Invalid> {
    let [step, rest @ ..] = path else { return build(&[], value) };
    let json = trim(json);
    let object = matches!(step, Value::Str(_) | Value::Key(_));
    let (open, close) = if object { ('{', '}') } else { ('[', ']') };
    if !(json.starts_with(open) && json.ends_with(close)) {
        return build(path, value);
    }
    let mut parts: Vec<String> = Vec::new();
    let mut hit = false;
    let mut index = 0;
    let end = members(json, 0, |member| {
        let here = !hit && fits(json, member, index, step)?;
        index += 1;
        let whole = full(json, member.value.from);
        let raw = &json[whole.from..whole.to];
        let name = member.name.map_or("", |(from, to)| &json[from..to]);
        let colon = if object { ":" } else { "" };
        hit |= here;
        if !here {
            parts.push(format!("{name}{colon}{raw}"));
        } else if !(rest.is_empty() && value == DELETE) {
            parts.push(format!("{name}{colon}{}", set_at(raw, rest, value)?));
        }
        Ok(Some(whole.to))
    })?;
    if end != json.len() {
        return Err(Invalid);
    }
    if !hit {
        let made = build(rest, value)?;
        parts.push(match step {
            Value::Str(name) | Value::Key(name) => format!("{}:{made}", quoted(name, false)),
            Value::Integer(i) if *i == -1 || *i == index => made,
            _ => return Err(Invalid),
        });
    }
    Ok(format!("{open}{}{close}", parts.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_loose() {
        for (text, len) in [("1", 1), ("-1.5", 4), ("1e5", 3), ("e", 1), ("1E-5.5", 6), (".5", 2), ("1.", 2)]
        {
            assert_eq!(number_len(text.as_bytes()).map(|n| n.0), Some(len), "{text}");
        }
        assert_eq!(number_len(b"-"), None);
        assert_eq!(number_len(b"x"), None);
    }

    #[test]
    fn only_levels_on_the_way_are_checked() {
        let broken_aside = r#"{"a":[1,,],"b":2}"#;
        assert_eq!(get(broken_aside, &[Value::str("b")]), Ok("2".into()));
        let broken_on_the_way = r#"{"a":1,"b":2,}"#;
        assert_eq!(get(broken_on_the_way, &[Value::str("b")]), Err(Invalid));
        assert_eq!(get(r#"{"a":[1],"a":2}"#, &[Value::str("a"), Value::Integer(0)]), Err(Invalid));
        assert_eq!(get("[1,2] x", &[Value::Integer(0)]), Err(Invalid));
        assert_eq!(get(r#"[5,6]"#, &[Value::str("1x")]), Ok("6".into()), "a name counts by its digits");
    }

    #[test]
    fn lists_take_what_is_missing_for_empty() {
        assert_eq!(to_list("[1,,2]"), Ok(vec![Value::Integer(1), Value::str(""), Value::Integer(2)]));
        assert_eq!(
            to_list("[99999999999,-99999999999]"),
            Ok(vec![Value::Integer(i32::MAX), Value::Integer(i32::MIN)])
        );
        assert_eq!(to_list("1.5"), Ok(vec![Value::Float(1.5)]));
        assert_eq!(
            to_list("{\"a\":1,}"),
            Ok(vec![Value::str("a"), Value::Integer(1), Value::str(""), Value::str("")])
        );
        assert_eq!(to_list("[1:2]"), Err(Invalid));
    }
}
