//! A collector of spans: what an OpenTelemetry collector or Jaeger would receive, in the protocol's own types.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
pub use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Listens on loopback and keeps what it is sent.
#[derive(Clone)]
pub struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A span, and who sent it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The attributes of its resource.
    pub resource: HashMap<String, String>,
    /// The span.
    pub span: Span,
}

/// How the collector behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes everything.
    Takes,
    /// Accepts connections and never answers.
    BlackHole,
}

impl Collector {
    /// OTLP over HTTP.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let keeper = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let keeper = keeper.clone();
                thread::spawn(move || match manner {
                    Manner::Takes => keeper.serve(stream.unwrap()),
                    // Keeps the connection for as long as the test runs.
                    Manner::BlackHole => std::mem::forget(stream),
                });
            }
        });
        collector
    }

    /// OTLP over gRPC, on the runtime that it is called on.
    pub async fn start_grpc() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let service = TraceServiceServer::new(collector.clone());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        collector
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything received so far.
    pub fn spans(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until what was received is what is waited for.
    pub fn wait_for(&self, what: &str, is_there: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let spans = self.spans();
            if is_there(&spans) {
                return spans;
            }
            let names: Vec<_> = spans.iter().map(|received| received.span.name.clone()).collect();
            assert!(Instant::now() < deadline, "{what} was never received, only {names:?}");
            thread::sleep(Duration::from_millis(20)); // ok: asks again until the deadline
        }
    }

    fn keep(&self, request: ExportTraceServiceRequest) {
        let mut received = self.received.lock().unwrap();
        for of_resource in request.resource_spans {
            let attributes = of_resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let resource: HashMap<_, _> =
                attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect();
            let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            received.extend(spans.map(|span| Received { resource: resource.clone(), span }));
        }
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let (mut length, mut line) = (0, String::new());
            loop {
                line.clear();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            self.keep(ExportTraceServiceRequest::decode(&*body).unwrap());
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.keep(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Received {
    /// The text or texts of the attribute with that name. An attribute of another type fails the test.
    #[track_caller]
    pub fn attribute(&self, key: &str) -> Option<String> {
        let attribute = self.span.attributes.iter().find(|attribute| attribute.key == key)?;
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        let is_text = matches!(value, Some(Value::StringValue(_) | Value::ArrayValue(_)));
        assert!(is_text, "{key} is not a text: {value:?}");
        Some(text(attribute))
    }

    /// The whole number of the attribute with that name. An attribute of another type fails the test.
    #[track_caller]
    pub fn number(&self, key: &str) -> Option<i64> {
        let attribute = self.span.attributes.iter().find(|attribute| attribute.key == key)?;
        match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::IntValue(number)) => Some(*number),
            other => panic!("{key} is not a whole number: {other:?}"),
        }
    }

    /// The names of the span's events.
    pub fn events(&self) -> Vec<&str> {
        self.span.events.iter().map(|event| event.name.as_str()).collect()
    }

    /// Whether the other one is its parent.
    pub fn is_child_of(&self, other: &Self) -> bool {
        self.span.trace_id == other.span.trace_id && self.span.parent_span_id == other.span.span_id
    }

    /// Whether it points to the other one.
    pub fn links_to(&self, other: &Self) -> bool {
        let is_other = |trace: &[u8], span: &[u8]| trace == other.span.trace_id && span == other.span.span_id;
        self.span.links.iter().any(|link| is_other(&link.trace_id, &link.span_id))
    }

    /// Its trace's id in hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The one span of that name.
#[track_caller]
pub fn only<'s>(spans: &'s [Received], name: &str) -> &'s Received {
    let named: Vec<_> = spans.iter().filter(|received| received.span.name == name).collect();
    let all: Vec<_> = spans.iter().map(|received| &received.span.name).collect();
    assert_eq!(named.len(), 1, "{name} among {all:?}");
    named[0]
}

fn text(attribute: &KeyValue) -> String {
    fn of(value: &AnyValue) -> String {
        match &value.value {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::BoolValue(is_so)) => is_so.to_string(),
            Some(Value::DoubleValue(number)) => number.to_string(),
            Some(Value::ArrayValue(array)) => array.values.iter().map(of).collect::<Vec<_>>().join(","),
            other => format!("{other:?}"),
        }
    }
    attribute.value.as_ref().map(of).unwrap_or_default()
}
