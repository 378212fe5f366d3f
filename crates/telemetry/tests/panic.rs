//! A job that panics. A process of its own: telemetry is started once in each.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::Parser;
use telemetry::{LogStream, Service, Telemetry, TelemetryArgs};
use test_database::{Collector, Manner, only};

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    telemetry: TelemetryArgs,
}

#[test]
fn what_was_seen_before_a_panic_is_sent() {
    let collector = Collector::start(Manner::Takes);
    let arguments = ["job", "--otel-exporter-otlp-endpoint", &collector.endpoint()];
    let arguments = Arguments::try_parse_from(arguments).unwrap();
    let job = AssertUnwindSafe(|| {
        let service = Service { name: "job", version: "1" };
        let telemetry = Telemetry::start(service, &arguments.telemetry, LogStream::Stderr);
        let root = telemetry.tracing().root(None, || telemetry::root_span!("job.execute")).unwrap();
        let _root = root.span.entered();
        let _step = telemetry::span!("job.step").entered();
        panic!("the step goes wrong");
    });
    assert!(catch_unwind(job).is_err());
    let spans = collector.spans();
    let (root, step) = (only(&spans, "job.execute"), only(&spans, "job.step"));
    assert!(step.is_child_of(root));
    assert_eq!(step.attribute("error.type").as_deref(), Some("panic"));
}
