//! `GET /readyz`, also as `/healthcheck`

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::AppState;

/// What `/readyz` answers, with 200 or 503.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Readiness, examples(json!({"status": "ready", "database": "up", "missing": []})))]
pub struct Ready {
    /// `ready` or `unready`
    status: &'static str,
    /// `up`, `down`, `standby`, `read-only`, `pooled` or `replaced`: a process that has its data stays ready without its
    /// database, and serves the menu.
    database: &'static str,
    /// What an unready process lacks.
    missing: Vec<String>,
}

/// Should this process get traffic?
///
/// And if not, what is missing? Also at `/healthcheck`.
#[utoipa::path(
    get, path = "/readyz", operation_id = "getReadiness", tag = "health",
    responses(
        (status = 200, description = "It should.", body = Ready),
        (status = 503, description = "It should not.", body = Ready),
    ),
)]
pub async fn get(app: Data<AppState>) -> HttpResponse {
    let missing = app.catalogue.readiness.missing();
    let database = app.catalogue.readiness.database().name();
    if missing.is_empty() {
        HttpResponse::Ok().json(Ready { status: "ready", database, missing })
    } else {
        HttpResponse::ServiceUnavailable().json(Ready { status: "unready", database, missing })
    }
}
