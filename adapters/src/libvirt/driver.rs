//! What the drivers of libvirt can do, by the scheme of the URI.

use std::path::PathBuf;

use primrack_adapter_api::Capabilities;
use primrack_model::Action;

/// One of libvirt's drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driver {
    Qemu,
    Lxc,
    Xen,
    Esx,
    Test,
    /// One that was not tried: what every driver has.
    Other,
}

/// What all of them can.
const COMMON: &[Action] = &[Action::Start, Action::SoftOff, Action::HardOff, Action::Reboot];
const QEMU: &[Action] = &Action::ALL;
const LXC: &[Action] = &[
    Action::Start,
    Action::Resume,
    Action::Pause,
    Action::SoftOff,
    Action::Reboot,
    Action::HardOff,
    Action::Delete,
];
const XEN: &[Action] = &[
    Action::Start,
    Action::Resume,
    Action::Restore,
    Action::Clone,
    Action::Pause,
    Action::Save,
    Action::SoftOff,
    Action::Reboot,
    Action::Migrate,
    Action::HardOff,
    Action::Delete,
];
const ESX: &[Action] = &[
    Action::Start,
    Action::Resume,
    Action::Snapshot,
    Action::Pause,
    Action::SoftOff,
    Action::Reboot,
    Action::Revert,
    Action::HardOff,
];
const TEST: &[Action] = &[
    Action::Start,
    Action::Resume,
    Action::Restore,
    Action::Snapshot,
    Action::Clone,
    Action::Pause,
    Action::Save,
    Action::SoftOff,
    Action::Reboot,
    Action::Revert,
    Action::HardOff,
    Action::Delete,
];

impl Driver {
    pub(super) fn of(uri: &str) -> Self {
        match uri.split_once("://").map(|(scheme, _)| scheme) {
            Some("qemu") => Self::Qemu,
            Some("lxc") => Self::Lxc,
            Some("xen") => Self::Xen,
            Some("esx" | "vpx" | "gsx") => Self::Esx,
            Some("test") => Self::Test,
            Some(_) | None => Self::Other,
        }
    }

    /// What can be done to its machines.
    pub(super) fn capabilities(self) -> Capabilities {
        let actions = match self {
            Self::Qemu => QEMU,
            Self::Lxc => LXC,
            Self::Xen => XEN,
            Self::Esx => ESX,
            Self::Test => TEST,
            Self::Other => COMMON,
        };
        // VMware's driver tells nothing by itself.
        Capabilities { actions, pushes_events: self.tells(), simulated: self == Self::Test }
    }

    /// Whether it tells of changes.
    pub(super) fn tells(self) -> bool {
        !matches!(self, Self::Esx | Self::Other)
    }

    /// Whether its URI names another host than the daemon's.
    pub(super) fn reaches_out(self) -> bool {
        matches!(self, Self::Esx | Self::Other)
    }

    /// Where its daemon usually listens: the one for all drivers, then its own (libvirt.org/daemons.html).
    pub(super) fn sockets(self) -> Vec<PathBuf> {
        let own = match self {
            Self::Qemu => Some("virtqemud-sock"),
            Self::Lxc => Some("virtlxcd-sock"),
            Self::Xen => Some("virtxend-sock"),
            Self::Esx | Self::Test | Self::Other => None,
        };
        let names = std::iter::once("libvirt-sock").chain(own);
        names.map(|name| PathBuf::from("/run/libvirt").join(name)).collect()
    }
}
