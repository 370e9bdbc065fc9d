//! Makes the guest that tests boot: a Linux kernel and busybox from Debian packages.
//!
//! Nothing is installed and nobody needs to be root: the packages are fetched with `apt-get download`
//! and unpacked with `dpkg-deb`. What the guest does is in `tests/guest`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure as check};
use sha2::{Digest, Sha256};

use crate::archive::Archive;

/// The packages: the first one only says which kernel is current.
const KERNEL: &str = "linux-image-cloud-amd64";
const BUSYBOX: &str = "busybox-static";

/// Where the guest is.
#[derive(Debug, Clone)]
pub(crate) struct GuestFiles {
    /// The kernel, for `-kernel`.
    pub(crate) kernel: PathBuf,
    /// The first file system, for `-initrd`.
    pub(crate) initrd: PathBuf,
}

/// Makes the guest in `target/guest` (or `PRIMRACK_GUEST_DIR`), unless it is there and nothing that
/// goes into it has changed.
///
/// # Errors
/// When this is no Debian, packages cannot be fetched, or a file cannot be written.
pub(crate) fn ensure() -> Result<GuestFiles> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's folder")?;
    let source = root.join("tests/guest");
    let home =
        std::env::var_os("PRIMRACK_GUEST_DIR").map_or_else(|| root.join("target/guest"), PathBuf::from);
    let files = GuestFiles { kernel: home.join("vmlinuz"), initrd: home.join("initrd") };
    let stamp = home.join("stamp");
    let wanted = fingerprint(&source)?;
    let there = fs::read_to_string(&stamp).unwrap_or_default();
    if there.lines().next() == Some(&wanted) && files.kernel.is_file() && files.initrd.is_file() {
        return Ok(files);
    }
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let work = home.join(format!("work.{}", std::process::id()));
    fs::create_dir_all(&work)?;
    let made = make(&source, &work, &files);
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    let packages = made?;
    fs::write(&stamp, format!("{wanted}\n{packages}\n"))?;
    Ok(files)
}

/// The QEMU that boots it, by the version it reports.
///
/// # Errors
/// When it is not installed, with the command that installs it.
pub(crate) fn qemu_version() -> Result<String> {
    let hint = "install QEMU: `apt-get install --no-install-recommends qemu-system-x86 qemu-utils` \
                (where a newer qemu-utils from backports is in the way, name Debian's version of both and add \
                --allow-downgrades)";
    let text = run(Command::new("qemu-system-x86_64").arg("--version")).context(hint)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Everything that decides what the guest is like, and this file.
fn fingerprint(source: &Path) -> Result<String> {
    let mut names: Vec<_> = fs::read_dir(source)
        .with_context(|| format!("cannot read {}", source.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    names.sort();
    let mut hash = Sha256::new();
    hash.update(include_bytes!("guest.rs"));
    hash.update(include_bytes!("archive.rs"));
    for name in names {
        hash.update(name.file_name().context("a file name")?.as_encoded_bytes());
        hash.update(fs::read(&name).with_context(|| format!("cannot read {}", name.display()))?);
    }
    Ok(hex::encode(hash.finalize()))
}

/// Fetches, unpacks, puts together. Returns which packages it used.
fn make(source: &Path, work: &Path, files: &GuestFiles) -> Result<String> {
    let depends = run(Command::new("apt-cache").args(["depends", KERNEL]))
        .context("the guest is made from Debian packages: this needs apt-get, apt-cache and dpkg-deb")?;
    let kernel_package = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"))
        .with_context(|| format!("no package {KERNEL} is known: run `apt-get update` first"))?;
    run(Command::new("apt-get")
        .args(["-qq", "-o", "APT::Sandbox::User=root", "download", kernel_package, BUSYBOX])
        .current_dir(work))
    .context("cannot fetch the guest's packages: is there a network, and was `apt-get update` run?")?;
    let mut packages = Vec::new();
    for entry in fs::read_dir(work)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(work.join("x")))?;
            packages.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    check!(packages.len() == 2, "expected two packages, found {packages:?}");
    packages.sort();

    let unpacked = work.join("x");
    let release = kernel_package.trim_start_matches("linux-image-");
    let busybox = ["bin/busybox", "usr/bin/busybox"]
        .iter()
        .map(|name| unpacked.join(name))
        .find(|path| path.is_file())
        .context("no busybox in its package")?;
    let modules = unpacked.join("lib/modules").join(release).join("kernel");

    let initrd = work.join("initrd");
    let mut archive = Archive::new(fs::File::create(&initrd)?);
    for folder in [
        "bin",
        "proc",
        "sys",
        "dev",
        "lib",
        "etc",
        "etc/acpi",
        "etc/acpi/PWRF",
        "www",
        "tmp",
        "var",
        "var/run",
    ] {
        archive.folder(folder)?;
    }
    archive.file("bin/busybox", 0o755, &fs::read(&busybox)?)?;
    for applet in run(Command::new(&busybox).arg("--list"))?.lines().filter(|name| *name != "busybox") {
        archive.link(&format!("bin/{applet}"), "busybox")?;
    }
    // The kernel starts /init with these as standard files only if this device node is there.
    archive.character_device("dev/console", 5, 1)?;
    archive.file("init", 0o755, &fs::read(source.join("init"))?)?;
    // acpid's name for a press of the power button: device PWRF, event 80.
    archive.file("etc/acpi/PWRF/00000080", 0o755, &fs::read(source.join("powerbutton"))?)?;
    archive.file("www/index.html", 0o644, b"primrack test guest\n")?;
    let mut order = String::new();
    for module in fs::read_to_string(source.join("modules"))?.lines() {
        let name = module.rsplit('/').next().unwrap_or(module);
        let path = modules.join(format!("{module}.ko"));
        // Some kernels have a module built in: then there is no file, and none is needed.
        if path.is_file() {
            archive.file(&format!("lib/{name}.ko"), 0o644, &fs::read(&path)?)?;
            order.push_str(name);
            order.push('\n');
        }
    }
    archive.file("lib/modules.order", 0o644, order.as_bytes())?;
    archive.finish()?;

    fs::rename(unpacked.join("boot").join(format!("vmlinuz-{release}")), &files.kernel)
        .with_context(|| format!("no kernel in {kernel_package}"))?;
    fs::rename(&initrd, &files.initrd)?;
    Ok(packages.join("\n"))
}

/// Runs a program to its end and returns what it wrote.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
