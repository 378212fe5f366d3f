//! Bench only: orders that are sent when their time has come, however long the ones before take. A latency counts from
//! the moment at which an order should have been sent, so that waiting for a slow server is not left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const USAGE: &str = "usage: open_loop ADDRESS ORDERS_A_SECOND SECONDS CONNECTIONS
0 orders a second: each connection sends the next one when the last is answered";
const BODY: &str = r#"{"items":[{"productId":"1","quantity":2},{"productId":"3","quantity":1}]}"#;
/// For the answers after the last order is sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// When an order should be sent; `None` is the end.
enum Schedule {
    AtOnce { until: Instant },
    Paced(Mutex<UnboundedReceiver<Instant>>),
}

impl Schedule {
    /// A thread of its own keeps the time: tokio's timers are a millisecond coarse.
    fn paced(rate: f64, until: Instant) -> Self {
        let (sender, receiver) = unbounded_channel();
        std::thread::spawn(move || {
            let start = Instant::now();
            for number in 0_u32.. {
                let due = start + Duration::from_secs_f64(f64::from(number) / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now())); // ok: this is the pace
                if due >= until || sender.send(due).is_err() {
                    return;
                }
            }
        });
        Self::Paced(Mutex::new(receiver))
    }

    async fn next(&self) -> Option<Instant> {
        match self {
            Self::AtOnce { until } => Some(Instant::now()).filter(|now| now < until),
            Self::Paced(due) => due.lock().await.recv().await,
        }
    }
}

/// What the orders of one connection took, and how many were not stored.
#[derive(Default)]
struct Record {
    latencies: Vec<Duration>,
    failures: usize,
}

async fn send_orders(address: &str, schedule: &Schedule) -> std::io::Result<Record> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "POST /api/order HTTP/1.1\r\nHost: {address}\r\napi_key: apitest\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut record = Record::default();
    let mut answer = Vec::with_capacity(1 << 14);
    while let Some(due) = schedule.next().await {
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        while !is_whole(&answer) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        if answer.starts_with(b"HTTP/1.1 200 ") {
            record.latencies.push(due.elapsed());
        } else {
            record.failures += 1;
        }
    }
    Ok(record)
}

/// Whether head and body are there.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    answer.len() >= end + 4 + length.unwrap_or(0_usize)
}

#[expect(clippy::print_stdout, reason = "its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, rate, seconds, connections] = &arguments[..] else { return Err(USAGE.into()) };
    let (rate, connections): (f64, usize) = (rate.parse()?, connections.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (started, duration) = (Instant::now(), Duration::from_secs_f64(seconds.parse()?));
    let until = started + duration;
    let schedule =
        Arc::new(if rate > 0.0 { Schedule::paced(rate, until) } else { Schedule::AtOnce { until } });
    let all = runtime.block_on(async {
        let connection = |_| {
            let (address, schedule) = (address.clone(), schedule.clone());
            tokio::spawn(async move {
                tokio::time::timeout(duration + PATIENCE, send_orders(&address, &schedule)).await
            })
        };
        let mut all = Record::default();
        for connection in (0..connections).map(connection).collect::<Vec<_>>() {
            let record = connection.await???;
            all.latencies.extend(record.latencies);
            all.failures += record.failures;
        }
        Ok::<_, Box<dyn std::error::Error>>(all)
    })?;
    let mut latencies = all.latencies;
    if latencies.is_empty() {
        return Err("no order was stored".into());
    }
    latencies.sort_unstable();
    let count = u32::try_from(latencies.len())?;
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    print!(
        "RESULT {count} {} {rate:.1} {:.4}",
        all.failures,
        millis(latencies.iter().sum::<Duration>() / count)
    );
    for per_mille in [500, 900, 990, 999, 1000] {
        print!(" {:.4}", millis(latencies[(latencies.len() * per_mille / 1000).min(latencies.len() - 1)]));
    }
    println!();
    Ok(())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
