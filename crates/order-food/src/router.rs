//! The whole route table, for production and for tests.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::guard;
use actix_web::http::{Method, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};
use domain::ClientId;

use crate::handler::error::ApiError;
use crate::handler::{docs, fault, health, metrics, order, product, welcome};

const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "OPTIONS, POST";
const GET_POST: &str = "GET, HEAD, OPTIONS, POST";

/// Requests of a shop's clients that alerts look at.
pub const WATCHED_REQUESTS: [(&str, &str); 6] = [
    ("POST", "/api/order"),
    ("GET", "/api/order"),
    ("GET", "/api/order/{orderId}"),
    ("POST", "/api/order/quote"),
    ("GET", "/api/product"),
    ("GET", "/api/product/{productId}"),
];
/// Statuses that alerts look at.
pub const WATCHED_STATUSES: [u16; 9] = [200, 400, 401, 403, 409, 422, 429, 500, 503];

/// What becomes known of a request on its way to the handler, for the middleware, whatever becomes of the handler.
#[derive(Debug, Clone, Default)]
pub struct Seen(Rc<SeenOfRequest>);

#[derive(Debug, Default)]
struct SeenOfRequest {
    route: Cell<Option<&'static str>>,
    client: Cell<Option<ClientId>>,
    is_body_read: Cell<bool>,
}

impl Seen {
    /// The path of the route that answers, its parameters by name: few, however many paths are asked for.
    pub fn route(&self) -> Option<&'static str> {
        self.0.route.get()
    }

    /// Whose request it is.
    pub fn client(&self) -> Option<ClientId> {
        self.0.client.get()
    }

    /// Whether the body was read to its end.
    pub fn is_body_read(&self) -> bool {
        self.0.is_body_read.get()
    }

    /// Notes that the body was read to its end.
    pub fn note_body_read(&self) {
        self.0.is_body_read.set(true);
    }

    /// Notes whose request it is.
    pub fn set_client(&self, client: ClientId) {
        self.0.client.set(Some(client));
    }
}

/// Adds every route, the most travelled first: they are tried in this order. `/panic` only on demand.
pub fn routes(config: &mut ServiceConfig, with_fault_injection: bool) {
    config
        .service(
            resource("/api/order", GET_POST)
                .route(web::post().to(order::place::place))
                .route(get().to(order::list::list)),
        )
        .service(resource("/api/product", GET).route(get().to(product::list::list)))
        .service(resource("/api/product/{productId}", GET).route(get().to(product::get::get)))
        .service(resource("/api/order/quote", POST).route(web::post().to(order::quote::quote)))
        .service(resource("/api/order/{orderId}", GET).route(get().to(order::get::get)))
        .service(resource("/livez", GET).route(get().to(health::live::get)))
        .service(resource("/readyz", GET).route(get().to(health::ready::get)))
        .service(resource("/healthcheck", GET).route(get().to(health::ready::get)))
        .service(resource("/health", GET).route(get().to(health::detail::get)))
        .service(resource("/metrics", GET).route(get().to(metrics::get)))
        .service(resource("/openapi.json", GET).route(get().to(docs::openapi_json)))
        .service(resource("/openapi.yaml", GET).route(get().to(docs::openapi_yaml)))
        .service(resource("/docs", GET).route(get().to(docs::page)))
        .service(resource("/docs/{file}", GET).route(get().to(docs::file)))
        .service(resource("/", GET).route(get().to(welcome::get)));
    if with_fault_injection {
        config.service(resource("/panic", GET).route(get().to(fault::panic)));
    }
    config.default_service(web::to(|request: HttpRequest| async move {
        // The server as a whole (RFC 9110, section 9.3.7).
        if *request.method() == Method::OPTIONS && request.path() == "*" {
            return Ok(options(GET_POST));
        }
        Err(ApiError::not_found("path"))
    }));
}

/// A path that knows which methods it answers to.
fn resource(path: &'static str, allow: &'static str) -> Resource {
    let note_route = guard::fn_guard(move |request| {
        if let Some(seen) = request.req_data().get::<Seen>() {
            seen.0.route.set(Some(path));
        }
        true
    });
    web::resource(path).guard(note_route).default_service(web::to(move |request: HttpRequest| async move {
        if *request.method() == Method::OPTIONS {
            Ok(options(allow))
        } else {
            Err(ApiError::method_not_allowed(allow))
        }
    }))
}

/// What a path, or the server, answers to.
fn options(allow: &'static str) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish()
}

/// GET, and HEAD, which is GET without the body (RFC 9110, section 9.3.2).
fn get() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
