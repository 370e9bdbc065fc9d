//! lummao, the runner of LSL from PyPI: a script compiled to Python, its functions called and timed inside Python.
//! It is installed into an environment of its own in cargo's target folder, once.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

/// The version that figures are given for; another one would be another reference.
const VERSION: &str = "0.5.2";
/// Installing goes over the network; a loop never takes this long.
const PATIENCE: Duration = Duration::from_secs(300);

/// Calls a function of the compiled script and times the call alone: start-up, import and compilation are over.
const DRIVER: &str = r#"
import asyncio, gc, importlib.metadata, runpy, sys, time
script = runpy.run_path(sys.argv[1])["Script"]()
print("ready", importlib.metadata.version("lummao"), flush=True)
for line in sys.stdin:
    name, rounds = line.split()
    call = getattr(script, name)
    async def timed():
        begun = time.perf_counter()
        result = await call(int(rounds))
        return time.perf_counter() - begun, result
    gc.collect()
    took, result = asyncio.run(timed())
    print(f"{took:.9f}\t{result}", flush=True)
"#;

/// A script in Python, waiting to be told what to run.
pub(super) struct Lummao {
    process: tokio::process::Child,
    to: ChildStdin,
    from: Lines<BufReader<ChildStdout>>,
    /// Of lummao.
    pub(super) version: String,
    /// Holds the compiled script.
    _folder: tempfile::TempDir,
}

impl Lummao {
    /// Installs lummao if need be, compiles the script, starts it.
    pub(super) async fn start(source: &str) -> anyhow::Result<Self> {
        let environment = environment().await?;
        let folder = tempfile::tempdir()?;
        let (lsl, python, driver) = (
            folder.path().join("loops.lsl"),
            folder.path().join("loops.py"),
            folder.path().join("driver.py"),
        );
        std::fs::write(&lsl, source)?;
        std::fs::write(&driver, DRIVER)?;
        run(Command::new(environment.join("bin/lummao")).arg(&lsl).arg(&python), "lummao").await?;
        let mut process = Command::new(environment.join("bin/python"))
            .arg(&driver)
            .arg(&python)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("Python cannot be started")?;
        let to = process.stdin.take().context("no stdin")?;
        let from = BufReader::new(process.stdout.take().context("no stdout")?).lines();
        let mut lummao = Self { process, to, from, version: String::new(), _folder: folder };
        let ready = lummao.hear().await?;
        ready.strip_prefix("ready ").context("an odd first word")?.clone_into(&mut lummao.version);
        ensure!(lummao.version == VERSION, "lummao {} is installed, not {VERSION}", lummao.version);
        Ok(lummao)
    }

    async fn hear(&mut self) -> anyhow::Result<String> {
        let line =
            tokio::time::timeout(PATIENCE, self.from.next_line()).await.context("Python says nothing")?;
        line?.context("Python ended: its words are above")
    }

    /// Runs a function of the script for so many rounds: seconds inside Python, and the result.
    pub(super) async fn run(&mut self, name: &str, rounds: u32) -> anyhow::Result<(f64, String)> {
        self.to.write_all(format!("{name} {rounds}\n").as_bytes()).await?;
        let line = self.hear().await?;
        let (took, result) = line.split_once('\t').context("an odd answer")?;
        Ok((took.parse()?, result.to_owned()))
    }

    /// Ends it.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let Self { mut process, to, from, version: _, _folder: folder } = self;
        drop((to, from));
        tokio::time::timeout(PATIENCE, process.wait()).await.context("Python does not end")??;
        folder.close()?;
        Ok(())
    }
}

/// The Python environment with lummao in it.
async fn environment() -> anyhow::Result<PathBuf> {
    let place = crate::report::folder()?.join(format!("lummao-{VERSION}"));
    if place.join("bin/lummao").exists() {
        return Ok(place);
    }
    crate::report::say(&format!("installing lummao {VERSION} into {}", place.display()));
    // Into a folder beside it, so that half an installation is never taken for a whole one... but an environment
    // cannot be moved: what is not whole is removed instead.
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    let made = install(&place).await;
    if made.is_err() && place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    made.map(|()| place)
}

async fn install(place: &Path) -> anyhow::Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(place), "python3 -m venv").await?;
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    run(pip.arg(format!("lummao=={VERSION}")), "pip").await
}

async fn run(command: &mut Command, what: &str) -> anyhow::Result<()> {
    let ending = command.stdin(Stdio::null()).kill_on_drop(true).status();
    let ended = tokio::time::timeout(PATIENCE, ending)
        .await
        .with_context(|| format!("{what} does not end"))?
        .with_context(|| format!("{what} cannot be run: this benchmark needs python3 with venv and pip"))?;
    ensure!(ended.success(), "{what} failed: {ended}");
    Ok(())
}
