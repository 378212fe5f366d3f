//! `GET /health`

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::service::readiness::Schema;
use crate::state::AppState;

/// What `/health` answers, with 200 or 503.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Health, examples(json!({
    "status": "ready", "version": "0.1.0",
    "database": {"engine": "sqlite", "status": "up", "schema": "up to date", "warnings": []},
    "menu": {"loaded": true, "products": 10}, "keysLoaded": true, "draining": false, "missing": [],
})))]
pub struct Detail {
    /// `ready` or `unready`
    status: &'static str,
    /// This program's.
    version: &'static str,
    #[schema(inline)]
    database: Database,
    #[schema(inline)]
    menu: Menu,
    /// Whether API keys have been read.
    keys_loaded: bool,
    /// Whether the process is about to stop.
    draining: bool,
    /// What an unready process lacks.
    missing: Vec<String>,
}

/// The database, as this process sees it.
#[derive(Serialize, ToSchema)]
struct Database {
    /// `sqlite` or `postgresql`
    engine: &'static str,
    /// `up`: it answers; `down`: it does not. `standby`: only a standby is reachable; `read-only`: its sessions cannot
    /// write; `pooled`: a pooler changes the session with each transaction; `replaced`: the SQLite file is another one. With
    /// all of these but `up`, orders are refused.
    status: &'static str,
    /// `up to date`, `unfit` or `unknown`
    schema: &'static str,
    /// Settings of the server with which acknowledged orders may be lost when its machine crashes, as `fsync=off`.
    warnings: Vec<String>,
}

/// The menu, as this process has it.
#[derive(Serialize, ToSchema)]
struct Menu {
    /// Whether it has been read.
    loaded: bool,
    /// How many products are on it.
    products: usize,
}

/// How is it?
///
/// The same facts as `/readyz` in detail; the status is that of `/readyz` too.
#[utoipa::path(
    get, path = "/health", operation_id = "getHealth", tag = "health",
    responses(
        (status = 200, description = "Ready.", body = Detail),
        (status = 503, description = "Not ready.", body = Detail),
    ),
)]
pub async fn get(app: Data<AppState>) -> HttpResponse {
    let missing = app.catalogue.readiness.missing();
    let menu = app.catalogue.menu.current();
    let mut response =
        if missing.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(Detail {
        status: if missing.is_empty() { "ready" } else { "unready" },
        version: env!("CARGO_PKG_VERSION"),
        database: Database {
            engine: app.observability.engine,
            status: app.catalogue.readiness.database().name(),
            schema: match app.catalogue.readiness.schema() {
                Schema::Fit => "up to date",
                Schema::Unfit(_) => "unfit",
                Schema::Unknown => "unknown",
            },
            warnings: app.catalogue.readiness.warnings(),
        },
        menu: Menu { loaded: menu.is_some(), products: menu.map_or(0, |menu| menu.len()) },
        keys_loaded: app.catalogue.api_keys.are_loaded(),
        draining: app.catalogue.readiness.is_draining(),
        missing,
    })
}
