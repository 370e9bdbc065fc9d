//! Makes the Xen hypervisor that a test boots in QEMU: its dom0 with libvirt, and a guest for it, from Debian packages.
//!
//! Nothing is installed and nobody needs to be root: apt resolves the packages for a machine that has none, and they
//! are unpacked with `dpkg-deb`. What runs in there is in `tests/xen`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure as check};
use sha2::{Digest as _, Sha256};

use crate::archive::Archive;
use crate::guest::run;

/// What dom0 is made of. Debian 12 has one version of Xen.
const PACKAGES: &[&str] = &[
    "xen-hypervisor-4.17-amd64",
    "xen-utils-4.17",
    "libvirt-daemon",
    "libvirt-daemon-driver-xen",
    "libvirt-clients",
    "linux-image-amd64",
    "bash",
    "coreutils",
    "dash",
    "grep",
    "hostname",
    "iproute2",
    "mount",
    "sed",
    "busybox-static",
];

/// What a dom0 that nobody reads in has no use for, as tar's patterns.
const LEFT_OUT: &[&str] = &[
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/locale",
    "./usr/share/info",
    "./usr/share/perl*",
    "./usr/lib/x86_64-linux-gnu/perl*",
    "./usr/lib/x86_64-linux-gnu/gconv",
    // Whose drivers look for devices, networks and a QEMU that are not there.
    "./usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_[!l]*",
];

/// Makes `xen`, `vmlinuz`, `initrd` and `disk` in `target/xen`, unless they are there and nothing that goes into them
/// has changed. Returns that folder.
///
/// # Errors
/// When this is no Debian 12, packages cannot be fetched, or a file cannot be written.
pub(crate) fn ensure() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace's folder")?;
    let source = root.join("tests/xen");
    let home = root.join("target/xen");
    let stamp = home.join("stamp");
    let wanted = fingerprint(&source)?;
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(home);
    }
    fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let work = home.join(format!("work.{}", std::process::id()));
    fs::create_dir_all(&work)?;
    let made = make(&source, &work, &home);
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    made?;
    fs::write(&stamp, wanted)?;
    Ok(home)
}

/// Everything that decides what it is like.
fn fingerprint(source: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(include_bytes!("xen.rs"));
    hash.update(include_bytes!("archive.rs"));
    for name in ["dom0", "domu", "ends", "initrd", "modules"] {
        let path = source.join(name);
        hash.update(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(hex::encode(hash.finalize()))
}

fn make(source: &Path, work: &Path, home: &Path) -> Result<()> {
    let root = work.join("root");
    unpack(work, &root)?;

    let boot = root.join("boot");
    let mut kernels = fs::read_dir(&boot)?.filter_map(|entry| {
        entry.ok()?.file_name().into_string().ok()?.strip_prefix("vmlinuz-").map(str::to_owned)
    });
    let release = kernels.next().context("linux-image-amd64 has brought no kernel")?;
    fs::rename(boot.join(format!("vmlinuz-{release}")), home.join("vmlinuz"))?;
    let hypervisor = fs::File::create(home.join("xen"))?;
    let unzipped =
        Command::new("gzip").args(["-dc"]).arg(boot.join("xen-4.17-amd64.gz")).stdout(hypervisor).status()?;
    check!(unzipped.success(), "gzip could not unpack the hypervisor");
    fs::remove_dir_all(&boot)?;

    let busybox = fs::read(root.join("bin/busybox")).context("no busybox in its package")?;
    let modules = root.join("lib/modules").join(&release).join("kernel");
    first_file_system(source, &busybox, &modules, &home.join("initrd"))?;
    fs::remove_dir_all(root.join("lib/modules"))?;

    let guest = root.join("guest");
    fs::create_dir(&guest)?;
    fs::copy(home.join("vmlinuz"), guest.join("vmlinuz"))?;
    guest_file_system(source, &busybox, &guest.join("initrd"))?;
    let init = root.join("init");
    fs::copy(source.join("dom0"), &init)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let disk = home.join("disk");
    if disk.exists() {
        fs::remove_file(&disk)?;
    }
    run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&root).arg(&disk).arg("600M"))?;
    Ok(())
}

/// Fetches what `PACKAGES` need on a machine that has nothing, and unpacks it.
fn unpack(work: &Path, root: &Path) -> Result<()> {
    let debs = work.join("debs");
    fs::create_dir_all(debs.join("partial"))?;
    let status = work.join("status");
    fs::write(&status, "")?;
    run(Command::new("apt-get")
        .args(["-qq", "-y", "--download-only", "--no-install-recommends"])
        .args(["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"])
        .arg("-o")
        .arg(format!("Dir::State::status={}", status.display()))
        .arg("-o")
        .arg(format!("Dir::Cache::archives={}", debs.display()))
        .arg("install")
        .args(PACKAGES))
    .context(
        "cannot fetch Xen's packages: is this Debian 12, is there a network, was `apt-get update` run?",
    )?;
    // One /usr for all, as on an installed Debian.
    fs::create_dir(root)?;
    for name in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(name))?;
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name))?;
    }
    for entry in fs::read_dir(&debs)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "deb") {
            continue;
        }
        let mut unpacking =
            Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&path).stdout(Stdio::piped()).spawn()?;
        let files = unpacking.stdout.take().context("a pipe")?;
        let written = Command::new("tar")
            .args(["-x", "--keep-directory-symlink", "--no-same-owner", "-C"])
            .arg(root)
            .args(LEFT_OUT.iter().map(|pattern| format!("--exclude={pattern}")))
            .stdin(files)
            .status()?;
        if !(unpacking.wait()?.success() && written.success()) {
            bail!("cannot unpack {}", path.display());
        }
        fs::remove_file(path)?;
    }
    Ok(())
}

/// What dom0's kernel starts with: brings in the modules that its disk needs.
fn first_file_system(source: &Path, busybox: &[u8], modules: &Path, to: &Path) -> Result<()> {
    let mut archive = begun(busybox, to)?;
    archive.folder("root")?;
    archive.file("init", 0o755, &fs::read(source.join("initrd"))?)?;
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
    archive.finish()
}

/// All that the guest has.
fn guest_file_system(source: &Path, busybox: &[u8], to: &Path) -> Result<()> {
    let mut archive = begun(busybox, to)?;
    archive.folder("sbin")?;
    archive.file("init", 0o755, &fs::read(source.join("domu"))?)?;
    // The kernel calls these when Xen asks for an end (kernel/reboot.c, poweroff_cmd and reboot_cmd).
    let ends = fs::read(source.join("ends"))?;
    archive.file("sbin/poweroff", 0o755, &ends)?;
    archive.file("sbin/reboot", 0o755, &ends)?;
    archive.finish()
}

/// A file system with busybox and the folders that everything needs.
fn begun(busybox: &[u8], to: &Path) -> Result<Archive<fs::File>> {
    let mut archive = Archive::new(fs::File::create(to)?);
    for folder in ["bin", "dev", "lib", "proc", "sys"] {
        archive.folder(folder)?;
    }
    archive.file("bin/busybox", 0o755, busybox)?;
    for applet in ["cat", "cut", "insmod", "mount", "seq", "sh", "sleep", "switch_root"] {
        archive.link(&format!("bin/{applet}"), "busybox")?;
    }
    archive.character_device("dev/console", 5, 1)?;
    Ok(archive)
}
