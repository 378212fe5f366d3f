//! `GET /metrics`

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};

use order_food::metrics::definitions::metrics;
use reqwest::Method;
use telemetry::metrics::Kind;
use test_database::{TestEngine, on_both_engines};

use crate::harness::{KEY, TestServer, cart, cart_with_code};

on_both_engines!(what_happened_is_counted, every_metric_is_there_and_well_formed);

/// Every sample by its name with labels.
async fn scrape(server: &TestServer) -> (String, HashMap<String, String>) {
    let answer = server.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let samples = answer.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.to_owned())
    };
    (answer.text.clone(), samples.map(sample).collect())
}

fn requests(method: &str, route: &str, status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",http_route=\"{route}\",\
         http_response_status_code=\"{status}\"}}"
    )
}

async fn what_happened_is_counted(engine: TestEngine) {
    let server = TestServer::start_with(engine, &["--rate-limit-per-second", "0"]).await;
    let (_, before) = scrape(&server).await;

    for _ in 0..3 {
        server.get("/api/product").await;
    }
    for id in ["1", "2", "99"] {
        server.get(&format!("/api/product/{id}")).await;
    }
    server.order(KEY, &[("1", 2), ("3", 1)]).await;
    server.order_text(KEY, cart_with_code(&[("1", 1)], "SAVE10")).await.json();
    server.order_text(KEY, cart_with_code(&[("1", 1)], "OVER9000")).await.json();
    server.order_text(KEY, cart_with_code(&[("1", 1)], "NOSUCH99")).await.assert_error(422, "coupon_unknown");
    server.order_text(KEY, cart(&[("99", 1)])).await.assert_error(422, "unknown_product");
    server.order_text("nobody", cart(&[("1", 1)])).await.assert_error(403, "invalid_api_key");
    for _ in 0..2 {
        let request = server.request(Method::POST, "/api/order").header("api_key", KEY);
        let request = request.header("content-type", "application/json").header("idempotency-key", "k");
        assert_eq!(server.send(request.body(cart(&[("1", 1)]))).await.status, 200);
    }
    server.get("/no/such/path").await;
    server.send(server.request(Method::from_bytes(b"BREW").unwrap(), "/api/product")).await;

    let (text, after) = scrape(&server).await;
    let more = |name: &str| {
        let of = |samples: &HashMap<String, String>| -> i64 {
            samples.get(name).map_or(0, |value| value.parse().expect("a whole number"))
        };
        of(&after) - of(&before)
    };
    let counted = |name: &str, count: i64| assert_eq!(more(name), count, "{name}\n{text}");
    // What never happened is zero, not absent: else the first event is not an increase.
    let mut never =
        vec!["orders_refused_total{reason=\"internal\"}".to_owned(), "orders_unconfirmed_total".to_owned()];
    never.push("coupon_decisions_total{outcome=\"expired\"}".to_owned());
    for status in [200, 401, 429, 500, 503] {
        never.push(requests("POST", "/api/order", status));
    }
    never.push(requests("GET", "/api/order/{orderId}", 503));
    for name in never {
        assert_eq!(before.get(&name).map(String::as_str), Some("0"), "{name}");
    }
    counted(&requests("GET", "/api/product", 200), 3);
    counted(&requests("GET", "/api/product/{productId}", 200), 2);
    counted(&requests("GET", "/api/product/{productId}", 404), 1);
    counted(&requests("POST", "/api/order", 200), 5);
    counted(&requests("POST", "/api/order", 422), 2);
    counted(&requests("POST", "/api/order", 403), 1);
    counted(&requests("GET", "", 404), 1);
    counted(&requests("_OTHER", "/api/product", 405), 1);
    counted("orders_placed_total", 4);
    counted("orders_replayed_total", 1);
    counted("order_value_cents_count", 4);
    counted("orders_refused_total{reason=\"coupon_unknown\"}", 1);
    counted("orders_refused_total{reason=\"unknown_product\"}", 1);
    counted("orders_refused_total{reason=\"invalid_api_key\"}", 1);
    counted("coupon_decisions_total{outcome=\"promotion\"}", 1);
    counted("coupon_decisions_total{outcome=\"corpus\"}", 1);
    counted("coupon_decisions_total{outcome=\"unknown\"}", 1);
    // The repetition is found by the writer, which looks for its key in a transaction.
    counted("order_write_wait_seconds_count", 5);
    assert!(more("order_write_batch_orders_sum") >= 5);
    assert_eq!(after["order_queue_orders"], "0");
    assert_eq!(after["database_up"], "1");
    assert_eq!(after["ready"], "1");
    assert_eq!(after["catalogue_items{kind=\"products\"}"], "10");
    assert_eq!(after["catalogue_items{kind=\"coupon_codes\"}"], "8");
    assert!(after["catalogue_age_seconds"].parse::<f64>().unwrap() < 10.0);
    assert_eq!(after["http_server_active_requests{http_request_method=\"GET\"}"], "1", "this one");
    let cpu =
        |samples: &HashMap<String, String>| samples["process_cpu_seconds_total"].parse::<f64>().unwrap();
    assert!((0.0001..60.0).contains(&(cpu(&after) - cpu(&before))), "{} {}", cpu(&before), cpu(&after));
    assert!(!text.contains("NOSUCH99") && !text.contains(KEY));
}

async fn every_metric_is_there_and_well_formed(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    server.order_text(KEY, cart_with_code(&[("1", 1)], "SAVE10")).await.json();
    server.order_text(KEY, cart_with_code(&[("1", 1)], "NOSUCH99")).await.assert_error(422, "coupon_unknown");
    let (text, samples) = scrape(&server).await;
    for metric in metrics() {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(text.contains(&format!("# TYPE {} {kind}", metric.name)), "{}", metric.name);
        assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{}", metric.name);
        assert!(samples.keys().any(|name| name.starts_with(metric.name)), "{}", metric.name);
    }
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool comes with Prometheus; scripts/test.sh installs it");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_can_be_switched_off() {
    let server = TestServer::start_with(TestEngine::Sqlite, &["--enable-metrics", "false"]).await;
    server.get("/metrics").await.assert_error(404, "not_found");
    server.order(KEY, &[("1", 1)]).await;
}
