//! Containers of plain LXC in a den, made by their configuration alone.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use primrack_adapters::lxc::{LxcAdapter, LxcConfig};

use crate::containers::{Den, root, said};

/// The den with a folder of containers.
pub struct Lab {
    pub den: Den,
}

impl Lab {
    pub fn new() -> Self {
        let lab = Self { den: Den::new() };
        fs::create_dir(lab.path()).unwrap();
        lab
    }

    /// The folder of the containers.
    pub fn path(&self) -> PathBuf {
        self.den.path().join("lxc")
    }

    /// Makes a container that is off. `init` is its first program; the usual one if empty.
    pub fn make(&self, name: &str, init: &str) {
        let home = self.path().join(name);
        root(&home.join("rootfs"));
        // What the first program of a container in the background says goes nowhere: it has to take the console.
        let file = home.join("rootfs/sbin/init");
        let init = if init.is_empty() { fs::read_to_string(&file).unwrap() } else { init.to_owned() };
        fs::write(file, init.replacen('\n', "\nexec >/dev/console 2>&1\n", 1)).unwrap();
        // Its control groups are below the den's, and go with it.
        let group = self.den.path().file_name().unwrap().to_str().unwrap();
        let config = format!(
            "lxc.uts.name = {name}\nlxc.rootfs.path = dir:{0}/rootfs\nlxc.init.cmd = /sbin/init\n\
             lxc.net.0.type = empty\nlxc.mount.auto = proc:mixed sys:ro\nlxc.console.logfile = {0}/console.log\n\
             lxc.signal.halt = SIGTERM\nlxc.apparmor.profile = unconfined\nlxc.group = front\n\
             lxc.cgroup.dir = {group}/{name}\n",
            home.display()
        );
        fs::write(home.join("config"), config).unwrap();
    }

    /// One of LXC's own tools, as somebody else runs it.
    pub fn tool(&self, tool: &str, arguments: &[&str]) -> String {
        said(self.den.command(tool).arg("-P").arg(self.path()).args(arguments))
    }

    pub fn config(&self) -> LxcConfig {
        LxcConfig { path: Some(self.path()), with: self.den.enter(), answer_ms: None }
    }
    pub fn adapter(&self) -> LxcAdapter {
        self.config().build().unwrap()
    }

    pub fn version() -> String {
        format!("LXC {}", said(Command::new("lxc-start").arg("--version")))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Its locks and its monitor's pipe are kept by the path of the folder.
        for place in ["/run/lxc", "/run/lxc/lock"] {
            let below = self.den.path().strip_prefix("/").unwrap();
            fs::remove_dir_all(Path::new(place).join(below)).ok();
        }
    }
}
