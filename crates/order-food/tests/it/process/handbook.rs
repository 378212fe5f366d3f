//! `docs/telemetry.md` says what is there: every span, attribute, metric and field of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use order_food::metrics::definitions::metrics;
use serde_json::Value;
use telemetry::metrics::Kind;
use test_database::{Collector, KeyValue, Manner, TestDatabase, TestEngine, handbook};

use super::Api;
use crate::harness::{ADMIN_KEY, KEY, cart, cart_with_code, hold_orders, load_sample_data};

const FILE: &str = "telemetry.md";

fn column(heading: &str, column: usize) -> BTreeSet<String> {
    handbook::table(FILE, heading).into_iter().map(|row| row[column].clone()).collect()
}

#[test]
fn metrics_are_those_of_the_code() {
    let said: Vec<_> = handbook::table(FILE, "### Of order-food");
    let meant: Vec<_> = metrics()
        .iter()
        .map(|metric| {
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            vec![metric.name.to_owned(), kind.to_owned(), metric.labels.join(", "), metric.help.to_owned()]
        })
        .collect();
    let rows: Vec<_> =
        meant.iter().map(|row| format!("| `{}` | {} | {} | {} |", row[0], row[1], row[2], row[3])).collect();
    assert!(said == meant, "the table has to be:\n{}", rows.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_and_log_fields_are_those_of_a_run() {
    let collector = Collector::start(Manner::Takes);
    let database = TestDatabase::migrated(TestEngine::Postgres).await;
    load_sample_data(&database).await;
    let endpoint = collector.endpoint();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("ENABLE_FAULT_INJECTION", "true"),
    ];
    let mut api = Api::start(database.url_text(), &settings);
    api.is_ready().await;
    let order = |body: String| {
        let request = api.client.post(api.url("/api/order")).header("api_key", KEY);
        let request = request.header("idempotency-key", "again").header("accept-encoding", "gzip");
        request.header("content-type", "application/json").body(body).send()
    };
    order(cart(&[("1", 1)])).await.unwrap();
    order(cart(&[("1", 1)])).await.unwrap();
    order(cart_with_code(&[("1", 1)], "NOSUCH99")).await.unwrap();
    let menu = api
        .client
        .get(api.url("/api/product"))
        .header("accept-encoding", "br")
        .header("user-agent", "handbook")
        .header("x-request-id", "handbook");
    menu.send().await.unwrap();
    api.text("/api/order").await;
    api.client.get(api.url("/panic")).header("api_key", ADMIN_KEY).send().await.unwrap();
    {
        // An order that cannot be stored in time is answered with 503, which says when to come back.
        let _held = hold_orders(&database).await;
        let late = api.client.post(api.url("/api/order")).header("api_key", KEY);
        late.header("content-type", "application/json").body(cart(&[("1", 1)])).send().await.unwrap();
    }
    api.process.signal("TERM");
    api.process.wait_for_line("\"stopped\"", Duration::from_secs(10));
    assert_eq!(api.process.wait(Duration::from_secs(10)).code(), Some(0));

    let spans = collector.spans();
    let kind_of = |name: &str, attributes: &BTreeSet<String>| {
        if attributes.contains("http.request.method") {
            "{method} {route}".to_owned()
        } else if attributes.contains("db.operation.name") {
            "{operation} {table}".to_owned()
        } else {
            name.to_owned()
        }
    };
    let (mut names, mut attributes, mut events, mut resource) =
        (BTreeSet::new(), BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut note = |attribute: &KeyValue, on: &str| {
        attributes.entry(attribute.key.clone()).or_insert_with(BTreeSet::new).insert(on.to_owned());
    };
    for span in &spans {
        let own: BTreeSet<_> = span.span.attributes.iter().map(|attribute| attribute.key.clone()).collect();
        let kind = kind_of(&span.span.name, &own);
        let on = match kind.as_str() {
            "{method} {route}" => "request",
            "{operation} {table}" => "statement",
            name => name,
        };
        span.span.attributes.iter().for_each(|attribute| note(attribute, on));
        for event in &span.span.events {
            event.attributes.iter().for_each(|attribute| note(attribute, &event.name));
        }
        events.extend(span.events().into_iter().map(str::to_owned));
        names.insert(kind);
        resource.extend(span.resource.keys().cloned());
    }
    assert_eq!(names, column("### Spans of order-food", 0));
    assert_eq!(events, column("### Events", 0));
    // What may stand on any of them stands on those that failed.
    attributes.insert("error.type".to_owned(), BTreeSet::from(["all".to_owned()]));
    let documented: BTreeMap<_, BTreeSet<_>> = handbook::table(FILE, "### Attributes of order-food")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].split(", ").map(str::to_owned).collect()))
        .collect();
    assert_eq!(attributes, documented);
    assert_eq!(resource, column("### Who sends", 0));

    let (mut of_requests, mut of_all) = (BTreeSet::new(), BTreeSet::new());
    for line in &api.process.log {
        let line: Value = serde_json::from_str(line).unwrap();
        let fields = line.as_object().unwrap().keys().cloned();
        if line["target"] == "access" {
            of_requests.extend(fields);
        } else {
            for always in ["timestamp", "level", "message", "target"] {
                assert!(line[always].is_string(), "{line}");
            }
            of_all.extend(fields);
        }
    }
    assert_eq!(of_requests, column("### A request's line", 0));
    let fixed = column("### Every other line", 0);
    assert!(fixed.is_subset(&of_all), "{of_all:?}");
}
