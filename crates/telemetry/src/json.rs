//! Log lines in JSON: `timestamp`, `level`, the event's fields, the ids of the span it happened in if that is kept,
//! `target`; one object a line.
//!
//! The API writes one for every request, so the line is written as it goes, into one buffer.

use std::fmt::{self, Write as _};

use time::OffsetDateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::log_queue::LogWriter;
use crate::traces::active_ids;

/// Writes every event as a line.
pub(crate) struct JsonLines(pub(crate) LogWriter);

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line { bytes: Vec::with_capacity(Line::USUAL_BYTES), names_trace: false };
        line.bytes.extend_from_slice(b"{\"timestamp\":\"");
        line.moment(OffsetDateTime::now_utc());
        line.bytes.extend_from_slice(b"\",\"level\":\"");
        line.bytes.extend_from_slice(metadata.level().as_str().as_bytes());
        line.bytes.push(b'"');
        event.record(&mut line);
        if let Some(ids) = active_ids() {
            if !line.names_trace {
                line.name("trace_id");
                line.string(&ids.trace_id().to_string());
            }
            line.name("span_id");
            line.string(&ids.span_id().to_string());
        }
        line.name("target");
        line.string(metadata.target());
        line.bytes.extend_from_slice(b"}\n");
        self.0.put(&line.bytes, *metadata.level());
    }
}

struct Line {
    bytes: Vec<u8>,
    /// Whether the event named its trace itself, as that of a request does, kept or not.
    names_trace: bool,
}

impl Line {
    const USUAL_BYTES: usize = 384;

    fn name(&mut self, name: &str) {
        self.bytes.push(b',');
        self.string(name);
        self.bytes.push(b':');
    }

    fn string(&mut self, text: &str) {
        // Writing into memory does not fail.
        let _ = serde_json::to_writer(&mut self.bytes, text);
    }

    fn number(&mut self, field: &Field, number: impl itoa::Integer) {
        self.name(field.name());
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// RFC 3339 with microseconds.
    fn moment(&mut self, moment: OffsetDateTime) {
        let (hour, minute, second, micro) = moment.time().as_hms_micro();
        self.digits(moment.year().unsigned_abs(), 4);
        for (separator, number) in [
            (b'-', u8::from(moment.month())),
            (b'-', moment.day()),
            (b'T', hour),
            (b':', minute),
            (b':', second),
        ] {
            self.bytes.push(separator);
            self.digits(number.into(), 2);
        }
        self.bytes.push(b'.');
        self.digits(micro, 6);
        self.bytes.push(b'Z');
    }

    fn digits(&mut self, number: u32, count: u32) {
        for power in (0..count).rev() {
            let digit = number / 10_u32.pow(power) % 10;
            self.bytes.push(b'0' + digit.to_le_bytes()[0]);
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.names_trace |= field.name() == "trace_id";
        self.name(field.name());
        self.string(value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field.name());
        self.bytes.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field.name());
        // What JSON has no number for becomes null.
        let _ = serde_json::to_writer(&mut self.bytes, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339() {
        let mut line = Line { bytes: Vec::new(), names_trace: false };
        line.moment(OffsetDateTime::from_unix_timestamp_nanos(1_795_237_203_000_456_000).unwrap());
        assert_eq!(line.bytes, b"2026-11-21T05:00:03.000456Z");
    }
}
