//! Settings: a struct for each topic, all of them clap arguments with an environment variable, so that `--help` lists
//! them all.

mod lifecycle;
mod limits;
mod server;

use database::settings::SettingError;
use database::{DatabaseArgs, DatabaseUrl};
use database_load::{PepperArgs, Source, SourceArgs};
use domain::Pepper;
use telemetry::TelemetryArgs;

use crate::cli::healthcheck::HealthcheckCommand;
use crate::cli::keys::KeysCommand;

pub use lifecycle::LifecycleArgs;
pub use limits::{LimitArgs, TrustedProxies};
pub use server::{AllowedOrigins, ServerArgs};

/// The food ordering API
#[derive(Debug, Clone, clap::Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 stopped by a signal, 1 failed, 2 a wrong argument or setting, 130, 143 stopped at once by a second signal"
)]
pub struct Arguments {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Connections this process opens to the database at most
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 5, value_parser = server::connections)]
    database_max_connections: u32,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    pepper: PepperArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    lifecycle: LifecycleArgs,
    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

/// What to do instead of serving.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Make, list, revoke and rotate API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Ask a running server whether it is ready
    Healthcheck(HealthcheckCommand),
}

/// Settings that have been found usable.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where and for whom to listen.
    pub server: ServerArgs,
    /// Which database.
    pub database_url: DatabaseUrl,
    /// Connections to it at most.
    pub database_max_connections: u32,
    /// What an embedded start loads.
    pub source: Source,
    /// What keys are hashed under.
    pub pepper: Pepper,
    /// Rate limits, and whom to believe about addresses.
    pub limits: LimitArgs,
    /// How to stop, and faults on demand.
    pub lifecycle: LifecycleArgs,
    /// The version to name in metrics.
    pub service_version: String,
}

impl TryFrom<&Arguments> for Config {
    type Error = SettingError;

    fn try_from(arguments: &Arguments) -> Result<Self, SettingError> {
        Ok(Self {
            server: arguments.server.clone(),
            database_url: arguments.database.url()?,
            database_max_connections: arguments.database_max_connections,
            source: arguments.source.source(),
            pepper: arguments.pepper.pepper()?,
            limits: arguments.limits.clone(),
            lifecycle: arguments.lifecycle.clone(),
            service_version: arguments.telemetry.traces.service_version(env!("CARGO_PKG_VERSION")).to_owned(),
        })
    }
}
