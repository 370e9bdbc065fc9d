//! Python programs that tests run against: each set in a virtual environment of its own below
//! `target/python`, with every version pinned.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

/// Debian's own Python, whose packages (such as libvirt's binding) the environments may use.
const PYTHON: &str = "/usr/bin/python3";

/// The environments by name, and all that is in each, as `pip freeze --local` tells it.
const ENVIRONMENTS: &[(&str, &[&str])] = &[
    // sushy-emulator (Redfish) and virtualbmc (IPMI), both in front of libvirt.
    (
        "bmc",
        &[
            "autopage==0.6.0",
            "bcrypt==5.0.0",
            "blinker==1.9.0",
            "certifi==2026.10.18",
            "charset-normalizer==3.5.2",
            "click==8.5.1",
            "cliff==4.17.0",
            "cmd2==4.3.1",
            "Flask==3.1.3",
            "idna==3.20",
            "itsdangerous==2.2.0",
            "Jinja2==3.1.6",
            "markdown-it-py==4.3.0",
            "MarkupSafe==3.0.4",
            "mdurl==0.1.2",
            "pbr==7.1.3",
            "prettytable==3.18.0",
            "prompt_toolkit==3.0.53",
            "pyghmi==1.6.19",
            "pyperclip==1.11.0",
            "python-dateutil==4.0.0",
            "pyzmq==27.3.0",
            "requests==2.34.2",
            "rich==15.0.0",
            "rich-argparse==1.8.0",
            "stevedore==5.10.0",
            "sushy-tools==2.2.0",
            "tenacity==9.2.1",
            "tzdata==2026.6",
            "urllib3==2.8.0",
            "virtualbmc==3.3.0",
            "wcwidth==0.9.4",
            "WebOb==1.8.11",
            "Werkzeug==3.1.9",
        ],
    ),
    // A fake of Proxmox VE with its schema.
    (
        "pve",
        &[
            "aiohappyeyeballs==2.7.1",
            "aiohttp==3.14.5",
            "aiosignal==1.4.0",
            "attrs==26.1.0",
            "cffi==2.1.1",
            "cryptography==50.0.2",
            "fakepve==0.5.0",
            "frozenlist==1.8.0",
            "idna==3.20",
            "multidict==7.2.1",
            "propcache==0.5.4",
            "pycparser==3.12",
            "typing_extensions==4.16.0",
            "yarl==1.25.1",
        ],
    ),
    // schemathesis, over the OpenAPI document.
    (
        "fuzz",
        &[
            "anyio==4.16.0",
            "certifi==2026.10.18",
            "charset-normalizer==3.5.2",
            "click==8.5.1",
            "graphql-core==3.3.2",
            "harfile==0.6.0",
            "hypothesis==6.170.15",
            "hypothesis-graphql==0.13.5",
            "idna==3.20",
            "iniconfig==2.3.1",
            "jsonschema_rs==0.60.3",
            "markdown-it-py==4.3.0",
            "MarkupSafe==3.0.4",
            "mdurl==0.1.2",
            "packaging==26.3",
            "pluggy==1.7.0",
            "Pygments==2.21.0",
            "pyrate-limiter==4.5.1",
            "pytest==9.2.0",
            "PyYAML==6.0.3",
            "requests==2.34.2",
            "rich==15.0.0",
            "schemathesis==4.32.5",
            "sortedcontainers==2.4.0",
            "typing_extensions==4.16.0",
            "urllib3==2.8.0",
            "Werkzeug==3.1.9",
        ],
    ),
];

/// All that is in the environment of Home Assistant.
const HOME_ASSISTANT: &str = include_str!("home-assistant.txt");

/// Home Assistant, the newest that Debian's Python runs, for the tests of each night.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn home_assistant() -> Result<PathBuf> {
    let requirements: Vec<&str> = HOME_ASSISTANT.lines().collect();
    ensure("home-assistant", &requirements)
}

/// Makes all environments that are missing or have changed, and returns their folders.
///
/// # Errors
/// As [`ensure`].
pub(crate) fn ensure_all() -> Result<Vec<PathBuf>> {
    ENVIRONMENTS.iter().map(|(name, requirements)| ensure(name, requirements)).collect()
}

/// Makes the environment `name` in `target/python/NAME` (or below `PRIMRACK_PYTHON_DIR`) with exactly
/// these `requirements`, unless it is there already. Its programs are in `bin` below that.
///
/// # Errors
/// When Debian's Python or its `venv` is missing, or the packages cannot be fetched.
pub(crate) fn ensure(name: &str, requirements: &[&str]) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's folder")?;
    let all =
        std::env::var_os("PRIMRACK_PYTHON_DIR").map_or_else(|| root.join("target/python"), PathBuf::from);
    let home = all.join(name);
    let stamp = home.join("stamp");
    let wanted = fingerprint(&home, requirements);
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(home);
    }
    fs::create_dir_all(&all).with_context(|| format!("cannot make {}", all.display()))?;
    // Its scripts name its own path, so it is made in its place; without the stamp it is made anew.
    run(Command::new(PYTHON).args(["-m", "venv", "--clear", "--system-site-packages"]).arg(&home))
        .context("cannot make a Python environment: install python3 and python3-venv")?;
    let list = home.join("requirements.txt");
    fs::write(&list, requirements.join("\n"))?;
    run(Command::new(home.join("bin/pip"))
        .args([
            "install",
            "--quiet",
            "--no-deps",
            "--no-input",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(&list))
    .with_context(|| format!("cannot fetch the Python packages of {name}: is there a network?"))?;
    fs::write(&stamp, wanted)?;
    Ok(home)
}

/// What an environment has to be made of, and where: its scripts name their own place.
fn fingerprint(home: &Path, requirements: &[&str]) -> String {
    let mut hash = Sha256::new();
    hash.update(home.as_os_str().as_encoded_bytes());
    for requirement in requirements {
        hash.update(b"\0");
        hash.update(requirement);
    }
    hex::encode(hash.finalize())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_pinned_and_a_change_of_one_is_noticed() {
        let home_assistant: Vec<&str> = HOME_ASSISTANT.lines().collect();
        let all = ENVIRONMENTS.iter().copied().chain([("home-assistant", &home_assistant[..])]);
        for (name, requirements) in all {
            for requirement in requirements {
                let version = requirement.split_once("==").map(|(_, version)| version);
                assert!(version.is_some_and(|version| !version.is_empty()), "{name}: {requirement}");
            }
        }
        let home = Path::new("/somewhere");
        assert_ne!(fingerprint(home, &["a==1", "b==2"]), fingerprint(home, &["a==1", "b==3"]));
        assert_ne!(fingerprint(home, &["a==1"]), fingerprint(Path::new("/elsewhere"), &["a==1"]));
    }
}
