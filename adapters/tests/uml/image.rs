//! What User-mode Linux boots: a root of busybox, made by the test.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

const INITTAB: &str = "::sysinit:/etc/rc\n::ctrlaltdel:/etc/down\n";
const RC: &str = r#"#!/bin/sh
mount -t proc proc /proc
echo GUEST-READY
grep -q primrack.panic /proc/cmdline && { sleep 1; echo c > /proc/sysrq-trigger; }
grep -q primrack.poweroff /proc/cmdline && { sleep 1; poweroff -f; }
( n=0; while sleep 1; do n=$((n+1)); echo "GUEST-TICK $n"; done ) &
"#;
const DOWN: &str = r#"#!/bin/sh
echo GUEST-DOWN
grep -q primrack.deaf /proc/cmdline || poweroff -f
"#;

/// An image of a root file system: 16 MiB of ext2 with busybox.
pub fn image(folder: &Path) {
    let root = folder.join("root");
    for name in ["bin", "sbin", "etc", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).is_file());
    fs::copy(busybox.expect("busybox is needed: busybox-static"), root.join("bin/busybox")).unwrap();
    for name in ["sh", "mount", "grep", "sleep", "poweroff", "echo"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    symlink("../bin/busybox", root.join("sbin/init")).unwrap();
    fs::write(root.join("etc/inittab"), INITTAB).unwrap();
    for (name, text) in [("rc", RC), ("down", DOWN)] {
        fs::write(root.join("etc").join(name), text).unwrap();
        fs::set_permissions(root.join("etc").join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let run = |program: &str, arguments: &[&str]| {
        let done = Command::new(program).args(arguments).current_dir(folder).status();
        assert!(
            done.expect("mknod and mke2fs are needed: coreutils, e2fsprogs").success(),
            "{program} failed (are we root?)"
        );
    };
    run("mknod", &["root/dev/console", "c", "5", "1"]);
    run("mke2fs", &["-q", "-t", "ext2", "-d", "root", "root.ext2", "16M"]);
}
