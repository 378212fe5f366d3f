//! `GET /metrics`

use actix_web::HttpResponse;
use actix_web::web::Data;
use database::Unusable;
use telemetry::metrics::Metric;

use crate::http::error::ApiError;
use crate::http::reason::Reason;
use crate::metrics::definitions::{
    BUILD_INFO, CATALOGUE_AGE, CATALOGUE_ITEMS, CATALOGUE_UNKNOWN, CONNECTIONS, CONNECTIONS_MAX,
    DATABASE_STATE, DATABASE_UP, LOG_LINES, LOG_LINES_DROPPED, QUEUE_CAPACITY, QUEUE_ORDERS, READY, SPANS,
    TOKIO_QUEUE, TOKIO_TASKS, TOKIO_WORKERS, WRITERS,
};
use crate::service::readiness::DatabaseState;
use crate::state::AppState;

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
    collect(&app);
    let text = app.observability.registry.render().ok_or_else(|| ApiError::not_found("path"))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

/// Reads what is not counted as it happens.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn collect(app: &AppState) {
    let AppState { catalogue, observability, .. } = app;
    let registry = &observability.registry;
    let set = |metric: &Metric, labels: &[&str], value: f64| registry.gauge(metric, labels).set(value);
    let flag = |metric: &Metric, is_so: bool| set(metric, &[], f64::from(u8::from(is_so)));
    let total = |metric: &Metric, labels: &[&str], count| registry.counter(metric, labels).absolute(count);

    flag(&READY, catalogue.readiness.missing().is_empty());
    let database = catalogue.readiness.database();
    let answers = matches!(database, DatabaseState::Up | DatabaseState::Unusable(Unusable::ReadOnly));
    flag(&DATABASE_UP, answers);
    for state in DatabaseState::NAMED.map(DatabaseState::name) {
        let is_so = f64::from(u8::from(state == database.name()));
        set(&DATABASE_STATE, &[&state.replace('-', "_")], is_so);
    }
    if let Some(age) = catalogue.readiness.catalogue_age() {
        set(&CATALOGUE_AGE, &[], age.as_secs_f64());
    }
    let (promotions, coupon_codes) = catalogue.promotions.counts();
    let products = catalogue.menu.current().map_or(0, |menu| menu.len());
    let items = [
        ("products", products),
        ("promotions", promotions),
        ("coupon_codes", coupon_codes),
        ("api_keys", catalogue.api_keys.count()),
    ];
    for (kind, count) in items {
        set(&CATALOGUE_ITEMS, &[kind], count as f64);
    }
    set(&CATALOGUE_UNKNOWN, &["scopes"], catalogue.api_keys.unknown_scopes() as f64);
    set(&CATALOGUE_UNKNOWN, &["promotion_kinds"], catalogue.promotions.unknown_kinds() as f64);
    set(&QUEUE_ORDERS, &[], observability.writer.waiting() as f64);
    set(&QUEUE_CAPACITY, &[], observability.writer.queue_limit() as f64);
    set(&WRITERS, &[], observability.writer.connected() as f64);
    for pool in observability.pools.usage() {
        set(&CONNECTIONS, &[pool.name, "idle"], pool.idle.into());
        set(&CONNECTIONS, &[pool.name, "used"], pool.used.into());
        set(&CONNECTIONS_MAX, &[pool.name], pool.max.into());
    }

    total(&LOG_LINES, &["warn"], observability.log_counts.warnings());
    total(&LOG_LINES, &["error"], observability.log_counts.errors());
    total(&LOG_LINES_DROPPED, &[], observability.log_counts.dropped());
    let spans = observability.tracing.counts();
    total(&SPANS, &["exported"], spans.exported);
    total(&SPANS, &["failed"], spans.failed);
    total(&SPANS, &["dropped"], spans.dropped);
    let runtime = observability.runtime.metrics();
    set(&TOKIO_WORKERS, &[], runtime.num_workers() as f64);
    set(&TOKIO_TASKS, &[], runtime.num_alive_tasks() as f64);
    set(&TOKIO_QUEUE, &[], runtime.global_queue_depth() as f64);
    set(&BUILD_INFO, &[&observability.version], 1.0);
}
