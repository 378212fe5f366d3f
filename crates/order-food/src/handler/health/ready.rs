//! `GET /readyz`, also as `/healthcheck`

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;

use crate::app::AppState;

/// What `/readyz` answers, with 200 or 503.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    status: &'static str,
    database: &'static str,
    missing: Vec<String>,
}

/// Whether this process should get traffic, and if not, what is missing.
pub async fn get(app: Data<AppState>) -> HttpResponse {
    let missing = app.readiness.missing();
    let database = if app.readiness.is_database_up() { "up" } else { "down" };
    if missing.is_empty() {
        HttpResponse::Ok().json(Ready { status: "ready", database, missing })
    } else {
        HttpResponse::ServiceUnavailable().json(Ready { status: "unready", database, missing })
    }
}
