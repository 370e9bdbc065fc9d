//! Figures against floors and targets: a table for people, JSON for machines.

use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Good {
    /// The more the better.
    High,
    /// The less the better.
    Low,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) name: String,
    /// Ours, with its unit.
    pub(crate) ours: String,
    /// The reference's, with its unit.
    pub(crate) reference: String,
    /// What is compared with floor and target.
    pub(crate) value: f64,
    /// The worst that is accepted; none for a line that is only told.
    pub(crate) floor: Option<f64>,
    /// What we want.
    pub(crate) target: Option<f64>,
    /// Which way is good.
    pub(crate) good: Good,
    /// Single figures of the windows that the value is the median of, and remarks.
    pub(crate) note: String,
}

impl Row {
    /// A figure with its floor and target.
    pub(crate) fn new(name: &str, value: f64, good: Good, floor: f64, target: f64) -> Self {
        Self { floor: Some(floor), target: Some(target), ..Self::told(name, value, good) }
    }
    /// A figure without a floor.
    pub(crate) fn told(name: &str, value: f64, good: Good) -> Self {
        let name = name.to_owned();
        let (ours, reference, note) = (String::new(), String::new(), String::new());
        Self { name, ours, reference, value, floor: None, target: None, good, note }
    }
    /// The figures it was made of.
    pub(crate) fn of(self, ours: impl Into<String>, reference: impl Into<String>) -> Self {
        Self { ours: ours.into(), reference: reference.into(), ..self }
    }
    /// A remark.
    pub(crate) fn with(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// Whether it holds its floor. A figure that is no number does not.
    pub(crate) fn holds(&self) -> bool {
        self.floor.is_none_or(|floor| self.reaches(floor))
    }
    fn reaches(&self, bound: f64) -> bool {
        match self.good {
            Good::High => self.value >= bound,
            Good::Low => self.value <= bound,
        }
    }
    fn verdict(&self) -> &'static str {
        match (self.holds(), self.target) {
            (false, _) => "BELOW",
            (true, Some(target)) if self.reaches(target) => "ok, target",
            (true, Some(_)) => "ok",
            (true, None) => "",
        }
    }
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The value below which a share of all lie. Sorts.
pub(crate) fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// The folder that results and journals go to: `bench` in cargo's target folder.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let target = exe.ancestors().nth(2).map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Keeps the figures of a benchmark as JSON.
pub(crate) fn keep(name: &str, rows: &[Row]) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Kept<'a> {
        benchmark: &'a str,
        unix_s: i64,
        holds: bool,
        rows: &'a [Row],
    }
    let kept =
        Kept { benchmark: name, unix_s: crate::words::now_s(), holds: rows.iter().all(Row::holds), rows };
    std::fs::write(folder()?.join(format!("{name}.json")), serde_json::to_vec_pretty(&kept)?)?;
    Ok(())
}

fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The table.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["benchmark", "ours", "reference", "value", "floor", "target", ""].map(str::to_owned);
    let bound = |bound: Option<f64>, good| {
        let sign = if good == Good::High { ">=" } else { "<=" };
        bound.map_or_else(String::new, |bound| format!("{sign} {}", number(bound)))
    };
    let mut lines = vec![head];
    for row in rows {
        lines.push([
            row.name.clone(),
            row.ours.clone(),
            row.reference.clone(),
            number(row.value),
            bound(row.floor, row.good),
            bound(row.target, row.good),
            row.verdict().to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..7)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in &lines {
        for (cell, width) in line.iter().zip(&widths) {
            out.push_str(cell);
            out.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    for row in rows.iter().filter(|row| !row.note.is_empty()) {
        out.push_str(&format!("  {}: {}\n", row.name, row.note));
    }
    out
}

/// To the terminal. A closed one is no reason to stop measuring.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// To standard error.
pub(crate) fn complain(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_below_its_floor_does_not_hold_and_neither_does_none() {
        assert!(Row::new("a", 0.5, Good::High, 0.4, 0.6).holds());
        assert!(!Row::new("a", 0.3, Good::High, 0.4, 0.6).holds());
        assert!(!Row::new("a", 1.6, Good::Low, 1.5, 1.2).holds());
        assert!(!Row::new("a", f64::NAN, Good::Low, 1.5, 1.2).holds());
        assert!(!Row::new("a", f64::NAN, Good::High, 1.5, 1.2).holds());
    }

    #[test]
    fn medians_and_quantiles() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!((quantile(&mut [5.0, 1.0, 2.0, 3.0, 4.0], 0.5) - 3.0).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }
}
