//! Numbers and shapes of libvirt's protocol, as far as they are used. Sources: `src/rpc/virnetprotocol.x`,
//! `src/rpc/virkeepaliveprotocol.x`, `src/remote/remote_protocol.x` and `include/libvirt/virterror.h` of libvirt;
//! all of them are frozen: a number never changes its meaning.

use super::xdr::{Malformed, Put, Reader, Take, Writer};

/// The program that does everything (REMOTE_PROGRAM, version 1).
pub(super) const REMOTE: u32 = 0x2000_8086;
/// The program that asks whether the other side lives (KEEPALIVE_PROGRAM, version 1).
pub(super) const KEEPALIVE: u32 = 0x6b65_6570;
/// KEEPALIVE_PROC_PING and KEEPALIVE_PROC_PONG.
pub(super) const PING: u32 = 1;
pub(super) const PONG: u32 = 2;
/// The largest message, its length included (VIR_NET_MESSAGE_MAX and VIR_NET_MESSAGE_LEN_MAX).
pub(super) const LARGEST: usize = (16 << 20) + 4;
/// The most domains in one answer (REMOTE_DOMAIN_LIST_MAX).
pub(super) const MOST_DOMAINS: usize = 16_384;
/// The feature "answers to keepalive" (VIR_DRV_FEATURE_PROGRAM_KEEPALIVE).
pub(super) const FEATURE_KEEPALIVE: u32 = 11;

/// A procedure of the remote program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Procedure {
    ConnectOpen = 1,
    DomainCreate = 9,
    DomainDefineXml = 11,
    DomainDestroy = 12,
    DomainGetXmlDesc = 14,
    DomainGetInfo = 16,
    DomainLookupByName = 23,
    DomainReboot = 27,
    DomainResume = 28,
    DomainSuspend = 34,
    DomainUndefine = 35,
    ConnectGetHostname = 59,
    ConnectSupportsFeature = 60,
    AuthList = 66,
    AuthPolkit = 70,
    StoragePoolLookupByVolume = 86,
    StorageVolDelete = 94,
    StorageVolLookupByPath = 97,
    StorageVolGetXmlDesc = 99,
    StorageVolGetPath = 100,
    StorageVolCreateXmlFrom = 125,
    DomainManagedSave = 182,
    DomainHasManagedSaveImage = 183,
    DomainManagedSaveRemove = 184,
    DomainSnapshotCreateXml = 185,
    DomainSnapshotGetXmlDesc = 186,
    DomainRevertToSnapshot = 192,
    DomainScreenshot = 211,
    DomainGetState = 212,
    DomainUndefineFlags = 231,
    DomainReset = 245,
    DomainShutdownFlags = 258,
    DomainPmWakeup = 267,
    ConnectListAllDomains = 273,
    DomainListAllSnapshots = 274,
    DomainMigratePerform3Params = 305,
    ConnectDomainEventCallbackRegisterAny = 316,
    DomainInterfaceAddresses = 353,
}

/// Events of the remote program (REMOTE_PROC_DOMAIN_EVENT_CALLBACK_LIFECYCLE and _REBOOT), and their
/// identifiers when asked for (VIR_DOMAIN_EVENT_ID_LIFECYCLE and _REBOOT).
pub(super) const EVENT_LIFECYCLE: u32 = 318;
pub(super) const EVENT_REBOOT: u32 = 319;
pub(super) const EVENT_ID_LIFECYCLE: i32 = 0;
pub(super) const EVENT_ID_REBOOT: i32 = 1;

/// What a message is (virNetMessageType).
pub(super) const CALL: u32 = 0;
pub(super) const REPLY: u32 = 1;
pub(super) const MESSAGE: u32 = 2;
pub(super) const STREAM: u32 = 3;
/// How it went (virNetMessageStatus).
pub(super) const OK: u32 = 0;
pub(super) const ERROR: u32 = 1;
pub(super) const CONTINUE: u32 = 2;

/// Filters of a listing (VIR_CONNECT_LIST_DOMAINS_*); without any, everything is listed.
pub(super) const LIST_RUNNING: u32 = 16;
pub(super) const LIST_PAUSED: u32 = 32;
pub(super) const LIST_SHUTOFF: u32 = 64;
pub(super) const LIST_MANAGED_SAVE: u32 = 256;

/// Who may be asked for a way in (remote_auth_type).
pub(super) const AUTH_NONE: u32 = 0;
pub(super) const AUTH_POLKIT: u32 = 2;

/// Errors that mean something to us (virErrorNumber).
pub(super) mod errors {
    pub(in crate::libvirt) const NO_SUPPORT: i32 = 3;
    pub(in crate::libvirt) const OPERATION_DENIED: i32 = 29;
    pub(in crate::libvirt) const NO_DOMAIN: i32 = 42;
    pub(in crate::libvirt) const AUTH_FAILED: i32 = 45;
    pub(in crate::libvirt) const NO_STORAGE_VOL: i32 = 50;
    pub(in crate::libvirt) const ARGUMENT_UNSUPPORTED: i32 = 74;
    pub(in crate::libvirt) const AUTH_CANCELLED: i32 = 79;
    pub(in crate::libvirt) const OPERATION_UNSUPPORTED: i32 = 84;
    pub(in crate::libvirt) const ACCESS_DENIED: i32 = 88;
    pub(in crate::libvirt) const AUTH_UNAVAILABLE: i32 = 94;
}

/// The head of every message, after its length (virNetMessageHeader).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) program: u32,
    pub(super) procedure: u32,
    pub(super) kind: u32,
    pub(super) serial: u32,
    pub(super) status: u32,
}

impl Take for Head {
    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let program = from.u32()?;
        if from.u32()? != 1 {
            return Err(Malformed);
        }
        Ok(Self {
            program,
            procedure: from.u32()?,
            kind: from.u32()?,
            serial: from.u32()?,
            status: from.u32()?,
        })
    }
}

/// A whole message, with its length in front.
pub(super) fn message(head: Head, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 28).unwrap_or(u32::MAX);
    Writer::default()
        .u32(length)
        .u32(head.program)
        .u32(1)
        .u32(head.procedure)
        .u32(head.kind)
        .u32(head.serial)
        .u32(head.status)
        .fixed(body)
        .into_bytes()
}

/// A domain as the daemon names it (remote_nonnull_domain).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Domain {
    pub(super) name: String,
    pub(super) uuid: [u8; 16],
    /// Changes with every start, -1 while it does not run.
    pub(super) id: i32,
}

impl Put for Domain {
    fn put(&self, to: Writer) -> Writer {
        to.string(&self.name).fixed(&self.uuid).i32(self.id)
    }
}

impl Take for Domain {
    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let name = from.string()?;
        let uuid = from.fixed(16)?.try_into().map_err(|_| Malformed)?;
        Ok(Self { name, uuid, id: from.i32()? })
    }
}

/// A snapshot (remote_nonnull_domain_snapshot).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) name: String,
    pub(super) domain: Domain,
}

impl Put for Snapshot {
    fn put(&self, to: Writer) -> Writer {
        to.string(&self.name).put(&self.domain)
    }
}

impl Take for Snapshot {
    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { name: from.string()?, domain: from.take()? })
    }
}

/// A storage pool (remote_nonnull_storage_pool).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) uuid: [u8; 16],
}

impl Put for Pool {
    fn put(&self, to: Writer) -> Writer {
        to.string(&self.name).fixed(&self.uuid)
    }
}

impl Take for Pool {
    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { name: from.string()?, uuid: from.fixed(16)?.try_into().map_err(|_| Malformed)? })
    }
}

/// A volume in a storage pool (remote_nonnull_storage_vol).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) pool: String,
    pub(super) name: String,
    pub(super) key: String,
}

impl Put for Volume {
    fn put(&self, to: Writer) -> Writer {
        to.string(&self.pool).string(&self.name).string(&self.key)
    }
}

impl Take for Volume {
    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { pool: from.string()?, name: from.string()?, key: from.string()? })
    }
}

/// What the daemon says went wrong (virNetMessageError; only what is used of it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Take for Trouble {
    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let code = from.i32()?;
        from.i32()?;
        let message = from.option(Reader::string)?.unwrap_or_default();
        Ok(Self { code, message })
    }
}

/// Something happened to a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// What, and its detail (virDomainEventType and the details of each).
    Lifecycle { domain: Domain, what: i32, detail: i32 },
    /// It was reset, by itself or from outside.
    Rebooted { domain: Domain },
}

impl Event {
    /// The event in a message's body; nothing if it is none that was asked for.
    pub(super) fn take(procedure: u32, from: &mut Reader<'_>) -> Result<Option<Self>, Malformed> {
        match procedure {
            EVENT_LIFECYCLE => {
                from.i32()?;
                Ok(Some(Self::Lifecycle { domain: from.take()?, what: from.i32()?, detail: from.i32()? }))
            }
            EVENT_REBOOT => {
                from.i32()?;
                Ok(Some(Self::Rebooted { domain: from.take()? }))
            }
            _ => Ok(None),
        }
    }
    pub(super) fn domain(&self) -> &Domain {
        match self {
            Self::Lifecycle { domain, .. } | Self::Rebooted { domain } => domain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like chance, the same at each run (xorshift).
    struct Dice(u64);
    impl Dice {
        fn roll(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }
    }

    fn domain() -> Domain {
        Domain { name: "web-1".into(), uuid: *b"0123456789abcdef", id: -1 }
    }

    #[test]
    fn a_lifecycle_event_is_read() {
        let body = Writer::default().i32(1).put(&domain()).i32(5).i32(2).into_bytes();
        let event = Event::take(EVENT_LIFECYCLE, &mut Reader::new(&body)).unwrap().unwrap();
        assert_eq!(event, Event::Lifecycle { domain: domain(), what: 5, detail: 2 });
    }

    #[test]
    fn no_bytes_whatever_make_a_reader_panic_or_set_much_aside() {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let good = Writer::default().u32(2).put(&domain()).put(&domain()).u32(2).into_bytes();
        for round in 0..50_000 {
            let bytes: Vec<u8> = if round % 2 == 0 {
                (0..dice.roll() % 96).map(|_| dice.roll().to_be_bytes()[7]).collect()
            } else {
                // A right answer with one byte wrong, or cut short.
                let mut bytes = good.clone();
                let at = usize::try_from(dice.roll()).unwrap() % bytes.len();
                bytes[at] = dice.roll().to_be_bytes()[7];
                bytes.truncate(usize::try_from(dice.roll()).unwrap() % (good.len() + 1));
                bytes
            };
            let reader = || Reader::new(&bytes);
            if let Ok(list) = reader().list(MOST_DOMAINS, Domain::take) {
                assert!(list.len() <= bytes.len() / 24);
            }
            drop((reader().take::<Head>(), reader().take::<Trouble>(), reader().take::<Snapshot>()));
            drop((reader().take::<Volume>(), reader().take::<Pool>()));
            drop(Event::take(EVENT_LIFECYCLE, &mut reader()));
            drop(Event::take(EVENT_REBOOT, &mut reader()));
            drop(super::super::client::interfaces(&mut reader()));
        }
    }
}
