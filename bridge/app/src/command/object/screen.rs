//! The rack's place in the terminal: a table that stays at the top while what is said scrolls below, or
//! plain lines where that cannot be.

use std::io::{self, IsTerminal as _, Write as _};

use primrack_wire::world::UnitState;

use crate::rack::States;
use crate::show;

/// Lines that are left for talking, at least.
const BELOW: u16 = 8;

/// Where things are printed.
#[derive(Debug)]
pub(crate) struct Screen {
    colour: bool,
    /// The table's height and the terminal's, while the table stands.
    standing: Option<(u16, u16)>,
    /// Whether a table may stand at all.
    live: bool,
}

impl Screen {
    /// Takes the terminal as it is.
    pub(crate) fn new() -> Self {
        let live = io::stdout().is_terminal()
            && io::stdin().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { colour: show::colours(), standing: None, live }
    }

    /// Says something below the table.
    pub(crate) fn say(&self, text: &str) -> io::Result<()> {
        crate::out::line(text)
    }

    /// Asks for the next line.
    pub(crate) fn prompt(&self) -> io::Result<()> {
        if self.live {
            write!(io::stdout(), "> ")?;
            io::stdout().flush()?;
        }
        Ok(())
    }

    /// Shows a change: in the table where it stands, else as a line.
    pub(crate) fn changed(&mut self, states: &States, unit: &UnitState) -> io::Result<()> {
        if self.live && self.table(states)? { Ok(()) } else { self.say(&row(unit, self.colour)) }
    }

    /// Prints all units as lines.
    pub(crate) fn all(&self, states: &States) -> io::Result<()> {
        states.values().try_for_each(|unit| self.say(&row(unit, self.colour)))
    }

    /// Draws the table, if there is room for it.
    fn table(&mut self, states: &States) -> io::Result<bool> {
        let rows = u16::try_from(states.len()).unwrap_or(u16::MAX).saturating_add(1);
        let size = terminal_size::terminal_size();
        let Some((terminal_size::Width(width), terminal_size::Height(height))) = size else {
            return Ok(false);
        };
        if rows.saturating_add(BELOW) > height {
            self.leave()?;
            return Ok(false);
        }
        let mut out = String::new();
        if self.standing != Some((rows, height)) {
            // Room for the table: everything below scrolls by itself (DECSTBM), the cursor at its end.
            self.standing = Some((rows, height));
            out.push_str(&format!("\u{1b}[2J\u{1b}[{};{height}r\u{1b}[{};1H> ", rows + 1, rows + 1));
        }
        out.push_str("\u{1b}7");
        for (at, unit) in states.values().enumerate() {
            let fitted = row_within(unit, usize::from(width), self.colour);
            out.push_str(&format!("\u{1b}[{};1H\u{1b}[2K{fitted}", at + 1));
        }
        let line = "─".repeat(usize::from(width.min(60)));
        out.push_str(&format!("\u{1b}[{rows};1H\u{1b}[2K{line}\u{1b}8"));
        let mut stdout = io::stdout();
        stdout.write_all(out.as_bytes())?;
        stdout.flush()?;
        Ok(true)
    }

    /// Gives the whole terminal back.
    pub(crate) fn leave(&mut self) -> io::Result<()> {
        if let Some((_, height)) = self.standing.take() {
            writeln!(io::stdout(), "\u{1b}[r\u{1b}[{height};1H")?;
            io::stdout().flush()?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.leave().is_err() {
            tracing::debug!("the terminal has gone");
        }
    }
}

/// A unit as a line.
fn row(unit: &UnitState, colour: bool) -> String {
    row_within(unit, usize::MAX, colour)
}

fn row_within(unit: &UnitState, width: usize, colour: bool) -> String {
    let UnitState { u, s, l, w, n, o, m } = unit;
    let state = format!("{} {}", show::symbol(s), show::column(w, 9));
    let mut note = show::plain(n);
    for (flag, words) in [(*o, "last known"), (*m, "simulated")] {
        if flag {
            note = if note.is_empty() { words.to_owned() } else { format!("{note} · {words}") };
        }
    }
    let (before, after) = (format!("{u:>3}  "), format!(" {} {note}", show::column(l, 20)));
    let room = width.saturating_sub(before.chars().count() + state.chars().count());
    let after: String = after.chars().take(room).collect();
    let shown = if *o { show::tinted("unknown", &state, colour) } else { show::tinted(s, &state, colour) };
    format!("{before}{shown}{}", after.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_state_label_and_note_and_keeps_its_width() {
        let unit = UnitState {
            u: 3,
            s: "on".into(),
            l: "web-1".into(),
            w: "On".into(),
            n: "by an\u{1b} operator".into(),
            o: true,
            m: true,
        };
        let whole = row(&unit, false);
        assert_eq!(whole, "  3  ● On        web-1                by an  operator · last known · simulated");
        assert_eq!(row_within(&unit, 20, false).chars().count(), 20);
        assert!(row(&unit, true).contains("\u{1b}[2;37m● On"));
    }
}
