//! What a collector receives.

use std::time::{Duration, Instant};

use serde_json::Value;
use test_database::{Collector, Manner, Received, TestDatabase, TestEngine, on_both_engines, only};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Api;
use crate::harness::{ADMIN_KEY, KEY, cart, cart_with_code, eventually, hold_orders, load_sample_data};

on_both_engines!(
    an_order_is_one_trace,
    orders_of_one_transaction_are_linked_with_it,
    reading_is_seen_as_sql,
    what_is_not_sampled_makes_no_span,
);

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// `opentelemetry_proto`'s numbers.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;

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

async fn an_order_is_one_trace(engine: TestEngine) {
    let collector = Collector::start(Manner::Takes);
    let settings = [("ENVIRONMENT", "testing"), ("SERVICE_VERSION", "9.8.7")];
    let (database, mut api) = traced(engine, &collector, &settings).await;
    let request = api.client.post(api.url("/api/order")).header("api_key", KEY);
    let request = request.header("content-type", "application/json").header("x-request-id", "lunch-7");
    let request = request.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
    let response = request.body(cart(&[("1", 2), ("3", 1)])).send().await.unwrap();
    let traceresponse = response.headers()["traceresponse"].to_str().unwrap().to_owned();
    let order: Value = response.json().await.unwrap();

    let spans = collector.wait_for("the order", |spans| {
        spans.iter().any(|span| span.span.name == "POST /api/order")
            && spans.iter().any(|span| span.span.name == "order.write")
    });
    let server = only(&spans, "POST /api/order");
    assert_eq!((server.trace_id().as_str(), server.span.kind), (TRACE, SERVER));
    assert_eq!(server.span.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    let span_id: String = server.span.span_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(traceresponse, format!("00-{TRACE}-{span_id}-01"));
    let attribute = |name| server.attribute(name).unwrap_or_default();
    assert_eq!(attribute("http.request.method"), "POST");
    assert_eq!(attribute("http.route"), "/api/order");
    assert_eq!(attribute("url.path"), "/api/order");
    assert_eq!(attribute("url.scheme"), "http");
    assert_eq!(server.number("http.response.status_code"), Some(200));
    assert_eq!(server.number("server.port"), Some(api.address.port().into()));
    assert_eq!(attribute("order.id"), order["id"].as_str().unwrap());
    assert_eq!(attribute("network.protocol.version"), "1.1");
    assert_eq!(attribute("http.request.header.x-request-id"), "lunch-7");
    assert_eq!(attribute("http.response.header.content-type"), "application/json");
    assert_eq!(server.events(), ["validated", "priced", "persisted"]);
    let persisted = format!("{:?}", server.span.events[2].attributes);
    assert!(persisted.contains(order["id"].as_str().unwrap()), "{persisted}");
    for child in ["order.validate", "order.price", "order.persist"] {
        assert!(only(&spans, child).is_child_of(server), "{child}");
    }

    let (persist, write) = (only(&spans, "order.persist"), only(&spans, "order.write"));
    // One alone in its transaction has it in its own trace.
    assert!(write.is_child_of(persist) && write.span.links.is_empty());
    assert_eq!(write.number("order.batch.size"), Some(1));
    for duration in ["order.wait.duration", "order.write.duration"] {
        assert!(persist.span.attributes.iter().any(|attribute| attribute.key == duration), "{duration}");
    }
    let sql = only(&spans, "INSERT orders");
    assert!(sql.is_child_of(write));
    assert_eq!(sql.span.kind, CLIENT);
    assert_eq!(sql.attribute("db.system.name").as_deref(), Some(database.url().engine()));
    assert_eq!(sql.attribute("db.collection.name").as_deref(), Some("orders"));
    assert_eq!(sql.attribute("db.query.summary").as_deref(), Some("INSERT orders"));
    if engine == TestEngine::Postgres {
        assert!(sql.number("server.port").is_some_and(|port| port > 0));
    }

    let resource = |name: &str| server.resource.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(resource("service.name"), "order-food");
    assert_eq!(resource("service.version"), "9.8.7");
    assert_eq!(resource("deployment.environment.name"), "testing");
    assert_eq!(resource("service.instance.id").len(), 32);

    let line = api.process.wait_for_line("lunch-7", Duration::from_secs(5));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["trace_id"], TRACE, "log and span are joined by the trace's id");
}

async fn orders_of_one_transaction_are_linked_with_it(engine: TestEngine) {
    /// As many as are let in however long those before them wait.
    const ORDERS: u32 = 60;
    let collector = Collector::start(Manner::Takes);
    let (database, api) = traced(engine, &collector, &[]).await;
    let held = hold_orders(&database).await;
    // Each writer has an order that it cannot store; whatever comes then is taken together.
    let taken_first = if engine == TestEngine::Postgres { 2 } else { 1 };
    let seen = async |name: &str| metric(&api.text("/metrics").await, name);
    let mut clients = Vec::new();
    for _ in 0..taken_first + ORDERS {
        clients.push(TcpStream::connect(api.address).await.unwrap());
    }
    let body = cart(&[("1", 1)]);
    let request = format!(
        "POST /api/order HTTP/1.1\r\nHost: a\r\napi_key: {KEY}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for (client, others) in clients.iter_mut().zip(0u32..) {
        client.write_all(request.as_bytes()).await.unwrap();
        if others < taken_first {
            let taken = async || seen("order_write_wait_seconds_count").await >= f64::from(others + 1);
            eventually("a writer has it", taken).await;
        }
    }
    eventually("all others wait", async || seen("order_queue_orders").await >= f64::from(ORDERS)).await;
    drop(held);
    for mut client in clients {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let all = (ORDERS + taken_first) as usize;
    let named = |spans: &[Received], name: &str| {
        spans.iter().filter(|span| span.span.name == name).cloned().collect::<Vec<_>>()
    };
    let spans = collector.wait_for("all transactions", |spans| {
        let carried: usize =
            named(spans, "order.write").iter().map(|write| write.span.links.len().max(1)).sum();
        carried >= all && named(spans, "order.persist").len() == all
    });
    let (writes, persists) = (named(&spans, "order.write"), named(&spans, "order.persist"));
    for write in &writes {
        // One alone is in its own trace.
        let carried = write.span.links.len().max(1);
        assert_eq!(write.number("order.batch.size"), i64::try_from(carried).ok(), "everything was kept");
        assert_eq!(write.span.dropped_links_count, 0);
    }
    assert!(
        writes.iter().any(|write| write.span.links.len() == ORDERS as usize),
        "they waited for the same transaction"
    );
    for persist in &persists {
        // On PostgreSQL one that had to wait too long for the lock is tried again.
        let carriers: Vec<_> = writes.iter().filter(|write| write.links_to(persist)).collect();
        let is_alone = writes.iter().any(|write| write.is_child_of(persist));
        assert!(is_alone || !carriers.is_empty());
        assert!(carriers.iter().all(|carrier| persist.links_to(carrier)));
    }
}

async fn reading_is_seen_as_sql(engine: TestEngine) {
    let collector = Collector::start(Manner::Takes);
    let (_database, api) = traced(engine, &collector, &[]).await;
    let id = api.order().await["id"].as_str().unwrap().to_owned();
    api.text(&format!("/api/order/{id}")).await;
    let spans = collector.wait_for("the look at the order", |spans| {
        spans.iter().any(|span| span.span.name == "GET /api/order/{orderId}")
    });
    let sql = only(&spans, "SELECT orders");
    assert!(sql.is_child_of(only(&spans, "GET /api/order/{orderId}")));
    let text = sql.attribute("db.query.text").unwrap();
    assert!(text.contains("where id = $1") && !text.contains(&id), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_seen() {
    let collector = Collector::start(Manner::Takes);
    let (_database, api) =
        traced(TestEngine::Sqlite, &collector, &[("ENABLE_FAULT_INJECTION", "true")]).await;
    let panic = api.client.get(api.url("/panic")).header("api_key", ADMIN_KEY).send().await.unwrap();
    assert_eq!(panic.status(), 500);
    let refused = api.client.post(api.url("/api/order")).header("api_key", KEY);
    let refused =
        refused.header("content-type", "application/json").body(cart_with_code(&[("1", 1)], "NOSUCH99"));
    assert_eq!(refused.send().await.unwrap().status(), 422);
    let spans = collector.wait_for("both", |spans| {
        let reasons: Vec<_> = spans.iter().filter_map(|span| span.attribute("order_food.reason")).collect();
        ["internal", "coupon_unknown"].iter().all(|reason| reasons.iter().any(|seen| seen == reason))
    });
    let of = |reason: &str| {
        let mut found =
            spans.iter().filter(|span| span.attribute("order_food.reason").as_deref() == Some(reason));
        found.next().unwrap()
    };
    let is_error = |span: &Received| span.span.status.as_ref().is_some_and(|status| status.code == ERROR);
    assert!(is_error(of("internal")));
    assert_eq!(of("internal").span.name, "GET /panic");
    assert_eq!(of("internal").attribute("error.type").as_deref(), Some("panic"));
    assert!(!is_error(of("coupon_unknown")), "a refusal is no failure of the server");
    assert_eq!(of("coupon_unknown").number("http.response.status_code"), Some(422));
}

/// Everything a client can send that is nobody else's business.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_span() {
    const SECRETS: [&str; 8] = [
        KEY,
        "idempotency-5f1c",
        "bearer-7a3e",
        "cookie-91bd",
        "SAVE10",
        "WRONGCODE",
        "wrong-key-44d0",
        "query-c0ffee",
    ];
    let collector = Collector::start(Manner::Takes);
    let (_database, api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    let order = |key: &str, code: &str| {
        let request = api.client.post(api.url("/api/order")).header("api_key", key).header("X-API-Key", key);
        let request =
            request.header("idempotency-key", "idempotency-5f1c").header("cookie", "session=cookie-91bd");
        let request = request.header("authorization", "Bearer bearer-7a3e");
        request.header("content-type", "application/json").body(cart_with_code(&[("1", 1)], code)).send()
    };
    assert_eq!(order(KEY, "SAVE10").await.unwrap().status(), 200);
    assert_eq!(order(KEY, "SAVE10").await.unwrap().status(), 200);
    assert_eq!(order(KEY, "WRONGCODE").await.unwrap().status(), 422);
    assert_eq!(order("wrong-key-44d0", "SAVE10").await.unwrap().status(), 403);
    for path in [
        "/api/product?q=query-c0ffee",
        "/api/order?limit=3",
        "/nothing?api_key=query-c0ffee",
        "/openapi.json",
    ] {
        api.text(path).await;
    }
    let spans = collector
        .wait_for("the last request", |spans| spans.iter().any(|span| span.span.name == "GET /openapi.json"));
    let export = format!("{spans:?}");
    for secret in SECRETS {
        assert!(!export.contains(secret), "{secret}");
    }
}

/// Whoever goes away before the answer is still told of, and an order that was stored for nobody is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_went_away_is_seen() {
    let collector = Collector::start(Manner::Takes);
    let (database, mut api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    let held = hold_orders(&database).await;
    let mut client = TcpStream::connect(api.address).await.unwrap();
    let body = cart(&[("1", 1)]);
    let request = format!(
        "POST /api/order HTTP/1.1\r\nhost: shop\r\napi_key: {KEY}\r\nx-request-id: gone-1\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all((request + &body).as_bytes()).await.unwrap();
    let active = "http_server_active_requests{http_request_method=\"POST\"}";
    eventually("the order waits", async || metric(&api.text("/metrics").await, active) >= 1.0).await;
    // Reset, not closed: who closes may still want to read.
    client.set_zero_linger().unwrap();
    drop(client);
    eventually("the request is over", async || metric(&api.text("/metrics").await, active) < 1.0).await;
    drop(held);
    let line = api.process.wait_for_line("gone-1", Duration::from_secs(5));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["status"], &line["route"]), (&499.into(), &"/api/order".into()), "{line}");
    let spans = collector.wait_for("the request", |spans| {
        spans.iter().any(|span| span.number("http.response.status_code") == Some(499))
    });
    only(&spans, "POST /api/order");
    eventually("the order is counted", async || {
        metric(&api.text("/metrics").await, "orders_placed_total") >= 1.0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_strangers_send_is_cut() {
    let collector = Collector::start(Manner::Takes);
    let (_database, api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    let long = "x".repeat(5_000);
    let request = api.client.get(api.url(&format!("/api/product/{long}"))).header("user-agent", &long);
    request.header("accept", &long).header("x-request-id", &long).send().await.unwrap();
    let spans = collector
        .wait_for("the request", |spans| spans.iter().any(|span| span.span.name.contains("productId")));
    let span = only(&spans, "GET /api/product/{productId}");
    for attribute in span.span.attributes.iter().filter(|attribute| attribute.key != "server.port") {
        if attribute.key != "http.response.status_code" {
            assert!(span.attribute(&attribute.key).unwrap().len() <= 256, "{}", attribute.key);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_does_not_wait_for_the_collector() {
    let collector = Collector::start(Manner::BlackHole);
    let (_database, mut api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    api.text("/").await;
    let told = Instant::now();
    api.process.signal("INT");
    api.process.wait_for_line("\"stopped\"", Duration::from_secs(5));
    api.process.signal("INT");
    assert_eq!(api.process.wait(Duration::from_secs(5)).code(), Some(130));
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_caller_does_not_keep_is_not_kept() {
    let collector = Collector::start(Manner::Takes);
    let (_database, api) = traced(TestEngine::Sqlite, &collector, &[]).await;
    let ask = |traceparent: &str| {
        api.client.get(api.url("/api/product")).header("traceparent", traceparent.to_owned()).send()
    };
    let unkept = ask(&format!("00-{TRACE}-b7ad6b7169203331-00")).await.unwrap();
    assert_eq!(unkept.headers()["x-request-id"], TRACE, "the id is still the caller's");
    assert!(!unkept.headers().contains_key("traceresponse"));
    ask("00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").await.unwrap();
    let spans =
        collector.wait_for("the other", |spans| spans.iter().any(|span| span.trace_id().starts_with('1')));
    assert!(spans.iter().all(|span| span.trace_id() != TRACE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ratio_keeps_that_share() {
    let collector = Collector::start(Manner::Takes);
    let settings = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25")];
    let (_database, api) = traced(TestEngine::Sqlite, &collector, &settings).await;
    for _ in 0..400 {
        api.text("/").await;
    }
    api.client
        .get(api.url("/docs"))
        .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"))
        .send()
        .await
        .unwrap();
    let spans =
        collector.wait_for("the last", |spans| spans.iter().any(|span| span.span.name == "GET /docs"));
    let kept = spans.iter().filter(|span| span.span.name == "GET /").count();
    // 400 draws at a quarter: 100, standard deviation 8.7; this is five of them.
    assert!((57..=143).contains(&kept), "{kept} of 400");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_is_spoken_too() {
    let collector = Collector::start_grpc().await;
    let (_database, api) =
        traced(TestEngine::Sqlite, &collector, &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).await;
    api.text("/api/product").await;
    tokio::task::spawn_blocking(move || {
        collector.wait_for("the menu", |spans| spans.iter().any(|span| span.span.name == "GET /api/product"))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_costs_nothing_visible() {
    let collector = Collector::start(Manner::BlackHole);
    let (_database, mut api) =
        traced(TestEngine::Sqlite, &collector, &[("OTEL_BSP_MAX_QUEUE_SIZE", "600")]).await;
    for _ in 0..1500 {
        api.text("/").await;
    }
    let asked = Instant::now();
    api.order().await;
    assert!(asked.elapsed() < Duration::from_secs(1));
    let metrics = api.text("/metrics").await;
    let dropped = metric(&metrics, "trace_spans_total{outcome=\"dropped\"}");
    assert!(dropped >= 900.0, "what does not fit is counted: {dropped}");
    let stopping = Instant::now();
    api.process.signal("TERM");
    assert_eq!(api.process.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(8), "{:?}", stopping.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_is_one_warning() {
    let database = TestDatabase::migrated(TestEngine::Sqlite).await;
    load_sample_data(&database).await;
    // Port 9 is the discard service's; nobody listens there.
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let mut api = Api::start(database.url_text(), &settings);
    let mut failed = 0.0;
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut batches = 0;
    while batches < 3 {
        api.text("/").await;
        let now = metric(&api.text("/metrics").await, "trace_spans_total{outcome=\"failed\"}");
        batches += u32::from(now > failed);
        failed = now;
        assert!(Instant::now() < deadline, "{failed} spans failed");
    }
    api.process.signal("TERM");
    api.process.wait_for_line("\"stopped\"", Duration::from_secs(5));
    assert_eq!(api.process.wait(Duration::from_secs(10)).code(), Some(0));
    let warnings: Vec<_> = api.process.log.iter().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("http://127.0.0.1:9/v1/traces"), "{warnings:?}");
    assert!(warnings[0].contains("Connection refused"), "{warnings:?}");
}

fn metric(text: &str, name: &str) -> f64 {
    let line =
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Places orders, some with the caller's decision about its trace.
async fn orders(api: &Api, count: u32, traceparent: Option<&str>) {
    let order = async |number: u32| {
        let request = api.client.post(api.url("/api/order")).header("api_key", KEY);
        let request = request.header("content-type", "application/json");
        let request = request.header("idempotency-key", format!("{traceparent:?}-{number}"));
        let request = match traceparent {
            Some(traceparent) => request.header("traceparent", traceparent),
            None => request,
        };
        assert_eq!(request.body(cart(&[("1", 1)])).send().await.unwrap().status(), 200);
    };
    futures_util::future::join_all((0..count).map(order)).await;
}

async fn what_is_not_sampled_makes_no_span(engine: TestEngine) {
    let unsampled = format!("00-{TRACE}-b7ad6b7169203331-00");
    let sampled = format!("00-{TRACE}-b7ad6b7169203331-01");
    for (settings, traceparent) in [
        (&[("OTEL_TRACES_SAMPLER", "always_off")][..], None),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], Some(&sampled)),
        (&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")], None),
        (&[], Some(&unsampled)),
    ] {
        let collector = Collector::start(Manner::Takes);
        let (_database, mut api) = traced(engine, &collector, settings).await;
        orders(&api, 20, traceparent.map(String::as_str)).await;
        // What waits is sent before the end.
        api.process.signal("TERM");
        assert!(api.process.wait(Duration::from_secs(10)).success());
        let names: Vec<_> = collector.spans().iter().map(|span| span.span.name.clone()).collect();
        assert!(names.is_empty(), "{settings:?} {traceparent:?}: {names:?}");
    }
    // One of many in a transaction that is sampled brings its transaction, and no other order.
    let collector = Collector::start(Manner::Takes);
    let settings = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let (_database, mut api) = traced(engine, &collector, &settings).await;
    tokio::join!(orders(&api, 20, None), orders(&api, 1, Some(&sampled)));
    api.process.signal("TERM");
    assert!(api.process.wait(Duration::from_secs(10)).success());
    let spans = collector.spans();
    let persisted: Vec<_> = spans.iter().filter(|span| span.span.name == "order.persist").collect();
    assert_eq!(persisted.len(), 1);
    assert!(spans.iter().filter(|span| span.span.name == "order.write").count() <= 2, "tried at most twice");
    assert!(spans.len() <= 10, "{:?}", spans.iter().map(|span| &span.span.name).collect::<Vec<_>>());
}

/// Probes come every few seconds: they would hide what is looked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_make_spans_only_where_they_are_asked_for() {
    const PROBES: [&str; 5] = ["/livez", "/readyz", "/health", "/healthcheck", "/metrics"];
    for (settings, expected) in [(&[][..], 0), (&[("TRACE_PROBES", "true")][..], PROBES.len())] {
        let collector = Collector::start(Manner::Takes);
        let (_database, mut api) = traced(TestEngine::Sqlite, &collector, settings).await;
        for path in PROBES {
            api.text(path).await;
        }
        api.text("/api/product").await;
        api.process.signal("TERM");
        assert!(api.process.wait(Duration::from_secs(10)).success());
        let spans = collector.spans();
        only(&spans, "GET /api/product");
        let traced = PROBES
            .iter()
            .filter(|probe| spans.iter().any(|span| span.attribute("url.path").as_deref() == Some(**probe)));
        assert_eq!(traced.count(), expected);
    }
}

/// Whose traces are not continued begins its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_are_continued_as_propagators_say() {
    for (propagators, is_continued) in [("tracecontext,baggage", true), ("none", false), ("baggage", false)] {
        let collector = Collector::start(Manner::Takes);
        let settings = [("OTEL_PROPAGATORS", propagators)];
        let (_database, api) = traced(TestEngine::Sqlite, &collector, &settings).await;
        orders(&api, 1, Some(&format!("00-{TRACE}-b7ad6b7169203331-01"))).await;
        let spans = collector
            .wait_for("the order", |spans| spans.iter().any(|span| span.span.name == "POST /api/order"));
        assert_eq!(only(&spans, "POST /api/order").trace_id() == TRACE, is_continued, "{propagators}");
    }
}
