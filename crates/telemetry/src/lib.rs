//! What the three programs say about themselves while they run, and how they are told to stop.

mod json;
mod logs;
mod signals;
mod writer;

pub use logs::{LogArgs, LogFormat, LogStream, causes, start};
pub use signals::{StopSignal, StopSignals};
pub use writer::LogGuard;
