//! How things look in a terminal: a symbol, a word and a colour per state, never colour alone.

use std::io::IsTerminal as _;
use std::time::Duration;

use primrack_model::UnixMs;

/// Whether standard output may have colours: a terminal, and nobody said no (<https://no-color.org>).
#[must_use]
pub fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !unwanted && !dumb
}

/// A symbol for a state's token.
#[must_use]
pub fn symbol(token: &str) -> &'static str {
    match token {
        "off" => "○",
        "starting" => "◔",
        "on" => "●",
        "stopping" => "◑",
        "paused" => "‖",
        "saved" => "▣",
        "crashed" => "✖",
        _ => "?",
    }
}

/// The text in the colour of a state.
#[must_use]
pub fn tinted(token: &str, text: &str, colour: bool) -> String {
    let code = match token {
        "off" => "2",
        "starting" => "33",
        "on" => "32",
        "stopping" => "35",
        "paused" => "36",
        "saved" => "34",
        "crashed" => "1;31",
        _ => "2;37",
    };
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// How long ago, in one unit.
#[must_use]
pub fn age(since: UnixMs, now: UnixMs) -> String {
    span(since.age_at(now))
}

/// A time span in one unit.
#[must_use]
pub fn span(span: Duration) -> String {
    match span.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}

/// Without what a terminal would obey: names and notes come from elsewhere.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `text` cut or filled to `width` characters.
#[must_use]
pub fn column(text: &str, width: usize) -> String {
    let text = plain(text);
    let count = text.chars().count();
    if count <= width {
        format!("{text}{}", " ".repeat(width - count))
    } else {
        text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_its_width_and_obeys_nothing() {
        assert_eq!(column("web-1", 8), "web-1   ");
        assert_eq!(column("a very long label", 6), "a ver…");
        assert_eq!(column("a\u{1b}[2Jb", 8), "a [2Jb  ");
    }

    #[test]
    fn states_differ_by_more_than_colour() {
        let mut symbols: Vec<_> = primrack_model::Power::ALL.iter().map(|p| symbol(p.token())).collect();
        symbols.sort_unstable();
        symbols.dedup();
        assert_eq!(symbols.len(), 8);
        assert_eq!(tinted("on", "x", false), "x");
    }
}
