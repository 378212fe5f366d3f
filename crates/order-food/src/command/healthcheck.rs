//! `order-food healthcheck`: asks a running server whether it is ready. For probes in images that have no shell and no
//! curl.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use actix_web::http::Uri;

/// Ask a running server whether it is ready
#[derive(Debug, Clone, clap::Args)]
pub struct HealthcheckCommand {
    /// What to ask [default: http://127.0.0.1:SERVER_PORT/readyz]
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
    /// The answer was not 200.
    #[error("{0} answers {1}")]
    Refused(String, String),
}

impl HealthcheckCommand {
    /// For each of connecting, writing and reading.
    const TIMEOUT: Duration = Duration::from_secs(2);

    /// Asks; `port` is where the server of this configuration listens.
    pub fn run(&self, port: u16) -> Result<(), Unhealthy> {
        let (host, port, path) = match &self.url {
            None => ("127.0.0.1", port, "/readyz"),
            Some(url) => (
                url.host().unwrap_or_default(),
                url.port_u16().unwrap_or(80),
                url.path_and_query().map_or("/", |path| path.as_str()),
            ),
        };
        let name = format!("http://{host}:{port}{path}");
        let status =
            Self::ask(host, port, path).map_err(|error| Unhealthy::Unreachable(name.clone(), error))?;
        match status.split(' ').nth(1) {
            Some("200") => Ok(()),
            _ => Err(Unhealthy::Refused(name, status)),
        }
    }

    /// The answer's status line.
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
                    let mut status = String::new();
                    BufReader::new(stream).read_line(&mut status)?;
                    return Ok(status.trim_end().to_owned());
                }
            }
        }
        Err(last)
    }
}
