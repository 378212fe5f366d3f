//! Spans, sent to a collector over OTLP.
//!
//! Whether a trace is kept is decided once, where it begins ([`Tracing::root`]); what is not kept costs next to
//! nothing, because its spans are never made: a span made with [`span!`](crate::span) exists only inside one that does.

mod context;
mod export;
mod pipeline;
mod settings;
mod spans;
mod values;

pub use context::TraceParent;
pub use pipeline::{SpanCounts, Tracing};
pub use settings::TraceArgs;
pub use spans::{Root, add_event, cut, fail, is_kept, joint, rename, set, set_list};

pub(crate) use context::active_ids;
pub(crate) use pipeline::Pipeline;
pub(crate) use spans::KeptSpans;
