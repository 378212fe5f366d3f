//! `order-food`: the API.

use std::io::{self, Write};
use std::process::ExitCode;

use database::settings::{self, Refusal};
use domain::{Scope, SystemClock};
use order_food::app::{BoundServer, StartError};
use order_food::cli::keys::{KeyCommands, KeysCommand};
use order_food::config::{Arguments, Command, Config};
use order_food::server::Stopped;
use telemetry::{LogStream, Service, StopSignals, Telemetry};

/// The key of the demo data.
const DEMO_KEY: &str = "apitest";

fn main() -> ExitCode {
    let arguments: Arguments = match settings::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(refusal) => return refusal.report("order-food"),
    };
    let config = match Config::try_from(&arguments) {
        Ok(config) => config,
        Err(error) => return Refusal::from(error).report("order-food"),
    };
    if let Some(Command::Healthcheck(command)) = &arguments.command {
        let asked = command.run(config.server.server_address, config.server.port());
        return asked.map_or_else(
            |unhealthy| refused(&telemetry::causes(&unhealthy, database::words)),
            |()| ExitCode::SUCCESS,
        );
    }
    // The command line's answers go to stdout, its log to stderr.
    let stream = if arguments.command.is_some() { LogStream::Stderr } else { LogStream::Stdout };
    let service = Service { name: "order-food", version: env!("CARGO_PKG_VERSION") };
    let telemetry = Telemetry::start(service, &arguments.telemetry, stream);
    if let Some(Command::Keys(command)) = &arguments.command {
        return keys(command, &config);
    }
    // Requests run on the server's own threads; this one follows changes in the database.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    let code = runtime.block_on(run(config, telemetry));
    // Nothing is worth waiting for: whatever still runs was given its time.
    runtime.shutdown_background();
    code
}

fn keys(command: &KeysCommand, config: &Config) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    let keys = KeyCommands { url: &config.database_url, pepper: &config.pepper, clock: &SystemClock };
    match runtime.block_on(keys.run(command, &mut io::stdout())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&telemetry::causes(&error, database::words)),
    }
}

/// Serves until told to stop, and ends telemetry.
async fn run(config: Config, telemetry: Telemetry) -> ExitCode {
    let mut signals = match StopSignals::listen() {
        Ok(signals) => signals,
        Err(error) => return failed(&format!("cannot listen for signals: {error}")),
    };
    match serve(config, &telemetry, &mut signals).await {
        Ok(Stopped::Drained | Stopped::TimedOut) => {
            let told_again = telemetry.end(signals).await;
            told_again.map_or(ExitCode::SUCCESS, |signal| ExitCode::from(signal.exit_code()))
        }
        Ok(Stopped::AtOnce(signal)) => {
            telemetry.end_at_once();
            ExitCode::from(signal.exit_code())
        }
        Err(code) => code,
    }
}

async fn serve(
    config: Config,
    telemetry: &Telemetry,
    signals: &mut StopSignals,
) -> Result<Stopped, ExitCode> {
    let is_embedded = config.database_url.sqlite_file().is_some();
    let url = config.database_url.to_string();
    let bound = tokio::select! {
        bound = BoundServer::start(config, telemetry.tracing(), telemetry.log_counts()) => bound,
        signal = signals.next() => {
            tracing::info!(?signal, "stopped while starting");
            return Ok(Stopped::Drained);
        }
    };
    let bound = match bound {
        Ok(bound) => bound,
        Err(error @ StartError::Bind { .. }) => return Err(failed(&error.to_string())),
        Err(error) => return Err(failed(&telemetry::causes(&error, database::words))),
    };
    tracing::info!(address = %bound.address(), database = url, "listening");
    if is_embedded {
        greet(&bound, &url);
    }
    Ok(bound.run(signals).await)
}

/// One line for people, on stderr, and one for the log.
fn failed(reason: &str) -> ExitCode {
    tracing::error!("{reason}");
    refused(reason)
}

fn refused(reason: &str) -> ExitCode {
    // There may be no reader.
    let _ = writeln!(io::stderr(), "order-food: {reason}");
    ExitCode::FAILURE
}

/// What a newcomer needs. On stderr: stdout is the log's.
fn greet(bound: &BoundServer, url: &str) {
    let address = bound.address();
    let (key, code) = if bound.state().catalogue.api_keys.accepts(DEMO_KEY, Scope::CreateOrder) {
        (DEMO_KEY, ", \"couponCode\": \"SAVE10\"")
    } else {
        ("YOUR-KEY", "")
    };
    let _ = writeln!(
        io::stderr(),
        "\n  order-food serves http://{address} from {url}\n\n  The menu:   curl http://{address}/api/product\n  \
         An order:   curl http://{address}/api/order -H 'api_key: {key}' -H 'Content-Type: application/json' \\\n                \
         -d '{{\"items\": [{{\"productId\": \"1\", \"quantity\": 2}}, {{\"productId\": \"3\", \"quantity\": 1}}]{code}}}'\n  \
         Stop:       Ctrl-C\n"
    );
}
