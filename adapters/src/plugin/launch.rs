//! How the program is started: a session of its own, three pipes, little environment, another user.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use nix::unistd::{Uid, User};
use primrack_adapter_api::AdapterError;
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::local::{Handle, clean_command, spawn};

use super::PluginConfig;

/// A program that was just started.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) handle: Handle,
    pub(super) input: Sender,
    pub(super) output: Receiver,
    pub(super) errors: Receiver,
}

/// The account of a user. Asks the system's user database, which may be slow where it is elsewhere.
pub(super) fn account(user: &str) -> Result<User, String> {
    match User::from_name(user) {
        Ok(Some(account)) => Ok(account),
        Ok(None) => Err(format!("there is no user {user:?} on this machine")),
        Err(why) => Err(format!("the user {user:?} cannot be looked up: {why}")),
    }
}

/// Whether this process may start others as that user.
pub(super) fn may_run_as(account: &User) -> Result<(), String> {
    let me = Uid::effective();
    if me.is_root() || me == account.uid {
        return Ok(());
    }
    Err(format!(
        "to run as {} the bridge has to run as root or as {0} itself; it runs as user {me}",
        account.name
    ))
}

/// Why a file with a secret cannot be used, and what to do.
pub(super) fn unfit(file: &Path) -> Option<(String, String)> {
    let about = match std::fs::metadata(file) {
        Ok(about) => about,
        Err(why) => {
            return Some((format!("{} cannot be read: {why}", file.display()), "make the file".to_owned()));
        }
    };
    (!about.is_file() || about.mode() & 0o077 != 0).then(|| {
        (
            format!("{} may be read by others than its owner", file.display()),
            format!("chmod 600 {}", file.display()),
        )
    })
}

/// Starts it. Forks and looks things up: not for a runtime thread, but within a runtime.
pub(super) fn launch(config: &PluginConfig) -> Result<Launched, AdapterError> {
    let mut command = clean_command(&config.command);
    command.args(&config.args).current_dir(config.cwd.as_deref().unwrap_or(Path::new("/")));
    if let Some(user) = &config.user {
        let account = account(user).map_err(AdapterError::Unreachable)?;
        may_run_as(&account).map_err(AdapterError::Unreachable)?;
        if account.uid != Uid::effective() {
            // Groups of the bridge's user are given up with it (std::os::unix::process::CommandExt::uid).
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        command.env("HOME", &account.dir).env("USER", &account.name).env("LOGNAME", &account.name);
    }
    for (name, file) in &config.credentials {
        if let Some((words, remedy)) = unfit(file) {
            return Err(AdapterError::Credentials(format!("credential {name}: {words} ({remedy})")));
        }
        command.env(format!("PRIMRACK_CREDENTIAL_{}", name.to_ascii_uppercase()), file);
    }
    for entry in &config.env {
        match entry.split_once('=') {
            Some((name, value)) => {
                command.env(name, value);
            }
            None => {
                if let Some(value) = std::env::var_os(entry) {
                    command.env(entry, value);
                }
            }
        }
    }
    let program = &config.command;
    let start = || {
        let (stdin, input) = io::pipe()?;
        let (output, stdout) = io::pipe()?;
        let (errors, stderr) = io::pipe()?;
        command.stdin(stdin).stdout(stdout).stderr(stderr);
        let pid = spawn(command)?;
        // It is our child and nobody has waited for it: the pid cannot mean another process.
        let handle = Handle::open(pid, None)?.ok_or_else(|| io::Error::other("it ended at once"))?;
        Ok::<_, io::Error>(Launched {
            handle,
            input: Sender::from_owned_fd(OwnedFd::from(input))?,
            output: Receiver::from_owned_fd(OwnedFd::from(output))?,
            errors: Receiver::from_owned_fd(OwnedFd::from(errors))?,
        })
    };
    start().map_err(|why| {
        AdapterError::Unreachable(format!(
            "the plug-in {program} cannot be started ({why}): is it there, and may it be run?"
        ))
    })
}
