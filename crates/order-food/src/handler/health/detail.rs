//! `GET /health`

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;

use crate::app::AppState;
use crate::service::readiness::Schema;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    status: &'static str,
    version: &'static str,
    database: Database,
    menu: Menu,
    keys_loaded: bool,
    draining: bool,
    missing: Vec<String>,
}

#[derive(Serialize)]
struct Database {
    engine: &'static str,
    status: &'static str,
    schema: &'static str,
}

#[derive(Serialize)]
struct Menu {
    loaded: bool,
    products: usize,
}

/// The same facts as `/readyz` in detail; the status is that of `/readyz` too.
pub async fn get(app: Data<AppState>) -> HttpResponse {
    let missing = app.readiness.missing();
    let menu = app.menu.current();
    let mut response =
        if missing.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(Detail {
        status: if missing.is_empty() { "ready" } else { "unready" },
        version: env!("CARGO_PKG_VERSION"),
        database: Database {
            engine: app.engine,
            status: if app.readiness.is_database_up() { "up" } else { "down" },
            schema: match app.readiness.schema() {
                Schema::Fit => "up to date",
                Schema::Unfit(_) => "unfit",
                Schema::Unknown => "unknown",
            },
        },
        menu: Menu { loaded: menu.is_some(), products: menu.map_or(0, |menu| menu.len()) },
        keys_loaded: app.keys.are_loaded(),
        draining: app.readiness.is_draining(),
        missing,
    })
}
