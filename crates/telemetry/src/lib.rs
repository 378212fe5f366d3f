//! What the three programs say about themselves while they run, and how they are told to stop.

mod logs;
mod signals;

pub use logs::{LogArgs, LogFormat, LogStream, causes, start};
pub use signals::{StopSignal, StopSignals};
