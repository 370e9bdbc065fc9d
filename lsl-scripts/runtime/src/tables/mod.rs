//! The functions, events and constants each grid has, read once from the files in `tables/` (compiled in).

mod suggest;

pub use suggest::closest;

use crate::profile::Profile;
use crate::value::{Text, Type, Value};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A built-in function as the grids declare it. Functions with several signatures have an entry for each.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Position in the table, the same in every profile: for dispatch without comparing names.
    pub id: u16,
    /// For instance `llSay`.
    pub name: &'static str,
    /// Result, [`Type::Void`] for none.
    pub returns: Type,
    /// Arguments in order.
    pub params: Vec<Param>,
    /// Bits of the profiles that have it ([`Profile::bit`]).
    pub profiles: u8,
    /// Forced sleep in seconds on Second Life.
    pub sleep_secondlife: f64,
    /// Forced sleep in seconds in OpenSimulator, with its default settings.
    pub sleep_opensim: f64,
}

/// An argument of a function or event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Type.
    pub ty: Type,
    /// Name in the grid's documentation.
    pub name: &'static str,
}

/// An event as the grids declare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSig {
    /// Position in the table.
    pub id: EventId,
    /// For instance `touch_start`.
    pub name: &'static str,
    /// Arguments in order.
    pub params: Vec<Param>,
    /// Bits of the profiles that have it.
    pub profiles: u8,
}

/// An event's position in the table; see [`event`] and [`EventId::sig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u8);

impl EventId {
    /// The declaration.
    #[must_use]
    pub fn sig(self) -> &'static EventSig {
        &TABLES.events[usize::from(self.0)]
    }

    /// The event's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.sig().name
    }
}

/// A constant; grids that disagree on the value have an entry each.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// For instance `PRIM_COLOR`.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Bits of the profiles in which it has this value.
    pub profiles: u8,
}

impl Function {
    /// Whether that grid compiles it.
    #[must_use]
    pub const fn in_profile(&self, profile: Profile) -> bool {
        self.profiles & profile.bit() != 0
    }

    /// Forced sleep in seconds after the call.
    #[must_use]
    pub const fn sleep(&self, profile: Profile) -> f64 {
        if profile.is_opensim() { self.sleep_opensim } else { self.sleep_secondlife }
    }

    /// The declaration as a script author would write it, for messages.
    #[must_use]
    pub fn signature(&self) -> String {
        let args: Vec<String> = self.params.iter().map(|p| format!("{} {}", p.ty.name(), p.name)).collect();
        match self.returns {
            Type::Void => format!("{}({})", self.name, args.join(", ")),
            t => format!("{} {}({})", t.name(), self.name, args.join(", ")),
        }
    }
}

struct Tables {
    functions: Vec<Function>,
    by_name: HashMap<&'static str, Vec<u16>>,
    events: Vec<EventSig>,
    event_by_name: HashMap<&'static str, EventId>,
    constants: Vec<Constant>,
    constant_by_name: HashMap<&'static str, Vec<u16>>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);

/// Every function of every grid, by id.
#[must_use]
pub fn functions() -> &'static [Function] {
    &TABLES.functions
}

/// Every signature with that name, whichever grid has it.
pub fn functions_named(name: &str) -> impl Iterator<Item = &'static Function> {
    TABLES.by_name.get(name).into_iter().flatten().map(|&i| &TABLES.functions[usize::from(i)])
}

/// Every event of every grid, by id.
#[must_use]
pub fn events() -> &'static [EventSig] {
    &TABLES.events
}

/// The event of that name, whichever grid has it.
#[must_use]
pub fn event(name: &str) -> Option<EventId> {
    TABLES.event_by_name.get(name).copied()
}

/// Every constant of every grid.
#[must_use]
pub fn constants() -> &'static [Constant] {
    &TABLES.constants
}

/// Every value of the constant of that name, whichever grid has it.
pub fn constants_named(name: &str) -> impl Iterator<Item = &'static Constant> {
    TABLES.constant_by_name.get(name).into_iter().flatten().map(|&i| &TABLES.constants[usize::from(i)])
}

/// The value of a constant in a profile.
#[must_use]
pub fn constant(name: &str, profile: Profile) -> Option<&'static Value> {
    constants_named(name).find(|c| c.profiles & profile.bit() != 0).map(|c| &c.value)
}

/// The profiles in a bit set, as a sentence part: "Second Life and OpenSimulator from 0.9.3 on".
#[must_use]
pub fn grids(profiles: u8) -> String {
    let os = match profiles & 14 {
        14 => Some("OpenSimulator"),
        12 => Some("OpenSimulator from 0.9.3 on"),
        8 => Some("OpenSimulator master only"),
        6 => Some("OpenSimulator up to 0.9.3"),
        2 => Some("OpenSimulator 0.9.2 only"),
        4 => Some("OpenSimulator 0.9.3 only"),
        _ => None,
    };
    match (profiles & 1 != 0, os) {
        (true, Some(os)) => format!("Second Life and {os}"),
        (true, None) => "Second Life only".to_owned(),
        (false, Some(os)) => os.to_owned(),
        (false, None) => "no grid".to_owned(),
    }
}

/// Why a name is missing from a profile that other profiles have: "not in OpenSimulator before 0.9.3".
#[must_use]
pub fn absence(profile: Profile, profiles: u8) -> String {
    if !profile.is_opensim() {
        return "not in Second Life".to_owned();
    }
    match profile {
        Profile::OpenSim092 if profiles & Profile::OpenSim093.bit() != 0 => {
            "not in OpenSimulator before 0.9.3".to_owned()
        }
        Profile::OpenSim092 | Profile::OpenSim093 if profiles & Profile::OpenSimMaster.bit() != 0 => {
            "not in OpenSimulator before its master branch".to_owned()
        }
        Profile::OpenSim093 | Profile::OpenSimMaster if profiles & 14 != 0 => {
            "no longer in this OpenSimulator".to_owned()
        }
        Profile::SecondLife | Profile::OpenSim092 | Profile::OpenSim093 | Profile::OpenSimMaster => {
            "not in OpenSimulator".to_owned()
        }
    }
}

impl Tables {
    fn read() -> Self {
        let mut t = Self {
            functions: Vec::new(),
            by_name: HashMap::new(),
            events: Vec::new(),
            event_by_name: HashMap::new(),
            constants: Vec::new(),
            constant_by_name: HashMap::new(),
        };
        for row in rows(include_str!("../../tables/functions.tsv")) {
            let mut f = row.split('\t');
            let (Some(name), Some(ret), Some(args), Some(grids), Some(sl), Some(os)) =
                (f.next(), f.next(), f.next(), f.next(), f.next(), f.next())
            else {
                continue;
            };
            let id = u16::try_from(t.functions.len()).unwrap_or(u16::MAX);
            t.functions.push(Function {
                id,
                name,
                returns: type_named(ret),
                params: params(args),
                profiles: bits(grids),
                sleep_secondlife: sl.parse().unwrap_or(0.0),
                sleep_opensim: os.parse().unwrap_or(0.0),
            });
            t.by_name.entry(name).or_default().push(id);
        }
        for row in rows(include_str!("../../tables/events.tsv")) {
            let mut f = row.split('\t');
            let (Some(name), Some(args), Some(grids)) = (f.next(), f.next(), f.next()) else { continue };
            let id = EventId(u8::try_from(t.events.len()).unwrap_or(u8::MAX));
            t.events.push(EventSig { id, name, params: params(args), profiles: bits(grids) });
            t.event_by_name.insert(name, id);
        }
        for row in rows(include_str!("../../tables/constants.tsv")) {
            let mut f = row.split('\t');
            let (Some(name), Some(ty), Some(text), Some(grids)) = (f.next(), f.next(), f.next(), f.next())
            else {
                continue;
            };
            let Some(value) = literal(type_named(ty), text) else { continue };
            let id = u16::try_from(t.constants.len()).unwrap_or(u16::MAX);
            t.constants.push(Constant { name, value, profiles: bits(grids) });
            t.constant_by_name.entry(name).or_default().push(id);
        }
        t
    }
}

fn rows(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|l| !l.starts_with('#') && !l.is_empty())
}

fn params(text: &'static str) -> Vec<Param> {
    text.split(", ")
        .filter_map(|p| p.split_once(' '))
        .map(|(ty, name)| Param { ty: type_named(ty), name })
        .collect()
}

fn bits(letters: &str) -> u8 {
    letters.bytes().fold(0, |b, c| {
        b | match c {
            b's' => Profile::SecondLife.bit(),
            b'2' => Profile::OpenSim092.bit(),
            b'3' => Profile::OpenSim093.bit(),
            b'm' => Profile::OpenSimMaster.bit(),
            _ => 0,
        }
    })
}

/// The type of that keyword; `void` for anything else.
#[must_use]
pub fn type_named(name: &str) -> Type {
    match name {
        "integer" => Type::Integer,
        "float" => Type::Float,
        "string" => Type::String,
        "key" => Type::Key,
        "vector" => Type::Vector,
        "rotation" | "quaternion" => Type::Rotation,
        "list" => Type::List,
        _ => Type::Void,
    }
}

fn literal(ty: Type, text: &'static str) -> Option<Value> {
    let numbers =
        || text.trim_matches(['<', '>']).split(", ").map(str::parse::<f64>).collect::<Result<Vec<_>, _>>();
    Some(match ty {
        Type::Integer => Value::Integer(text.parse().ok()?),
        Type::Float => Value::Float(text.parse().ok()?),
        Type::String | Type::Key => Value::Str(unquote(text)?),
        Type::Vector => Value::Vector(numbers().ok()?.try_into().ok()?),
        Type::Rotation => Value::Rotation(numbers().ok()?.try_into().ok()?),
        Type::List | Type::Void => return None,
    })
}

fn unquote(text: &str) -> Option<Text> {
    let mut out = String::new();
    let mut rest = text.strip_prefix('"')?.strip_suffix('"')?;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(hex) = rest.strip_prefix("u{") {
            let (code, tail) = hex.split_once('}')?;
            out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
            rest = tail;
        } else {
            let c = rest.chars().next()?;
            out.push(if c == 'n' { '\n' } else { c });
            rest = &rest[c.len_utf8()..];
        }
    }
    out.push_str(rest);
    Some(Text::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        assert_eq!(functions().len(), rows(include_str!("../../tables/functions.tsv")).count());
        assert_eq!(constants().len(), rows(include_str!("../../tables/constants.tsv")).count());
        assert_eq!(events().len(), 44);
        assert!(functions().iter().all(|f| f.profiles != 0));
    }

    #[test]
    fn grids_disagree_where_they_do() {
        assert_eq!(constant("JSON_APPEND", Profile::SecondLife), Some(&Value::Integer(-1)));
        assert_eq!(constant("JSON_APPEND", Profile::OpenSim092), Some(&Value::str("-1")));
        assert_eq!(constant("JSON_OBJECT", Profile::OpenSim092), Some(&Value::str("\u{FDD1}")));
        assert_eq!(constant("NAK", Profile::OpenSim092), None);
        assert_eq!(constant("NAK", Profile::SecondLife), Some(&Value::str("\n\u{15}\n")));
        assert_eq!(
            constant("ZERO_ROTATION", Profile::OpenSimMaster),
            Some(&Value::Rotation([0.0, 0.0, 0.0, 1.0]))
        );
        let hmac = functions_named("llHMAC").next().unwrap();
        assert!(hmac.in_profile(Profile::SecondLife) && !hmac.in_profile(Profile::OpenSim093));
        assert_eq!(
            absence(Profile::OpenSim093, hmac.profiles),
            "not in OpenSimulator before its master branch"
        );
        let lsd = functions_named("llLinksetDataWrite").next().unwrap();
        assert_eq!(absence(Profile::OpenSim092, lsd.profiles), "not in OpenSimulator before 0.9.3");
    }

    #[test]
    fn sleeps_follow_the_grid() {
        let f = functions_named("llInstantMessage").next().unwrap();
        assert_eq!(f.sleep(Profile::SecondLife), 2.0);
        let f = functions_named("llSetPos").next().unwrap();
        assert_eq!((f.sleep(Profile::SecondLife), f.sleep(Profile::OpenSim092)), (0.2, 0.2));
    }
}
