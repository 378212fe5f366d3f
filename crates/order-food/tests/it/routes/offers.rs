//! Offers to upgrade the connection: they are not taken, and change nothing.

use test_database::{TestEngine, on_both_engines};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{KEY, TestServer, cart};

on_both_engines!(an_offer_changes_nothing);

/// The head of the answer, its body read.
async fn answer(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.expect("the connection stays open"));
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    client.read_exact(&mut body).await.unwrap();
    head
}

async fn an_offer_changes_nothing(engine: TestEngine) {
    let server = TestServer::start(engine).await;
    let body = cart(&[("1", 1)]);
    for offer in [
        // Java's client.
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
        // A configuration of nginx.
        "Connection: upgrade\r\n",
        "connection: UPGRADE\r\nupgrade: h2c, websocket\r\n",
        "Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.0\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
    ] {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        for _ in 0..3 {
            let order = format!(
                "POST /api/order HTTP/1.1\r\nHost: shop\r\napi_key: {KEY}\r\n{offer}Content-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            client.write_all(order.as_bytes()).await.unwrap();
            let head = answer(&mut client).await;
            assert!(head.starts_with("http/1.1 200 ") && !head.contains("\r\nconnection:"), "{offer} {head}");
            let menu = format!("GET /api/product/1 HTTP/1.1\r\nHost: shop\r\n{offer}\r\n");
            client.write_all(menu.as_bytes()).await.unwrap();
            let head = answer(&mut client).await;
            assert!(head.starts_with("http/1.1 200 ") && !head.contains("\r\nconnection:"), "{offer} {head}");
        }
        let last = format!("GET /api/product/1 HTTP/1.1\r\nHost: shop\r\n{offer}Connection: close\r\n\r\n");
        client.write_all(last.as_bytes()).await.unwrap();
        assert!(answer(&mut client).await.contains("\r\nconnection: close"), "{offer}");
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "{offer}");
    }
}
