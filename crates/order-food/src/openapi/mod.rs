//! The API described in OpenAPI 3.1: what stands at each handler, and what all of them share.

mod refusals;
mod shared;

use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi};
use utoipa::{Modify, OpenApi as _};

use crate::handler::error::ErrorBody;
use crate::handler::reason::Reason;
use crate::handler::{docs, health, metrics, order, product, welcome};

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
    modifiers(&Aliases, &Keys, &Shared),
)]
struct Document;

/// The description of all operations, `/panic` excepted.
pub fn document() -> OpenApi {
    Document::openapi()
}

/// Why operations are refused; the others never are.
const REFUSALS: [(HttpMethod, &str, &[Reason]); 7] = [
    (HttpMethod::Get, "/api/product", product::list::REFUSALS),
    (HttpMethod::Get, "/api/product/{productId}", product::get::REFUSALS),
    (HttpMethod::Post, "/api/order", order::place::REFUSALS),
    (HttpMethod::Get, "/api/order", order::list::REFUSALS),
    (HttpMethod::Get, "/api/order/{orderId}", order::get::REFUSALS),
    (HttpMethod::Post, "/api/order/quote", order::quote::REFUSALS),
    (HttpMethod::Get, "/metrics", metrics::REFUSALS),
];

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
struct Keys;

impl Modify for Keys {
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
        for (method, path, reasons) in REFUSALS {
            let operation = document.paths.paths.get_mut(path).and_then(|item| match method {
                HttpMethod::Post => item.post.as_mut(),
                _ => item.get.as_mut(),
            });
            if let Some(operation) = operation {
                refusals::add(operation, path.starts_with("/api/"), reasons);
            }
        }
        for (path, item) in &mut document.paths.paths {
            let operations: [&mut Option<Operation>; 2] = [&mut item.get, &mut item.post];
            for operation in operations.into_iter().flatten() {
                let is_cached =
                    ["/api/product", "/docs", "/openapi."].iter().any(|start| path.starts_with(start));
                shared::add(operation, path.starts_with("/api/"), is_cached);
            }
        }
        shared::declare(document);
    }
}
