//! Values of the variables: how each is written, and what an empty or an invalid one means.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use opentelemetry_otlp::Protocol;
use percent_encoding::percent_decode_str;

/// A value that is ignored if it is invalid, with a warning, as the OpenTelemetry specification wants it (environment
/// variables): tracing is no reason for a shop not to start. Addresses and headers are not among these: a wrong one
/// would send spans elsewhere, or to nobody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lenient<T> {
    pub value: T,
    /// What is wrong with the text that was ignored.
    pub fault: Option<&'static str>,
}

pub(super) fn lenient<T: Clone + Send + Sync + 'static>(
    parse: impl Fn(&str) -> Result<T, &'static str> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<Lenient<T>, &'static str> + Clone + Send + Sync + 'static {
    // An empty text is the default of each.
    move |text| match parse(text) {
        Ok(value) => Ok(Lenient { value, fault: None }),
        Err(fault) => Ok(Lenient { value: parse("")?, fault: Some(fault) }),
    }
}

/// A setting of traces alone, before that of all signals.
pub(super) fn of_signal<T>(
    parse: impl Fn(&str) -> Result<T, &'static str> + Clone,
) -> impl Fn(&str) -> Result<Option<T>, &'static str> + Clone {
    move |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SamplerKind {
    pub is_parent_based: bool,
    pub root: RootSampler,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum RootSampler {
    On,
    Off,
    Ratio,
}

/// The host of `http://jaeger:14268/api/traces`, `jaeger:6831` or `jaeger`.
pub(super) fn host(jaeger_endpoint: &str) -> &str {
    let rest = jaeger_endpoint.split_once("://").map_or(jaeger_endpoint, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match authority.strip_prefix('[').and_then(|_| authority.find(']')) {
        Some(end) => &authority[..=end],
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// An empty variable counts as not set, here and below (OpenTelemetry specification, environment variables).
fn url(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let Ok(uri) = text.parse::<Uri>() else { return Err("is not an http(s) URL") };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("holds a name or password; give the collector OTEL_EXPORTER_OTLP_HEADERS instead");
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let is_usable = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && has_port == uri.port_u16().is_some()
        && uri.query().is_none();
    if is_usable { Ok(text.to_owned()) } else { Err("is not an http(s) URL") }
}

pub(super) fn otlp_endpoint(text: &str) -> Result<String, String> {
    url(text).map_err(|fault| format!("{fault}; example: OTEL_EXPORTER_OTLP_ENDPOINT=http://jaeger:4318"))
}

pub(super) fn traces_endpoint(text: &str) -> Result<String, String> {
    let example = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://collector:4318/v1/traces";
    url(text).map_err(|fault| format!("{fault}; example: {example}"))
}

pub(super) fn jaeger_endpoint(text: &str) -> Result<String, String> {
    let of_host = if text.is_empty() { Ok(String::new()) } else { url(&format!("http://{}", host(text))) };
    let example = "JAEGER_ENDPOINT=http://jaeger:14268/api/traces";
    of_host.map(|_| text.to_owned()).map_err(|_| format!("has no host; example: {example}"))
}

/// `name=value,name=value`; values are percent-encoded, as in W3C Baggage.
pub(super) fn headers(text: &str) -> Result<HeaderMap, &'static str> {
    header_map(text)
        .ok_or("is not a list of headers; example: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN")
}

pub(super) fn traces_headers(text: &str) -> Result<HeaderMap, &'static str> {
    header_map(text).ok_or(
        "is not a list of headers; example: OTEL_EXPORTER_OTLP_TRACES_HEADERS=authorization=Bearer%20TOKEN",
    )
}

fn header_map(text: &str) -> Option<HeaderMap> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(&value).ok()?))
    };
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs.map(pair).collect()
}

fn milliseconds(text: &str, usual: u64, least: u64) -> Option<Duration> {
    const MOST: u64 = 600_000;
    let number = if text.is_empty() { Some(usual) } else { text.parse().ok() };
    number.filter(|number| (least..=MOST).contains(number)).map(Duration::from_millis)
}

pub(super) fn timeout(text: &str) -> Result<Duration, &'static str> {
    milliseconds(text, 10_000, 1)
        .ok_or("is not a number of milliseconds from 1 to 600000; example: OTEL_EXPORTER_OTLP_TIMEOUT=10000")
}

pub(super) fn delay(text: &str) -> Result<Duration, &'static str> {
    // With no delay at all the SDK never rests.
    milliseconds(text, 5_000, 10)
        .ok_or("is not a number of milliseconds from 10 to 600000; example: OTEL_BSP_SCHEDULE_DELAY=5000")
}

pub(super) fn compression(text: &str) -> Result<bool, &'static str> {
    match text {
        "" | "none" => Ok(false),
        "gzip" => Ok(true),
        _ => Err("is neither gzip nor none; example: OTEL_EXPORTER_OTLP_COMPRESSION=gzip"),
    }
}

pub(super) fn otlp_protocol(text: &str) -> Result<Protocol, &'static str> {
    match text {
        "" | "http/protobuf" => Ok(Protocol::HttpBinary),
        "grpc" => Ok(Protocol::Grpc),
        _ => Err("is neither http/protobuf nor grpc; example: OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
    }
}

/// Whether W3C Trace Context is among them. There is no baggage here to be passed on.
pub(super) fn propagators(text: &str) -> Result<bool, &'static str> {
    let mut continues = text.is_empty();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "tracecontext" => continues = true,
            "baggage" => {}
            "none" if text.trim() == "none" => {}
            _ => {
                return Err(
                    "names others than tracecontext, baggage and none; example: OTEL_PROPAGATORS=tracecontext",
                );
            }
        }
    }
    Ok(continues)
}

pub(super) fn sampler(text: &str) -> Result<SamplerKind, &'static str> {
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

pub(super) fn ratio(text: &str) -> Result<f64, &'static str> {
    let ratio = if text.is_empty() { Ok(1.0) } else { text.parse() };
    ratio
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or("is not a number from 0 to 1; example: OTEL_TRACES_SAMPLER_ARG=0.01")
}

fn spans(text: &str, usual: usize) -> Option<usize> {
    const MOST: usize = 65_536;
    let size = if text.is_empty() { Some(usual) } else { text.parse().ok() };
    size.filter(|size| (1..=MOST).contains(size))
}

pub(super) fn queue_size(text: &str) -> Result<usize, &'static str> {
    spans(text, 2048).ok_or("is not a number from 1 to 65536; example: OTEL_BSP_MAX_QUEUE_SIZE=2048")
}

pub(super) fn batch_size(text: &str) -> Result<usize, &'static str> {
    spans(text, 512).ok_or("is not a number from 1 to 65536; example: OTEL_BSP_MAX_EXPORT_BATCH_SIZE=512")
}

pub(super) fn exporter(text: &str) -> Result<bool, &'static str> {
    match text {
        "" | "otlp" => Ok(true),
        "none" => Ok(false),
        _ => Err("is neither otlp nor none; example: OTEL_TRACES_EXPORTER=otlp"),
    }
}

pub(super) fn disabled(text: &str) -> Result<bool, &'static str> {
    if text.is_empty() {
        return Ok(false);
    }
    text.to_lowercase().parse().map_err(|_| "is neither true nor false; example: OTEL_SDK_DISABLED=true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_traces_are_continued() {
        for (text, continues) in [
            ("", Ok(true)),
            ("tracecontext", Ok(true)),
            ("tracecontext,baggage", Ok(true)),
            ("baggage", Ok(false)),
            ("none", Ok(false)),
        ] {
            assert_eq!(propagators(text), continues, "{text}");
        }
        for text in ["b3", "tracecontext,b3multi", "none,tracecontext", "jaeger"] {
            assert!(propagators(text).is_err(), "{text}");
        }
    }
}
