//! Checking many scripts at once, for people and for programs.

use crate::check::diagnose;
use crate::diagnostic::{Diagnostics, Severity};
use crate::profile::Profile;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Source lines with carets, for reading.
    #[default]
    Human,
    /// One JSON document: an array of [`FileReport`].
    Json,
}

/// What was found in one file for one profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file as it was named.
    pub file: PathBuf,
    /// The grid it was checked for.
    pub profile: Profile,
    /// Whether the grid would compile it.
    pub ok: bool,
    /// Everything found.
    pub diagnostics: Diagnostics,
}

/// Checks files for each of the profiles and writes the report to `out`. Gives `true` if every file compiles everywhere.
///
/// # Errors
///
/// A file cannot be read (the message names it), or `out` cannot be written.
pub fn check_files(
    files: &[PathBuf],
    profiles: &[Profile],
    format: Format,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        let bytes = std::fs::read(file)
            .map_err(|e| io::Error::new(e.kind(), format!("cannot read {}: {e}", file.display())))?;
        // Old scripts are sometimes not UTF-8; their stray bytes sit in comments and texts.
        sources.push((file.clone(), String::from_utf8_lossy(&bytes).into_owned()));
    }
    check_sources(sources.iter().map(|(p, s)| (p.as_path(), s.as_str())), profiles, format, out)
}

/// Like [`check_files`], for sources that are in memory already.
///
/// # Errors
///
/// `out` cannot be written.
pub fn check_sources<'a>(
    sources: impl IntoIterator<Item = (&'a Path, &'a str)>,
    profiles: &[Profile],
    format: Format,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let mut all = true;
    let (mut errors, mut warnings, mut files) = (0usize, 0usize, 0usize);
    let mut reports = Vec::new();
    for (file, source) in sources {
        files += 1;
        for &profile in profiles {
            let diagnostics = diagnose(source, profile);
            let ok = !diagnostics.has_errors();
            all &= ok;
            errors += diagnostics.errors().count();
            warnings += diagnostics.warnings().count();
            match format {
                Format::Human => human(file, source, profile, profiles.len() > 1, &diagnostics, out)?,
                Format::Json => reports.push(FileReport { file: file.to_owned(), profile, ok, diagnostics }),
            }
        }
    }
    match format {
        Format::Human => {
            let names: Vec<&str> = profiles.iter().map(|p| p.name()).collect();
            writeln!(
                out,
                "{files} {} checked for {}: {errors} {}, {warnings} {}",
                plural(files, "script", "scripts"),
                names.join(", "),
                plural(errors, "error", "errors"),
                plural(warnings, "warning", "warnings"),
            )?;
        }
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &reports)?;
            writeln!(out)?;
        }
    }
    Ok(all)
}

const fn plural<'a>(n: usize, one: &'a str, many: &'a str) -> &'a str {
    if n == 1 { one } else { many }
}

fn human(
    file: &Path,
    source: &str,
    profile: Profile,
    name_profile: bool,
    diagnostics: &Diagnostics,
    out: &mut dyn Write,
) -> io::Result<()> {
    let worst = diagnostics.0.iter().map(|d| d.severity).max();
    if name_profile && worst.is_some() {
        let state =
            if worst == Some(Severity::Error) { "does not compile" } else { "compiles, with warnings" };
        writeln!(out, "── {} on {}: {state}", file.display(), profile.title())?;
    }
    out.write_all(diagnostics.render(&file.display().to_string(), source).as_bytes())
}
