//! `GET /`

use actix_web::HttpResponse;
use serde::Serialize;

#[derive(Serialize)]
struct Welcome {
    message: &'static str,
    version: &'static str,
    links: [&'static str; 5],
}

/// Says what this is and where to go on.
pub async fn get() -> HttpResponse {
    HttpResponse::Ok().json(Welcome {
        message: "Welcome to order-food",
        version: env!("CARGO_PKG_VERSION"),
        links: ["/api/product", "/api/order", "/livez", "/readyz", "/health"],
    })
}
