//! Messages of the vSphere Web Services API (namespace `urn:vim25`), written and read.
//!
//! Source: "vSphere Web Services API Reference" and "Programming Guide", version 7.0; elements come in
//! the order that the reference lists them, since vCenter reads them as a sequence.

use std::borrow::Cow;

use primrack_adapter_api::AdapterError;
use quick_xml::escape::escape;
use roxmltree::{Document, Node, ParsingOptions};

/// More elements than any page of answers has.
const MOST_NODES: u32 = 4_000_000;

/// A reference to a managed object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Ref {
    /// Its type: `VirtualMachine`.
    pub(super) kind: Cow<'static, str>,
    /// Its id: `vm-42`.
    pub(super) id: String,
}

impl Ref {
    pub(super) fn new(kind: impl Into<Cow<'static, str>>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
    /// The virtual machine of this id.
    pub(super) fn vm(id: impl Into<String>) -> Self {
        Self::new("VirtualMachine", id)
    }
    /// As an element.
    pub(super) fn element(&self, name: &str) -> String {
        format!("<{name} type=\"{}\">{}</{name}>", escape(&*self.kind), escape(&self.id))
    }
    /// From an element with a `type`.
    pub(super) fn read(node: Node<'_, '_>) -> Option<Self> {
        // `xsi:type` may stand before it.
        let kind = node.attributes().find(|a| a.name() == "type" && a.namespace().is_none())?;
        Some(Self::new(kind.value().to_owned(), node.text()?))
    }
}

/// An element with text.
pub(super) fn text(name: &str, value: &str) -> String {
    format!("<{name}>{}</{name}>", escape(value))
}

/// A whole message that calls `method` of `this`.
pub(super) fn envelope(method: &str, this: &Ref, arguments: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>\
         <{method} xmlns=\"urn:vim25\">{}{arguments}</{method}></soapenv:Body></soapenv:Envelope>",
        this.element("_this")
    )
}

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum Problem {
    /// The session is gone: log in again. The call was not carried out.
    Expired,
    /// The backend said no: the fault's type without `Fault`, and words for people.
    Fault {
        /// Such as `InvalidPowerState`.
        kind: String,
        /// What to show.
        words: String,
    },
    /// Anything else.
    Other(AdapterError),
}

impl From<AdapterError> for Problem {
    fn from(error: AdapterError) -> Self {
        Self::Other(error)
    }
}

impl Problem {
    pub(super) fn strange(words: impl Into<String>) -> Self {
        Self::Other(AdapterError::Unreachable(format!(
            "its answer is not what was expected: {}",
            words.into()
        )))
    }

    /// As the driver wants it. `address` is what the call was about.
    pub(super) fn into_error(self, address: &str) -> AdapterError {
        match self {
            Self::Expired => {
                AdapterError::Unreachable("the session ended, and again after logging in".to_owned())
            }
            Self::Fault { kind, .. } if kind == "ManagedObjectNotFound" => {
                AdapterError::NotFound(address.to_owned())
            }
            Self::Fault { kind, words } if kind == "InvalidLogin" => AdapterError::Credentials(words),
            Self::Fault { words, .. } => AdapterError::Refused(words),
            Self::Other(error) => error,
        }
    }
}

/// Reads an answer: the first element of its body goes to `read`, a fault becomes a [`Problem`].
pub(super) fn answer<T>(
    body: &[u8],
    read: impl FnOnce(Node<'_, '_>) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Problem::strange("it is no text"))?;
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|error| Problem::strange(error.to_string()))?;
    let body = child(document.root_element(), "Body").ok_or_else(|| Problem::strange("no SOAP body"))?;
    let first =
        body.children().find(Node::is_element).ok_or_else(|| Problem::strange("its SOAP body is empty"))?;
    if first.tag_name().name() == "Fault" {
        return Err(fault(first));
    }
    read(first)
}

fn fault(node: Node<'_, '_>) -> Problem {
    let said = child_text(node, "faultstring").unwrap_or_default();
    let detail = child(node, "detail").and_then(|detail| detail.children().find(Node::is_element));
    let kind = detail.map_or("", |detail| detail.tag_name().name());
    problem(kind.strip_suffix("Fault").unwrap_or(kind), said, detail)
}

/// A fault from the `error` of a task: `LocalizedMethodFault`, whose type is an attribute.
pub(super) fn task_fault(error: Node<'_, '_>) -> Problem {
    let fault = child(error, "fault");
    let kind = fault.and_then(type_of).unwrap_or_default();
    problem(kind, child_text(error, "localizedMessage").unwrap_or_default(), fault)
}

fn problem(kind: &str, said: &str, detail: Option<Node<'_, '_>>) -> Problem {
    let more = |name: &str| detail.and_then(|detail| child_text(detail, name)).unwrap_or_default();
    let words = match kind {
        "NotAuthenticated" => return Problem::Expired,
        "InvalidLogin" => "user name or password is wrong (user, password_file)".to_owned(),
        "NoPermission" => format!("its user lacks the privilege {}", more("privilegeId")),
        "InvalidPowerState" => {
            format!("it is {} already or cannot get there from that", more("existingState"))
        }
        "ToolsUnavailable" => {
            "VMware Tools do not run in it, so it cannot be asked: hard-off or reset work without".to_owned()
        }
        "MethodNotFound" => "this server does not know that".to_owned(),
        _ if said.is_empty() => kind.to_owned(),
        _ => format!("{said} ({kind})"),
    };
    Problem::Fault { kind: kind.to_owned(), words: words.chars().take(300).collect() }
}

/// `xsi:type` without a prefix.
pub(super) fn type_of<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    let name = node.attribute(("http://www.w3.org/2001/XMLSchema-instance", "type"))?;
    Some(name.rsplit_once(':').map_or(name, |(_, name)| name))
}

/// The first child element of this name.
pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// All child elements of this name.
pub(super) fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

/// The text of the first child element of this name.
pub(super) fn child_text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(inner: &str) -> Vec<u8> {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><s:Body>{inner}</s:Body></s:Envelope>"
        )
        .into_bytes()
    }

    #[test]
    fn what_people_call_things_cannot_break_a_message() {
        let this = Ref::new("SearchIndex", "a\"b");
        let message =
            envelope("FindByInventoryPath", &this, &text("inventoryPath", "x</inventoryPath><evil/>&"));
        let document = Document::parse(&message).unwrap();
        let path =
            document.descendants().find(|node| node.has_tag_name(("urn:vim25", "inventoryPath"))).unwrap();
        assert_eq!(path.text(), Some("x</inventoryPath><evil/>&"));
        assert!(!document.descendants().any(|node| node.has_tag_name("evil")));
    }

    #[test]
    fn a_reference_is_not_mistaken_for_what_it_is_to_xml() {
        let text = "<s:val xmlns:s=\"http://www.w3.org/2001/XMLSchema-instance\" \
                    s:type=\"ManagedObjectReference\" type=\"Folder\">group-v3</s:val>";
        let document = Document::parse(text).unwrap();
        assert_eq!(Ref::read(document.root_element()), Some(Ref::new("Folder", "group-v3")));
    }

    #[test]
    fn faults_are_sorted_by_what_is_to_be_done() {
        let fault = |kind: &str, inner: &str| {
            let text = format!(
                "<s:Fault><faultcode>x</faultcode><faultstring>said</faultstring><detail>\
                 <{kind}Fault xmlns=\"urn:vim25\">{inner}</{kind}Fault></detail></s:Fault>"
            );
            answer(&body(&text), |_| Ok(())).unwrap_err()
        };
        assert!(matches!(fault("NotAuthenticated", ""), Problem::Expired));
        assert!(matches!(fault("InvalidLogin", "").into_error("a"), AdapterError::Credentials(_)));
        assert_eq!(
            fault("ManagedObjectNotFound", "").into_error("a"),
            AdapterError::NotFound("a".to_owned())
        );
        let refused = fault("NoPermission", "<privilegeId>VirtualMachine.Interact.PowerOn</privilegeId>");
        assert!(refused.into_error("a").to_string().contains("VirtualMachine.Interact.PowerOn"));
        assert_eq!(fault("Odd", "").into_error("a"), AdapterError::Refused("said (Odd)".to_owned()));
    }

    #[test]
    fn half_an_answer_and_none_are_told() {
        for wrong in
            [&b""[..], b"\xff", b"<a>", b"<a/>", &body(""), b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"]
        {
            assert!(matches!(answer(wrong, |_| Ok(())), Err(Problem::Other(AdapterError::Unreachable(_)))));
        }
    }
}
