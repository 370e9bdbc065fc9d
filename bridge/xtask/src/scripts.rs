//! `cargo xtask scripts`: from one source per object to ready scripts per grid.
//!
//! ```text
//! lsl-scripts/objects/rack/rack.lsl ─┐
//! lsl-scripts/include/*.lsl ─────────┴─ source ─▶ one text per profile ─ package ─▶ target/scripts/<profile>/rack/rack.lsl
//! lsl-scripts/objects/rack/{rack.conf,README.md} ─────────────────────────────▶ … and target/primrack-scripts-<version>.zip
//! ```

mod package;
#[cfg(test)]
mod play;
#[cfg(test)]
mod stage;

use anyhow::{Context, anyhow, bail};
use primrack_lsl::{Profile, source};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A viewer's script editor takes 65,536 bytes; some room is left for whoever adapts a script.
const LONGEST_SCRIPT: usize = 61_440;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing: only see whether every script comes out well for every grid
    #[arg(long)]
    check: bool,
    /// Where to write, instead of target/
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Writes (or with `--check` only examines) the scripts of every object for every grid.
///
/// # Errors
///
/// A source that does not come out well, named by file and line, or a file that cannot be read or written.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().context("no workspace")?;
    let (made, warnings) = make(&workspace.join("lsl-scripts"))?;
    let mut out = std::io::stdout().lock();
    if args.check {
        write!(out, "{warnings}")?;
        writeln!(out, "{} files for {} grids come out well", made.len(), Profile::ALL.len())?;
        return Ok(());
    }
    let target = args.out.clone().unwrap_or_else(|| workspace.join("target"));
    package::write_folder(&target.join("scripts"), &made)?;
    let zip = target.join(format!("primrack-scripts-{}.zip", env!("CARGO_PKG_VERSION")));
    let folder = format!("primrack-scripts-{}", env!("CARGO_PKG_VERSION"));
    std::fs::write(&zip, package::zip(&folder, &made)?)
        .with_context(|| format!("writing {}", zip.display()))?;
    writeln!(out, "{} files in {}", made.len(), target.join("scripts").display())?;
    writeln!(out, "the same in {}", zip.display())?;
    Ok(())
}

/// A file to hand out: its path below the package, with `/`, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ready {
    path: String,
    text: String,
}

/// Everything that is handed out, sorted by path, and what the checker warned of.
fn make(scripts: &Path) -> anyhow::Result<(Vec<Ready>, String)> {
    let read_source = |file: &str| std::fs::read_to_string(scripts.join(file)).ok();
    let mut made =
        vec![Ready { path: "GUIDE.md".to_owned(), text: read(&scripts.join("objects/GUIDE.md"))? }];
    let mut warnings = String::new();
    let mut found = false;
    for object in names(&scripts.join("objects"))? {
        let folder = scripts.join("objects").join(&object);
        if !folder.is_dir() {
            continue;
        }
        for file in names(&folder)? {
            let path = format!("objects/{object}/{file}");
            for profile in Profile::ALL {
                let text = if file.ends_with(".lsl") {
                    found = true;
                    let (text, warned) = script(&read_source, &path, profile)?;
                    warnings.push_str(&warned);
                    text
                } else {
                    read(&scripts.join(&path))?
                };
                made.push(Ready { path: format!("{profile}/{object}/{file}"), text });
            }
        }
    }
    if !found {
        bail!("no script in {}", scripts.join("objects").display());
    }
    made.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((made, warnings))
}

/// One script for one grid, checked as that grid would compile it, and what the checker warns of.
fn script(read: source::Reader<'_>, path: &str, profile: Profile) -> anyhow::Result<(String, String)> {
    let body = source::expand(read, path, profile).map_err(|mistake| anyhow!("lsl-scripts/{mistake}"))?;
    let name = Path::new(path).file_stem().and_then(|s| s.to_str()).unwrap_or(path);
    let text = format!(
        "// SPDX-License-Identifier: MIT OR Apache-2.0\n\
         // {name} {version} for {title} (profile {profile})\n\
         // Generated from lsl-scripts/{path} by `cargo xtask scripts`: change that file, not this one.\n\n{body}",
        version = env!("CARGO_PKG_VERSION"),
        title = profile.title(),
    );
    let found = primrack_lsl::check::diagnose(&text, profile);
    let rendered = found.render(&format!("{profile}/{name}.lsl"), &text);
    if found.has_errors() {
        bail!("lsl-scripts/{path}: {} does not compile what comes out:\n{rendered}", profile.title());
    }
    if text.len() > LONGEST_SCRIPT {
        bail!(
            "lsl-scripts/{path} has {} bytes for {profile}; {LONGEST_SCRIPT} fit into a script",
            text.len()
        );
    }
    Ok((text, rendered))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// The names in a folder, sorted, without hidden ones.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { bail!("{} has a name that is not UTF-8", folder.display()) };
        if !name.starts_with('.') {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Vec<Ready> {
        make(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lsl-scripts")).unwrap().0
    }

    fn text<'a>(ready: &'a [Ready], path: &str) -> &'a str {
        &ready.iter().find(|r| r.path == path).unwrap_or_else(|| panic!("no {path}")).text
    }

    #[test]
    fn every_grid_gets_the_rack_its_notecard_and_its_guide() {
        let made = ready();
        for profile in Profile::ALL {
            let rack = text(&made, &format!("{profile}/rack/rack.lsl"));
            assert!(rack.starts_with("// SPDX-License-Identifier: MIT OR Apache-2.0\n// rack "));
            assert!(
                rack.contains(&format!("\\\"grid\\\":\\\"{profile}\\\"")),
                "the script says which grid it is for"
            );
            assert!(!rack.contains("//#"), "no directive is left");
            text(&made, &format!("{profile}/rack/rack.conf"));
            text(&made, &format!("{profile}/rack/README.md"));
        }
        text(&made, "GUIDE.md");
    }

    #[test]
    fn a_grid_without_hmac_gets_the_nested_form_and_none_of_its_names() {
        let made = ready();
        for profile in [Profile::OpenSim092, Profile::OpenSim093] {
            let rack = text(&made, &format!("{profile}/rack/rack.lsl"));
            assert!(!rack.contains("llHMAC") && rack.contains("FORM = \"nest\""));
        }
        assert!(text(&made, "secondlife/rack/rack.lsl").contains("FORM = \"b64\""));
        assert!(text(&made, "opensim-master/rack/rack.lsl").contains("FORM = \"hex\""));
    }

    #[test]
    fn a_script_that_a_grid_would_not_compile_is_refused_with_that_grid_and_place() {
        let read = |_: &str| {
            Some(
                "default\n{\n    state_entry()\n    {\n        llHMAC(\"k\", \"m\", \"sha256\");\n    }\n}\n"
                    .to_owned(),
            )
        };
        assert!(script(&read, "objects/x/x.lsl", Profile::SecondLife).is_ok());
        let refused = script(&read, "objects/x/x.lsl", Profile::OpenSim092).unwrap_err().to_string();
        assert!(refused.contains("OpenSimulator 0.9.2 does not compile"), "{refused}");
        assert!(refused.contains("opensim-0.9.2/x.lsl:9:") && refused.contains("llHMAC"), "{refused}");
    }

    #[test]
    fn a_script_too_long_for_an_editor_is_refused() {
        let long = format!("// {}\ndefault {{ state_entry() {{ }} }}\n", "x".repeat(LONGEST_SCRIPT));
        let read = |_: &str| Some(long.clone());
        let refused = script(&read, "objects/x/x.lsl", Profile::OpenSim093).unwrap_err().to_string();
        assert!(refused.contains("fit into a script"), "{refused}");
    }

    #[test]
    fn the_package_is_the_same_byte_for_byte_every_time() {
        let made = ready();
        let one = package::zip("x", &made).unwrap();
        assert_eq!(one, package::zip("x", &made).unwrap());
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(one)).unwrap();
        assert_eq!(archive.len(), made.len());
        let mut guide = String::new();
        std::io::Read::read_to_string(&mut archive.by_name("x/GUIDE.md").unwrap(), &mut guide).unwrap();
        assert_eq!(guide, text(&made, "GUIDE.md"));
    }

    #[test]
    fn no_script_has_a_float_that_yengine_cannot_read() {
        for r in ready().iter().filter(|r| r.path.ends_with(".lsl")) {
            for (n, line) in r.text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let bytes = code.as_bytes();
                for i in 1..bytes.len().saturating_sub(1) {
                    let exponent = matches!(bytes[i], b'e' | b'E')
                        && bytes[i - 1].is_ascii_digit()
                        && matches!(bytes[i + 1], b'-' | b'+' | b'0'..=b'9');
                    let quoted = code[..i].matches('"').count() % 2 == 1;
                    assert!(!exponent || quoted, "{}:{}: {line}", r.path, n + 1);
                }
            }
        }
    }
}
