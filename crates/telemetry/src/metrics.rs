//! Metrics in Prometheus' text format. Every metric is declared as a [`Metric`], with its help and its label names, so
//! that the documentation can be compared with the code.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

pub use metrics;
pub use metrics_exporter_prometheus::BuildError;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name; the unit is part of it.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// What it means.
    pub help: &'static str,
    /// The names of its labels. Each has few values, whoever calls.
    pub labels: &'static [&'static str],
}

impl Metric {
    /// A counter.
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, help, labels }
    }

    /// A gauge.
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, help, labels }
    }

    /// A histogram with these upper bounds.
    pub const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        bounds: &'static [f64],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Histogram(bounds), help, labels }
    }
}

/// How something is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often a value was at most so much: the upper bounds.
    Histogram(&'static [f64]),
}

/// The collector counts the processor's time in whole seconds: too coarse for the rate of a quiet process.
const CPU_SECONDS: &str = "process_cpu_seconds_total";

fn with_fractions(text: String) -> String {
    let Some(start) = text.find(&format!("\n{CPU_SECONDS} ")) else { return text };
    let start = start + 1;
    let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    format!("{}{CPU_SECONDS} {}.{:09}{}", &text[..start], time.tv_sec, time.tv_nsec, &text[end..])
}

/// Holds the values of this process. Cloning gives another handle.
#[derive(Clone, Default)]
pub struct Registry(Option<Arc<PrometheusRecorder>>);

impl Registry {
    /// Counts nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// For these metrics and those of the process. Fails on a histogram without bounds.
    pub fn new(metrics: &[Metric]) -> Result<Self, BuildError> {
        let mut builder = PrometheusBuilder::new();
        for metric in metrics {
            if let Kind::Histogram(bounds) = metric.kind {
                builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)?;
            }
        }
        let recorder = builder.build_recorder();
        for metric in metrics {
            let (name, help) = (KeyName::from_const_str(metric.name), metric.help.into());
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
            }
        }
        metrics::with_local_recorder(&recorder, || metrics_process::Collector::default().describe());
        Ok(Self(Some(Arc::new(recorder))))
    }

    /// Whether anything is counted.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A counter with these values of its labels, in their order.
    pub fn counter(&self, metric: &Metric, labels: &[&str]) -> Counter {
        self.register(metric, labels, Recorder::register_counter).unwrap_or_else(Counter::noop)
    }

    /// A gauge.
    pub fn gauge(&self, metric: &Metric, labels: &[&str]) -> Gauge {
        self.register(metric, labels, Recorder::register_gauge).unwrap_or_else(Gauge::noop)
    }

    /// A histogram.
    pub fn histogram(&self, metric: &Metric, labels: &[&str]) -> Histogram {
        self.register(metric, labels, Recorder::register_histogram).unwrap_or_else(Histogram::noop)
    }

    fn register<T>(
        &self,
        metric: &Metric,
        values: &[&str],
        register: impl FnOnce(&PrometheusRecorder, &Key, &Metadata<'_>) -> T,
    ) -> Option<T> {
        debug_assert_eq!(metric.labels.len(), values.len(), "the labels of {}", metric.name);
        let recorder = self.0.as_ref()?;
        let labels =
            metric.labels.iter().zip(values).map(|(name, value)| Label::new(*name, (*value).to_owned()));
        let key = Key::from_parts(metric.name, labels.collect::<Vec<_>>());
        Some(register(recorder, &key, &Metadata::new(module_path!(), Level::INFO, None)))
    }

    /// All values in Prometheus' text format, those of the process read now. `None` if nothing is counted.
    pub fn render(&self) -> Option<String> {
        let recorder = self.0.as_ref()?;
        metrics::with_local_recorder(&**recorder, || metrics_process::Collector::default().collect());
        Some(with_fractions(recorder.handle().render()))
    }

    /// To be called every few seconds: single values that histograms keep become counts.
    pub fn condense(&self) {
        if let Some(recorder) = &self.0 {
            recorder.handle().run_upkeep();
        }
    }
}
