//! Where and for whom to listen.

use std::net::{IpAddr, Ipv4Addr};

use database::settings::truth;

/// Where and for whom to listen.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// Port to listen on; 0 takes a free one [default: PORT, else 8080]
    #[arg(long, env = "SERVER_PORT", value_parser = port)]
    server_port: Option<u16>,
    /// The same as hosting platforms set it, where SERVER_PORT is not set; what is no port is passed over
    #[arg(long, env = "PORT")]
    port: Option<String>,
    /// Address to listen on; 0.0.0.0 for all
    #[arg(long, env = "SERVER_ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_parser = address)]
    pub server_address: IpAddr,
    /// Origins whose pages may call the API: * or a list such as https://shop.example,https://app.example
    #[arg(long, env = "CORS_ALLOWED_ORIGINS", default_value = "*", value_parser = origins)]
    pub cors_allowed_origins: AllowedOrigins,
    /// Offer /metrics
    #[arg(long, env = "ENABLE_METRICS", default_value_t = true, action = clap::ArgAction::Set, value_parser = truth("ENABLE_METRICS=true"))]
    pub enable_metrics: bool,
    /// Trace probes and scrapes, too
    #[arg(long, env = "TRACE_PROBES", default_value_t = false, action = clap::ArgAction::Set, value_parser = trace_probes)]
    pub trace_probes: bool,
}

/// Whose pages may call the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Everybody's. There are no cookies, so this gives nothing away.
    Any,
    /// These origins'.
    List(Vec<String>),
}

impl ServerArgs {
    const USUAL_PORT: u16 = 8080;

    /// The port to listen on.
    pub fn port(&self) -> u16 {
        // PORT may be meant for another program.
        let platform = || self.port.as_ref().and_then(|port| port.parse().ok());
        self.server_port.or_else(platform).unwrap_or(Self::USUAL_PORT)
    }
}

fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "is not a port; example: SERVER_PORT=8080")
}

fn trace_probes(text: &str) -> Result<bool, String> {
    if text.is_empty() { Ok(false) } else { truth("TRACE_PROBES=true")(text) }
}

fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "is not an IP address; example: SERVER_ADDRESS=0.0.0.0")
}

pub(super) fn connections(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .ok()
        .filter(|count| (1..=1000).contains(count))
        .ok_or("is not a number from 1 to 1000; example: DATABASE_MAX_CONNECTIONS=5")
}

fn origins(text: &str) -> Result<AllowedOrigins, &'static str> {
    if text == "*" {
        return Ok(AllowedOrigins::Any);
    }
    let origins: Vec<_> = text.split(',').map(|origin| origin.trim().to_owned()).collect();
    let is_origin = |origin: &String| {
        origin.split_once("://").is_some_and(|(scheme, host)| {
            matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains(['/', '*', ' '])
        })
    };
    if origins.iter().all(is_origin) {
        Ok(AllowedOrigins::List(origins))
    } else {
        Err("is neither * nor a list of origins; example: CORS_ALLOWED_ORIGINS=https://shop.example")
    }
}
