//! `GET /livez`

use actix_web::HttpResponse;
use utoipa::ToSchema;

/// What `/livez` answers.
#[derive(ToSchema)]
#[schema(as = Alive, examples(json!({"status": "ok"})))]
#[expect(dead_code, reason = "the answer is always the same, and written out below")]
pub struct Alive {
    /// `ok`
    status: String,
}

/// Is the process alive?
///
/// It answers. Touches nothing: a database that is away is no reason to restart this process.
#[utoipa::path(
    get, path = "/livez", operation_id = "getLiveness", tag = "health",
    responses((status = 200, description = "It is.", body = Alive)),
)]
pub async fn get() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"status":"ok"}"#)
}
