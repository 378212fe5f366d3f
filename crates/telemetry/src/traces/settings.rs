//! Where spans go and how many: the variables of the OpenTelemetry specification, and ours.

use opentelemetry_otlp::Protocol;
use opentelemetry_sdk::trace::Sampler;

/// Traces.
#[derive(Debug, Clone, clap::Args)]
pub struct TraceArgs {
    /// Where spans are sent, e.g. http://jaeger:4318; unset, none are made
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", global = true, default_value = "", hide_default_value = true, value_parser = otlp_endpoint)]
    otel_exporter_otlp_endpoint: String,
    /// The same with the whole path, e.g. http://collector:4318/v1/traces; goes before the other
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", global = true, default_value = "", hide_default_value = true, value_parser = traces_endpoint)]
    otel_exporter_otlp_traces_endpoint: String,
    /// The older name of OTEL_EXPORTER_OTLP_ENDPOINT; its host is taken, and OTLP spoken
    #[arg(long, env = "JAEGER_ENDPOINT", global = true, default_value = "", hide_default_value = true, value_parser = jaeger_endpoint)]
    jaeger_endpoint: String,
    /// http/protobuf (port 4318) or grpc (port 4317)
    #[arg(long, env = "OTEL_EXPORTER_OTLP_PROTOCOL", global = true, default_value = "http/protobuf", value_parser = otlp_protocol)]
    otel_exporter_otlp_protocol: Protocol,
    /// Which traces are kept: always_on, always_off, traceidratio, or parentbased_ and one of them
    #[arg(long, env = "OTEL_TRACES_SAMPLER", global = true, default_value = "parentbased_always_on", value_parser = sampler)]
    otel_traces_sampler: SamplerKind,
    /// The share of traces that a ratio sampler keeps, 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", global = true, default_value = "1", value_parser = ratio)]
    otel_traces_sampler_arg: f64,
    /// otlp or none
    #[arg(long, env = "OTEL_TRACES_EXPORTER", global = true, default_value = "otlp", action = clap::ArgAction::Set, value_parser = exporter)]
    otel_traces_exporter: bool,
    /// true switches traces off
    #[arg(long, env = "OTEL_SDK_DISABLED", global = true, default_value = "false", action = clap::ArgAction::Set, value_parser = disabled)]
    otel_sdk_disabled: bool,
    /// Spans that may wait for the collector; more are dropped and counted
    #[arg(long, env = "OTEL_BSP_MAX_QUEUE_SIZE", global = true, default_value = "2048", value_parser = queue_size)]
    otel_bsp_max_queue_size: usize,
    /// What this installation is called in traces, e.g. production
    #[arg(long, env = "ENVIRONMENT", global = true, default_value = "development")]
    pub(crate) environment: String,
    /// The version named in traces and metrics [default: the program's own]
    #[arg(long, env = "SERVICE_VERSION", global = true, default_value = "", hide_default_value = true)]
    service_version: String,
}

#[derive(Debug, Clone, Copy)]
struct SamplerKind {
    is_parent_based: bool,
    root: RootSampler,
}

#[derive(Debug, Clone, Copy)]
enum RootSampler {
    On,
    Off,
    Ratio,
}

impl TraceArgs {
    /// The whole URL that spans are sent to and how; `None`: no spans are wanted.
    pub(crate) fn endpoint(&self) -> Option<(String, Protocol)> {
        if self.otel_sdk_disabled || !self.otel_traces_exporter {
            return None;
        }
        let is_grpc = self.otel_exporter_otlp_protocol == Protocol::Grpc;
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
                with_path(&format!("http://{}:{port}", host(jaeger)))
            }
            ("", base, _) => with_path(base),
            (whole, ..) => whole.to_owned(),
        };
        Some((url, self.otel_exporter_otlp_protocol))
    }

    pub(crate) fn sampler(&self) -> Sampler {
        let root = match self.otel_traces_sampler.root {
            RootSampler::On => Sampler::AlwaysOn,
            RootSampler::Off => Sampler::AlwaysOff,
            RootSampler::Ratio => Sampler::TraceIdRatioBased(self.otel_traces_sampler_arg),
        };
        if self.otel_traces_sampler.is_parent_based { Sampler::ParentBased(Box::new(root)) } else { root }
    }

    pub(crate) const fn queue_size(&self) -> usize {
        self.otel_bsp_max_queue_size
    }

    /// The version to name, `own` being the program's.
    pub fn service_version<'v>(&'v self, own: &'v str) -> &'v str {
        if self.service_version.is_empty() { own } else { &self.service_version }
    }
}

/// The host of `http://jaeger:14268/api/traces`, `jaeger:6831` or `jaeger`.
fn host(jaeger_endpoint: &str) -> &str {
    let rest = jaeger_endpoint.split_once("://").map_or(jaeger_endpoint, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.strip_prefix('[').and_then(|_| authority.find(']')) {
        Some(end) => &authority[..=end],
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// An empty variable counts as not set, here and below (OpenTelemetry specification, environment variables).
fn url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let is_url = matches!(scheme, "http" | "https") && !host.is_empty() && !text.contains([' ', '?', '#']);
    (text.is_empty() || is_url).then(|| text.to_owned())
}

fn otlp_endpoint(text: &str) -> Result<String, &'static str> {
    url(text).ok_or("is not an http(s) URL; example: OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4318")
}

fn traces_endpoint(text: &str) -> Result<String, &'static str> {
    url(text).ok_or(
        "is not an http(s) URL; example: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://collector:4318/v1/traces",
    )
}

fn jaeger_endpoint(text: &str) -> Result<String, &'static str> {
    let is_usable = text.is_empty() || !(host(text).is_empty() || text.contains(char::is_whitespace));
    is_usable
        .then(|| text.to_owned())
        .ok_or("has no host; example: JAEGER_ENDPOINT=http://jaeger:14268/api/traces")
}

fn otlp_protocol(text: &str) -> Result<Protocol, &'static str> {
    match text {
        "" | "http/protobuf" => Ok(Protocol::HttpBinary),
        "grpc" => Ok(Protocol::Grpc),
        _ => Err("is neither http/protobuf nor grpc; example: OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
    }
}

fn sampler(text: &str) -> Result<SamplerKind, &'static str> {
    let root = text.strip_prefix("parentbased_");
    let is_parent_based = root.is_some() || text.is_empty();
    let root = match root.unwrap_or(text) {
        "" | "always_on" => RootSampler::On,
        "always_off" => RootSampler::Off,
        "traceidratio" => RootSampler::Ratio,
        _ => return Err("is no sampler; example: OTEL_TRACES_SAMPLER=parentbased_traceidratio"),
    };
    Ok(SamplerKind { is_parent_based, root })
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = if text.is_empty() { Ok(1.0) } else { text.parse() };
    ratio
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or("is not a number from 0 to 1; example: OTEL_TRACES_SAMPLER_ARG=0.01")
}

fn queue_size(text: &str) -> Result<usize, &'static str> {
    let size = if text.is_empty() { Ok(2048) } else { text.parse() };
    size.ok()
        .filter(|size| (1..=1_000_000).contains(size))
        .ok_or("is not a number from 1 to 1000000; example: OTEL_BSP_MAX_QUEUE_SIZE=2048")
}

fn exporter(text: &str) -> Result<bool, &'static str> {
    match text {
        "" | "otlp" => Ok(true),
        "none" => Ok(false),
        _ => Err("is neither otlp nor none; example: OTEL_TRACES_EXPORTER=otlp"),
    }
}

fn disabled(text: &str) -> Result<bool, &'static str> {
    if text.is_empty() {
        return Ok(false);
    }
    text.to_lowercase().parse().map_err(|_| "is neither true nor false; example: OTEL_SDK_DISABLED=true")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        traces: TraceArgs,
    }

    fn endpoint(arguments: &[&str]) -> Option<(String, Protocol)> {
        let arguments = ["program"].iter().chain(arguments);
        Arguments::try_parse_from(arguments).unwrap().traces.endpoint()
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
        let grpc = endpoint(&["--jaeger-endpoint=http://[::1]:14268", "--otel-exporter-otlp-protocol=grpc"]);
        assert_eq!(grpc, Some(("http://[::1]:4317".to_owned(), Protocol::Grpc)));
    }

    #[test]
    fn wrong_values_are_refused() {
        for wrong in [
            "--otel-exporter-otlp-endpoint=jaeger:4318",
            "--otel-exporter-otlp-endpoint=ftp://jaeger",
            "--jaeger-endpoint=http://",
            "--otel-exporter-otlp-protocol=http/json",
            "--otel-traces-sampler=often",
            "--otel-traces-sampler-arg=1.5",
            "--otel-traces-sampler-arg=NaN",
            "--otel-traces-exporter=zipkin",
            "--otel-sdk-disabled=perhaps",
        ] {
            assert!(Arguments::try_parse_from(["program", wrong]).is_err(), "{wrong}");
        }
    }
}
