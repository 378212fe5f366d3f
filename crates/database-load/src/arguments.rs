//! The command line and its environment.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use database::DatabaseArgs;
use database::settings::truth;
use database_load::{CouponArgs, CouponOptions, DataSet, PepperArgs, SourceArgs};
use telemetry::TelemetryArgs;

const EXIT_CODES: &str = "Exit codes:
  0    done; unchanged data sets were skipped
  1    the database failed; the data set at hand was rolled back
  2    a wrong argument or setting
  3    the database was not reachable in time, or refused the connection
  4    a file is wrong, cannot be read, or would take away all there is; nothing was written
  5    the database has no tables yet
  6    another run held the lock for too long
  7    there is no room for what does not fit into memory, or SPILL_SIZE_LIMIT is below what it needs
  130, 143  stopped by SIGINT, SIGTERM";

/// Loads products, users, promotions, orders and coupon codes from files; running APIs follow within a second
#[derive(Debug, Parser)]
#[command(version = VERSION, after_help = EXIT_CODES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub pepper: PepperArgs,
    /// Load these data sets and no others
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    pub only: Vec<DataSet>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Publish again even what is unchanged
    #[arg(long)]
    pub force: bool,
    /// Load files without rows, though that retires all products, keys or promotions, or makes all codes invalid
    #[arg(long, env = "ALLOW_EMPTY", global = true, value_parser = truth("ALLOW_EMPTY=true"))]
    pub allow_empty: bool,
    /// Write the result to stdout as JSON, and log to stderr
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    pub coupons: CouponArgs,
    /// How long to wait for the database
    #[arg(long, env = "WAIT_SECONDS", default_value_t = 60, value_parser = seconds)]
    pub wait_seconds: u64,
    /// How long to wait for another run
    #[arg(long, env = "LOCK_WAIT_SECONDS", default_value_t = 120, value_parser = seconds)]
    pub lock_wait_seconds: u64,
    #[command(flatten)]
    pub telemetry: TelemetryArgs,
}

/// A command that replaces the load of every data set.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find the codes that stand in at least so many of these files, and publish or print them
    Coupons {
        /// Coupon files: one code a line, gzip or plain; or folders of them
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// In how many of the files a code must stand
        #[arg(long, default_value_t = CouponOptions::default().min_files, value_parser = clap::value_parser!(u32).range(1..=1024))]
        min_files: u32,
        /// Print the codes, sorted, and leave the database alone
        #[arg(long)]
        print: bool,
    },
}

/// The version, with the library that decompresses gzip: one is about twice as fast as the other.
#[cfg(feature = "isal")]
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (gzip by ISA-L)");
#[cfg(not(feature = "isal"))]
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (gzip by zlib-rs)");

fn seconds(text: &str) -> Result<u64, &'static str> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds <= 86_400)
        .ok_or("is not a number of seconds up to 86400; example: 60")
}
