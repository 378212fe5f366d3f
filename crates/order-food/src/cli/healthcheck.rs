//! `order-food healthcheck`: asks a running server whether it is ready. For probes in images that have no shell and no
//! curl.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use actix_web::http::Uri;

/// Ask a running server whether it is ready
#[derive(Debug, Clone, clap::Args)]
pub struct HealthcheckCommand {
    /// What to ask [default: /readyz at SERVER_ADDRESS and SERVER_PORT]
    #[arg(long, value_parser = url)]
    url: Option<Uri>,
}

fn url(text: &str) -> Result<Uri, &'static str> {
    let uri: Option<Uri> = text.parse().ok();
    let is_http = |uri: &Uri| uri.scheme_str() == Some("http") && uri.host().is_some();
    uri.filter(is_http).ok_or("is not an http URL; example: --url http://127.0.0.1:8080/readyz")
}

/// The server is not ready, or did not say so.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nobody answers.
    #[error("{0} does not answer")]
    Unreachable(String, #[source] io::Error),
    /// The answer was not 200. The list names the missing things, where the answer does.
    #[error("{0} answers {1}{missing}", missing = .2.iter().map(|what| format!("; {what}")).collect::<String>())]
    Refused(String, String, Vec<String>),
}

/// The missing things that an answer of `/readyz` names.
fn missing(answer: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Ready {
        missing: Vec<String>,
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str::<Ready>(body).map_or_else(|_| Vec::new(), |ready| ready.missing)
}

impl HealthcheckCommand {
    /// For each of connecting, writing and reading.
    const TIMEOUT: Duration = Duration::from_secs(2);
    /// No more is read of an answer.
    const MOST_BYTES: u64 = 64 * 1024;

    /// Asks; by default the server that listens at `address` and `port`.
    pub fn run(&self, address: IpAddr, port: u16) -> Result<(), Unhealthy> {
        let own =
            if address.is_unspecified() { Ipv4Addr::LOCALHOST.to_string() } else { address.to_string() };
        let (host, port, path) = match &self.url {
            None => (own.as_str(), port, "/readyz"),
            Some(url) => (
                url.host().unwrap_or_default(),
                url.port_u16().unwrap_or(80),
                url.path_and_query().map_or("/", |path| path.as_str()),
            ),
        };
        let name = format!("http://{host}:{port}{path}");
        let answer =
            Self::ask(host, port, path).map_err(|error| Unhealthy::Unreachable(name.clone(), error))?;
        let status = answer.lines().next().unwrap_or_default();
        match status.split(' ').nth(1) {
            Some("200") => Ok(()),
            _ => Err(Unhealthy::Refused(name, status.to_owned(), missing(&answer))),
        }
    }

    /// The answer, or its beginning where it is long.
    fn ask(host: &str, port: u16, path: &str) -> io::Result<String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = (bare, port).to_socket_addrs()?.collect();
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpStream::connect_timeout(&address, Self::TIMEOUT) {
                Err(error) => last = error,
                Ok(mut stream) => {
                    stream.set_read_timeout(Some(Self::TIMEOUT))?;
                    stream.set_write_timeout(Some(Self::TIMEOUT))?;
                    write!(
                        stream,
                        "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: order-food-healthcheck\r\n\
                         Connection: close\r\n\r\n"
                    )?;
                    let mut answer = Vec::new();
                    // A server may keep the connection open. The bytes that came in time are its answer then.
                    let read = stream.take(Self::MOST_BYTES).read_to_end(&mut answer);
                    let text = String::from_utf8_lossy(&answer).into_owned();
                    return if text.contains("\r\n") { Ok(text) } else { read.map(|_| text) };
                }
            }
        }
        Err(last)
    }
}
