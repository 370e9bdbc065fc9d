//! What the doctor says of houses in different states.

use super::{Finding, Level, examine};
use crate::testing::{TestBridge, folder};

fn find<'a>(findings: &'a [Finding], area: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.area == area).unwrap_or_else(|| panic!("{area}: {findings:#?}"))
}

#[tokio::test]
async fn a_missing_configuration_is_the_only_finding() {
    let findings = examine(std::path::Path::new("/no/such/primrack.toml"), None).await;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].level, Level::Fail);
    assert!(findings[0].fix.as_ref().unwrap().contains("primrack demo"), "{findings:?}");
}

#[tokio::test]
async fn a_house_without_a_bridge_is_judged_by_its_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let config = folder.path().join("primrack.toml");
    let text = crate::testing::CONFIG
        .replace("callbacks = [\"127.0.0.1:*\"]", "")
        .replace("\"sleep\", \"600\"", "\"/no/such/program\"");
    std::fs::write(&config, text).unwrap();
    let keys = folder.path().join("world.keys");
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o644)).unwrap();
    let findings = examine(&config, None).await;
    assert_eq!(find(&findings, "bridge").level, Level::Warn);
    assert_eq!(find(&findings, "callbacks").level, Level::Fail);
    let keys = find(&findings, "keys");
    assert!(keys.level == Level::Fail && keys.fix.as_ref().unwrap().contains("chmod 600"), "{keys:?}");
    assert!(find(&findings, "backend local").what.contains("/no/such/program"));
    assert!(findings.iter().filter(|it| it.level > Level::Ok).all(|it| it.fix.is_some()), "{findings:#?}");
}

#[tokio::test]
async fn an_object_that_never_registered_gets_the_line_for_opensim() {
    let bridge = TestBridge::start().await;
    let findings = examine(&bridge.config, None).await;
    assert_eq!(find(&findings, "bridge").level, Level::Ok);
    assert_eq!(find(&findings, "journal").level, Level::Ok);
    let object = find(&findings, "object rack-1");
    let fix = object.fix.as_ref().unwrap();
    assert!(fix.contains("[Network] OutboundDisallowForUserScriptsExcept = 127.0.0.1:8480"), "{fix}");
    assert!(fix.contains("ExternalHostNameForLSL"), "{fix}");
    bridge.end().await;
}

#[tokio::test]
async fn a_registered_object_is_fine() {
    let bridge = TestBridge::start().await;
    let rack = crate::rack::Rack::start(bridge.rack()).await.unwrap();
    rack.register().await.unwrap();
    rack.shows(1, "off").await.unwrap();
    let findings = examine(&bridge.config, None).await;
    let object = find(&findings, "object rack-1");
    assert!(object.level == Level::Ok && object.what.contains("terminal (simulated)"), "{object:?}");
    bridge.end().await;
}
