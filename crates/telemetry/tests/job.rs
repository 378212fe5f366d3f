//! A job that does much at once, and panics. A process of its own: telemetry is started once in each.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::Parser;
use telemetry::{LogStream, Service, Telemetry, TelemetryArgs, traces};
use test_database::{Collector, Manner, only};

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

/// More than the 128 links that a span has unless told otherwise.
const PARTS: usize = 256;

#[test]
fn what_was_seen_before_a_panic_is_sent_with_all_its_links() {
    let collector = Collector::start(Manner::Takes);
    let arguments = ["job", "--otel-exporter-otlp-endpoint", &collector.endpoint()];
    let arguments = Arguments::try_parse_from(arguments).unwrap();
    let job = AssertUnwindSafe(|| {
        let service = Service { name: "job", version: "1" };
        let telemetry = Telemetry::start(service, &arguments.telemetry, LogStream::Stderr);
        let root = telemetry.tracing().root(None, || telemetry::root_span!("job.execute")).unwrap();
        let _root = root.span.entered();
        let parts: Vec<_> = (0..PARTS).map(|_| telemetry::span!("job.part")).collect();
        traces::joint(parts.iter(), || telemetry::root_span!("job.joint")).unwrap().end();
        drop(parts);
        let _step = telemetry::span!("job.step").entered();
        panic!("the step goes wrong");
    });
    assert!(catch_unwind(job).is_err());
    let spans = collector.spans();
    let (root, step) = (only(&spans, "job.execute"), only(&spans, "job.step"));
    assert!(step.is_child_of(root));
    assert_eq!(step.attribute("error.type").as_deref(), Some("panic"));
    let joint = only(&spans, "job.joint");
    assert_eq!((joint.span.links.len(), joint.span.dropped_links_count), (PARTS, 0));
}
