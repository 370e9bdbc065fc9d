//! How a machine's process is started.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::local::{Files, Logs, Started, clean_command};

use super::MachineConfig;

/// The longest path of a socket (unix(7): 108 bytes with the zero).
const LONGEST: usize = 107;

/// Where each machine has a folder with its mconsole.
pub(super) fn folder(state: &Path) -> PathBuf {
    state.join("uml")
}

/// Starts a machine with its console in its log, unless it runs. Forks: not for a runtime thread.
pub(super) fn start(
    files: &Files,
    state: &Path,
    program: &str,
    config: &MachineConfig,
    logs: &Logs,
) -> io::Result<Started> {
    files.start(|| {
        let folder = folder(state);
        let socket = folder.join(&files.name).join("mconsole");
        if socket.as_os_str().len() > LONGEST {
            return Err(io::Error::other(format!(
                "{} is longer than a socket's path may be ({LONGEST} bytes): choose a shorter `state_dir`",
                socket.display()
            )));
        }
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let log = logs.fresh(&files.name)?;
        let mut command = clean_command(program);
        command
            .arg(format!("umid={}", files.name))
            // Its name is put right behind it.
            .arg(format!("uml_dir={}/", folder.display()))
            .arg(format!("mem={}M", config.memory_mib))
            .args(["con=null", "con0=null,fd:1"]);
        for (number, disk) in config.disks.iter().enumerate() {
            let disk = disk.display();
            command.arg(if config.copy_on_write {
                format!("ubd{number}={}/{}.{number}.cow,{disk}", state.display(), files.name)
            } else {
                format!("ubd{number}={disk}")
            });
        }
        command.args(&config.arguments).current_dir(state).stdout(log.try_clone()?).stderr(log);
        Ok(command)
    })
}
