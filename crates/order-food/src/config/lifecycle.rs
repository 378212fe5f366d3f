//! How to stop, and faults on demand.

use std::time::Duration;

use database::settings::truth;

/// How to stop, and faults on demand.
#[derive(Debug, Clone, clap::Args)]
pub struct LifecycleArgs {
    /// How long to go on serving, unready, after a signal to stop, so that balancers notice
    #[arg(long, env = "SHUTDOWN_DELAY_SECONDS", default_value_t = 0, value_parser = delay)]
    shutdown_delay_seconds: u64,
    /// How long requests under way may take after that
    #[arg(long, env = "SHUTDOWN_TIMEOUT_SECONDS", default_value_t = 20, value_parser = timeout)]
    shutdown_timeout_seconds: u64,
    /// Offer /panic, for trying out what a panic does
    #[arg(long, env = "ENABLE_FAULT_INJECTION", default_value_t = false, action = clap::ArgAction::Set, value_parser = truth("ENABLE_FAULT_INJECTION=false"))]
    pub enable_fault_injection: bool,
}

impl LifecycleArgs {
    /// How long to go on serving after a signal.
    pub const fn shutdown_delay(&self) -> Duration {
        Duration::from_secs(self.shutdown_delay_seconds)
    }

    /// How long requests under way may take after that.
    pub const fn shutdown_timeout(&self) -> Duration {
        Duration::from_secs(self.shutdown_timeout_seconds)
    }
}

fn seconds(text: &str) -> Option<u64> {
    text.parse().ok().filter(|seconds| *seconds <= 3600)
}

fn delay(text: &str) -> Result<u64, &'static str> {
    seconds(text).ok_or("is not a number of seconds up to 3600; example: SHUTDOWN_DELAY_SECONDS=5")
}

fn timeout(text: &str) -> Result<u64, &'static str> {
    seconds(text).ok_or("is not a number of seconds up to 3600; example: SHUTDOWN_TIMEOUT_SECONDS=20")
}
