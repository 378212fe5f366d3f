//! Requests, counted by the middleware around them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::http::Method;
use arc_swap::ArcSwap;
use telemetry::metrics::Registry;
use telemetry::metrics::metrics::{Counter, Gauge, Histogram};

use super::definitions::{
    ACTIVE_REQUESTS, INVALID_FORWARDED, PANICS, REQUEST_BODY, REQUEST_DURATION, RESPONSE_BODY,
};

/// What requests are counted by. There are few: methods and routes are those of the route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    method: &'static str,
    /// Empty where no route answers.
    route: &'static str,
    status: u16,
}

impl Kind {
    fn status(self) -> String {
        self.status.to_string()
    }

    const fn labels(self, status: &str) -> [&str; 3] {
        [self.method, self.route, status]
    }
}

struct Handles {
    duration: Histogram,
    response_body: Histogram,
    /// Only of requests that have one.
    request_body: OnceLock<Histogram>,
}

/// Counts requests.
pub struct HttpMetrics {
    registry: Registry,
    /// Read by every request, and written when a kind is seen for the first time.
    by_kind: ArcSwap<HashMap<Kind, Arc<Handles>>>,
    active: [(&'static str, Gauge); METHODS.len() + 1],
    panics: Counter,
    invalid_forwarded: Counter,
}

const METHODS: [&str; 9] = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "CONNECT", "TRACE"];
/// What semantic conventions call any other method: clients may invent them.
pub const OTHER_METHOD: &str = "_OTHER";

/// The method as metrics and traces name it.
pub fn method_name(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER_METHOD)
}

impl HttpMetrics {
    /// Counts in `registry`.
    pub fn new(registry: &Registry) -> Self {
        let gauge = |method| (method, registry.gauge(&ACTIVE_REQUESTS, &[method]));
        let mut methods = METHODS.into_iter();
        Self {
            registry: registry.clone(),
            by_kind: ArcSwap::default(),
            active: std::array::from_fn(|_| gauge(methods.next().unwrap_or(OTHER_METHOD))),
            panics: registry.counter(&PANICS, &[]),
            invalid_forwarded: registry.counter(&INVALID_FORWARDED, &[]),
        }
    }

    /// Begins the series that rules compare at zero: Prometheus does not see the requests that a series begins with.
    pub fn begin_series(&self, method: &'static str, route: &'static str, statuses: &BTreeSet<u16>) {
        if self.registry.is_on() {
            for status in statuses {
                self.register(Kind { method, route, status: *status });
            }
        }
    }

    /// A request begins; it is under way until what is returned is dropped.
    #[must_use]
    pub fn begin(&self, method: &'static str) -> Active {
        let gauge = self.active.iter().find(|(known, _)| *known == method).map(|(_, gauge)| gauge.clone());
        if let Some(gauge) = &gauge {
            gauge.increment(1);
        }
        Active(gauge)
    }

    /// A proxy named a client by something other than an address.
    pub fn record_invalid_forwarded_address(&self) {
        self.invalid_forwarded.increment(1);
    }

    /// A request was answered.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a body")]
    pub fn end(&self, method: &'static str, route: Option<&'static str>, status: u16, request: &Finished) {
        if !self.registry.is_on() {
            return;
        }
        let kind = Kind { method, route: route.unwrap_or_default(), status };
        let known = self.by_kind.load();
        let handles = match known.get(&kind) {
            Some(handles) => handles.clone(),
            None => self.register(kind),
        };
        handles.duration.record(request.duration);
        if let Some(bytes) = request.request_body_bytes {
            let request_body = handles
                .request_body
                .get_or_init(|| self.registry.histogram(&REQUEST_BODY, &kind.labels(&kind.status())));
            request_body.record(bytes as f64);
        }
        if let Some(bytes) = request.response_body_bytes {
            handles.response_body.record(bytes as f64);
        }
    }

    /// A handler panicked.
    pub fn record_panic(&self) {
        self.panics.increment(1);
    }

    fn register(&self, kind: Kind) -> Arc<Handles> {
        let status = kind.status();
        let labels = kind.labels(&status);
        let handles = Arc::new(Handles {
            duration: self.registry.histogram(&REQUEST_DURATION, &labels),
            response_body: self.registry.histogram(&RESPONSE_BODY, &labels),
            request_body: OnceLock::new(),
        });
        self.by_kind.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.insert(kind, handles.clone());
            known
        });
        handles
    }
}

/// A request under way.
pub struct Active(Option<Gauge>);

impl Drop for Active {
    fn drop(&mut self) {
        if let Some(gauge) = &self.0 {
            gauge.decrement(1);
        }
    }
}

/// What there is to count of a request that was answered.
pub struct Finished {
    /// How long that took.
    pub duration: Duration,
    /// What the request announced, if it has a body.
    pub request_body_bytes: Option<u64>,
    /// What the answer has, where that is known ahead.
    pub response_body_bytes: Option<u64>,
}
