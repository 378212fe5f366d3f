#!/usr/bin/env bash
# actix-web 4.18.1 with actix-http 3.20.0 (crates.io)
#
# A client may offer to upgrade its connection, and a server may ignore that (RFC 9110, section 7.8). This server ignores
# the offer, and closes the connection after the response: it keeps only connections whose request says nothing about
# upgrades. A handler cannot change that, since a response that asks for keep-alive leaves the request's word standing.
#
# Why it matters: Java's HttpClient offers HTTP/2 (`Connection: Upgrade, HTTP2-Settings`) with each request until it has an
# answer to it, and a much-copied nginx snippet sends `Connection: upgrade` for all. Each order then pays for a connection
# of its own. order-food hides offers from the framework.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"
[dependencies]
actix-http = "=3.20.0"
actix-web = { version = "=4.18.1", default-features = false, features = ["macros"] }
TOML
cat >src/main.rs <<'RUST'
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use actix_web::{App, HttpResponse, HttpServer, web};

/// The answer, and whether the server ended the connection after it.
fn ask(address: std::net::SocketAddr, headers: &str) -> (String, bool) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    // A connection that is kept runs into the timeout.
    let is_closed = stream.read_to_string(&mut answer).is_ok();
    (answer.to_lowercase(), is_closed)
}

#[actix_web::main]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let keep = || async { HttpResponse::Ok().keep_alive().body("x") };
    let server = HttpServer::new(move || App::new().route("/", web::get().to(keep))).workers(1);
    actix_web::rt::spawn(server.listen(listener).unwrap().run());
    let (plain, offering) = actix_web::rt::task::spawn_blocking(move || {
        (ask(address, ""), ask(address, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"))
    })
    .await
    .unwrap();
    println!("without an offer (closed: {}):\n{}\n\nwith one (closed: {}):\n{}", plain.1, plain.0, offering.1, offering.0);
    assert!(plain.0.starts_with("http/1.1 200") && !plain.1);
    assert!(offering.0.starts_with("http/1.1 200"));
    assert!(offering.1, "it is kept now");
}
RUST
cargo run --quiet
