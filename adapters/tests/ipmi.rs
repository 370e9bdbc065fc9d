//! IPMI 2.0: two emulated BMCs, OpenIPMI's ipmi_sim and virtualbmc, whose chassis commands drive a real
//! machine through libvirt.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod bmc;
mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bmc::{Lab, MACHINE, Patient, free_tcp, free_udp, python};
use common::{Bridge, PATIENCE, Peer, Transcript, address, quality};
use primrack_adapter_api::conformance::{Subject, check, compare};
use primrack_adapter_api::{Adapter, AdapterError};
use primrack_adapters::ipmi::IpmiConfig;
use primrack_model::{Action, Address, Power};

/// The chassis of the emulated BMC: what it is asked is done to the machine.
const CHASSIS: &str = r#"#!/bin/bash
shift
op=$1
shift
while [ $# -gt 0 ]; do
  case "$op $1" in
  "get power") virsh domstate lab1 2>/dev/null | grep -q running && echo power:1 || echo power:0 ; shift ;;
  "get "*) echo "$1:0" ; shift ;;
  "set power") if [ "$2" = 1 ]; then virsh start lab1; else virsh destroy lab1; fi > /dev/null 2>&1 ; shift 2 ;;
  "set reset") virsh reset lab1 > /dev/null 2>&1 ; shift 2 ;;
  "set shutdown") virsh shutdown lab1 > /dev/null 2>&1 ; shift 2 ;;
  *) shift ;;
  esac
done
exit 0
"#;

fn secret(path: &Path, words: &str) {
    fs::write(path, words).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

/// An emulated BMC in front of the laboratory's machine.
struct Emulated {
    lab: Arc<Lab>,
    port: u16,
    /// How its shell starts it.
    program: String,
}

impl Emulated {
    async fn ipmi_sim() -> Self {
        let lab = Lab::start();
        let port = free_udp();
        fs::write(lab.path("chassis.sh"), CHASSIS).unwrap();
        fs::set_permissions(lab.path("chassis.sh"), Permissions::from_mode(0o755)).unwrap();
        let here = lab.path("");
        let here = here.display();
        let lan = format!(
            "name \"lab\"\nset_working_mc 0x20\n  startlan 1\n    addr 127.0.0.1 {port}\n    priv_limit admin\n    \
             allowed_auths_callback none md2 md5 straight\n    allowed_auths_user none md2 md5 straight\n    \
             allowed_auths_operator none md2 md5 straight\n    allowed_auths_admin none md2 md5 straight\n    \
             guid a123456789abcdefa123456789abcdef\n  endlan\n  chassis_control \"{here}/chassis.sh 0x20\"\n  \
             user 1 true \"\" \"test\" user 10 none md2 md5 straight\n  \
             user 2 true \"admin\" \"an-open-secret\" admin 10 none md2 md5 straight\n"
        );
        fs::write(lab.path("lan.conf"), lan).unwrap();
        let emulated = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n\
                        sel_enable 0x20 1000 0x0a\nmc_enable 0x20\n";
        fs::write(lab.path("bmc.emu"), emulated).unwrap();
        let program = format!("ipmi_sim -c {here}/lan.conf -f {here}/bmc.emu -s {here}/state -n");
        Self::of(lab, port, program).await
    }

    async fn virtualbmc() -> Self {
        let lab = Lab::start();
        let port = free_udp();
        let here = lab.path("");
        let here = here.display();
        // Its daemon's own port is for its command line, which nobody uses here.
        let settings = format!(
            "[default]\nconfig_dir = {here}/vbmc\npid_file = {here}/vbmc/master.pid\nserver_port = {}\n[log]\ndebug = true\n",
            free_tcp()
        );
        fs::write(lab.path("vbmc.conf"), settings).unwrap();
        fs::create_dir_all(lab.path("vbmc").join(MACHINE)).unwrap();
        let machine = format!(
            "[VirtualBMC]\nusername = admin\npassword = an-open-secret\naddress = 127.0.0.1\nport = {port}\n\
             domain_name = {MACHINE}\nlibvirt_uri = qemu:///system\nactive = True\n"
        );
        fs::write(lab.path("vbmc").join(MACHINE).join("config"), machine).unwrap();
        let program = format!("VIRTUALBMC_CONFIG={here}/vbmc.conf {} --foreground", python("vbmcd"));
        Self::of(lab, port, program).await
    }

    async fn of(lab: Arc<Lab>, port: u16, program: String) -> Self {
        secret(&lab.path("password"), "an-open-secret\n");
        let emulated = Self { lab, port, program };
        emulated.run().await;
        emulated
    }

    /// Starts it and waits until it answers.
    async fn run(&self) {
        let log = self.lab.path("sim.log");
        self.lab.must(&format!("{} < /dev/null >> {} 2>&1 & SIM=$!", self.program, log.display()));
        let adapter = self.config("").build().unwrap();
        let began = Instant::now();
        while let Err(why) = adapter.observe(&address("m")).await {
            assert!(began.elapsed() < PATIENCE, "{} does not answer: {why}; {}", self.program, self.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it wrote, for a failure's words.
    fn said(&self) -> String {
        fs::read_to_string(self.lab.path("sim.log")).unwrap_or_default()
    }

    /// Of a machine that does other things besides.
    fn slow(&self) -> IpmiConfig {
        IpmiConfig { answer_s: 10, ..self.config("") }
    }

    fn config(&self, more: &str) -> IpmiConfig {
        let text = format!(
            "user = 'admin'\npassword_file = '{}'\n[machines.m]\nbmc = '127.0.0.1:{}'\n{more}",
            self.lab.path("password").display(),
            self.port
        );
        toml::from_str(&text).unwrap()
    }
}

#[async_trait]
impl Subject for Emulated {
    fn make(&self) -> Arc<dyn Adapter> {
        Arc::new(Patient { inner: self.slow().build().unwrap(), lab: Arc::clone(&self.lab) })
    }
    fn address(&self) -> Address {
        address("m")
    }
    fn patience(&self) -> Duration {
        PATIENCE
    }
    async fn kill_from_outside(&self) {
        self.lab.pull_the_plug().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_conformance_suite_as_its_quality_file_says() {
    let transcript = Transcript::begin("ipmi", "ipmi", Peer::Simulator);
    let sim = Emulated::ipmi_sim().await;
    let checked = check(&sim).await.unwrap_or_else(|why| panic!("{why:?}; {}", sim.said()));
    compare(&quality(include_str!("../src/ipmi/quality.toml")), &checked).unwrap();
    transcript.end(
        "ipmi_sim of OpenIPMI 2.0.33 (an emulated BMC) driving a real QEMU machine through libvirt",
        &checked,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn virtualbmc_keeps_the_conformance_suite_as_well() {
    let transcript = Transcript::begin("ipmi-virtualbmc", "ipmi", Peer::Simulator);
    let emulated = Emulated::virtualbmc().await;
    let checked = check(&emulated).await.unwrap_or_else(|why| panic!("{why:?}; {}", emulated.said()));
    compare(&quality(include_str!("../src/ipmi/quality.toml")), &checked).unwrap();
    transcript
        .end("virtualbmc 3.3.0 (an emulated BMC) driving a real QEMU machine through libvirt", &checked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bmc_that_hangs_or_is_restarted_and_wrong_secrets_give_no_false_state() {
    let sim = Emulated::ipmi_sim().await;
    let lab = &sim.lab;

    secret(&lab.path("wrong"), "guessed");
    let more = format!("password_file = '{}'", lab.path("wrong").display());
    let adapter = sim.config(&more).build().unwrap();
    let why = adapter.observe(&address("m")).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if !words.contains("guessed")), "{why:?}");
    // A refused password is not shown again: a BMC that hangs makes no difference.
    lab.must("kill -STOP $SIM");
    assert!(matches!(adapter.observe(&address("m")).await, Err(AdapterError::Credentials(_))));
    lab.must("kill -CONT $SIM");
    fs::set_permissions(lab.path("wrong"), Permissions::from_mode(0o644)).unwrap();
    let why = sim.config(&more).build().unwrap().observe(&address("m")).await.unwrap_err();
    assert!(matches!(&why, AdapterError::Credentials(words) if words.contains("chmod 600")), "{why:?}");

    let mut bridge = Bridge::of(sim.config("").build().unwrap(), &["m"]);
    bridge.power("m", Power::Off).await;
    lab.must("kill -STOP $SIM");
    // It ends by itself, long before the driver's patience does, and a reset is not guessed to have worked.
    let why = bridge.act("m", Action::Reset).await.unwrap_err();
    assert!(matches!(why, AdapterError::Unreachable(_)), "{why:?}");
    bridge.power("m", Power::Unknown).await;
    lab.must("kill -CONT $SIM");
    bridge.power("m", Power::Off).await;

    lab.must("kill -KILL $SIM; ! wait $SIM");
    bridge.act("m", Action::HardOff).await.unwrap_err();
    bridge.power("m", Power::Unknown).await;
    sim.run().await;
    bridge.power("m", Power::Off).await;
    bridge.finish().await;
}
