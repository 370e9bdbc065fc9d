//! libvirt's xen driver against a Xen hypervisor that runs in QEMU, with a dom0 and a paravirtual Linux guest.
//!
//! Under TCG this takes a core for minutes: `cargo xtask nightly` runs it, after `cargo xtask xen` has made the disk.
#![allow(unreachable_pub, clippy::unwrap_used, reason = "helpers of tests")]

#[path = "common/mod.rs"]
mod common;
#[path = "xen/hypervisor.rs"]
mod hypervisor;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use common::{Bridge, Peer, Transcript, address};
use hypervisor::Hypervisor;
use primrack_adapter_api::conformance::{Subject, check};
use primrack_adapter_api::{Adapter, AdapterError, Capabilities, Console, Found, Hints};
use primrack_adapters::libvirt::LibvirtAdapter;
use primrack_model::{Action, Address, Cause, Command, Observation, Power};

/// What the bridge shows of a change made elsewhere may be this old.
const SOON: Duration = Duration::from_millis(500);

/// What the guest says, as dom0's console daemon writes it down.
const CONSOLE: &str = "/var/log/xen/console/guest-plain.log";

struct Guest(Arc<Hypervisor>);

#[async_trait]
impl Subject for Guest {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(Patient { adapter: self.0.config().build().unwrap(), xen: Arc::clone(&self.0) })
    }
    fn address(&self) -> Address {
        address("plain")
    }
    fn patience(&self) -> Duration {
        Duration::from_secs(180)
    }
    async fn kill_from_outside(&self) {
        self.0.tell("xl destroy plain");
    }
}

/// Asks the guest for nothing before it listens, as a person would who watches its console.
#[derive(Debug)]
struct Patient {
    adapter: LibvirtAdapter,
    xen: Arc<Hypervisor>,
}

#[async_trait]
impl Adapter for Patient {
    fn technology(&self) -> &'static str {
        self.adapter.technology()
    }
    fn capabilities(&self, address: &Address) -> Capabilities {
        self.adapter.capabilities(address)
    }
    async fn list(&self) -> Result<Vec<Found>, AdapterError> {
        self.adapter.list().await
    }
    async fn observe(&self, address: &Address) -> Result<Observation, AdapterError> {
        self.adapter.observe(address).await
    }
    async fn execute(&self, command: &Command) -> Result<(), AdapterError> {
        if matches!(command.action, Action::SoftOff | Action::Reboot | Action::Save) {
            while tokio::task::block_in_place(|| self.xen.ask(&format!("grep -q GUEST-READY {CONSOLE}"))).0
                != 0
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        // A start of what runs or was saved begins no boot.
        let boots = match command.action {
            Action::Start => {
                matches!(self.observe(&command.address).await?.power, Power::Off | Power::Crashed)
            }
            other => matches!(other, Action::Reset | Action::Reboot),
        };
        if boots {
            tokio::task::block_in_place(|| self.xen.tell(&format!(": >{CONSOLE}")));
        }
        self.adapter.execute(command).await
    }
    async fn listen(&self, hints: Hints) -> AdapterError {
        self.adapter.listen(hints).await
    }
    async fn console(&self, address: &Address) -> Result<Console, AdapterError> {
        self.adapter.console(address).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a hypervisor in an emulator: minutes; `cargo xtask nightly` runs it"]
async fn xen_keeps_the_suite_shows_what_others_do_and_survives_its_daemon() {
    let transcript = Transcript::begin("libvirt-xen", "libvirt", Peer::Real);
    let xen = Arc::new(Hypervisor::start());
    let booted = transcript.seconds();
    xen.define();
    let checked = match check(&Guest(Arc::clone(&xen))).await {
        Ok(checked) => checked,
        Err(breach) => panic!(
            "{breach:?}\n{}",
            xen.ask("tail -n 40 /var/log/libvirt/libxl/*.log /var/log/libvirtd.log").1
        ),
    };
    assert!(checked.contains(&"pause-resume") && checked.contains(&"save-restore"), "{checked:?}");
    let against = format!(
        "{}, libvirtd {}, PV Linux guest, in QEMU under TCG ({booted:.0} s to boot)",
        xen.version(),
        xen.libvirt()
    );
    transcript.end(&against, &checked);

    let mut bridge = Bridge::of(xen.config().build().unwrap(), &["plain"]);
    bridge.power("plain", Power::Off).await;
    for (words, power, cause) in [
        ("start", Power::On, None),
        ("suspend", Power::Paused, Some(Cause::Operator)),
        ("resume", Power::On, None),
        ("destroy", Power::Off, Some(Cause::Operator)),
    ] {
        xen.virsh(&[words, "plain"]);
        let began = Instant::now();
        let seen = bridge.power("plain", power).await;
        common::figure::in_time(&format!("virsh {words}"), began.elapsed(), SOON);
        assert_eq!(seen.cause, cause, "{words}: {seen:?}");
    }
    // Xen's own tool, which libvirt has to find out about by itself.
    xen.virsh(&["start", "plain"]);
    bridge.power("plain", Power::On).await;
    xen.tell("xl destroy plain");
    let began = Instant::now();
    bridge.until("plain", |seen| matches!(seen.power, Power::Off | Power::Crashed)).await;
    common::figure::in_time("xl destroy", began.elapsed(), SOON);

    xen.tell("kill -9 $(pidof libvirtd)");
    bridge.connected(false).await;
    let why = bridge.act("plain", Action::Start).await.unwrap_err();
    assert!(matches!(why, AdapterError::Unreachable(_)), "{why:?}");
    xen.tell("libvirtd --listen >>/var/log/libvirtd.log 2>&1 &");
    bridge.connected(true).await;
    bridge.until("plain", |seen| matches!(seen.power, Power::Off | Power::Crashed)).await;
    bridge.act("plain", Action::Start).await.unwrap();
    bridge.power("plain", Power::On).await;
    bridge.finish().await;
}
