//! PostgreSQL is far away: each answer takes its time.

use std::io;
use std::time::Duration;

use test_database::{TestDatabase, TestEngine};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Api;
use crate::harness::{eventually_within, load_sample_data};

/// From one side to the other; a round trip takes twice as long.
const ONE_WAY: Duration = Duration::from_millis(40);

/// Passes all on, each byte so much later.
async fn relay(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let (sender, mut on_their_way) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let receive = async {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = from.read(&mut buffer).await?;
            let due = Instant::now() + ONE_WAY;
            if count == 0 || sender.send((due, buffer[..count].to_vec())).await.is_err() {
                drop(sender);
                return io::Result::Ok(());
            }
        }
    };
    let deliver = async {
        while let Some((due, bytes)) = on_their_way.recv().await {
            sleep_until(due).await; // ok: this is the distance
            to.write_all(&bytes).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(receive, deliver).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_distant_postgresql_is_ready_and_takes_orders() {
    let database = TestDatabase::migrated(TestEngine::Postgres).await;
    load_sample_data(&database).await;
    let (host_and_before, name) = database.url_text().rsplit_once('/').unwrap();
    let (login, server) = host_and_before.rsplit_once('@').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{login}@{}/{name}", listener.local_addr().unwrap());
    let server = server.to_owned();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.expect("the proxy accepts");
            let server = server.clone();
            tokio::spawn(async move {
                let (client_reads, client_writes) = client.into_split();
                let (server_reads, server_writes) = TcpStream::connect(server).await?.into_split();
                tokio::try_join!(relay(client_reads, server_writes), relay(server_reads, client_writes))
            });
        }
    });
    let api = Api::start(&url, &[]);
    eventually_within(Duration::from_secs(20), "the API is ready", async || {
        let metrics = api.text("/metrics").await;
        metrics.contains("\nready 1") && !metrics.contains("\norder_writers_connected 0")
    })
    .await;
    for _ in 0..3 {
        api.order().await;
    }
}
