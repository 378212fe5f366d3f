//! The API described in OpenAPI 3.1: what stands at each handler, and what all of them share.

mod refusals;
mod shared;

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi};
use utoipa::{Modify, OpenApi as _};

use crate::handler::page::{docs, welcome};
use crate::handler::{health, metrics, order, product};
use crate::http::error::ErrorBody;
use crate::router::{self, Verb};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "order-food",
        description = "A menu, orders and prices of a food shop. HEAD answers wherever GET does, and OPTIONS everywhere. \
            Errors of every kind have one shape, `Error`; programs decide by its `reason`.",
        license(name = "MIT", identifier = "MIT"),
    ),
    servers((url = "/", description = "where this document came from")),
    tags(
        (name = "product", description = "What can be ordered. Needs no key."),
        (name = "order", description = "Orders of the client whose key is sent."),
        (name = "health", description = "For orchestrators and operators. Needs no key."),
        (name = "about", description = "What this is, and how it is doing."),
    ),
    paths(
        product::list::list,
        product::get::get,
        order::place::place,
        order::list::list,
        order::get::get,
        order::quote::quote,
        health::live::get,
        health::ready::get,
        health::detail::get,
        metrics::get,
        welcome::get,
        docs::page,
        docs::openapi_json,
        docs::openapi_yaml,
    ),
    components(schemas(ErrorBody<'static>)),
    modifiers(&Aliases, &SecuritySchemes, &Shared),
)]
struct Document;

/// The description of all operations, `/panic` excepted.
pub fn document() -> OpenApi {
    Document::openapi()
}

/// The description as JSON.
pub fn json() -> String {
    // Maps with texts as keys: there is nothing in it that JSON cannot say.
    document().to_json().unwrap_or_default()
}

/// Second paths of the same handlers.
struct Aliases;

impl Modify for Aliases {
    fn modify(&self, document: &mut OpenApi) {
        let paths = &mut document.paths.paths;
        if let Some(mut alias) = paths.get("/readyz").cloned() {
            if let Some(get) = &mut alias.get {
                get.operation_id = Some("getHealthcheck".to_owned());
                get.description = Some("The same as `/readyz`.".to_owned());
            }
            paths.insert("/healthcheck".to_owned(), alias);
        }
    }
}

/// The two headers in which a key may be sent.
struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut OpenApi) {
        let key = |header, what| {
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(header, what)))
        };
        let components = ComponentsBuilder::from(document.components.take().unwrap_or_default())
            .security_scheme(
                "api_key",
                key("api_key", "The key of an API client; the demo data's is `apitest`."),
            )
            .security_scheme(
                "x_api_key",
                key("X-API-Key", "The same, for clients behind proxies that drop names with underscores."),
            );
        document.components = Some(components.build());
    }
}

/// Refusals, headers and parameters.
struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut OpenApi) {
        for endpoint in router::ENDPOINTS.iter().filter(|endpoint| !endpoint.refusals.is_empty()) {
            let item = document.paths.paths.get_mut(endpoint.path);
            if let Some(operation) = item.and_then(|item| operation(item, endpoint.method).as_mut()) {
                refusals::add(operation, endpoint.path.starts_with("/api/"), endpoint.refusals);
            }
        }
        for (path, item) in &mut document.paths.paths {
            let is_cached =
                ["/api/product", "/docs", "/openapi."].iter().any(|start| path.starts_with(start));
            for verb in Verb::ALL {
                if let Some(operation) = operation(item, verb) {
                    shared::add(operation, path.starts_with("/api/"), is_cached);
                }
            }
        }
        shared::declare(document);
    }
}

/// The operation of a path with that method.
const fn operation(item: &mut PathItem, verb: Verb) -> &mut Option<Operation> {
    match verb {
        Verb::Get => &mut item.get,
        Verb::Post => &mut item.post,
    }
}
