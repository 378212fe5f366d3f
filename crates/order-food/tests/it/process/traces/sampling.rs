//! Which requests are traced.

use std::time::Duration;

use test_database::{Collector, Manner, TestEngine, on_both_engines, only};

use super::super::Api;
use super::{TRACE, traced};
use crate::harness::{KEY, cart};

on_both_engines!(what_is_not_sampled_makes_no_span,);

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
