//! What the inventory holds, asked of the property collector, and which machine has which address.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use roxmltree::Node;
use smol_str::SmolStr;

use super::client::Session;
use super::soap::{Problem, Ref, child, child_text, children, text};

/// How many objects an answer holds at most; vCenter keeps the rest for the next page.
pub(super) const PAGE: usize = 250;
/// How many objects are looked at altogether: machines, hosts and folders.
const MOST: usize = 20_000;
/// How old names must be before an unknown address has them read again.
const STALE: Duration = Duration::from_secs(2);

/// The properties of one object, as an answer tells them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Properties<'a, 'i>(Node<'a, 'i>);

impl<'a, 'i> Properties<'a, 'i> {
    /// The value of a property; `None` where there is none or this user may not read it.
    pub(super) fn get(self, path: &str) -> Option<Node<'a, 'i>> {
        let set = children(self.0, "propSet").find(|set| child_text(*set, "name") == Some(path))?;
        child(set, "val")
    }
    /// Its text.
    pub(super) fn text(self, path: &str) -> Option<&'a str> {
        self.get(path)?.text()
    }
    /// Its number.
    pub(super) fn number(self, path: &str) -> Option<f64> {
        self.text(path)?.parse().ok()
    }
}

/// `propSet`: these paths of all objects of a type.
pub(super) fn paths(kind: &str, paths: &[&str]) -> String {
    let paths: String = paths.iter().map(|path| text("pathSet", path)).collect();
    format!("<propSet>{}{paths}</propSet>", text("type", kind))
}

/// `objectSet`: one object.
pub(super) fn one(object: &Ref) -> String {
    format!("<objectSet>{}</objectSet>", object.element("obj"))
}

/// `objectSet`: everything in a view.
pub(super) fn all_in(view: &Ref) -> String {
    format!(
        "<objectSet>{}<skip>true</skip><selectSet xsi:type=\"TraversalSpec\"><name>all</name>\
         <type>ContainerView</type><path>view</path><skip>false</skip></selectSet></objectSet>",
        view.element("obj")
    )
}

impl Session {
    /// Shows `each` object of `spec` (its `propSet` and `objectSet` elements). Whether that was all.
    pub(super) async fn retrieve(
        &self,
        spec: &str,
        each: &mut (dyn FnMut(Ref, Properties<'_, '_>) + Send),
    ) -> Result<bool, Problem> {
        let collector = self.content().property_collector.clone();
        let mut seen = 0;
        let mut page = |node: Node<'_, '_>| {
            let Some(returned) = child(node, "returnval") else { return Ok(None) };
            for object in children(returned, "objects") {
                let id = child(object, "obj").and_then(Ref::read);
                each(id.ok_or_else(|| Problem::strange("an object without a name"))?, Properties(object));
                seen += 1;
            }
            Ok(child_text(returned, "token").map(|token| (token.to_owned(), seen)))
        };
        let arguments =
            format!("<specSet>{spec}</specSet><options>{}</options>", text("maxObjects", &PAGE.to_string()));
        let mut next = self.call("RetrievePropertiesEx", &collector, &arguments, &mut page).await?;
        while let Some((token, seen)) = next {
            let token = text("token", &token);
            if seen >= MOST {
                self.call("CancelRetrievePropertiesEx", &collector, &token, |_| Ok(())).await?;
                return Ok(false);
            }
            next = self.call("ContinueRetrievePropertiesEx", &collector, &token, &mut page).await?;
        }
        Ok(true)
    }
}

/// Which machine has which address, and what hosts and folders are called.
///
/// The address of a machine is its name; where two have the same, each has its id (`vm-42`) instead.
/// An id is understood for every machine.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_address: HashMap<SmolStr, String>,
    by_id: HashMap<String, SmolStr>,
    hosts: HashMap<String, SmolStr>,
    folders: HashMap<String, SmolStr>,
    read: Option<Instant>,
}

/// The names of everything, as they are read: id and name of each.
#[derive(Debug, Default)]
pub(super) struct Reading {
    machines: Vec<(String, SmolStr)>,
    hosts: HashMap<String, SmolStr>,
    folders: HashMap<String, SmolStr>,
}

impl Reading {
    /// Takes the name of an object. Whether it is a machine (and no template).
    pub(super) fn take(&mut self, object: &Ref, properties: Properties<'_, '_>) -> bool {
        let name = plain(properties.text("name").unwrap_or(&object.id));
        match &*object.kind {
            "VirtualMachine" if properties.text("config.template") == Some("true") => {}
            "VirtualMachine" => {
                self.machines.push((object.id.clone(), name));
                return true;
            }
            "HostSystem" => drop(self.hosts.insert(object.id.clone(), name)),
            _ => drop(self.folders.insert(object.id.clone(), name)),
        }
        false
    }
}

impl Names {
    pub(super) fn replace(&mut self, reading: Reading) {
        let mut times: HashMap<&str, usize> = HashMap::with_capacity(reading.machines.len());
        for (_, name) in &reading.machines {
            *times.entry(name).or_default() += 1;
        }
        self.by_address.clear();
        self.by_id.clear();
        for (id, name) in &reading.machines {
            let address = if times[name.as_str()] == 1 { name.clone() } else { SmolStr::new(id) };
            self.by_address.insert(address.clone(), id.clone());
            self.by_id.insert(id.clone(), address);
        }
        self.hosts = reading.hosts;
        self.folders = reading.folders;
        self.read = Some(Instant::now());
    }
    /// The id of a machine.
    pub(super) fn id(&self, address: &str) -> Option<String> {
        let known = self.by_address.get(address);
        known.cloned().or_else(|| self.by_id.contains_key(address).then(|| address.to_owned()))
    }
    /// The address of a machine.
    pub(super) fn address(&self, id: &str) -> Option<SmolStr> {
        self.by_id.get(id).cloned()
    }
    /// What a host is called; its id where nobody has told.
    pub(super) fn host(&self, id: &str) -> SmolStr {
        self.hosts.get(id).cloned().unwrap_or_else(|| SmolStr::new(id))
    }
    /// The id of a host.
    pub(super) fn host_called(&self, name: &str) -> Option<String> {
        self.hosts.iter().find(|(_, known)| *known == name).map(|(id, _)| id.clone())
    }
    /// What a folder is called.
    pub(super) fn folder(&self, id: &str) -> Option<&SmolStr> {
        self.folders.get(id)
    }
    /// Whether a machine is called so.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.by_address.contains_key(name)
    }
    pub(super) fn remove(&mut self, id: &str) {
        if let Some(address) = self.by_id.remove(id) {
            self.by_address.remove(&address);
        }
    }
    /// Whether reading them again could tell something new.
    pub(super) fn are_old(&self) -> bool {
        self.read.is_none_or(|read| read.elapsed() > STALE)
    }
    /// When they were read.
    pub(super) fn read(&self) -> Option<Instant> {
        self.read
    }
}

/// The inventory writes three characters of names as in addresses of the web.
pub(super) fn plain(name: &str) -> SmolStr {
    if !name.contains('%') {
        return SmolStr::new(name);
    }
    SmolStr::new(
        name.replace("%2f", "/")
            .replace("%2F", "/")
            .replace("%5c", "\\")
            .replace("%5C", "\\")
            .replace("%25", "%"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_machines_of_one_name_have_their_ids_as_addresses() {
        let machines = [("vm-1", "web"), ("vm-2", "web"), ("vm-3", "db")];
        let machines = machines.map(|(id, name)| (id.to_owned(), SmolStr::new(name))).to_vec();
        let mut names = Names::default();
        names.replace(Reading { machines, ..Reading::default() });
        assert_eq!(names.id("web"), None);
        assert_eq!(names.id("vm-2").as_deref(), Some("vm-2"));
        assert_eq!((names.id("db").as_deref(), names.id("vm-3").as_deref()), (Some("vm-3"), Some("vm-3")));
        names.remove("vm-3");
        assert_eq!((names.id("db"), names.id("vm-3")), (None, None));
    }

    #[test]
    fn names_come_back_as_people_wrote_them() {
        assert_eq!(
            (plain("a%2fb"), plain("100%25"), plain("web-1")),
            ("a/b".into(), "100%".into(), "web-1".into())
        );
    }
}
