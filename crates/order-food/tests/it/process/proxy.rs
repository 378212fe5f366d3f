//! A proxy in front of PostgreSQL that ends connections when a batch of orders is committed.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One in so many commits loses its connection.
const ONE_IN: usize = 6;

/// What becomes of a commit whose connection is cut.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// It is on its way to the server when the client's connection ends.
    Sent,
    /// It is done, and the answer is lost.
    Answered,
    /// It arrives after the client's connection has ended.
    Late,
    /// It never arrives.
    Lost,
}

impl Cut {
    const ALL: [Self; 4] = [Self::Sent, Self::Answered, Self::Late, Self::Lost];
}

/// Listens until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    /// How often each kind of cut was made.
    pub cuts: Arc<[AtomicUsize; Cut::ALL.len()]>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// In front of the server at that address.
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, cuts) = (listener.local_addr().unwrap(), Arc::<[AtomicUsize; 4]>::default());
        let counted = cuts.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("the proxy accepts");
                let (server, cuts) = (server.clone(), counted.clone());
                // A connection that ends is what this is for.
                tokio::spawn(async move { relay(client, TcpStream::connect(server).await?, &cuts).await });
            }
        });
        Self { address, cuts, accepting }
    }
}

async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    cuts: &[AtomicUsize; Cut::ALL.len()],
) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut requests = Requests::default();
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let bytes = &from_client[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if requests.commit_orders(bytes) && fastrand::usize(..ONE_IN) == 0 {
                    let cut = Cut::ALL[fastrand::usize(..Cut::ALL.len())];
                    cuts[cut as usize].fetch_add(1, Ordering::Relaxed);
                    return end(cut, client, server, bytes).await;
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut from_server) => {
                let bytes = &from_server[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

/// Ends the connection; `commit` is the end of the last request.
async fn end(cut: Cut, client: TcpStream, mut server: TcpStream, commit: &[u8]) -> io::Result<()> {
    // Once the server answers it has heard the request, and not the end of its client before that.
    let mut answer = [0; 1];
    match cut {
        Cut::Sent => {
            server.write_all(commit).await?;
            drop(client);
            server.read_exact(&mut answer).await.map(drop)
        }
        Cut::Answered => {
            server.write_all(commit).await?;
            server.read_exact(&mut answer).await?;
            drop(client);
            Ok(())
        }
        Cut::Late => {
            drop(client);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(1..40))).await; // ok: what is late, is late
            server.write_all(commit).await?;
            server.read_exact(&mut answer).await.map(drop)
        }
        Cut::Lost => Ok(()),
    }
}

/// Follows what a client asks, by PostgreSQL's protocol 3.0 (manual, "Message Formats").
#[derive(Default)]
struct Requests {
    buffer: Vec<u8>,
    is_started: bool,
    /// Names of the prepared statements that store orders.
    storing: HashSet<Vec<u8>>,
    is_storing: bool,
}

impl Requests {
    /// Whether these bytes end a request that stores orders, or commits a transaction.
    fn commit_orders(&mut self, bytes: &[u8]) -> bool {
        self.buffer.extend_from_slice(bytes);
        let mut commits = false;
        while let Some((kind, body)) = self.next_message() {
            let mut texts = body.split(|byte| *byte == 0);
            let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
            match kind {
                // Parse: the statement's name and text. Bind: the portal's name and the statement's.
                b'P' if contains(second, b"insert into orders ") => drop(self.storing.insert(first.to_vec())),
                b'B' => self.is_storing = self.storing.contains(second),
                // Sync commits what was executed outside a transaction.
                b'S' => commits |= std::mem::take(&mut self.is_storing),
                b'Q' => commits |= first == b"COMMIT",
                _ => {}
            }
        }
        commits
    }

    fn next_message(&mut self) -> Option<(u8, Vec<u8>)> {
        // Only the first message has no kind.
        let start = usize::from(self.is_started);
        let length = self.buffer.get(start..start + 4)?;
        let end = start + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        if self.buffer.len() < end {
            return None;
        }
        let message: Vec<u8> = self.buffer.drain(..end).collect();
        let kind = if std::mem::replace(&mut self.is_started, true) { message[0] } else { 0 };
        Some((kind, message[start + 4..].to_vec()))
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
