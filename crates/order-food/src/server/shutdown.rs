//! Stopping in order: unready, serve on for a while, answer what is under way, end.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use telemetry::{StopSignal, StopSignals};

use super::in_flight::InFlight;
use super::listener::keep_new_ones_away;

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// After a signal, with every request answered in time.
    Drained,
    /// After a signal, with requests that took longer than they may.
    TimedOut,
    /// After a second signal, which was this one.
    AtOnce(StopSignal),
}

/// What is to be stopped, and how long that may take.
pub struct Drain {
    pub listener: TcpListener,
    pub server: ServerHandle,
    pub in_flight: InFlight,
    /// How long to serve on, so that load balancers notice.
    pub delay: Duration,
    /// How long requests under way may take after that.
    pub timeout: Duration,
}

impl Drain {
    /// Stops in order, or at once on a second signal.
    pub async fn run(self, signals: &mut StopSignals) -> Stopped {
        tokio::select! {
            stopped = self.drain() => stopped,
            signal = second_signal(signals) => Stopped::AtOnce(signal),
        }
    }

    async fn drain(self) -> Stopped {
        tokio::time::sleep(self.delay).await; // ok: the delay is the setting
        // While connections wait to be accepted, or were accepted and not yet heard, to stop is to lose their requests:
        // it waits until all that came were answered. Idle keep-alive connections stay as long as they like to; they do
        // not count.
        let are_kept_away = keep_new_ones_away(&self.listener).is_ok();
        let drained = tokio::time::timeout(self.timeout, async {
            if are_kept_away {
                self.in_flight.wait_until_quiet().await;
            }
            let stopping = self.server.stop(true);
            drop(self.listener);
            tokio::select! {
                () = stopping => {}
                () = self.in_flight.wait_until_quiet() => {}
            }
        });
        if drained.await.is_ok() { Stopped::Drained } else { Stopped::TimedOut }
    }
}

/// Waits for a second signal. Some programs signal a process and its group: the same SIGTERM twice at once is one.
async fn second_signal(signals: &mut StopSignals) -> StopSignal {
    const ONE_SIGNAL: Duration = Duration::from_millis(500);
    let first = Instant::now();
    loop {
        match signals.next().await {
            StopSignal::Terminate if first.elapsed() < ONE_SIGNAL => {}
            signal => return signal,
        }
    }
}
