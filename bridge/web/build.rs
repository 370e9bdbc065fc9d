//! Builds the page with Node where it is installed, and lists its files for the binary.
//!
//! The sources are copied to the build folder first, so that nothing is written into the source tree. Without
//! Node, without a network for the first `npm ci`, or with `PRIMRACK_SKIP_UI` set, the binary still builds: it
//! then serves the plain table.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What of `ui/` the page is built from.
const SOURCES: [&str; 7] =
    ["src", "index.html", "package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.config.ts"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let ui = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("ui");
    line("rerun-if-env-changed=PRIMRACK_SKIP_UI");
    line("rerun-if-changed=build.rs");
    for source in SOURCES {
        line(&format!("rerun-if-changed=ui/{source}"));
    }
    let dist = if env::var_os("PRIMRACK_SKIP_UI").is_some() {
        None
    } else {
        match page(&ui, &out) {
            Ok(dist) => Some(dist),
            Err(why) => {
                line(&format!("warning=the 3-D page is not in this build, the plain table is: {why}"));
                None
            }
        }
    };
    fs::write(out.join("assets.rs"), list(dist.as_deref())?)?;
    Ok(())
}

/// A word to cargo. Writing it cannot be helped when it fails: cargo has gone.
fn line(words: &str) {
    use io::Write as _;
    writeln!(io::stdout(), "cargo:{words}").unwrap_or_default();
}

fn page(ui: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    for program in ["node", npm] {
        let found = Command::new(program).arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("{program} was not found; install Node.js 20.19 or newer").into());
        }
    }
    let work = out.join("ui");
    let lock = fs::read(ui.join("package-lock.json"))?;
    let kept = work.join("installed-lock.json");
    for source in SOURCES {
        let (from, to) = (ui.join(source), work.join(source));
        if to.is_dir() {
            fs::remove_dir_all(&to)?;
        }
        copy(&from, &to)?;
    }
    // Installing takes longer than building: only when the lock file is another.
    if fs::read(&kept).ok().as_deref() != Some(&lock) {
        let install = [
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefer-offline",
            "--fetch-retries=1",
            "--fetch-timeout=20000",
        ];
        run(Command::new(npm).args(install).current_dir(&work), "npm ci")?;
        fs::write(&kept, &lock)?;
    }
    let vite = work.join("node_modules/vite/bin/vite.js");
    run(
        Command::new("node").arg(vite).args(["build", "--logLevel", "warn"]).current_dir(&work),
        "vite build",
    )?;
    Ok(work.join("dist"))
}

fn run(command: &mut Command, what: &str) -> Result<(), Box<dyn Error>> {
    let output = command.output().map_err(|error| format!("{what} did not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let words = words.lines().filter(|line| !line.trim().is_empty()).take(4).collect::<Vec<_>>().join(" | ");
    Err(format!("{what} failed ({}): {words}", output.status).into())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        return fs::copy(from, to).map(|_| ());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A Rust table of the files under `dist`; the packed twin of a file stands beside it as `.br` or `.gz`.
fn list(dist: Option<&Path>) -> Result<String, Box<dyn Error>> {
    let mut files = Vec::new();
    if let Some(dist) = dist {
        gather(dist, &mut files)?;
        files.sort();
    }
    let mut text = format!("/// The built page.\npub(crate) static ASSETS: [Asset; {}] = [\n", {
        files.iter().filter(|file| kind(file).is_some()).count()
    });
    for file in &files {
        let Some(kind) = kind(file) else { continue };
        let path = file.strip_prefix(dist.unwrap_or(Path::new("")))?.to_string_lossy().replace('\\', "/");
        let packed = |ending: &str| {
            let twin = PathBuf::from(format!("{}.{ending}", file.display()));
            if twin.is_file() {
                format!("Some(include_bytes!({:?}))", twin.display().to_string())
            } else {
                "None".to_owned()
            }
        };
        writeln!(
            text,
            "    Asset {{ path: {path:?}, kind: {kind:?}, plain: include_bytes!({:?}), brotli: {}, gzip: {} }},",
            file.display().to_string(),
            packed("br"),
            packed("gz"),
        )?;
    }
    text.push_str("];\n");
    Ok(text)
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { gather(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn kind(file: &Path) -> Option<&'static str> {
    Some(match file.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}
