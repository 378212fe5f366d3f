//! Settings of traces: the variables of the OpenTelemetry specification, and ours.

use std::time::Duration;

use http::HeaderMap;
use opentelemetry_otlp::Protocol;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, Sampler};

use super::values::{
    Lenient, RootSampler, SamplerKind, batch_size, compression, delay, disabled, exporter, headers, host,
    jaeger_endpoint, lenient, of_signal, otlp_endpoint, otlp_protocol, propagators, queue_size, ratio,
    sampler, timeout, traces_endpoint, traces_headers,
};

/// Traces.
#[derive(Debug, Clone, clap::Args)]
pub struct TraceArgs {
    /// Where spans are sent, e.g. http://jaeger:4318; unset, none are made
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true, global = true, default_value = "", hide_default_value = true, value_parser = otlp_endpoint)]
    otel_exporter_otlp_endpoint: String,
    /// The same with the whole path, e.g. http://collector:4318/v1/traces; goes before the other
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", hide_env_values = true, global = true, default_value = "", hide_default_value = true, value_parser = traces_endpoint)]
    otel_exporter_otlp_traces_endpoint: String,
    /// The older name of OTEL_EXPORTER_OTLP_ENDPOINT; its host is taken, and OTLP spoken
    #[arg(long, env = "JAEGER_ENDPOINT", hide_env_values = true, global = true, default_value = "", hide_default_value = true, value_parser = jaeger_endpoint)]
    jaeger_endpoint: String,
    /// http/protobuf (port 4318) or grpc (port 4317)
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", global = true, default_value = "http/protobuf", value_parser = lenient(otlp_protocol))]
    otel_exporter_otlp_protocol: Lenient<Protocol>,
    /// The same for traces; goes before the other
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", global = true, default_value = "", hide_default_value = true, value_parser = lenient(of_signal(otlp_protocol)))]
    otel_exporter_otlp_traces_protocol: Lenient<Option<Protocol>>,
    /// Headers for the collector, e.g. authorization=Bearer%20TOKEN,x-shop=7
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", hide_env_values = true, global = true, default_value = "", hide_default_value = true, value_parser = headers)]
    otel_exporter_otlp_headers: HeaderMap,
    /// The same for traces; goes before the other
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_HEADERS", hide_env_values = true, global = true, default_value = "", hide_default_value = true, value_parser = traces_headers)]
    otel_exporter_otlp_traces_headers: HeaderMap,
    /// How long the collector may take for one batch, in milliseconds
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", global = true, default_value = "10000", value_parser = lenient(timeout))]
    otel_exporter_otlp_timeout: Lenient<Duration>,
    /// The same for traces; goes before the other
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", global = true, default_value = "", hide_default_value = true, value_parser = lenient(of_signal(timeout)))]
    otel_exporter_otlp_traces_timeout: Lenient<Option<Duration>>,
    /// gzip or none
    #[arg(long, env = "OTEL_EXPORTER_OTLP_COMPRESSION", global = true, default_value = "none", value_parser = lenient(compression))]
    otel_exporter_otlp_compression: Lenient<bool>,
    /// The same for traces; goes before the other
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", global = true, default_value = "", hide_default_value = true, value_parser = lenient(of_signal(compression)))]
    otel_exporter_otlp_traces_compression: Lenient<Option<bool>>,
    /// Whose traces are continued: tracecontext, or none
    #[arg(long, env = "OTEL_PROPAGATORS", global = true, default_value = "tracecontext", value_parser = lenient(propagators))]
    otel_propagators: Lenient<bool>,
    /// Which traces are kept: always_on, always_off, traceidratio, or parentbased_ and one of them
    #[arg(long, env = "OTEL_TRACES_SAMPLER", global = true, default_value = "parentbased_always_on", value_parser = lenient(sampler))]
    otel_traces_sampler: Lenient<SamplerKind>,
    /// The share of traces that a ratio sampler keeps, 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", global = true, default_value = "1", value_parser = lenient(ratio))]
    otel_traces_sampler_arg: Lenient<f64>,
    /// otlp or none
    #[arg(long, env = "OTEL_TRACES_EXPORTER", global = true, default_value = "otlp", value_parser = lenient(exporter))]
    otel_traces_exporter: Lenient<bool>,
    /// true switches traces off
    #[arg(long, env = "OTEL_SDK_DISABLED", global = true, default_value = "false", value_parser = lenient(disabled))]
    otel_sdk_disabled: Lenient<bool>,
    /// Spans that may wait for the collector; more are dropped and counted
    #[arg(long, env = "OTEL_BSP_MAX_QUEUE_SIZE", global = true, default_value = "2048", value_parser = lenient(queue_size))]
    otel_bsp_max_queue_size: Lenient<usize>,
    /// Spans that are sent at once
    #[arg(long, env = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", global = true, default_value = "512", value_parser = lenient(batch_size))]
    otel_bsp_max_export_batch_size: Lenient<usize>,
    /// How long spans wait for others to be sent with, in milliseconds
    #[arg(long, env = "OTEL_BSP_SCHEDULE_DELAY", global = true, default_value = "5000", value_parser = lenient(delay))]
    otel_bsp_schedule_delay: Lenient<Duration>,
    /// What this installation is called in traces, e.g. production
    #[arg(long, env = "ENVIRONMENT", global = true, default_value = "development")]
    pub(crate) environment: String,
    /// The version named in traces and metrics [default: the program's own]
    #[arg(long, env = "SERVICE_VERSION", global = true, default_value = "", hide_default_value = true)]
    service_version: String,
}

impl TraceArgs {
    /// Where spans are sent and how; `None`: no spans are wanted.
    pub(crate) fn destination(&self) -> Option<Destination> {
        let url = self.endpoint()?;
        let of_traces = &self.otel_exporter_otlp_traces_headers;
        let headers = if of_traces.is_empty() { &self.otel_exporter_otlp_headers } else { of_traces };
        let timeout = self.otel_exporter_otlp_traces_timeout.value;
        let is_compressed = self.otel_exporter_otlp_traces_compression.value;
        Some(Destination {
            url,
            protocol: self.protocol(),
            headers: headers.clone(),
            timeout: timeout.unwrap_or(self.otel_exporter_otlp_timeout.value),
            is_compressed: is_compressed.unwrap_or(self.otel_exporter_otlp_compression.value),
        })
    }

    fn protocol(&self) -> Protocol {
        self.otel_exporter_otlp_traces_protocol.value.unwrap_or(self.otel_exporter_otlp_protocol.value)
    }

    /// Whether the traces of callers are continued.
    pub(crate) const fn continues_traces(&self) -> bool {
        self.otel_propagators.value
    }

    /// What is said about values that are ignored.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let faults = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", self.otel_exporter_otlp_protocol.fault),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", self.otel_exporter_otlp_traces_protocol.fault),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", self.otel_exporter_otlp_timeout.fault),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", self.otel_exporter_otlp_traces_timeout.fault),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", self.otel_exporter_otlp_compression.fault),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", self.otel_exporter_otlp_traces_compression.fault),
            ("OTEL_PROPAGATORS", self.otel_propagators.fault),
            ("OTEL_TRACES_SAMPLER", self.otel_traces_sampler.fault),
            ("OTEL_TRACES_SAMPLER_ARG", self.otel_traces_sampler_arg.fault),
            ("OTEL_TRACES_EXPORTER", self.otel_traces_exporter.fault),
            ("OTEL_SDK_DISABLED", self.otel_sdk_disabled.fault),
            ("OTEL_BSP_MAX_QUEUE_SIZE", self.otel_bsp_max_queue_size.fault),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", self.otel_bsp_max_export_batch_size.fault),
            ("OTEL_BSP_SCHEDULE_DELAY", self.otel_bsp_schedule_delay.fault),
        ];
        let ignored = |(name, fault): (&str, Option<&str>)| Some(format!("{name} is ignored: it {}", fault?));
        let mut warnings: Vec<_> = faults.into_iter().filter_map(ignored).collect();
        let base = self.otel_exporter_otlp_endpoint.trim_end_matches('/');
        let is_added =
            self.otel_exporter_otlp_traces_endpoint.is_empty() && self.protocol() != Protocol::Grpc;
        if is_added && base.ends_with("/v1/traces") {
            let hint = "OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/traces added: leave it out there, or use \
                        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
            warnings.push(hint.to_owned());
        }
        warnings
    }

    pub(crate) fn queue(&self) -> BatchConfig {
        BatchConfigBuilder::default()
            .with_max_queue_size(self.capacity())
            .with_max_export_batch_size(self.otel_bsp_max_export_batch_size.value.min(self.capacity()))
            .with_scheduled_delay(self.otel_bsp_schedule_delay.value)
            .build()
    }

    fn endpoint(&self) -> Option<String> {
        if self.otel_sdk_disabled.value || !self.otel_traces_exporter.value {
            return None;
        }
        let is_grpc = self.protocol() == Protocol::Grpc;
        let with_path = |base: &str| {
            let path = if is_grpc { "" } else { "/v1/traces" };
            format!("{}{path}", base.trim_end_matches('/'))
        };
        let url = match (
            &*self.otel_exporter_otlp_traces_endpoint,
            &*self.otel_exporter_otlp_endpoint,
            &*self.jaeger_endpoint,
        ) {
            ("", "", "") => return None,
            ("", "", jaeger) => {
                let port = if is_grpc { 4317 } else { 4318 };
                let scheme = if jaeger.starts_with("https://") { "https" } else { "http" };
                with_path(&format!("{scheme}://{}:{port}", host(jaeger)))
            }
            ("", base, _) => with_path(base),
            (whole, ..) => whole.to_owned(),
        };
        Some(url)
    }

    pub(crate) fn sampler(&self) -> Sampler {
        let kind = self.otel_traces_sampler.value;
        let root = match kind.root {
            RootSampler::On => Sampler::AlwaysOn,
            RootSampler::Off => Sampler::AlwaysOff,
            RootSampler::Ratio => Sampler::TraceIdRatioBased(self.otel_traces_sampler_arg.value),
        };
        if kind.is_parent_based { Sampler::ParentBased(Box::new(root)) } else { root }
    }

    /// How many spans may wait.
    pub(crate) const fn capacity(&self) -> usize {
        self.otel_bsp_max_queue_size.value
    }

    /// The version to name, `own` being the program's.
    pub fn service_version<'v>(&'v self, own: &'v str) -> &'v str {
        if self.service_version.is_empty() { own } else { &self.service_version }
    }
}

/// Where spans are sent.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// With the path that goes with the protocol.
    pub url: String,
    pub protocol: Protocol,
    pub headers: HeaderMap,
    /// For one attempt.
    pub timeout: Duration,
    pub is_compressed: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use http::HeaderValue;

    use super::*;

    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        traces: TraceArgs,
    }

    fn endpoint(arguments: &[&str]) -> Option<(String, Protocol)> {
        let arguments = ["program"].iter().chain(arguments);
        let destination = Arguments::try_parse_from(arguments).unwrap().traces.destination()?;
        Some((destination.url, destination.protocol))
    }

    #[test]
    fn the_more_exact_endpoint_counts() {
        let base = "--otel-exporter-otlp-endpoint=http://collector:4318/";
        let http = |url: &str| Some((url.to_owned(), Protocol::HttpBinary));
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&[base]), http("http://collector:4318/v1/traces"));
        assert_eq!(endpoint(&[base, "--otel-exporter-otlp-traces-endpoint=http://c/x"]), http("http://c/x"));
        assert_eq!(endpoint(&[base, "--jaeger-endpoint=jaeger"]), http("http://collector:4318/v1/traces"));
        assert_eq!(endpoint(&[base, "--otel-traces-exporter=none"]), None);
        assert_eq!(endpoint(&[base, "--otel-sdk-disabled=TRUE"]), None);
        let grpc = endpoint(&[base, "--otel-exporter-otlp-protocol=grpc"]);
        assert_eq!(grpc, Some(("http://collector:4318".to_owned(), Protocol::Grpc)));
    }

    #[test]
    fn of_the_older_name_the_host_is_taken() {
        for old in ["http://jaeger:14268/api/traces", "jaeger:6831", "jaeger", "http://me:pass@jaeger:14268"]
        {
            let (url, _) = endpoint(&["--jaeger-endpoint", old]).unwrap();
            assert_eq!(url, "http://jaeger:4318/v1/traces", "{old}");
        }
        let secure = endpoint(&["--jaeger-endpoint=https://jaeger"]);
        assert_eq!(secure, Some(("https://jaeger:4318/v1/traces".to_owned(), Protocol::HttpBinary)));
        let grpc = endpoint(&["--jaeger-endpoint=http://[::1]:14268", "--otel-exporter-otlp-protocol=grpc"]);
        assert_eq!(grpc, Some(("http://[::1]:4317".to_owned(), Protocol::Grpc)));
    }

    #[test]
    fn what_is_said_of_traces_goes_before_what_is_said_of_all() {
        let of = |arguments: &[&str]| {
            let arguments = ["program"].iter().chain(arguments);
            Arguments::try_parse_from(arguments).unwrap().traces.destination().unwrap()
        };
        let all = [
            "--otel-exporter-otlp-endpoint=http://collector:4317",
            "--otel-exporter-otlp-headers=a=1,b=2",
            "--otel-exporter-otlp-timeout=1000",
            "--otel-exporter-otlp-compression=gzip",
        ];
        let general = of(&all);
        assert_eq!((general.protocol, general.headers.len()), (Protocol::HttpBinary, 2));
        assert_eq!((general.timeout.as_secs(), general.is_compressed), (1, true));
        let traces = [
            "--otel-exporter-otlp-traces-endpoint=http://127.0.0.1:4317",
            "--otel-exporter-otlp-traces-protocol=grpc",
            "--otel-exporter-otlp-traces-headers=c=3",
            "--otel-exporter-otlp-traces-timeout=3000",
            "--otel-exporter-otlp-traces-compression=none",
        ];
        let own = of(&[&all[..], &traces].concat());
        assert_eq!((own.url.as_str(), own.protocol), ("http://127.0.0.1:4317", Protocol::Grpc));
        assert_eq!((own.headers.len(), &own.headers["c"]), (1, &HeaderValue::from_static("3")));
        assert_eq!((own.timeout.as_secs(), own.is_compressed), (3, false));
        let based = of(&[all[0], traces[1]]);
        assert_eq!(based.url, "http://collector:4317", "the path goes with the protocol");
    }

    #[test]
    fn what_is_unknown_is_ignored_with_a_warning() {
        for (name, wrong) in [
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "lz4"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp"),
            ("OTEL_BSP_SCHEDULE_DELAY", "0"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "1000000"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_TRACES_SAMPLER", "often"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_SDK_DISABLED", "perhaps"),
        ] {
            let argument = format!("--{}={wrong}", name.to_lowercase().replace('_', "-"));
            let endpoint = "--otel-exporter-otlp-endpoint=http://collector:4318";
            let traces = Arguments::try_parse_from(["program", endpoint, &argument]).unwrap().traces;
            let warnings = traces.warnings();
            assert!(warnings.len() == 1 && warnings[0].starts_with(name), "{argument}: {warnings:?}");
            let destination = traces.destination().unwrap();
            assert_eq!(destination.timeout.as_secs(), 10, "{argument}");
            assert_eq!(destination.protocol, Protocol::HttpBinary, "{argument}");
        }
    }

    #[test]
    fn a_path_that_is_there_twice_is_warned_about() {
        let base = "--otel-exporter-otlp-endpoint=http://collector:4318/v1/traces/";
        let warnings = |arguments: &[&str]| {
            let arguments = ["program", base].into_iter().chain(arguments.iter().copied());
            Arguments::try_parse_from(arguments).unwrap().traces.warnings()
        };
        assert!(
            matches!(&warnings(&[])[..], [warning] if warning.contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        );
        for right in ["--otel-exporter-otlp-traces-endpoint=http://c/x", "--otel-exporter-otlp-protocol=grpc"]
        {
            assert!(warnings(&[right]).is_empty(), "{right}");
        }
    }

    #[test]
    fn wrong_addresses_and_headers_are_refused() {
        for wrong in [
            "--otel-exporter-otlp-endpoint=jaeger:4318",
            "--otel-exporter-otlp-endpoint=ftp://jaeger",
            "--otel-exporter-otlp-endpoint=http://jaeger:port",
            "--otel-exporter-otlp-endpoint=http://jaeger:99999",
            "--otel-exporter-otlp-endpoint=http://me:secret@jaeger:4318",
            "--otel-exporter-otlp-headers=nonsense",
            "--otel-exporter-otlp-traces-headers=Authorization:Bearer abc",
            "--jaeger-endpoint=ho\"st",
            "--jaeger-endpoint=http://",
        ] {
            assert!(Arguments::try_parse_from(["program", wrong]).is_err(), "{wrong}");
        }
    }
}
