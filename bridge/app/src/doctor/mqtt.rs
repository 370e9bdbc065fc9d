//! The MQTT broker: whether it is there, takes our account and certificate, and lets us hear commands.
//!
//! A running bridge is asked. Without one a connection is made for a moment, under a client id of its own.

use primrack_mqtt::{MqttStatus, probe, remedy};

use super::Finding;
use crate::config::Loaded;
use crate::control::Control;

const AREA: &str = "mqtt";

pub(super) async fn mqtt(loaded: &Loaded, control: Option<&Control>, findings: &mut Vec<Finding>) {
    // A mistake in it is told with the configuration.
    let Ok(Some(plan)) = crate::mqtt::plan(loaded) else { return };
    let Some(control) = control else {
        let broker = plan.broker();
        findings.push(match probe(&plan).await {
            Ok(()) => Finding::ok(AREA, format!("the broker {broker} takes the bridge's account")),
            Err(why) => Finding::fail(AREA, format!("the broker {broker}: {why}"), remedy(&why)),
        });
        return;
    };
    findings.push(match control.get::<Option<MqttStatus>>("/mqtt").await {
        Ok(Some(status)) => of_bridge(&status),
        Ok(None) => {
            let what = "the running bridge knows no broker: the configuration was changed";
            Finding::warn(AREA, what, "restart the bridge")
        }
        Err(error) => Finding::warn(AREA, format!("the bridge does not tell: {error}"), "restart the bridge"),
    });
}

fn of_bridge(status: &MqttStatus) -> Finding {
    let MqttStatus { broker, version, connected, why, waiting } = status;
    match (connected, why.is_empty()) {
        (true, true) => Finding::ok(
            AREA,
            format!("connected to {broker}, MQTT {version}; {waiting} states wait to be told"),
        ),
        (true, false) => Finding::fail(AREA, format!("connected to {broker}, but {why}"), remedy(why)),
        (false, _) => Finding::fail(AREA, format!("the broker {broker}: {why}"), remedy(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn each_trouble_of_the_line_has_the_line_to_change() {
        let status = |connected, why: &str| {
            let (broker, version) = ("h:8883".to_owned(), "5".to_owned());
            of_bridge(&MqttStatus { broker, version, connected, why: why.to_owned(), waiting: 0 })
        };
        assert_eq!(status(true, "").level, Level::Ok);
        let fix = |why: &str| status(false, why).fix.unwrap();
        assert!(fix("Connection refused, return code: `NotAuthorized`").contains("password_file"));
        assert!(fix("TLS: I/O: invalid peer certificate: UnknownIssuer").contains("ca_file"));
        assert!(fix("I/O: Connection refused (os error 111)").contains("systemctl start"));
        let denied = status(true, "this account may not hear primrack/do/+/+ at the broker");
        assert!(denied.level == Level::Fail && denied.fix.unwrap().contains("access list"));
    }
}
