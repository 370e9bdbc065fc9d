//! The OpenAPI document: from the handlers, completed with what holds for all of them.

use std::sync::Arc;

use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Header, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr,
};
use utoipa::{PartialSchema as _, ToSchema as _};

use super::problem::{PROBLEM, Problem, Trouble};
use super::routes::{Api, described};

/// The name of the one way to come in.
pub(crate) const TOKEN: &str = "token";

/// The document of this program's API, as it is served at `/api/v1/openapi.json`.
///
/// It does not depend on what is configured; `api` is only needed since the routes are.
#[must_use]
pub fn document(api: &Arc<Api>) -> OpenApi {
    let mut document = described(api).into_openapi();
    document.info = InfoBuilder::new()
        .title("Primrack")
        .version("1")
        .description(Some(
            "What a bridge between a virtual world and real machines shows and does. Every request carries a token \
             of the configuration; a token is an actor of the policy like any other. Times are milliseconds since \
             1970, UTC. What is not answered well is answered with a problem (RFC 9457) that says what to do.",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("MIT OR Apache-2.0")
                .identifier(Some("MIT OR Apache-2.0"))
                .build(),
        ))
        .build();
    document.servers = None;
    document.tags = Some(
        [
            ("targets", "What can be acted on, and what it shows"),
            ("commands", "Acting, and what became of it"),
            ("world", "Objects in regions"),
            ("boards", "Microcontrollers with readers and outputs"),
            ("journal", "What was asked, answered and done"),
            ("bridge", "The bridge itself"),
        ]
        .map(|(name, words)| TagBuilder::new().name(name).description(Some(words)).build())
        .to_vec(),
    );
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of [api.tokens]; its scopes are read, act and admin"))
        .build();
    let components = document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    let mut schemas = Vec::new();
    Problem::schemas(&mut schemas);
    let mut components = ComponentsBuilder::from(components)
        .schema(Problem::name(), Problem::schema())
        .security_scheme(TOKEN, SecurityScheme::Http(scheme));
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    document.components = Some(components.build());
    for (path, item) in &mut document.paths.paths {
        let named = path.contains('{');
        let journal = path.ends_with("/journal");
        let listed = path.ends_with("/targets") || journal;
        for operation in item.get.iter_mut() {
            complete(operation, &[(named, "404"), (listed, "422"), (true, "304")]);
        }
        for operation in [&mut item.post, &mut item.put].into_iter().flatten() {
            let body = ["400", "408", "413", "415", "422", "409"];
            let all: Vec<_> = body.iter().map(|status| (true, *status)).chain([(named, "404")]).collect();
            complete(operation, &all);
        }
    }
    document
}

/// What every operation may answer, and these.
fn complete(operation: &mut Operation, also: &[(bool, &str)]) {
    let always = ["401", "403", "429", "503"];
    let own = also.iter().filter(|(does, _)| *does).map(|(_, status)| *status);
    for status in always.into_iter().chain(own) {
        let answer = match status {
            "304" => tagged(ResponseBuilder::new().description("Nothing has changed since that tag").build()),
            _ => problem(status),
        };
        operation.responses.responses.insert(status.to_owned(), RefOr::T(answer));
    }
    if also.contains(&(true, "304"))
        && let Some(RefOr::T(fine)) = operation.responses.responses.remove("200")
    {
        operation.responses.responses.insert("200".to_owned(), RefOr::T(tagged(fine)));
    }
}

fn tagged(mut response: Response) -> Response {
    let mut header = Header::new(utoipa::schema!(String));
    header.description = Some("For If-None-Match: the answer is 304 while nothing has changed".to_owned());
    response.headers.insert("ETag".to_owned(), RefOr::T(header));
    response
}

fn problem(status: &str) -> Response {
    let codes: Vec<String> = Trouble::ALL
        .into_iter()
        .filter(|trouble| trouble.status().as_str() == status)
        .map(|trouble| format!("{} (`{}`)", trouble.title(), trouble.token()))
        .collect();
    let content = ContentBuilder::new()
        .schema(Some(RefOr::<utoipa::openapi::Schema>::Ref(Ref::from_schema_name(Problem::name()))))
        .build();
    ResponseBuilder::new().description(codes.join("; ")).content(PROBLEM, content).build()
}
