//! The whole route table, for production and for tests.

use actix_web::http::{Method, header};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use crate::handler::error::ApiError;
use crate::handler::{fault, health, metrics, order, product, welcome};

const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "OPTIONS, POST";
const GET_POST: &str = "GET, HEAD, OPTIONS, POST";

/// The path of the route that answers a request, its parameters by name: few, however many paths are asked for.
#[derive(Debug, Clone, Copy)]
pub struct RouteTemplate(pub &'static str);

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
        .service(resource("/", GET).route(get().to(welcome::get)));
    if with_fault_injection {
        config.service(resource("/panic", GET).route(get().to(fault::panic)));
    }
    config.default_service(web::to(|| async { Err::<HttpResponse, _>(ApiError::not_found("path")) }));
}

/// A path that knows which methods it answers to.
fn resource(path: &'static str, allow: &'static str) -> Resource {
    web::resource(path).app_data(RouteTemplate(path)).default_service(web::to(
        move |request: HttpRequest| async move {
            if *request.method() == Method::OPTIONS {
                Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish())
            } else {
                Err(ApiError::method_not_allowed(allow))
            }
        },
    ))
}

/// GET, and HEAD, which is GET without the body (RFC 9110, section 9.3.2).
fn get() -> actix_web::Route {
    web::route().guard(actix_web::guard::Any(actix_web::guard::Get()).or(actix_web::guard::Head()))
}
