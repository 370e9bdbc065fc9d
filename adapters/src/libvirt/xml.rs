//! What is read from libvirt's descriptions, and the few places in which a copy differs. A description is changed as
//! text, at the places that the parser names: everything else stays as its author wrote it.

use std::ops::Range;

use roxmltree::{Document, Node};

fn parse(text: &str) -> Result<Document<'_>, String> {
    Document::parse(text).map_err(|why| format!("the daemon's description cannot be read: {why}"))
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The paths of the disks that are the machine's own: none that it only reads or shares with others.
pub(super) fn own_disks(text: &str) -> Result<Vec<String>, String> {
    let document = parse(text)?;
    let disks = document.descendants().filter(|node| node.has_tag_name("disk"));
    let own = disks.filter(|disk| {
        matches!(disk.attribute("device"), None | Some("disk" | "lun"))
            && child(*disk, "readonly").is_none()
            && child(*disk, "shareable").is_none()
    });
    let mut paths = Vec::new();
    for disk in own {
        let Some(source) = child(disk, "source") else { continue };
        match source.attribute("file").or_else(|| source.attribute("dev")) {
            Some(path) => paths.push(path.to_owned()),
            None => {
                let kind = disk.attribute("type").unwrap_or("unknown");
                return Err(format!(
                    "it has a disk of the kind {kind}, which can be neither copied nor deleted here"
                ));
            }
        }
    }
    Ok(paths)
}

/// When a snapshot was made, in seconds; 0 if it does not say.
pub(super) fn snapshot_time(text: &str) -> u64 {
    let Ok(document) = parse(text) else { return 0 };
    let time =
        child(document.root_element(), "creationTime").and_then(|node| node.text()?.trim().parse().ok());
    time.unwrap_or(0)
}

/// A machine's description under another name, with other disks, and without what must differ: its identity, the
/// addresses of its network cards, its variables of the firmware.
pub(super) fn copied_domain(text: &str, name: &str, disks: &[(&str, &str)]) -> Result<String, String> {
    let document = parse(text)?;
    let root = document.root_element();
    let mut changes: Vec<(Range<usize>, String)> = Vec::new();
    let named = child(root, "name").ok_or("the daemon's description has no name")?;
    changes.push((named.range(), format!("<name>{}</name>", escaped(name))));
    changes.extend(child(root, "uuid").map(|node| (node.range(), String::new())));
    for node in document.descendants() {
        let dropped = node.has_tag_name("mac")
            && node.parent().is_some_and(|parent| parent.has_tag_name("interface"))
            || node.has_tag_name("nvram") && node.parent().is_some_and(|parent| parent.has_tag_name("os"));
        if dropped {
            changes.push((node.range(), String::new()));
        }
        if node.has_tag_name("source") && node.parent().is_some_and(|parent| parent.has_tag_name("disk")) {
            for attribute in node.attributes().filter(|attribute| matches!(attribute.name(), "file" | "dev"))
            {
                if let Some((_, to)) = disks.iter().find(|(from, _)| *from == attribute.value()) {
                    changes.push((attribute.range_value(), escaped(to)));
                }
            }
        }
    }
    Ok(changed(text, changes))
}

/// A volume's description under another name.
pub(super) fn copied_volume(text: &str, name: &str) -> Result<String, String> {
    let document = parse(text)?;
    let root = document.root_element();
    let mut changes = Vec::new();
    let named = child(root, "name").ok_or("the daemon's description has no name")?;
    changes.push((named.range(), format!("<name>{}</name>", escaped(name))));
    changes.extend(child(root, "key").map(|node| (node.range(), String::new())));
    if let Some(path) = child(root, "target").and_then(|target| child(target, "path")) {
        changes.push((path.range(), String::new()));
    }
    Ok(changed(text, changes))
}

fn changed(text: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    // From the end, so that places before stay where they are.
    changes.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for (range, new) in changes {
        text.replace_range(range, &new);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str =
        "<domain type='qemu'><name>web</name><uuid>1</uuid><os><nvram>/v</nvram></os><devices>
        <disk type='file' device='disk'><source file='/d/web.qcow2'/></disk>
        <disk type='file' device='cdrom'><source file='/d/cd.iso'/><readonly/></disk>
        <interface type='user'><mac address='52:54:00:00:00:01'/></interface></devices></domain>";

    #[test]
    fn a_copy_differs_where_it_must_and_nowhere_else() {
        assert_eq!(own_disks(DOMAIN).unwrap(), ["/d/web.qcow2"]);
        let copy = copied_domain(DOMAIN, "web-clone-1", &[("/d/web.qcow2", "/d/a&b")]).unwrap();
        let wanted = DOMAIN
            .replace("<name>web<", "<name>web-clone-1<")
            .replace("<uuid>1</uuid>", "")
            .replace("<nvram>/v</nvram>", "")
            .replace("<mac address='52:54:00:00:00:01'/>", "")
            .replace("'/d/web.qcow2'", "'/d/a&amp;b'");
        assert_eq!(copy, wanted);
    }

    #[test]
    fn a_disk_that_is_no_file_is_not_passed_over() {
        let text = "<domain><name>a</name><devices><disk type='network'><source name='x'/></disk></devices></domain>";
        assert!(own_disks(text).unwrap_err().contains("network"));
        assert!(own_disks("nonsense").is_err());
    }
}
