//! Starts background tasks and ends them all together.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::interval;

/// The background tasks of a server. They end when it is dropped.
#[derive(Default)]
pub struct Supervisor(JoinSet<()>);

impl Supervisor {
    /// Starts a task that runs until the server ends.
    pub fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    /// Starts work that is done at once and then after each interval.
    pub fn start_every(&mut self, pause: Duration, work: impl Fn() + Send + 'static) {
        self.start(async move {
            let mut ticks = interval(pause);
            loop {
                ticks.tick().await;
                work();
            }
        });
    }
}
