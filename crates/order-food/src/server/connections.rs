//! Connections: how many there may be, and for how long one may be idle.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::dev::Extensions;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// The connections of a server. Cloning gives another handle.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    started: Instant,
    most: usize,
    open: Mutex<Vec<Weak<Connection>>>,
}

/// One connection, until it is closed. Requests find it among their connection's data.
pub struct Connection {
    connections: Connections,
    /// Another handle to it: the server's own is out of reach.
    stream: TcpStream,
    /// The local address that it was accepted at.
    local_address: Option<SocketAddr>,
    /// Milliseconds since the start of the server: since then no request is under way.
    idle_since: AtomicU64,
    /// Requests that came on it.
    requests: AtomicU32,
    /// An answer said that it is the last one (RFC 9112, section 9.6).
    is_closing: AtomicBool,
}

/// A request is under way on a connection, until dropped.
pub struct Busy(Arc<Connection>);

impl Connections {
    /// More are not accepted, however many files the process may open: each takes some 25 KiB.
    const MOST: u64 = 10_000;
    /// For the database, files, logs and traces.
    const OTHER_FILES: u64 = 128;
    /// A connection without a request is closed by the server after its keep-alive time, but only if its client is
    /// silent: one that sends headers byte by byte, a body that nobody reads, or that does not read its answers is not.
    /// Such a one may stay as long as a silent one, and a bit more.
    const LONGEST_IDLE: Duration = Duration::from_secs(80);
    /// The same where most connections are taken.
    const LONGEST_IDLE_CROWDED: Duration = Duration::from_secs(5);
    const LOOK_INTERVAL: Duration = Duration::from_secs(1);

    /// None yet. Lets the process open as many files as it is allowed to, and leaves room for others than connections.
    pub fn new() -> Self {
        let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
        // Each has two handles.
        let most = (files.saturating_sub(Self::OTHER_FILES) / 2).clamp(16, Self::MOST);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self(Arc::new(Inner { started: Instant::now(), most, open: Mutex::default() }))
    }

    /// How many there may be.
    pub fn most(&self) -> usize {
        self.0.most
    }

    /// Records a connection that was accepted, and gives it to its requests.
    pub fn record(&self, stream: &actix_web::rt::net::TcpStream, data: &mut Extensions) {
        let Ok(handle) = stream.as_fd().try_clone_to_owned() else { return };
        let connection = Arc::new(Connection {
            connections: self.clone(),
            stream: handle.into(),
            local_address: stream.local_addr().ok(),
            idle_since: AtomicU64::new(self.now()),
            requests: AtomicU32::new(0),
            is_closing: AtomicBool::new(false),
        });
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connection));
        data.insert(connection);
    }

    /// Ends connections that are of no use, until dropped.
    pub async fn watch(&self) {
        let mut ticks = interval(Self::LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.end_useless();
        }
    }

    fn end_useless(&self) {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|connection| connection.strong_count() > 0);
        let is_crowded = open.len() > self.0.most / 4 * 3;
        let longest = if is_crowded { Self::LONGEST_IDLE_CROWDED } else { Self::LONGEST_IDLE };
        let before = self.now().saturating_sub(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
        for connection in open.iter().filter_map(Weak::upgrade) {
            if connection.idle_since.load(Ordering::Relaxed) < before {
                connection.end();
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// The local address that it was accepted at.
    pub const fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    /// Whether the client reads its answers, which is looked at for some requests. Who sends requests without reading what
    /// comes back has to wait here: the answers would pile up in this process. Who waits too long is disconnected.
    pub async fn await_reader(&self) -> bool {
        const LOOK_EVERY: u32 = 16;
        const PATIENCE: Duration = Duration::from_secs(5);
        const PAUSE: Duration = Duration::from_millis(20);
        if !self.requests.fetch_add(1, Ordering::Relaxed).wrapping_add(1).is_multiple_of(LOOK_EVERY) {
            return true;
        }
        // The server sends nothing while there is always a next request that it can read, or answer at once.
        for _ in 0..3 {
            yield_now().await;
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.has_room() {
            if Instant::now() > deadline {
                self.end();
                return false;
            }
            sleep(PAUSE).await; // ok: until the deadline
        }
        true
    }

    /// Whether the kernel takes more of what is to be sent.
    fn has_room(&self) -> bool {
        let mut descriptors = [PollFd::new(&self.stream, PollFlags::OUT)];
        poll(&mut descriptors, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Records that a request is under way, until the answer is dropped.
    #[must_use]
    pub fn begin_request(self: &Arc<Self>) -> Busy {
        self.idle_since.store(u64::MAX, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Records that the answer to this request is the last one.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// Whether the last answer was given: what comes after it must not be done.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Ends it once the last answer has had time to arrive.
    pub async fn end_soon(&self) {
        const LAST_ANSWER: Duration = Duration::from_secs(5);
        sleep(LAST_ANSWER).await; // ok: nobody can see when it has arrived
        self.end();
    }

    /// Ends it for both sides.
    fn end(&self) {
        // One that is closed already needs no more.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.connections.now(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::server::listener::listen;

    #[tokio::test]
    async fn only_idle_connections_are_ended() {
        let connections = Connections::new();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let pair = || {
            let client = TcpStream::connect(address).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let (server, _) = listener.accept().unwrap();
            server.set_nonblocking(true).unwrap();
            let mut data = Extensions::new();
            let server = actix_web::rt::net::TcpStream::from_std(server).unwrap();
            connections.record(&server, &mut data);
            (client, server, data.remove::<Arc<Connection>>().unwrap())
        };
        let (mut idle_client, _idle_server, idle) = pair();
        let (mut busy_client, busy_server, busy) = pair();
        let request = busy.begin_request();
        idle.idle_since.store(0, Ordering::Relaxed);
        // As if the server had run for long.
        let inner = Inner {
            started: Instant::now().checked_sub(Connections::LONGEST_IDLE * 2).unwrap(),
            most: connections.most(),
            open: Mutex::new(connections.0.open.lock().unwrap().clone()),
        };
        Connections(Arc::new(inner)).end_useless();
        assert_eq!(idle_client.read(&mut [0]).unwrap(), 0, "the idle one was ended");
        busy_server.writable().await.unwrap();
        busy_server.try_write(b"x").unwrap();
        assert_eq!(busy_client.read(&mut [0]).unwrap(), 1, "the busy one was not");
        busy_client.write_all(b"y").unwrap();
        drop(request);
        assert!(busy.idle_since.load(Ordering::Relaxed) < u64::MAX);
    }

    #[tokio::test]
    async fn who_reads_nothing_is_given_nothing_more() {
        let connections = Connections::new();
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        let mut answers = server.try_clone().unwrap();
        let server = actix_web::rt::net::TcpStream::from_std(server).unwrap();
        let mut data = Extensions::new();
        connections.record(&server, &mut data);
        let connection = data.remove::<Arc<Connection>>().unwrap();
        for _ in 0..16 {
            assert!(connection.await_reader().await);
        }
        // The kernel hands on what it takes, until both sides are full.
        let mut times_full = 0;
        while times_full < 50 {
            times_full = if answers.write(&[0; 8192]).is_ok() { 0 } else { times_full + 1 };
            sleep(Duration::from_micros(100)).await;
        }
        for _ in 0..15 {
            assert!(connection.await_reader().await);
        }
        assert!(!connection.await_reader().await);
        let mut sent = Vec::new();
        // What the kernel had is still read, and then comes the end.
        assert!(client.read_to_end(&mut sent).is_ok());
    }
}
