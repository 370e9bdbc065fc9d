//! What is asked of a daemon, in words instead of numbers.

use std::net::IpAddr;
use std::time::Duration;

use primrack_adapter_api::AdapterError;
use tokio::sync::mpsc;

use super::LibvirtConfig;
use super::protocol::{
    AUTH_NONE, AUTH_POLKIT, Domain, EVENT_ID_LIFECYCLE, EVENT_ID_REBOOT, Event, FEATURE_KEEPALIVE,
    LIST_MANAGED_SAVE, LIST_PAUSED, LIST_RUNNING, LIST_SHUTOFF, MOST_DOMAINS, Pool, Procedure, Snapshot,
    Trouble, Volume, errors,
};
use super::rpc::{CallError, Rpc};
use super::transport;
use super::xdr::{Malformed, Reader, Take, Writer};

/// How long it may take to be connected and let in.
const CONNECTING: Duration = Duration::from_secs(15);
/// The most network interfaces of a domain, and addresses of one (REMOTE_DOMAIN_INTERFACE_MAX and
/// REMOTE_DOMAIN_IP_ADDR_MAX).
const INTERFACES: usize = 2048;
/// The most snapshots of a domain (REMOTE_DOMAIN_SNAPSHOT_LIST_MAX).
const SNAPSHOTS: usize = 16_384;

/// A daemon that let us in and opened the hypervisor.
#[derive(Debug)]
pub(super) struct Connection {
    rpc: Rpc,
    /// What the host calls itself.
    pub(super) host: String,
}

/// What a domain uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Nanoseconds of processor time since its start.
    pub(super) cpu_time: u64,
    /// KiB.
    pub(super) memory: u64,
}

/// The domains of a listing that have something in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Running,
    Paused,
    Off,
    /// Off, with their memory kept.
    Saved,
}

impl From<CallError> for AdapterError {
    fn from(why: CallError) -> Self {
        match why {
            CallError::Lost(words) => Self::Unreachable(words),
            CallError::No(Trouble { code, message }) => match code {
                errors::NO_DOMAIN => Self::NotFound(message),
                errors::NO_SUPPORT | errors::OPERATION_UNSUPPORTED | errors::ARGUMENT_UNSUPPORTED => {
                    Self::NotSupported(message)
                }
                errors::OPERATION_DENIED
                | errors::AUTH_FAILED
                | errors::AUTH_CANCELLED
                | errors::ACCESS_DENIED
                | errors::AUTH_UNAVAILABLE => Self::Credentials(message),
                _ => Self::Refused(message),
            },
        }
    }
}

impl From<Malformed> for AdapterError {
    fn from(why: Malformed) -> Self {
        Self::Unreachable(why.to_string())
    }
}

impl Connection {
    /// Connects, is let in, and opens the hypervisor that the configuration names. Events come out at
    /// the other end, once they were asked for.
    pub(super) async fn open(config: &LibvirtConfig) -> Result<(Self, mpsc::Receiver<Event>), AdapterError> {
        match tokio::time::timeout(CONNECTING, Self::connect(config)).await {
            Ok(result) => result,
            Err(_) => Err(AdapterError::Unreachable(format!(
                "{} let nobody in within {} s",
                config.place(),
                CONNECTING.as_secs()
            ))),
        }
    }

    async fn connect(config: &LibvirtConfig) -> Result<(Self, mpsc::Receiver<Event>), AdapterError> {
        let (rpc, events) = Rpc::start(transport::connect(config).await?);
        let mut connection = Self { rpc, host: String::new() };
        connection.let_in().await?;
        let opened = Writer::default().some_string(&config.uri).u32(0);
        connection.call(Procedure::ConnectOpen, opened).await.map_err(|why| match why {
            // The daemon's own words name the driver that is missing.
            AdapterError::Refused(words) | AdapterError::NotSupported(words) => {
                AdapterError::Unreachable(format!("{} cannot be opened: {words}", config.uri))
            }
            other => other,
        })?;
        let feature = Writer::default().u32(FEATURE_KEEPALIVE);
        if connection.take::<u32>(Procedure::ConnectSupportsFeature, feature).await? == 1 {
            connection.rpc.keep_alive();
        }
        // A name is for people: that a driver has none is no reason to do without the rest.
        connection.host = match connection.call(Procedure::ConnectGetHostname, Writer::default()).await {
            Ok(body) => Reader::new(&body).string()?,
            Err(AdapterError::Unreachable(why)) => return Err(AdapterError::Unreachable(why)),
            Err(_) => String::new(),
        };
        Ok((connection, events))
    }

    async fn let_in(&self) -> Result<(), AdapterError> {
        let body = self.call(Procedure::AuthList, Writer::default()).await?;
        let ways = Reader::new(&body).list(20, Reader::u32)?;
        if ways.is_empty() || ways.contains(&AUTH_NONE) {
            return Ok(());
        }
        if ways.contains(&AUTH_POLKIT) {
            return self.call(Procedure::AuthPolkit, Writer::default()).await.map(drop).map_err(
                |why| match why {
                    AdapterError::Unreachable(words) => AdapterError::Unreachable(words),
                    other => AdapterError::Credentials(format!(
                        "polkit does not let the bridge's user in ({other}): add the user to the group libvirt, \
                         or a rule for org.libvirt.unix.manage"
                    )),
                },
            );
        }
        Err(AdapterError::Credentials(
            "the daemon lets in by SASL only, which the bridge does not speak: use its UNIX socket, or TLS \
             with client certificates (auth_tls = \"none\")"
                .to_owned(),
        ))
    }

    /// Whether the next question should take another connection.
    pub(super) fn is_spent(&self) -> bool {
        self.rpc.is_spent()
    }
    /// Waits until it is lost, and says why.
    pub(super) async fn lost(&self) -> String {
        self.rpc.lost().await
    }

    async fn call(&self, procedure: Procedure, arguments: Writer) -> Result<Vec<u8>, AdapterError> {
        Ok(self.rpc.call(procedure, arguments).await?)
    }
    async fn take<T: Take>(&self, procedure: Procedure, arguments: Writer) -> Result<T, AdapterError> {
        let body = self.call(procedure, arguments).await?;
        Ok(Reader::new(&body).take()?)
    }

    /// Wants to hear of every change of every domain, from now on.
    pub(super) async fn subscribe(&self) -> Result<(), AdapterError> {
        let about = |id| Writer::default().i32(id).u32(0);
        let register = Procedure::ConnectDomainEventCallbackRegisterAny;
        self.call(register, about(EVENT_ID_LIFECYCLE)).await?;
        match self.call(register, about(EVENT_ID_REBOOT)).await {
            // A driver that knows nothing of resets tells the rest.
            Ok(_) | Err(AdapterError::NotSupported(_)) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// All domains, or some.
    pub(super) async fn list(&self, which: Which) -> Result<Vec<Domain>, AdapterError> {
        let filter = match which {
            Which::All => 0,
            Which::Running => LIST_RUNNING,
            Which::Paused => LIST_PAUSED,
            Which::Off => LIST_SHUTOFF,
            Which::Saved => LIST_MANAGED_SAVE | LIST_SHUTOFF,
        };
        let body = self.call(Procedure::ConnectListAllDomains, Writer::default().u32(1).u32(filter)).await?;
        Ok(Reader::new(&body).list(MOST_DOMAINS, Domain::take)?)
    }

    pub(super) async fn find(&self, name: &str) -> Result<Domain, AdapterError> {
        match self.take(Procedure::DomainLookupByName, Writer::default().string(name)).await {
            Err(AdapterError::NotFound(_)) => Err(AdapterError::NotFound(name.to_owned())),
            other => other,
        }
    }

    /// Its state and the reason of it (virDomainState and the reasons of each).
    pub(super) async fn state(&self, domain: &Domain) -> Result<(i32, i32), AdapterError> {
        let body = self.call(Procedure::DomainGetState, Writer::default().put(domain).u32(0)).await?;
        let mut reader = Reader::new(&body);
        Ok((reader.i32()?, reader.i32()?))
    }

    pub(super) async fn usage(&self, domain: &Domain) -> Result<Usage, AdapterError> {
        let body = self.call(Procedure::DomainGetInfo, Writer::default().put(domain)).await?;
        let mut reader = Reader::new(&body);
        // State, then most memory: told by others.
        reader.u32()?;
        reader.u64()?;
        let memory = reader.u64()?;
        reader.u32()?;
        Ok(Usage { memory, cpu_time: reader.u64()? })
    }

    /// The addresses that libvirt's own DHCP server gave it.
    pub(super) async fn addresses(&self, domain: &Domain) -> Result<Vec<IpAddr>, AdapterError> {
        let arguments = Writer::default().put(domain).u32(0).u32(0);
        let body = self.call(Procedure::DomainInterfaceAddresses, arguments).await?;
        Ok(interfaces(&mut Reader::new(&body))?)
    }

    /// Whether its memory is kept by the daemon. `false` where a driver cannot do that.
    pub(super) async fn is_saved(&self, domain: &Domain) -> Result<bool, AdapterError> {
        let arguments = Writer::default().put(domain).u32(0);
        match self.take::<u32>(Procedure::DomainHasManagedSaveImage, arguments).await {
            Ok(saved) => Ok(saved != 0),
            Err(AdapterError::NotSupported(_)) => Ok(false),
            Err(why) => Err(why),
        }
    }

    /// Something that takes the domain alone.
    pub(super) async fn tell(&self, procedure: Procedure, domain: &Domain) -> Result<(), AdapterError> {
        self.call(procedure, Writer::default().put(domain)).await.map(drop)
    }
    /// Something that takes the domain and flags.
    pub(super) async fn tell_with(
        &self,
        procedure: Procedure,
        domain: &Domain,
        flags: u32,
    ) -> Result<(), AdapterError> {
        self.call(procedure, Writer::default().put(domain).u32(flags)).await.map(drop)
    }

    /// Its description. `flags` as in virDomainXMLFlags.
    pub(super) async fn xml(&self, domain: &Domain, flags: u32) -> Result<String, AdapterError> {
        let arguments = Writer::default().put(domain).u32(flags);
        let body = self.call(Procedure::DomainGetXmlDesc, arguments).await?;
        Ok(Reader::new(&body).string()?)
    }
    pub(super) async fn define(&self, xml: &str) -> Result<Domain, AdapterError> {
        self.take(Procedure::DomainDefineXml, Writer::default().string(xml)).await
    }

    pub(super) async fn make_snapshot(&self, domain: &Domain, xml: &str) -> Result<(), AdapterError> {
        let arguments = Writer::default().put(domain).string(xml).u32(0);
        self.call(Procedure::DomainSnapshotCreateXml, arguments).await.map(drop)
    }
    pub(super) async fn snapshots(&self, domain: &Domain) -> Result<Vec<Snapshot>, AdapterError> {
        let arguments = Writer::default().put(domain).u32(1).u32(0);
        let body = self.call(Procedure::DomainListAllSnapshots, arguments).await?;
        Ok(Reader::new(&body).list(SNAPSHOTS, Snapshot::take)?)
    }
    pub(super) async fn snapshot_xml(&self, snapshot: &Snapshot) -> Result<String, AdapterError> {
        let arguments = Writer::default().put(snapshot).u32(0);
        let body = self.call(Procedure::DomainSnapshotGetXmlDesc, arguments).await?;
        Ok(Reader::new(&body).string()?)
    }
    pub(super) async fn revert(&self, snapshot: &Snapshot) -> Result<(), AdapterError> {
        self.call(Procedure::DomainRevertToSnapshot, Writer::default().put(snapshot).u32(0)).await.map(drop)
    }

    /// Moves it to another daemon, which the daemon itself connects to. `flags` as in
    /// virDomainMigrateFlags. Both together are what virDomainMigrateToURI3 does.
    pub(super) async fn migrate(&self, domain: &Domain, to: &str, flags: u32) -> Result<(), AdapterError> {
        let arguments = Writer::default().put(domain).some_string(to).u32(0).u32(0).u32(flags);
        self.call(Procedure::DomainMigratePerform3Params, arguments).await.map(drop)
    }

    /// The volume that a path belongs to; nothing if it is in no storage pool.
    pub(super) async fn volume(&self, path: &str) -> Result<Option<Volume>, AdapterError> {
        let call = self.rpc.call(Procedure::StorageVolLookupByPath, Writer::default().string(path)).await;
        match call {
            Ok(body) => Ok(Some(Reader::new(&body).take()?)),
            Err(CallError::No(Trouble { code: errors::NO_STORAGE_VOL | errors::NO_SUPPORT, .. })) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }
    pub(super) async fn pool(&self, volume: &Volume) -> Result<Pool, AdapterError> {
        self.take(Procedure::StoragePoolLookupByVolume, Writer::default().put(volume)).await
    }
    pub(super) async fn volume_xml(&self, volume: &Volume) -> Result<String, AdapterError> {
        let body = self.call(Procedure::StorageVolGetXmlDesc, Writer::default().put(volume).u32(0)).await?;
        Ok(Reader::new(&body).string()?)
    }
    pub(super) async fn copy_volume(
        &self,
        pool: &Pool,
        xml: &str,
        of: &Volume,
    ) -> Result<Volume, AdapterError> {
        let arguments = Writer::default().put(pool).string(xml).put(of).u32(0);
        self.take(Procedure::StorageVolCreateXmlFrom, arguments).await
    }
    pub(super) async fn volume_path(&self, volume: &Volume) -> Result<String, AdapterError> {
        let body = self.call(Procedure::StorageVolGetPath, Writer::default().put(volume)).await?;
        Ok(Reader::new(&body).string()?)
    }
    pub(super) async fn delete_volume(&self, volume: &Volume) -> Result<(), AdapterError> {
        self.call(Procedure::StorageVolDelete, Writer::default().put(volume).u32(0)).await.map(drop)
    }

    /// A picture of its first screen, as the driver makes them.
    pub(super) async fn screenshot(&self, domain: &Domain) -> Result<Vec<u8>, AdapterError> {
        let arguments = Writer::default().put(domain).u32(0).u32(0);
        Ok(self.rpc.fetch(Procedure::DomainScreenshot, arguments).await?.1)
    }
}

impl Take for u32 {
    fn take(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        from.u32()
    }
}

/// The first eight addresses of all interfaces (remote_domain_interface), without those of the link.
pub(super) fn interfaces(from: &mut Reader<'_>) -> Result<Vec<IpAddr>, Malformed> {
    let all = from.list(INTERFACES, |from| {
        from.string()?;
        from.option(Reader::string)?;
        from.list(INTERFACES, |from| {
            from.i32()?;
            let address = from.string()?;
            from.u32()?;
            Ok(address)
        })
    })?;
    let parsed = all.iter().flatten().filter_map(|address| address.parse::<IpAddr>().ok());
    Ok(parsed.filter(|address| !address.is_loopback()).take(8).collect())
}
