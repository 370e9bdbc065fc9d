//! The OpenAPI document, made of the very table that makes the routes: a path that is served is described, and its
//! door is the one that is told.
//!
//! Version 3.1, whose schemas are those of JSON Schema 2020-12 (<https://spec.openapis.org/oas/v3.1.1.html>). They come
//! from the types that handlers read and write.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use schemars::transform::{RestrictFormats, Transform as _};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::admit::admit;
use super::config::Scope;
use super::problem::{PROBLEM, Problem, Trouble};
use super::routes::Api;
use super::schema;

/// The name of the one way to come in.
const TOKEN: &str = "token";

type Make = fn(&mut SchemaGenerator) -> Schema;

/// What is said of an operation beside its types.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) answer: &'static str,
}

/// One operation: how it is reached, and what it takes and gives.
struct Operation {
    method: &'static str,
    path: &'static str,
    scope: Scope,
    words: Words,
    query: Option<Make>,
    body: Option<Make>,
    status: &'static str,
    /// The type of the answer, or none where it is a stream.
    gives: Option<Make>,
    headers: &'static [(&'static str, &'static str)],
    keyed: bool,
}

/// The routes and their description, put together by the same calls.
pub(crate) struct Table {
    api: Arc<Api>,
    router: Router<Arc<Api>>,
    operations: Vec<Operation>,
}

/// An entry of the table that is not finished.
pub(crate) struct Row<'a> {
    operation: &'a mut Operation,
}

impl Table {
    pub(crate) fn new(api: &Arc<Api>) -> Self {
        Self { api: Arc::clone(api), router: Router::new(), operations: Vec::new() }
    }

    /// Puts a handler at a path, behind the door of `scope`.
    pub(crate) fn add(
        &mut self,
        (method, path, scope): (&'static str, &'static str, Scope),
        handler: MethodRouter<Arc<Api>>,
        words: Words,
    ) -> Row<'_> {
        let door = from_fn_with_state((Arc::clone(&self.api), scope), admit);
        let router = std::mem::take(&mut self.router);
        self.router = router.route(path, handler.route_layer(door));
        self.operations.push(Operation {
            method,
            path,
            scope,
            words,
            query: None,
            body: None,
            status: "200",
            gives: None,
            headers: &[],
            keyed: false,
        });
        let last = self.operations.len() - 1;
        Row { operation: &mut self.operations[last] }
    }

    pub(crate) fn into_router(self) -> Router<Arc<Api>> {
        self.router
    }

    /// The document.
    pub(crate) fn document(&self) -> Value {
        let mut gives = generator(Contract::Serialize);
        let mut takes = generator(Contract::Deserialize);
        let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for operation in &self.operations {
            let told = operation.describe(&mut gives, &mut takes);
            paths.entry(operation.path).or_default().insert(operation.method.to_owned(), told);
        }
        gives.subschema_for::<Problem>();
        let mut schemas = gives.take_definitions(true);
        schemas.extend(takes.take_definitions(true));
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Primrack",
                "version": "1",
                "description": "What a bridge between a virtual world and real machines shows and does. Every request carries a \
                    token of the configuration; a token is an actor of the policy like any other. Times are milliseconds \
                    since 1970, UTC. What is not answered well is answered with a problem (RFC 9457) that says what to do.",
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            },
            "tags": [
                { "name": "targets", "description": "What can be acted on, and what it shows" },
                { "name": "commands", "description": "Acting, and what became of it" },
                { "name": "world", "description": "Objects in regions" },
                { "name": "boards", "description": "Microcontrollers with readers and outputs" },
                { "name": "journal", "description": "What was asked, answered and done" },
                { "name": "bridge", "description": "The bridge itself" },
            ],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    TOKEN: {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "A token of [api.tokens]; its scopes are read, act and admin",
                    },
                },
            },
        })
    }
}

impl Row<'_> {
    pub(crate) fn gives<T: JsonSchema>(self) -> Self {
        self.operation.gives = Some(SchemaGenerator::subschema_for::<T>);
        self
    }
    pub(crate) fn asks<T: JsonSchema>(self) -> Self {
        self.operation.query = Some(|generator| T::json_schema(generator));
        self
    }
    pub(crate) fn takes<T: JsonSchema>(self) -> Self {
        self.operation.body = Some(SchemaGenerator::subschema_for::<T>);
        self
    }
    pub(crate) fn status(self, status: &'static str) -> Self {
        self.operation.status = status;
        self
    }
    pub(crate) fn tells(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.operation.headers = headers;
        self
    }
    /// Wants an Idempotency-Key.
    pub(crate) fn keyed(self) -> Self {
        self.operation.keyed = true;
        self
    }
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.contract = contract;
    settings.transforms = vec![Box::new(known_formats())];
    settings.into_generator()
}

/// Sizes of numbers are Rust's affair.
fn known_formats() -> RestrictFormats {
    let mut formats = RestrictFormats::default();
    formats.infer_from_meta_schema = false;
    formats.allowed_formats.insert("uuid".into());
    formats
}

impl Operation {
    fn describe(&self, gives: &mut SchemaGenerator, takes: &mut SchemaGenerator) -> Value {
        let Self { method, path, scope, words, query, body, status, gives: answer, headers, keyed } = self;
        let Words { id, tag, summary, answer: told } = words;
        let mut parameters = Vec::new();
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let schema = if name == "intent" { schema::intent(takes) } else { schema::id(takes) };
            parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        }
        parameters.extend(query.iter().flat_map(|query| {
            let mut schema = query(takes);
            known_formats().transform(&mut schema);
            in_query(&schema)
        }));
        if *keyed {
            parameters.push(json!({
                "name": "Idempotency-Key", "in": "header", "required": true,
                "description": "The client's own name for this command",
                "schema": { "type": "string", "pattern": "^[!-~]+$", "minLength": 1, "maxLength": 255 },
            }));
        }
        let mut told_with = Map::new();
        for (name, words) in *headers {
            told_with
                .insert((*name).to_owned(), json!({ "description": words, "schema": { "type": "string" } }));
        }
        let is_read = *method == "get" && answer.is_some();
        let tag_words = "For If-None-Match: the answer is 304 while nothing has changed";
        let etag = json!({ "description": tag_words, "schema": { "type": "string" } });
        if is_read {
            told_with.insert("ETag".to_owned(), etag.clone());
        }
        let content = match answer {
            Some(answer) => json!({ "application/json": { "schema": answer(gives) } }),
            None => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        };
        let mut responses = Map::new();
        responses.insert(
            (*status).to_owned(),
            json!({ "description": told, "headers": told_with, "content": content }),
        );
        if is_read {
            let words = "Nothing has changed since that tag";
            responses.insert("304".to_owned(), json!({ "description": words, "headers": { "ETag": etag } }));
        }
        let mut problems = vec!["401", "403", "429", "503"];
        if path.contains('{') {
            problems.push("404");
        }
        if query.is_some() {
            problems.push("422");
        }
        if body.is_some() {
            problems.extend(["400", "408", "409", "413", "415", "422"]);
        }
        for status in problems {
            responses.insert(status.to_owned(), problem(status));
        }
        let mut told = json!({
            "operationId": id,
            "tags": [tag],
            "summary": summary,
            "security": [{ TOKEN: [scope.token()] }],
            "parameters": parameters,
            "responses": responses,
        });
        if let Some(body) = body {
            let content = json!({ "application/json": { "schema": body(takes) } });
            told["requestBody"] = json!({ "required": true, "content": content });
        }
        told
    }
}

/// Each member of an object as a parameter of the query. What is optional is left out there, never null.
fn in_query(object: &Schema) -> Vec<Value> {
    let properties = object.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let words = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|one| one != "null");
            if let [only] = types.as_slice() {
                schema["type"] = only.clone();
            }
        }
        json!({ "name": name, "in": "query", "required": false, "description": words, "schema": schema })
    };
    properties.into_iter().map(parameter).collect()
}

fn problem(status: &str) -> Value {
    let codes: Vec<String> = Trouble::ALL
        .into_iter()
        .filter(|trouble| trouble.status().as_str() == status)
        .map(|trouble| format!("{} (`{}`)", trouble.title(), trouble.token()))
        .collect();
    json!({
        "description": codes.join("; "),
        "content": { PROBLEM: { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}
