//! `GET /metrics`

use actix_web::HttpResponse;
use actix_web::web::Data;
use database::Unusable;
use telemetry::metrics::Metric;

use super::error::ApiError;
use super::reason::Reason;
use crate::app::AppState;
use crate::metrics::definitions::{
    BUILD_INFO, CATALOGUE_AGE, CATALOGUE_ITEMS, CONNECTIONS, CONNECTIONS_MAX, DATABASE_STATE, DATABASE_UP,
    LOG_LINES, LOG_LINES_DROPPED, QUEUE_CAPACITY, QUEUE_ORDERS, READY, SPANS, TOKIO_QUEUE, TOKIO_TASKS,
    TOKIO_WORKERS, WRITERS,
};
use crate::service::readiness::DatabaseState;

/// Why metrics may not be shown.
pub const REFUSALS: &[Reason] = &[Reason::NotFound, Reason::Internal];

/// Read the metrics.
///
/// Everything that is counted, in Prometheus' text format; 404 with `ENABLE_METRICS=false`.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "about",
    responses((status = 200, description = "All metrics.", body = String, content_type = "text/plain")),
)]
pub async fn get(app: Data<AppState>) -> Result<HttpResponse, ApiError> {
    look(&app);
    let text = app.registry.render().ok_or_else(|| ApiError::not_found("path"))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

/// Reads what nobody counts as it happens.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn look(app: &AppState) {
    let registry = &app.registry;
    let set = |metric: &Metric, labels: &[&str], value: f64| registry.gauge(metric, labels).set(value);
    let flag = |metric: &Metric, is_so: bool| set(metric, &[], f64::from(u8::from(is_so)));
    let total = |metric: &Metric, labels: &[&str], count| registry.counter(metric, labels).absolute(count);

    flag(&READY, app.readiness.missing().is_empty());
    let database = app.readiness.database();
    let answers = matches!(database, DatabaseState::Up | DatabaseState::Unusable(Unusable::ReadOnly));
    flag(&DATABASE_UP, answers);
    for state in DatabaseState::NAMED.map(DatabaseState::name) {
        let is_so = f64::from(u8::from(state == database.name()));
        set(&DATABASE_STATE, &[&state.replace('-', "_")], is_so);
    }
    if let Some(age) = app.readiness.catalogue_age() {
        set(&CATALOGUE_AGE, &[], age.as_secs_f64());
    }
    let (promotions, coupon_codes) = app.promotions.counts();
    let products = app.menu.current().map_or(0, |menu| menu.len());
    let items = [
        ("products", products),
        ("promotions", promotions),
        ("coupon_codes", coupon_codes),
        ("api_keys", app.keys.count()),
    ];
    for (kind, count) in items {
        set(&CATALOGUE_ITEMS, &[kind], count as f64);
    }
    set(&QUEUE_ORDERS, &[], app.writer.waiting() as f64);
    set(&QUEUE_CAPACITY, &[], app.writer.room() as f64);
    set(&WRITERS, &[], app.writer.connected() as f64);
    for pool in app.pools.usage() {
        set(&CONNECTIONS, &[pool.name, "idle"], pool.idle.into());
        set(&CONNECTIONS, &[pool.name, "used"], pool.used.into());
        set(&CONNECTIONS_MAX, &[pool.name], pool.max.into());
    }

    total(&LOG_LINES, &["warn"], app.log_counts.warnings());
    total(&LOG_LINES, &["error"], app.log_counts.errors());
    total(&LOG_LINES_DROPPED, &[], app.log_counts.dropped());
    let spans = app.tracing.counts();
    total(&SPANS, &["exported"], spans.exported);
    total(&SPANS, &["failed"], spans.failed);
    total(&SPANS, &["dropped"], spans.dropped);
    let runtime = app.runtime.metrics();
    set(&TOKIO_WORKERS, &[], runtime.num_workers() as f64);
    set(&TOKIO_TASKS, &[], runtime.num_alive_tasks() as f64);
    set(&TOKIO_QUEUE, &[], runtime.global_queue_depth() as f64);
    set(&BUILD_INFO, &[&app.version], 1.0);
}
