//! `GET /`

use actix_web::http::header::{ContentType, VARY};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::docs::for_browsers;
use crate::http::negotiation::prefers_html;

/// What `/` answers.
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"message": "Welcome to order-food", "version": "0.1.0", "links": {
    "menu": "/api/product", "orders": "/api/order", "quote": "/api/order/quote", "docs": "/docs",
    "openapi": "/openapi.json", "health": "/health",
}})))]
pub struct Welcome {
    /// A greeting.
    message: &'static str,
    /// This program's.
    version: &'static str,
    #[schema(inline)]
    links: Links,
}

/// Where to go on.
#[derive(Serialize, ToSchema)]
struct Links {
    menu: &'static str,
    orders: &'static str,
    quote: &'static str,
    docs: &'static str,
    openapi: &'static str,
    health: &'static str,
}

const LINKS: Links = Links {
    menu: "/api/product",
    orders: "/api/order",
    quote: "/api/order/quote",
    docs: "/docs",
    openapi: "/openapi.json",
    health: "/health",
};

/// Find out what this is.
///
/// And where to go on; a page for browsers.
#[utoipa::path(
    get, path = "/", operation_id = "getWelcome", tag = "about",
    responses((
        status = 200, description = "A greeting.",
        content((Welcome = "application/json"), (String = "text/html")),
    )),
)]
pub async fn get(request: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header((VARY, "Accept"));
    if prefers_html(request.headers()) {
        let page = include_str!("../../../assets/welcome/index.html");
        return for_browsers(response.insert_header(ContentType::html()).body(page));
    }
    let version = env!("CARGO_PKG_VERSION");
    response.json(Welcome { message: "Welcome to order-food", version, links: LINKS })
}
