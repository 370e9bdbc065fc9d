//! Messages: SOAP 1.1 in the RPC style with PHP's encoding, all arguments in one text between commas.
//!
//! Source: the WSDL files of the plug-in `cloud` in openQRM's tree of March 2010 (namespace
//! `urn:localhost-cloud`, one part `symbol`, answers in `Result`).

use std::path::PathBuf;

use primrack_adapter_api::AdapterError;
use quick_xml::escape::escape;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use roxmltree::{Document, Node, ParsingOptions};
use secrecy::ExposeSecret as _;

use super::config::Mode;
use crate::web::{Web, read_secret, unreachable, whole};

/// The longest answer: a list of numbers, or two dozen short texts.
const LONGEST: usize = 1 << 20;
/// More elements than any answer of that length has.
const MOST_NODES: u32 = 100_000;

/// One openQRM server.
#[derive(Debug)]
pub(super) struct Client {
    web: Web,
    url: Url,
    mode: Mode,
    user: String,
    password_file: PathBuf,
}

/// What an answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Nothing: how openQRM says no to a question. Why stands in its own event log.
    Nil,
    /// A text or a number.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// Names with their texts; a name without one is left out.
    Map(Vec<(String, String)>),
}

/// Whether openQRM takes such a text as an argument: it drops the whole question otherwise.
pub(super) fn is_allowed(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || " .,-_()/:@".contains(c))
}

impl Client {
    pub(super) fn new(web: Web, mut url: Url, mode: Mode, (user, password_file): (String, PathBuf)) -> Self {
        url.set_path(mode.path());
        Self { web, url, mode, user, password_file }
    }

    /// The name that lists are asked for: everybody's for an administrator.
    pub(super) fn whose(&self) -> &str {
        match self.mode {
            Mode::Admin => "",
            Mode::User => &self.user,
        }
    }

    /// Calls `method`; the arguments come after mode, name and password.
    pub(super) async fn call(&self, method: &str, arguments: &[&str]) -> Result<Value, AdapterError> {
        let password = read_secret(&self.password_file).await?;
        let password = password.expose_secret();
        if password.contains(',') || !is_allowed(password) {
            return Err(AdapterError::Credentials(format!(
                "{}: openQRM takes letters, digits, blanks and . - _ ( ) / : @ in a password",
                self.password_file.display()
            )));
        }
        let mut all = vec![self.mode.word(), &self.user, password];
        all.extend(arguments);
        let request = self
            .web
            .client()
            .await?
            .post(self.url.clone())
            // The web server in front asks for the same name and password.
            .basic_auth(&self.user, Some(password))
            .header(CONTENT_TYPE, "text/xml; charset=utf-8")
            .header("SOAPAction", format!("\"urn:localhost-cloud#{method}\""))
            .body(message(method, &all.join(",")));
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        match status {
            // A fault comes with 500.
            200 | 500 => answer(&whole(response, LONGEST).await?),
            401 | 403 => Err(AdapterError::Credentials(
                "its web server does not accept user and password (user, password_file)".to_owned(),
            )),
            404 => Err(AdapterError::Unreachable(
                "it has no such interface: the plug-in cloud of openQRM's 2010 tree has to be started"
                    .to_owned(),
            )),
            _ => Err(AdapterError::Unreachable(format!("it answered with HTTP status {status}"))),
        }
    }
}

fn message(method: &str, arguments: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:x=\"http://www.w3.org/2001/XMLSchema\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <e:Body e:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\">\
         <m:{method} xmlns:m=\"urn:localhost-cloud\"><symbol i:type=\"x:string\">{}</symbol></m:{method}>\
         </e:Body></e:Envelope>",
        escape(arguments)
    )
}

fn answer(body: &[u8]) -> Result<Value, AdapterError> {
    let strange =
        |words: String| AdapterError::Unreachable(format!("its answer is not what was expected: {words}"));
    let text = std::str::from_utf8(body).map_err(|_| strange("it is no text".to_owned()))?;
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| strange(error.to_string()))?;
    let body = child(document.root_element(), "Body").and_then(|body| body.first_element_child());
    let body = body.ok_or_else(|| strange("no SOAP body".to_owned()))?;
    if body.tag_name().name() == "Fault" {
        let words = child(body, "faultstring").and_then(|words| words.text()).unwrap_or("a fault");
        return Err(AdapterError::Refused(words.trim().chars().take(300).collect()));
    }
    let result = child(body, "Result").ok_or_else(|| strange("no result".to_owned()))?;
    Ok(value(result))
}

fn value(result: Node<'_, '_>) -> Value {
    let items = || result.children().filter(|item| item.has_tag_name("item"));
    let said = |node: Node<'_, '_>| node.text().map(str::to_owned);
    match kind(result) {
        "Map" => Value::Map(
            items()
                .filter_map(|item| Some((said(child(item, "key")?)?, said(child(item, "value")?)?)))
                .collect(),
        ),
        "Array" => Value::List(items().filter_map(said).collect()),
        // Without a type it is nothing.
        _ => said(result).map_or(Value::Nil, Value::Text),
    }
}

/// `xsi:type` without its prefix.
fn kind<'a>(node: Node<'a, '_>) -> &'a str {
    let kind = node.attribute(("http://www.w3.org/2001/XMLSchema-instance", "type")).unwrap_or_default();
    kind.rsplit_once(':').map_or(kind, |(_, kind)| kind)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_cannot_break_a_message() {
        let text = message("CloudApplianceGetList", "admin,a,</symbol><evil/>&,");
        let document = Document::parse(&text).unwrap();
        let symbol = document.descendants().find(|node| node.has_tag_name("symbol")).unwrap();
        assert_eq!(symbol.text(), Some("admin,a,</symbol><evil/>&,"));
    }

    #[test]
    fn half_an_answer_and_none_are_told() {
        for wrong in [&b""[..], b"\xff", b"<a>", b"<a/>", b"<a><Body/></a>", b"<a><Body><b/></Body></a>"] {
            assert!(matches!(answer(wrong), Err(AdapterError::Unreachable(_))));
        }
    }
}
