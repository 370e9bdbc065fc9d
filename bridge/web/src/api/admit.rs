//! At the door: which token it is, whether it comes too often, and whether it opens this one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use primrack_model::{Actor, ActorKind};
use smol_str::SmolStr;
use subtle::ConstantTimeEq as _;

use super::config::{ApiPlan, Known, Scope, digest};
use super::problem::{Problem, Trouble};
use super::routes::Api;

/// How long a request may take from here on.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks, and by which token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The token's name.
    pub(crate) name: SmolStr,
}

impl Caller {
    /// As the policy and the journal know it.
    pub(crate) fn actor(&self) -> Actor {
        Actor::new(ActorKind::Web, &self.name, "")
    }
}

/// A bucket that fills with time, one for each token.
#[derive(Debug)]
struct Pace {
    left: f64,
    at: Instant,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    pace: Mutex<Pace>,
}

/// The tokens in force. Replaced as a whole.
#[derive(Debug)]
pub struct Tokens {
    entries: Vec<Entry>,
    per_s: f64,
    burst: f64,
}

/// Which tokens a reload brings and takes, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokensChanged(pub Vec<String>);

impl Tokens {
    pub(crate) fn new(plan: ApiPlan) -> Self {
        let ApiPlan { tokens, requests_per_s, request_burst } = plan;
        let now = Instant::now();
        let entries = tokens
            .into_iter()
            .map(|known| Entry { known, pace: Mutex::new(Pace { left: request_burst, at: now }) })
            .collect();
        Self { entries, per_s: requests_per_s, burst: request_burst }
    }

    /// The names of tokens that a plan has otherwise.
    pub(crate) fn changed(&self, plan: &ApiPlan) -> TokensChanged {
        let mut names = BTreeSet::new();
        for entry in &self.entries {
            if !plan.tokens.contains(&entry.known) {
                names.insert(entry.known.name.to_string());
            }
        }
        for known in &plan.tokens {
            if !self.entries.iter().any(|entry| entry.known == *known) {
                names.insert(known.name.to_string());
            }
        }
        TokensChanged(names.into_iter().collect())
    }

    /// Compares with every token and stops at none, so that the time taken tells nothing.
    fn find(&self, sent: &[u8]) -> Option<&Entry> {
        let sent = digest(sent);
        let mut found = None;
        for entry in &self.entries {
            if bool::from(entry.known.digest.ct_eq(&sent)) {
                found = Some(entry);
            }
        }
        found
    }

    fn admit(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, (Trouble, Problem)> {
        let no = |trouble: Trouble, words: &str| (trouble, Problem::new(trouble, words));
        let challenge = |problem: Problem, words: &'static str| {
            problem.with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static(words))
        };
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let token = match (sent.next(), sent.next()) {
            (Some(one), None) => bearer(one),
            _ => None,
        };
        let Some(token) = token else {
            let (trouble, problem) = no(Trouble::NoToken, "this path wants a token");
            return Err((trouble, challenge(problem, "Bearer realm=\"primrack\"")));
        };
        let Some(entry) = self.find(token) else {
            let (trouble, problem) = no(Trouble::UnknownToken, "no token of the configuration is this one");
            let words = "Bearer realm=\"primrack\", error=\"invalid_token\"";
            return Err((trouble, challenge(problem, words)));
        };
        if let Err(wait) = self.pace(entry) {
            let words = format!("{} sends more than {} requests a second", entry.known.name, self.per_s);
            let problem = Problem::new(Trouble::TooMany, words)
                .with_header(header::RETRY_AFTER, HeaderValue::from(wait));
            return Err((Trouble::TooMany, problem));
        }
        let Known { name, digest: _, scopes } = &entry.known;
        if !scopes.contains(&scope) {
            let words = format!("this wants the scope {:?}, and {name} does not have it", scope.token());
            let problem = Problem::new(Trouble::Scope, words);
            let words = "Bearer realm=\"primrack\", error=\"insufficient_scope\"";
            return Err((Trouble::Scope, challenge(problem, words)));
        }
        Ok(Caller { name: name.clone() })
    }

    /// Takes one request from the token's bucket, or tells after how many seconds there is one.
    fn pace(&self, entry: &Entry) -> Result<(), u64> {
        let mut pace = entry.pace.lock();
        let now = Instant::now();
        pace.left = (pace.left + now.duration_since(pace.at).as_secs_f64() * self.per_s).min(self.burst);
        pace.at = now;
        if pace.left >= 1.0 {
            pace.left -= 1.0;
            return Ok(());
        }
        let wait = Duration::from_secs_f64((1.0 - pace.left) / self.per_s);
        Err(wait.as_secs() + 1)
    }
}

/// What follows `Bearer`, which is written in any case (RFC 9110, section 11.1).
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token.as_bytes())
}

/// Lets a request through to what wants `scope`, or says why not. What is behind finds the [`Caller`].
pub(crate) async fn admit(
    State((api, scope)): State<(Arc<Api>, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    let admitted = api.tokens().admit(request.headers(), scope);
    let caller = match admitted {
        Ok(caller) => caller,
        Err((trouble, problem)) => {
            api.turned_away(trouble, &problem);
            return problem.into_response();
        }
    };
    request.extensions_mut().insert(caller);
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let words = format!("no answer within {} s", PATIENCE.as_secs());
            Problem::new(Trouble::Unavailable, words).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn tokens(burst: f64) -> Tokens {
        Tokens::new(ApiPlan {
            tokens: vec![Known {
                name: "a".into(),
                digest: digest(TOKEN.as_bytes()),
                scopes: vec![Scope::Read],
            }],
            requests_per_s: 1.0,
            request_burst: burst,
        })
    }

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn only_the_very_token_opens_and_only_its_own_doors() {
        let tokens = tokens(100.0);
        let at =
            |values: &[&str], scope| tokens.admit(&headers(values), scope).map_err(|(trouble, _)| trouble);
        let good = format!("Bearer {TOKEN}");
        let caller = at(&[&good], Scope::Read).unwrap();
        assert_eq!(caller.actor().to_string(), "web:a");
        assert!(at(&[&format!("bearer  {TOKEN}")], Scope::Read).is_ok());
        assert_eq!(at(&[&good], Scope::Act).unwrap_err(), Trouble::Scope);
        assert_eq!(at(&[], Scope::Read).unwrap_err(), Trouble::NoToken);
        assert_eq!(at(&[&good, &good], Scope::Read).unwrap_err(), Trouble::NoToken);
        assert_eq!(at(&["Basic YTpi"], Scope::Read).unwrap_err(), Trouble::NoToken);
        assert_eq!(at(&["Bearer "], Scope::Read).unwrap_err(), Trouble::NoToken);
        assert_eq!(at(&[&format!("{good}0")], Scope::Read).unwrap_err(), Trouble::UnknownToken);
        assert_eq!(at(&[&good[..good.len() - 1]], Scope::Read).unwrap_err(), Trouble::UnknownToken);
    }

    #[test]
    fn who_comes_too_often_is_told_when_to_come_again() {
        let tokens = tokens(2.0);
        let headers = headers(&[&format!("Bearer {TOKEN}")]);
        assert!(tokens.admit(&headers, Scope::Read).is_ok());
        // Also what is refused counts.
        assert!(tokens.admit(&headers, Scope::Act).is_err());
        let (trouble, problem) = tokens.admit(&headers, Scope::Read).unwrap_err();
        assert_eq!(trouble, Trouble::TooMany);
        let response = problem.into_response();
        let wait: u64 = response.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=2).contains(&wait), "{wait}");
    }

    #[test]
    fn a_token_that_was_taken_away_holds_no_more() {
        let before = tokens(10.0);
        let headers = headers(&[&format!("Bearer {TOKEN}")]);
        assert!(before.admit(&headers, Scope::Read).is_ok());
        let plan = ApiPlan { tokens: Vec::new(), requests_per_s: 1.0, request_burst: 1.0 };
        assert_eq!(before.changed(&plan).0, ["a"]);
        assert_eq!(Tokens::new(plan).admit(&headers, Scope::Read).unwrap_err().0, Trouble::UnknownToken);
    }
}
