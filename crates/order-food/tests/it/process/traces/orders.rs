//! What orders look like in traces.

use std::time::Duration;

use serde_json::Value;
use test_database::{Collector, Manner, Received, TestEngine, on_both_engines, only};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{TRACE, metric, traced};
use crate::harness::{KEY, cart, eventually, hold_orders};

on_both_engines!(an_order_is_one_trace, orders_of_one_transaction_are_linked_with_it, reading_is_seen_as_sql,);

/// `opentelemetry_proto`'s numbers.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;

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
