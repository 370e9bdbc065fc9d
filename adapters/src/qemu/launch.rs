//! How a QEMU is started.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::local::{Files, Folder, Logs, Started, clean_command};

use super::MachineConfig;

/// Where a machine's things are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// The bridge's own QMP socket.
    pub(super) qmp: PathBuf,
    /// A second one, for people and their tools: QMP takes one client per socket.
    pub(super) operator: PathBuf,
    pub(super) pid: PathBuf,
    /// Its memory, once it was written completely.
    pub(super) saved: PathBuf,
    /// A picture of its screen, for a moment.
    pub(super) screen: PathBuf,
    /// Its memory while it is written.
    pub(super) saving: PathBuf,
}

/// What fits into a UNIX socket's address (unix(7)).
const SOCKET_PATH: usize = 107;

impl Paths {
    pub(super) fn new(folder: &Folder, name: &str) -> Result<Self, String> {
        let paths = Self {
            qmp: folder.file(name, "qmp"),
            operator: folder.file(name, "operator.qmp"),
            pid: folder.file(name, "pid"),
            saved: folder.file(name, "saved"),
            screen: folder.file(name, "screen"),
            saving: folder.file(name, "saving"),
        };
        if paths.operator.as_os_str().len() > SOCKET_PATH {
            let path = paths.operator.display();
            return Err(format!(
                "{path} is too long for a socket ({SOCKET_PATH} bytes): use a shorter `state_dir`"
            ));
        }
        Ok(paths)
    }
}

/// The name under which QEMU's own messages are logged; no machine's name has a tilde.
pub(super) fn messages(name: &str) -> String {
    format!("{name}~qemu")
}

/// Starts a machine, unless it runs. Forks: not for a runtime thread. `restore` reads its memory from
/// the saved file instead of booting.
pub(super) fn start(
    files: &Files,
    program: &str,
    accelerator: &str,
    config: &MachineConfig,
    paths: &Paths,
    logs: &Logs,
    restore: bool,
) -> io::Result<Started> {
    files.start(|| {
        logs.fresh(&files.name)?;
        let messages = logs.fresh(&messages(&files.name))?;
        let mut command = clean_command(program);
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            // A QEMU that was taken over by its guest cannot start programs or change its user.
            .args(["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"])
            .args(["-name", &format!("guest={}", files.name), "-accel", accelerator])
            .args(["-m", &config.memory_mib.to_string(), "-smp", &config.cpus.to_string()])
            .arg("-pidfile")
            .arg(&paths.pid)
            .args([
                "-chardev",
                &format!("socket,id=primrack,server=on,wait=off,path={}", escaped(&paths.qmp)),
            ])
            .args(["-mon", "chardev=primrack,mode=control"])
            .args([
                "-chardev",
                &format!("socket,id=operator,server=on,wait=off,path={}", escaped(&paths.operator)),
            ])
            .args(["-mon", "chardev=operator,mode=control"])
            .args([
                "-chardev",
                &format!("file,id=console,append=on,path={}", escaped(&logs.path(&files.name))),
            ])
            .args(["-serial", "chardev:console"]);
        if program.ends_with("x86_64") || program.ends_with("i386") {
            // Lets a Linux guest tell that its kernel panicked.
            command.args(["-device", "pvpanic"]);
        }
        if let Some(kernel) = &config.kernel {
            command.arg("-kernel").arg(kernel);
            if let Some(initrd) = &config.initrd {
                command.arg("-initrd").arg(initrd);
            }
            command.args(["-append", &config.append]);
        }
        for (number, disk) in config.disks.iter().enumerate() {
            let (file, format) = (escaped(&disk.file), &disk.format);
            let drive = format!("file={file},format={format},if=virtio,node-name={}", node(number));
            command.args(["-drive", &drive]);
        }
        command.args(&config.args).stderr(messages);
        if restore {
            // Descriptor 1 is the one that can be handed down without a shell, and QEMU says nothing there.
            command.args(["-incoming", "fd:1"]).stdout(File::open(&paths.saved)?);
        } else {
            command.stdout(std::process::Stdio::null());
        }
        Ok(command)
    })
}

/// What QEMU calls a disk.
pub(super) fn node(number: usize) -> String {
    format!("primrack-disk-{number}")
}

/// In an option of QEMU a comma ends a value, two are one.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
