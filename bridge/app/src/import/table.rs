//! Racks and positions from a table: one machine a line, columns by their names in the first line.

use std::io::Read;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{MACHINES_MAX, Placed};

const COLUMNS: [&str; 8] = ["name", "rack", "position", "backend", "address", "label", "groups", "protected"];

/// Reads a table. `name` has to be there; `rack`, `position` (a unit number), `backend` (or `backend` for
/// all), `address`, `label`, `groups` (with semicolons between them) and `protected` (yes or no) may be.
///
/// # Errors
/// All mistakes, each with its line.
pub fn read_csv(from: impl Read, backend: Option<&str>, separator: u8) -> Result<Vec<Placed>, Vec<String>> {
    // A table of so many machines is never longer.
    let from = from.take(64 * 1024 * 1024);
    let mut reader =
        ReaderBuilder::new().delimiter(separator).trim(Trim::All).flexible(false).from_reader(from);
    let header = reader.headers().map_err(|error| vec![error.to_string()])?.clone();
    let mut wrong: Vec<String> = header
        .iter()
        .filter(|name| !COLUMNS.contains(&name.to_lowercase().as_str()))
        .map(|name| format!("line 1: no column is called {name:?}; there are {}", COLUMNS.join(", ")))
        .collect();
    let place = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
    if place("name").is_none() {
        wrong.push("line 1: the first line names the columns, and `name` is not among them".to_owned());
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut machines = Vec::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                wrong.push(error.to_string());
                break;
            }
        };
        let origin = format!("line {}", record.position().map_or(0, csv::Position::line));
        if machines.len() >= MACHINES_MAX {
            wrong.push(format!("{origin}: more than {MACHINES_MAX} machines"));
            break;
        }
        let get = |name: &str| place(name).and_then(|at| record.get(at)).filter(|text| !text.is_empty());
        match machine(&record, origin.clone(), get, backend) {
            Ok(machine) => machines.push(machine),
            Err(words) => wrong.push(format!("{origin}: {words}")),
        }
    }
    if wrong.is_empty() { Ok(machines) } else { Err(wrong) }
}

fn machine<'a>(
    record: &'a StringRecord,
    origin: String,
    get: impl Fn(&str) -> Option<&'a str>,
    backend: Option<&str>,
) -> Result<Placed, String> {
    let name = get("name").ok_or_else(|| format!("no name in {:?}", record.iter().collect::<Vec<_>>()))?;
    let position = match get("position") {
        None => None,
        Some(text) => Some(
            text.parse::<u8>().map_err(|_| format!("the position {text:?} is no number from 0 to 255"))?,
        ),
    };
    let protected = match get("protected").map(str::to_lowercase).as_deref() {
        None | Some("no" | "false" | "0") => false,
        Some("yes" | "true" | "1") => true,
        Some(other) => return Err(format!("protected is yes or no, not {other:?}")),
    };
    let backend = get("backend").or(backend).ok_or("no backend: add the column or give --backend")?;
    Ok(Placed {
        origin,
        name: name.to_owned(),
        label: get("label").map(str::to_owned),
        rack: get("rack").unwrap_or_default().to_owned(),
        position,
        backend: backend.to_owned(),
        address: get("address").map(str::to_owned),
        groups: get("groups")
            .map(|text| {
                text.split(';').map(|group| group.trim().to_owned()).filter(|it| !it.is_empty()).collect()
            })
            .unwrap_or_default(),
        protected,
    })
}
