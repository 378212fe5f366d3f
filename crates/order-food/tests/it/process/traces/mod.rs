//! What a collector receives.

mod collectors;
mod orders;
mod requests;
mod sampling;

use test_database::{Collector, TestDatabase, TestEngine};

use super::Api;
use crate::harness::load_sample_data;

/// A trace of a caller.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn traced(engine: TestEngine, collector: &Collector, settings: &[(&str, &str)]) -> (TestDatabase, Api) {
    let database = TestDatabase::migrated(engine).await;
    load_sample_data(&database).await;
    let endpoint = collector.endpoint();
    let mut all =
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    all.extend_from_slice(settings);
    let api = Api::start(database.url_text(), &all);
    api.is_ready().await;
    (database, api)
}

fn metric(text: &str, name: &str) -> f64 {
    let line =
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
