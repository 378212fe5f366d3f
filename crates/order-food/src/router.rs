//! Every route, in one place. What else must know the routes is derived from this list: `Allow`, `OPTIONS *`, the methods
//! that CORS allows, the refusals in the OpenAPI document, and the tests' list.

use std::collections::BTreeSet;

use actix_web::guard;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};

use crate::handler::page::{docs, welcome};
use crate::handler::{health, metrics, order, panic, product};
use crate::http::error::ApiError;
use crate::http::reason::Reason;
use crate::http::request_context::RequestContext;

/// A method of a path, with its handler.
pub struct Endpoint {
    /// The method. GET answers HEAD too (RFC 9110, section 9.3.2).
    pub method: Verb,
    /// The path, with the names of its parameters.
    pub path: &'static str,
    /// Why requests may be refused.
    pub refusals: &'static [Reason],
    handler: fn(Route) -> Route,
}

/// The methods that endpoints have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reads, and changes nothing.
    Get,
    /// Makes something.
    Post,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Get, Self::Post];

    /// The names of the methods that such an endpoint answers.
    pub const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET", "HEAD"],
            Self::Post => &["POST"],
        }
    }

    fn route(self) -> Route {
        match self {
            Self::Get => web::route().guard(guard::Any(guard::Get()).or(guard::Head())),
            Self::Post => web::post(),
        }
    }
}

impl Endpoint {
    /// The statuses of its responses: that of success, and those of its refusals.
    pub fn statuses(&self) -> BTreeSet<u16> {
        let refusals = self.refusals.iter().map(|reason| reason.status());
        refusals.chain([StatusCode::OK]).map(|status| status.as_u16()).collect()
    }
}

const fn endpoint(
    method: Verb,
    path: &'static str,
    refusals: &'static [Reason],
    handler: fn(Route) -> Route,
) -> Endpoint {
    Endpoint { method, path, refusals, handler }
}

/// Every endpoint, the most used first: paths are tried in this order.
pub const ENDPOINTS: &[Endpoint] = &[
    endpoint(Verb::Post, "/api/order", order::place::REFUSALS, |to| to.to(order::place::place)),
    endpoint(Verb::Get, "/api/order", order::list::REFUSALS, |to| to.to(order::list::list)),
    endpoint(Verb::Get, "/api/product", product::list::REFUSALS, |to| to.to(product::list::list)),
    endpoint(Verb::Get, "/api/product/{productId}", product::get::REFUSALS, |to| to.to(product::get::get)),
    endpoint(Verb::Post, "/api/order/quote", order::quote::REFUSALS, |to| to.to(order::quote::quote)),
    endpoint(Verb::Get, "/api/order/{orderId}", order::get::REFUSALS, |to| to.to(order::get::get)),
    endpoint(Verb::Get, "/livez", &[], |to| to.to(health::live::get)),
    endpoint(Verb::Get, "/readyz", &[], |to| to.to(health::ready::get)),
    endpoint(Verb::Get, "/healthcheck", &[], |to| to.to(health::ready::get)),
    endpoint(Verb::Get, "/health", &[], |to| to.to(health::detail::get)),
    endpoint(Verb::Get, "/metrics", metrics::REFUSALS, |to| to.to(metrics::get)),
    endpoint(Verb::Get, "/openapi.json", &[], |to| to.to(docs::openapi_json)),
    endpoint(Verb::Get, "/openapi.yaml", &[], |to| to.to(docs::openapi_yaml)),
    endpoint(Verb::Get, "/docs", &[], |to| to.to(docs::page)),
    endpoint(Verb::Get, "/docs/{file}", &[], |to| to.to(docs::file)),
    endpoint(Verb::Get, "/", &[], |to| to.to(welcome::get)),
];

/// Only routed with `ENABLE_FAULT_INJECTION=true`.
const ON_DEMAND: &[Endpoint] = &[endpoint(Verb::Get, "/panic", &[], |to| to.to(panic::get))];

/// The endpoints of the API, which alerts look at.
pub fn api_endpoints() -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS.iter().filter(|endpoint| endpoint.path.starts_with("/api/"))
}

/// The methods that any endpoint answers, and OPTIONS, as `Allow` lists them.
pub fn methods() -> String {
    allow(ENDPOINTS.iter())
}

/// The methods of one path, as `Allow` lists them.
pub fn methods_of(path: &str) -> String {
    let endpoints = ENDPOINTS.iter().chain(ON_DEMAND);
    allow(endpoints.filter(|endpoint| endpoint.path == path))
}

fn allow<'e>(endpoints: impl Iterator<Item = &'e Endpoint>) -> String {
    let methods = endpoints.flat_map(|endpoint| endpoint.method.methods()).chain(&["OPTIONS"]);
    methods.copied().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

/// Adds every route.
pub fn routes(config: &mut ServiceConfig, with_fault_injection: bool) {
    let on_demand = if with_fault_injection { ON_DEMAND } else { &[] };
    let endpoints = || ENDPOINTS.iter().chain(on_demand);
    let mut added = BTreeSet::new();
    for path in endpoints().map(|endpoint| endpoint.path).filter(|path| added.insert(*path)) {
        let of_path = endpoints().filter(|endpoint| endpoint.path == path);
        let add = |resource: Resource, endpoint: &Endpoint| {
            resource.route((endpoint.handler)(endpoint.method.route()))
        };
        config.service(of_path.fold(resource(path), add));
    }
    let all = methods();
    config.default_service(web::to(move |request: HttpRequest| {
        // `*` is the server as a whole (RFC 9110, section 9.3.7).
        let is_server = *request.method() == Method::OPTIONS && request.path() == "*";
        let response = if is_server { Ok(options(&all)) } else { Err(ApiError::not_found("path")) };
        std::future::ready(response)
    }));
}

/// A path that knows which methods it answers.
fn resource(path: &'static str) -> Resource {
    let allow = methods_of(path);
    // `match_pattern` of the request would do for requests that reach a handler. This is known of all others, too.
    let record_route = guard::fn_guard(move |request| {
        if let Some(context) = request.req_data().get::<RequestContext>() {
            context.set_route(path);
        }
        true
    });
    web::resource(path).guard(record_route).default_service(web::to(move |request: HttpRequest| {
        let is_options = *request.method() == Method::OPTIONS;
        let response =
            if is_options { Ok(options(&allow)) } else { Err(ApiError::method_not_allowed(&allow)) };
        std::future::ready(response)
    }))
}

/// The response that lists the methods of a path, or of the server.
fn options(allow: &str) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ALLOW, header_value(allow))).finish()
}

/// Names of methods, which any header can hold.
fn header_value(methods: &str) -> HeaderValue {
    HeaderValue::from_str(methods).unwrap_or_else(|_| HeaderValue::from_static(""))
}
