//! JSON of OpenSimulator: the text is parsed into a tree (by LitJson's tolerant rules) and written anew.

use super::{ARRAY, DELETE, FALSE, INVALID, Invalid, NULL, NUMBER, OBJECT, STRING, TRUE, quoted};
use crate::profile::Profile;
use crate::value::{Value, format, number};

/// Deeper nesting than any script's memory is put to use for; deeper text is invalid.
const DEPTH: usize = 128;
/// `JSON_APPEND` is text here, an integer on Second Life.
const APPEND: &str = "-1";

#[derive(Debug, Clone, PartialEq)]
enum Json {
    Null,
    Bool(bool),
    Int(i32),
    /// An integer that needs more than 32 bits.
    Long(i64),
    Double(f64),
    Str(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips white space and comments.
    fn skip(&mut self) -> Result<(), Invalid> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t'..=b'\r') => self.at += 1,
                Some(b'/') => {
                    let rest = &self.text[self.at..];
                    let len = if rest.starts_with("//") {
                        rest.find('\n').map_or(rest.len(), |n| n + 1)
                    } else if let Some(body) = rest.strip_prefix("/*") {
                        body.find("*/").ok_or(Invalid)? + 4
                    } else {
                        return Err(Invalid);
                    };
                    self.at += len;
                }
                _ => return Ok(()),
            }
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), Invalid> {
        self.skip()?;
        if self.peek() != Some(wanted) {
            return Err(Invalid);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json, Invalid> {
        self.skip()?;
        if depth > DEPTH {
            return Err(Invalid);
        }
        match self.peek().ok_or(Invalid)? {
            b'[' => self.array(depth),
            b'{' => self.object(depth),
            b'"' | b'\'' => self.string().map(Json::Str),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Invalid> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip()?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip()?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(Invalid),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Invalid> {
        self.at += 1;
        let mut items: Vec<(String, Json)> = Vec::new();
        self.skip()?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(items));
        }
        loop {
            self.skip()?;
            if !matches!(self.peek(), Some(b'"' | b'\'')) {
                return Err(Invalid);
            }
            let name = self.string()?;
            self.take(b':')?;
            let value = self.value(depth + 1)?;
            match items.iter_mut().find(|(n, _)| *n == name) {
                Some(slot) => slot.1 = value,
                None => items.push((name, value)),
            }
            self.skip()?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(items));
                }
                _ => return Err(Invalid),
            }
        }
    }

    fn string(&mut self) -> Result<String, Invalid> {
        let quote = char::from(self.peek().ok_or(Invalid)?);
        let mut units: Vec<u16> = Vec::new();
        let mut chars = self.text[self.at + 1..].char_indices();
        while let Some((i, c)) = chars.next() {
            if c == quote {
                self.at += 1 + i + 1;
                return Ok(String::from_utf16_lossy(&units));
            }
            let c = if c == '\\' {
                match chars.next().ok_or(Invalid)?.1 {
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    c @ ('"' | '\'' | '\\' | '/') => c,
                    'u' => {
                        let mut unit = 0_u16;
                        for _ in 0..4 {
                            let digit = chars.next().and_then(|(_, c)| c.to_digit(16)).ok_or(Invalid)?;
                            unit = unit << 4 | u16::try_from(digit).map_err(|_| Invalid)?;
                        }
                        units.push(unit);
                        continue;
                    }
                    _ => return Err(Invalid),
                }
            } else {
                c
            };
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
        Err(Invalid)
    }

    fn number(&mut self) -> Result<Json, Invalid> {
        let rest = &self.text[self.at..];
        let len =
            rest.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
        let text = &rest[..len];
        let digits = text.trim_start_matches('-');
        let leading_zero =
            digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        if leading_zero || text.ends_with('.') {
            return Err(Invalid);
        }
        self.at += len;
        if text.contains(['.', 'e', 'E']) {
            return text.parse().map(Json::Double).map_err(|_| Invalid);
        }
        match text.parse::<i64>() {
            Ok(n) => Ok(i32::try_from(n).map_or(Json::Long(n), Json::Int)),
            Err(_) => text.parse().map(Json::Double).map_err(|_| Invalid),
        }
    }

    fn word(&mut self) -> Result<Json, Invalid> {
        for (word, value) in [("true", Json::Bool(true)), ("false", Json::Bool(false)), ("null", Json::Null)]
        {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(Invalid)
    }
}

/// The object or array at the start; what follows it is not looked at.
fn parse(text: &str) -> Result<Json, Invalid> {
    let mut parser = Parser { text, at: 0 };
    match parser.value(0)? {
        top @ (Json::Array(_) | Json::Object(_)) => Ok(top),
        _ => Err(Invalid),
    }
}

/// A double as .NET writes it without a format: fifteen digits on Mono, as many as needed later.
fn plain(x: f64, profile: Profile) -> String {
    if !x.is_finite() {
        return if x.is_nan() {
            "NaN"
        } else if x > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let text = if profile == Profile::OpenSim092 { format!("{x:.14e}") } else { format!("{x:e}") };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    if (-5..15).contains(&exponent) {
        let decimals = mantissa.len().saturating_sub(2 + usize::from(x < 0.0));
        let decimals = i32::try_from(decimals).unwrap_or(0) - exponent;
        format!("{x:.*}", usize::try_from(decimals.max(0)).unwrap_or(0))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}E{sign}{:02}", exponent.abs())
    }
}

impl Json {
    fn write(&self, out: &mut String, profile: Profile) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Int(n) => out.push_str(&n.to_string()),
            Self::Long(n) => out.push_str(&n.to_string()),
            Self::Double(x) => {
                let text = plain(*x, profile);
                out.push_str(&text);
                if !text.contains(['.', 'E']) {
                    out.push_str(".0");
                }
            }
            Self::Str(s) => write_string(out, s),
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out, profile);
                }
                out.push(']');
            }
            Self::Object(items) => {
                out.push('{');
                for (i, (name, item)) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(out, name);
                    out.push(':');
                    item.write(out, profile);
                }
                out.push('}');
            }
        }
    }

    fn text(&self, profile: Profile) -> String {
        let mut out = String::new();
        self.write(&mut out, profile);
        out
    }
}

/// LitJson's writer: everything beyond ASCII is escaped, `/` is not.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    out.push('"');
}

fn element(value: &Value, profile: Profile) -> Result<String, Invalid> {
    let mono = profile == Profile::OpenSim092;
    Ok(match value {
        Value::Integer(n) => n.to_string(),
        Value::Float(x) if x.is_infinite() => "\"Inf\"".to_owned(),
        Value::Float(x) if x.is_nan() => "\"NaN\"".to_owned(),
        Value::Float(x) if mono => format::float(*x, profile),
        Value::Float(x) => plain(*x, profile),
        Value::Vector(_) | Value::Rotation(_) => format!("\"{}\"", value.list_text(profile)),
        Value::Str(s) | Value::Key(s) => {
            // 0.9.2 means to trim but does not.
            let text = if mono { s.as_str() } else { s.trim() };
            match text {
                "" => "\"\"".to_owned(),
                TRUE | "true" => "true".to_owned(),
                FALSE | "false" => "false".to_owned(),
                NULL | "null" => "null".to_owned(),
                _ if text.starts_with(['{', '[']) => text.to_owned(),
                _ => quoted(text, true),
            }
        }
        Value::List(_) => return Err(Invalid),
    })
}

pub(super) fn from_list(kind: &str, list: &[Value], profile: Profile) -> Result<String, Invalid> {
    let mut out = String::new();
    match kind {
        ARRAY => {
            for item in list {
                out.push(if out.is_empty() { '[' } else { ',' });
                out.push_str(&element(item, profile)?);
            }
            out.push_str(if list.is_empty() { "[]" } else { "]" });
        }
        OBJECT => {
            for pair in list.chunks(2) {
                let [Value::Str(name) | Value::Key(name), value] = pair else { return Err(Invalid) };
                out.push(if out.is_empty() { '{' } else { ',' });
                out.push_str(&quoted(name, true));
                out.push(':');
                out.push_str(&element(value, profile)?);
            }
            out.push_str(if list.is_empty() { "{}" } else { "}" });
        }
        _ => return Err(Invalid),
    }
    Ok(out)
}

pub(super) fn to_list(text: &str, profile: Profile) -> Result<Vec<Value>, Invalid> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(top) = (if text.starts_with(['[', '{']) { parse(text) } else { Err(Invalid) }) else {
        return Ok(vec![Value::str(text)]);
    };
    let leaf = |v: &Json| {
        Ok(match v {
            Json::Null => Value::str(NULL),
            Json::Bool(b) => Value::str(if *b { TRUE } else { FALSE }),
            Json::Int(n) => Value::Integer(*n),
            Json::Double(x) => Value::Float(*x),
            Json::Str(s) => Value::str(s.as_str()),
            Json::Array(_) | Json::Object(_) => Value::str(v.text(profile)),
            // The simulator's switch has no case for long integers.
            Json::Long(_) => return Err(Invalid),
        })
    };
    match top {
        Json::Array(items) => items.iter().map(leaf).collect(),
        Json::Object(items) => {
            let mut out = Vec::with_capacity(2 * items.len());
            for (name, value) in &items {
                out.push(Value::str(name.as_str()));
                out.push(leaf(value)?);
            }
            Ok(out)
        }
        _ => Err(Invalid),
    }
}

/// The element at a path. Text that is no object or array is read as the one element of an array.
fn find(text: &str, path: &[Value]) -> Result<Json, Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid);
    }
    let (mut at, path) = if text.starts_with(['[', '{']) {
        (parse(text)?, path)
    } else if path.is_empty() {
        let Json::Array(items) = parse(&format!("[{text}]"))? else { return Err(Invalid) };
        (items.into_iter().next().ok_or(Invalid)?, path)
    } else {
        return Err(Invalid);
    };
    for step in path {
        at = match (at, step) {
            (Json::Array(mut items), Value::Integer(i)) => {
                let i = usize::try_from(*i).ok().filter(|i| *i < items.len()).ok_or(Invalid)?;
                items.swap_remove(i)
            }
            (Json::Object(items), Value::Str(name) | Value::Key(name)) => {
                items.into_iter().find(|(n, _)| *name == n.as_str()).ok_or(Invalid)?.1
            }
            _ => return Err(Invalid),
        };
    }
    Ok(at)
}

pub(super) fn get(text: &str, path: &[Value], profile: Profile) -> Result<String, Invalid> {
    Ok(match find(text, path)? {
        Json::Null => NULL.to_owned(),
        Json::Bool(b) => (if b { TRUE } else { FALSE }).to_owned(),
        Json::Double(x) => format::short_float(x, profile),
        Json::Str(s) => s,
        other => other.text(profile),
    })
}

pub(super) fn kind(text: &str, path: &[Value]) -> Result<&'static str, Invalid> {
    Ok(match find(text, path)? {
        Json::Null => NULL,
        Json::Bool(true) => TRUE,
        Json::Bool(false) => FALSE,
        Json::Int(_) | Json::Long(_) | Json::Double(_) => NUMBER,
        Json::Str(s) if s == NULL => NULL,
        Json::Str(s) if s == TRUE => TRUE,
        Json::Str(s) if s == FALSE => FALSE,
        Json::Str(_) => STRING,
        Json::Array(_) => ARRAY,
        Json::Object(_) => OBJECT,
    })
}

/// What a value given as text becomes: a word, a number of 32 bits, or a string, never an object.
#[expect(clippy::cast_possible_truncation, reason = "the simulator reads numbers in 32 bits here")]
fn scalar(text: &str) -> Json {
    match text {
        NULL | "null" => return Json::Null,
        TRUE | "true" => return Json::Bool(true),
        FALSE | "false" => return Json::Bool(false),
        _ => {}
    }
    let thousands = text.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let read = if thousands { number::net_float(&text.replace(',', "")) } else { number::net_float(text) };
    match read.map(|x| x as f32) {
        Some(x) if !text.contains('.') && x.fract() == 0.0 && x.abs() < 2_147_483_648.0 => {
            Json::Int(x as i32)
        }
        Some(x) => Json::Double(f64::from(((f64::from(x) * 1e6).round_ties_even() / 1e6) as f32)),
        None => Json::Str(text.to_owned()),
    }
}

/// A step of a path: an index or a name.
#[derive(Clone, Copy)]
enum Step<'a> {
    Index(i32),
    Name(&'a str),
}

/// What the rest of the path has to be made of.
fn build(path: &[Step<'_>], value: &str) -> Result<Json, Invalid> {
    if path.len() > DEPTH || (path.is_empty() && value == DELETE) {
        return Err(Invalid);
    }
    let mut made = scalar(value);
    for step in path.iter().rev() {
        made = match step {
            Step::Index(0) | Step::Name(APPEND) => Json::Array(vec![made]),
            Step::Index(_) => return Err(Invalid),
            Step::Name(name) => Json::Object(vec![((*name).to_owned(), made)]),
        };
    }
    if value == DELETE { Err(Invalid) } else { Ok(made) }
}

/// Sets the value at the path inside `at`; gives what `at` has to be replaced with, if it has the wrong shape.
fn set_at(at: &mut Json, path: &[Step<'_>], value: &str) -> Result<Option<Json>, Invalid> {
    let [step, rest @ ..] = path else { return Err(Invalid) };
    let slot = match (&mut *at, *step) {
        (Json::Array(items), Step::Index(i)) => {
            let i = usize::try_from(i).map_err(|_| Invalid)?;
            match i.cmp(&items.len()) {
                std::cmp::Ordering::Greater => return Err(Invalid),
                std::cmp::Ordering::Equal => {
                    items.push(build(rest, value)?);
                    return Ok(None);
                }
                std::cmp::Ordering::Less if rest.is_empty() && value == DELETE => {
                    items.remove(i);
                    return Ok(None);
                }
                std::cmp::Ordering::Less => &mut items[i],
            }
        }
        (Json::Array(items), Step::Name(APPEND)) => {
            items.push(build(rest, value)?);
            return Ok(None);
        }
        (Json::Array(items), Step::Name(name)) if items.len() < 2 => {
            return Ok(Some(Json::Object(vec![(name.to_owned(), build(rest, value)?)])));
        }
        (Json::Object(items), Step::Name(name)) => match items.iter().position(|(n, _)| n == name) {
            None => {
                items.push((name.to_owned(), build(rest, value)?));
                return Ok(None);
            }
            Some(i) if rest.is_empty() && value == DELETE => {
                items.remove(i);
                return Ok(None);
            }
            Some(i) => &mut items[i].1,
        },
        (Json::Object(_), Step::Index(0)) => return Ok(Some(Json::Array(vec![build(rest, value)?]))),
        // A step that does not fit leaves the text as it is.
        (Json::Array(_), Step::Name(_)) | (Json::Object(_), Step::Index(_)) => {
            return if value == DELETE { Err(Invalid) } else { Ok(None) };
        }
        (Json::Null, _) => return Err(Invalid),
        (Json::Bool(_) | Json::Int(_) | Json::Long(_) | Json::Double(_) | Json::Str(_), _) => {
            return build(path, value).map(Some);
        }
    };
    if rest.is_empty() {
        *slot = scalar(value);
    } else if let Some(replacement) = set_at(slot, rest, value)? {
        *slot = replacement;
    } else if value == DELETE {
        return Ok(None);
    }
    Ok(None)
}

pub(super) fn set(text: &str, path: &[Value], value: &str, profile: Profile) -> Result<String, Invalid> {
    let steps: Vec<Step<'_>> = path
        .iter()
        .map(|v| match v {
            Value::Integer(i) => Ok(Step::Index(*i)),
            Value::Str(s) | Value::Key(s) => Ok(Step::Name(s)),
            _ => Err(Invalid),
        })
        .collect::<Result<_, _>>()?;
    let whole = steps.is_empty();
    let steps = if whole { vec![Step::Index(0)] } else { steps };
    let mut top = if text.is_empty() { Json::Array(Vec::new()) } else { parse(text)? };
    if let Some(replacement) = set_at(&mut top, &steps, value)? {
        top = replacement;
    }
    let out = top.text(profile);
    // Without a path the value is put into an array, whose brackets are cut off again.
    if whole { Ok(out.get(1..out.len() - 1).unwrap_or(INVALID).to_owned()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Profile::{OpenSim092 as Os, OpenSimMaster as Master};

    #[test]
    fn doubles_are_written_as_dotnet_does() {
        assert_eq!(plain(1.5, Master), "1.5");
        assert_eq!(plain(100.0, Master), "100");
        assert_eq!(plain(-0.25, Os), "-0.25");
        assert_eq!(plain(1e20, Master), "1E+20");
        assert_eq!(plain(1.25e-7, Master), "1.25E-07");
        assert_eq!(plain(f64::from(0.1_f32), Os), "0.100000001490116");
        assert_eq!(plain(f64::from(0.1_f32), Master), "0.10000000149011612");
        assert_eq!(plain(123_456.789, Os), "123456.789");
    }

    #[test]
    fn the_reader_is_tolerant_where_litjson_is() {
        assert!(parse("{'a':1} trailing").is_ok());
        assert!(parse("[1, /* c */ 2]").is_ok());
        assert_eq!(parse(r#"{"a":1,"a":2}"#), Ok(Json::Object(vec![("a".into(), Json::Int(2))])));
        for bad in ["[1,]", "[01]", "[1.]", "{a:1}", "[+1]", "[nope]", "[", "5", "[\"\\x\"]"] {
            assert_eq!(parse(bad), Err(Invalid), "{bad}");
        }
    }

    #[test]
    fn values_are_read_in_32_bits() {
        assert_eq!(scalar("16777217"), Json::Int(16_777_216));
        assert_eq!(scalar("1.0"), Json::Double(1.0));
        assert_eq!(scalar("{\"a\":1}"), Json::Str("{\"a\":1}".into()));
        assert_eq!(set("[]", &[], "5", Master), Ok("5".into()));
    }

    #[test]
    fn long_integers_are_no_list_elements() {
        assert_eq!(to_list("[99999999999]", Os), Err(Invalid));
        assert_eq!(get("[99999999999]", &[Value::Integer(0)], Os), Ok("99999999999".into()));
    }
}
