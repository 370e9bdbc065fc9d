//! What the adapters' tests ran against: the files that they leave, as one table that is held against
//! what each technology's `quality.toml` promises.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// What one test has left.
#[derive(Debug, Deserialize)]
struct Transcript {
    technology: String,
    against: String,
    real: String,
    seconds: f64,
    rules: Vec<String>,
}

/// The part of a quality file that says which transcripts there must be, and how real.
#[derive(Debug, Deserialize)]
struct Quality {
    #[serde(default)]
    transcripts: BTreeMap<String, String>,
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's folder")
}

fn folder() -> Result<PathBuf> {
    Ok(root()?.join("target/transcripts/backends"))
}

/// Removes what earlier runs left, so that none of it can be taken for this one's.
///
/// # Errors
/// When the folder cannot be removed.
pub(crate) fn forget() -> Result<()> {
    let folder = folder()?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Prints the table.
///
/// # Errors
/// When a technology has left no transcript, or one is not as real as its quality file says.
#[expect(clippy::print_stdout, reason = "what a developer runs talks to a terminal")]
pub(crate) fn print() -> Result<()> {
    let left = read(&folder()?)?;
    let wanted = wanted(&root()?.join("adapters/src"))?;
    print!("{}", table(&left));
    for (_, name, real) in wanted.iter().filter(|(_, name, _)| !left.contains_key(name)) {
        if let Some(real) = real.strip_prefix("nightly ") {
            println!("{name}: {real}, did not run here: `cargo xtask nightly` runs it");
        }
    }
    let missing = missing(&left, &wanted);
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    Ok(())
}

fn read(folder: &Path) -> Result<BTreeMap<String, Transcript>> {
    let mut left = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(left),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let transcript = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        left.insert(name, transcript);
    }
    Ok(left)
}

/// Technology, transcript, and how real it is to be.
type Wanted = Vec<(String, String, String)>;

fn wanted(adapters: &Path) -> Result<Wanted> {
    let mut wanted = Wanted::new();
    for entry in fs::read_dir(adapters).with_context(|| format!("cannot read {}", adapters.display()))? {
        let path = entry?.path();
        let technology = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = path.join("quality.toml");
        if !file.is_file() {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        let quality: Quality = toml::from_str(&text).with_context(|| file.display().to_string())?;
        if quality.transcripts.is_empty() {
            wanted.push((technology.clone(), technology, "real".to_owned()));
        } else {
            let all = quality.transcripts.into_iter();
            wanted.extend(all.map(|(name, real)| (technology.clone(), name, real)));
        }
    }
    wanted.sort();
    Ok(wanted)
}

/// What is not there, or not as real as promised. A set marked `nightly` need not have run; where it
/// has, it is held to the rest of its word: `nightly real`.
fn missing(left: &BTreeMap<String, Transcript>, wanted: &Wanted) -> Vec<String> {
    let mut wrong = Vec::new();
    for (technology, name, real) in wanted {
        let (nightly, real) =
            real.strip_prefix("nightly ").map_or((false, real.as_str()), |real| (true, real));
        match left.get(name) {
            None if nightly => {}
            None => {
                wrong.push(format!("{technology}: nothing ran as {name}; its quality file promises {real}"));
            }
            Some(ran) if ran.technology != *technology => {
                wrong.push(format!(
                    "{name}: it is {}'s, and {technology}'s quality file names it",
                    ran.technology
                ));
            }
            Some(ran) if ran.real != real => {
                wrong.push(format!("{name}: its quality file says {real}, the test says {}", ran.real));
            }
            Some(_) => {}
        }
    }
    wrong
}

fn table(left: &BTreeMap<String, Transcript>) -> String {
    let width = left.keys().map(String::len).max().unwrap_or(0).max(7);
    let mut lines = format!("{:width$}  {:9}  seconds  rules  against\n", "backend", "how real");
    for (name, Transcript { against, real, seconds, rules, .. }) in left {
        lines += &format!("{name:width$}  {real:9}  {seconds:7.1}  {:5}  {against}\n", rules.len());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_and_what_is_less_real_than_promised_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (technology, text) in [
            ("docker", "[rules]\n[transcripts]\ndocker = 'real'\ndocker-podman = 'real'\n"),
            ("qemu", "[rules]\nstart = 'done'\n"),
            ("xen", "[transcripts]\nxen = 'nightly real'\n"),
        ] {
            fs::create_dir_all(at(technology)).unwrap();
            fs::write(at(technology).join("quality.toml"), text).unwrap();
        }
        fs::create_dir(at("left")).unwrap();
        let leave = |name: &str, technology: &str, real: &str| {
            let text = format!(
                r#"{{"technology":"{technology}","against":"it","real":"{real}","seconds":1.5,"rules":["start"]}}"#
            );
            fs::write(at("left").join(format!("{name}.json")), text).unwrap();
        };
        let wanted = wanted(folder.path()).unwrap();
        assert_eq!(missing(&read(&at("left")).unwrap(), &wanted).len(), 3);
        leave("docker", "docker", "real");
        leave("docker-podman", "docker", "fake");
        leave("qemu", "qemu", "real");
        let left = read(&at("left")).unwrap();
        assert_eq!(
            missing(&left, &wanted),
            ["docker-podman: its quality file says real, the test says fake"]
        );
        leave("docker-podman", "docker", "real");
        let left = read(&at("left")).unwrap();
        assert!(missing(&left, &wanted).is_empty());
        assert!(table(&left).contains("qemu           real           1.5      1  it\n"), "{}", table(&left));
    }
}
