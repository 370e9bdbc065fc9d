//! Why a port cannot be used, in words that say what to do.

/// What is wrong with a port. Sorted by what its owner can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// There is no such device.
    #[error("{port}: there is no such device; is it plugged in? `ls /dev/serial/by-id` shows what is")]
    Missing {
        /// Which.
        port: String,
    },
    /// Another program has it.
    #[error(
        "{port}: another program has this port open (a second bridge, a serial monitor, ModemManager); stop it, `fuser -v {port}` names it"
    )]
    Busy {
        /// Which.
        port: String,
    },
    /// We may not open it.
    #[error(
        "{port}: no permission to open this device; add the bridge's user to the group that owns it (on Debian `sudo adduser USER dialout`) and log in again"
    )]
    Denied {
        /// Which.
        port: String,
    },
    /// It is something else, or refuses the settings.
    #[error("{port}: cannot be used as a serial port: {why}")]
    Unusable {
        /// Which.
        port: String,
        /// Why.
        why: String,
    },
    /// Nobody answers at the address.
    #[error("{port}: cannot be reached: {why}")]
    Unreachable {
        /// Which.
        port: String,
        /// Why.
        why: String,
    },
    /// The server is there and does not do what was asked.
    #[error("{port}: {why}")]
    Server {
        /// Which.
        port: String,
        /// Why.
        why: String,
    },
    /// It was open and is no more.
    #[error("{port}: the line broke: {why}")]
    Lost {
        /// Which.
        port: String,
        /// Why.
        why: String,
    },
}
