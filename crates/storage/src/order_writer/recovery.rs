//! What becomes of orders that could not be stored, or that may have been.

use std::time::Duration;

use domain::{NewOrder, Placement};
use tokio::time::{Instant, sleep, timeout};

use super::blocked::BlockedOrders;
use super::connection::{StoredLookup, WriterConnection};
use super::failure::StoreFailure;
use super::job::Job;
use crate::StorageError;
use crate::metrics::WriterMetrics;

/// What the recovery of a part works with.
pub(super) struct Recovery<'w> {
    pub connection: &'w mut WriterConnection,
    pub blocked: &'w mut BlockedOrders,
    pub metrics: &'w WriterMetrics,
    /// Parts of the batch that are still to be stored. The last one is tried first.
    pub parts: &'w mut Vec<Vec<Job>>,
}

impl Recovery<'_> {
    const ASK_DEADLINE: Duration = Duration::from_millis(200);
    const ASK_PAUSE: Duration = Duration::from_millis(50);

    /// Decides what becomes of a part that was not stored.
    pub(super) async fn recover(mut self, part: Vec<Job>, failure: StoreFailure) {
        let cause = telemetry::causes(&failure, database::words);
        match failure {
            StoreFailure::OutcomeUnknown { .. } => {
                tracing::warn!(
                    orders = part.len(),
                    cause,
                    "a commit's outcome is unknown; asking which orders are there"
                );
                self.ask(part).await;
            }
            StoreFailure::NotSent(unusable) => Self::refuse(part, unusable, &cause),
            StoreFailure::Away(error) => Self::refuse(part, database::Unusable::of(&error), &cause),
            StoreFailure::LockTimeout(_) => {
                let orders = part.len();
                let part = self.blocked.set_aside(self.connection, part).await;
                if part.len() < orders {
                    self.parts.push(part);
                } else if orders > 1 {
                    self.parts.extend(split(part));
                } else {
                    self.parts.insert(0, part);
                }
            }
            StoreFailure::Refused(_) if part.len() > 1 => self.parts.extend(split(part)),
            StoreFailure::Refused(_) => {
                for job in part {
                    tracing::error!(order = %job.order.order.id, cause, "an order was refused by the database");
                    job.reply(Err(StorageError::Refused));
                }
            }
        }
    }

    fn refuse(part: Vec<Job>, unusable: Option<database::Unusable>, cause: &str) {
        tracing::warn!(orders = part.len(), cause, "orders could not be stored");
        for job in part {
            job.reply(Err(StorageError::Unavailable(unusable.map(Into::into))));
        }
    }

    /// Acknowledges the orders that are there after all, once they are confirmed, and tries the others again. If the
    /// database cannot be asked soon, the outcome stays unknown: clients find it out with their keys.
    async fn ask(&mut self, part: Vec<Job>) {
        let deadline = Instant::now() + Self::ASK_DEADLINE;
        loop {
            let ids: Vec<_> = part.iter().map(|job| job.order.order.id.uuid()).collect();
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.connection.find_stored(&ids)).await {
                Ok(Ok(StoredLookup { stored, is_final })) => {
                    let (there, missing): (Vec<_>, Vec<_>) =
                        part.into_iter().partition(|job| stored.contains(&job.order.order.id.uuid()));
                    self.confirm_found(there).await;
                    if is_final {
                        self.parts.push(missing);
                    } else {
                        leave_unknown(missing);
                    }
                    return;
                }
                Ok(Err(_)) if Instant::now() + Self::ASK_PAUSE < deadline => {
                    sleep(Self::ASK_PAUSE).await; // ok: asks again until the deadline
                }
                _ => {
                    leave_unknown(part);
                    return;
                }
            }
        }
    }

    /// Acknowledges orders that were found, if they are as safe as those that are stored undisturbed.
    async fn confirm_found(&mut self, there: Vec<Job>) {
        if there.is_empty() {
            return;
        }
        if self.connection.confirm(WriterConnection::CONFIRM_FOUND_DEADLINE).await {
            for job in there {
                self.metrics.record_outcome(&job.order, &Placement::Stored);
                job.reply(Ok(Placement::Stored));
            }
        } else {
            tracing::warn!(
                orders = there.len(),
                "orders are stored, and no commit after them passes: the server waits for a standby"
            );
            self.metrics.record_unconfirmed(there.len());
            leave_unknown(there);
        }
    }
}

/// Splits a part in which an order is refused, or waits for a lock. The half that need not wait, most likely, comes last
/// and is tried first: counters are held often, keys seldom.
fn split(part: Vec<Job>) -> [Vec<Job>; 2] {
    let differs = |class: &fn(&NewOrder) -> bool| {
        let with = part.iter().filter(|job| class(&job.order)).count();
        with > 0 && with < part.len()
    };
    let classes: [fn(&NewOrder) -> bool; 2] = [NewOrder::is_limited, NewOrder::takes_locks];
    if let Some(class) = classes.into_iter().find(differs) {
        let (waiting, free) = part.into_iter().partition(|job| class(&job.order));
        [waiting, free]
    } else {
        let mut first = part;
        let second = first.split_off(first.len() / 2);
        [first, second]
    }
}

fn leave_unknown(part: Vec<Job>) {
    for job in part {
        job.reply(Err(StorageError::OutcomeUnknown(None)));
    }
}
