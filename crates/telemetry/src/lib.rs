//! What the three programs say about themselves while they run, and how they are told to stop.

mod json;
mod log_queue;
mod logs;
pub mod metrics;
mod server_warnings;
mod signals;
mod start;
pub mod traces;

pub use logs::{LogArgs, LogCounts, LogFormat, LogStream, causes};
pub use server_warnings::with_server_warnings;
pub use signals::{StopSignal, StopSignals};
pub use start::{Service, Telemetry, TelemetryArgs};
pub use traces::Tracing;

#[doc(hidden)]
pub use tracing as __tracing;
