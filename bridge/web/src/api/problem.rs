//! What is told when something is not done: RFC 9457, with what to do about it.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use primrack_model::{Receipt, RefusalCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::ReceiptView;

/// The media type of every problem.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// Why a request is not answered as it was meant. One list: the reference page shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Malformed,
    KeyMissing,
    NoToken,
    UnknownToken,
    Scope,
    NoSuchPath,
    NotFound,
    Method,
    TimedOut,
    TooLarge,
    ContentType,
    Invalid,
    KeyReused,
    TooMany,
    Unavailable,
    Configuration,
    /// What the policy, the state or the journal said to a command.
    Refused(RefusalCode),
}

impl Trouble {
    /// All of them, for the reference.
    pub(crate) const ALL: [Self; 28] = [
        Self::Malformed,
        Self::KeyMissing,
        Self::NoToken,
        Self::UnknownToken,
        Self::Scope,
        Self::NoSuchPath,
        Self::NotFound,
        Self::Method,
        Self::TimedOut,
        Self::TooLarge,
        Self::ContentType,
        Self::Invalid,
        Self::KeyReused,
        Self::TooMany,
        Self::Unavailable,
        Self::Configuration,
        Self::Refused(RefusalCode::NotPermitted),
        Self::Refused(RefusalCode::Forbidden),
        Self::Refused(RefusalCode::NoTarget),
        Self::Refused(RefusalCode::NotSupported),
        Self::Refused(RefusalCode::WrongState),
        Self::Refused(RefusalCode::Busy),
        Self::Refused(RefusalCode::Stale),
        Self::Refused(RefusalCode::TooMany),
        Self::Refused(RefusalCode::Journal),
        Self::Refused(RefusalCode::NotOffered),
        Self::Refused(RefusalCode::ReadOnly),
        Self::Refused(RefusalCode::ShuttingDown),
    ];

    /// For machines.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::KeyMissing => "key-missing",
            Self::NoToken => "no-token",
            Self::UnknownToken => "unknown-token",
            Self::Scope => "scope",
            Self::NoSuchPath => "no-such-path",
            Self::NotFound => "not-found",
            Self::Method => "method",
            Self::TimedOut => "timed-out",
            Self::TooLarge => "too-large",
            Self::ContentType => "content-type",
            Self::Invalid => "invalid",
            Self::KeyReused => "key-reused",
            Self::TooMany => "too-many-requests",
            Self::Unavailable => "unavailable",
            Self::Configuration => "configuration",
            Self::Refused(code) => code.token(),
        }
    }

    /// The same for every occurrence.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request cannot be read",
            Self::KeyMissing => "A command needs an Idempotency-Key",
            Self::NoToken => "No token was sent",
            Self::UnknownToken => "The token is not known",
            Self::Scope => "The token's scopes do not include this",
            Self::NoSuchPath => "There is nothing at this path",
            Self::NotFound => "There is no such thing",
            Self::Method => "This path does not take this method",
            Self::TimedOut => "The request took too long",
            Self::TooLarge => "The body is too large",
            Self::ContentType => "The body is not JSON",
            Self::Invalid => "A value cannot be used",
            Self::KeyReused => "The Idempotency-Key was used for another command",
            Self::TooMany => "Too many requests from this token",
            Self::Unavailable => "This cannot be answered now",
            Self::Configuration => "The configuration cannot be used",
            Self::Refused(code) => match code {
                RefusalCode::NotPermitted => "No policy permits it",
                RefusalCode::Forbidden => "A policy forbids it",
                RefusalCode::NoTarget => "There is no such target",
                RefusalCode::NotSupported => "The target cannot do this",
                RefusalCode::WrongState => "It makes no sense in the present state",
                RefusalCode::Busy => "Another command is under way",
                RefusalCode::Stale => "The state is not known well enough",
                RefusalCode::TooMany => "Too many requests from this source",
                RefusalCode::Journal => "The journal cannot be written",
                RefusalCode::NotOffered => "It was not offered",
                RefusalCode::ReadOnly => "The emergency stop holds",
                RefusalCode::ShuttingDown => "The bridge is stopping",
            },
        }
    }

    /// What to do where nothing better is known.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Malformed => "send what /api/v1/openapi.json describes",
            Self::KeyMissing => {
                "send the header Idempotency-Key with a new value for each command, and the same value when you \
                 send the same command again"
            }
            Self::NoToken => "send the header Authorization: Bearer TOKEN with a token of [api.tokens]",
            Self::UnknownToken => "compare the token with the file that [api.tokens] names, and reload",
            Self::Scope => "add the scope to the token's scopes in [api.tokens], and reload",
            Self::NoSuchPath => "/api/v1/docs lists the paths",
            Self::NotFound => "list what there is with GET",
            Self::Method => "use one of the methods in the header Allow",
            Self::TimedOut => "send the whole request at once, or try again later",
            Self::TooLarge => "send less than 16 KiB",
            Self::ContentType => "send the header Content-Type: application/json",
            Self::Invalid => "send what /api/v1/openapi.json describes",
            Self::KeyReused => "use a new Idempotency-Key for another command",
            Self::TooMany => "wait as long as the header Retry-After says, or raise api.requests_per_s",
            Self::Configuration => "correct what `mistakes` names; `primrack check` shows the places",
            Self::Unavailable => "try again in a moment; `primrack doctor` says what is wrong",
            Self::Refused(code) => match code {
                RefusalCode::NotPermitted => {
                    "let a Cedar policy permit the action to this token's actor (web:NAME), or add the actor to a \
                     group in [groups]; `primrack why` explains a decision"
                }
                RefusalCode::Forbidden => "`primrack why` names the rule that forbids it",
                RefusalCode::NoTarget => "list the targets with GET /api/v1/targets",
                RefusalCode::NotSupported => "use one of the target's capabilities.actions",
                RefusalCode::WrongState => "look at the target's power, and send the action that fits it",
                RefusalCode::Busy => "wait until the command under way has ended",
                RefusalCode::Stale => {
                    "wait until its backend answers; `primrack doctor` says why it does not"
                }
                RefusalCode::TooMany => "send fewer commands",
                RefusalCode::Journal => {
                    "make room on the bridge's disk; `primrack doctor` says what is wrong"
                }
                RefusalCode::NotOffered => "send the command again with a new Idempotency-Key",
                RefusalCode::ReadOnly => "wait until the emergency stop is ended",
                RefusalCode::ShuttingDown => "try again in a moment with a new Idempotency-Key",
            },
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::KeyMissing => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::Scope => StatusCode::FORBIDDEN,
            Self::NoSuchPath | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid | Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Configuration => StatusCode::CONFLICT,
            Self::Refused(code) => match code {
                RefusalCode::NotPermitted | RefusalCode::Forbidden => StatusCode::FORBIDDEN,
                RefusalCode::NoTarget => StatusCode::NOT_FOUND,
                RefusalCode::NotSupported
                | RefusalCode::WrongState
                | RefusalCode::Busy
                | RefusalCode::Stale
                | RefusalCode::NotOffered
                | RefusalCode::ReadOnly => StatusCode::CONFLICT,
                RefusalCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
                RefusalCode::Journal | RefusalCode::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }
}

/// A problem as RFC 9457 has it. `code`, `remedy`, `receipt` and `mistakes` are extension members.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Problem {
    /// Names the kind of problem and leads to its place in the reference.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The kind in words; the same for every occurrence.
    pub(crate) title: String,
    /// The status of the answer.
    #[schemars(range(min = 400, max = 599))]
    pub(crate) status: u16,
    /// What happened this time, in a sentence.
    pub(crate) detail: String,
    /// The kind for machines, such as `not-permitted`.
    pub(crate) code: String,
    /// What to do.
    pub(crate) remedy: String,
    /// The receipt of a command that was refused: it is in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
    /// Everything that is wrong, where it is more than one thing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mistakes: Vec<String>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(trouble: Trouble, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/api/v1/docs#problem-{}", trouble.token()),
            title: trouble.title().to_owned(),
            status: trouble.status().as_u16(),
            detail: detail.into(),
            code: trouble.token().to_owned(),
            remedy: trouble.remedy().to_owned(),
            receipt: None,
            mistakes: Vec::new(),
            headers: Vec::new(),
        }
    }
    /// A command that will not be done.
    pub(crate) fn refused(code: RefusalCode, receipt: &Receipt) -> Self {
        Self { receipt: Some(ReceiptView::of(receipt)), ..Self::new(Trouble::Refused(code), &receipt.words) }
    }
    pub(crate) fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }
    pub(crate) fn with_mistakes(self, mistakes: Vec<String>) -> Self {
        Self { mistakes, ..self }
    }
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let headers = self.headers.clone();
        let mut response = (status, Json(self)).into_response();
        let map = response.headers_mut();
        map.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        map.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in headers {
            map.insert(name, value);
        }
        response
    }
}
