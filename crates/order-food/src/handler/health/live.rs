//! `GET /livez`

use actix_web::HttpResponse;

/// The process answers. Touches nothing: a database that is away is no reason to restart this process.
pub async fn get() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"status":"ok"}"#)
}
