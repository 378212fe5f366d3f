//! What becomes of orders that could not be stored, or of which nobody knows.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::super::{NewOrder, OrderPlacement, RepositoryError};
use super::Job;
use super::connection::{Looked, Store};
use super::worker::Writer;

impl Writer {
    /// Decides what becomes of a part that could not be stored.
    pub(super) async fn recover(&mut self, part: Vec<Job>, failure: sqlx::Error, parts: &mut Vec<Vec<Job>>) {
        let cause = telemetry::causes(&failure, database::words);
        if !database::is_certainly_not_done(&failure) {
            tracing::warn!(
                orders = part.len(),
                cause,
                "a commit's outcome is unknown; asking which orders are there"
            );
            self.ask(part, parts).await;
        } else if database::is_unavailable(&failure) {
            tracing::warn!(orders = part.len(), cause, "orders could not be stored");
            for job in part {
                job.answer(Err(Self::unavailable(&failure)));
            }
        } else {
            let (orders, has_waited) = (part.len(), database::is_worth_a_retry(&failure));
            let part = if has_waited { self.set_held_aside(part).await } else { part };
            if part.len() < orders {
                parts.push(part);
            } else if orders > 1 {
                parts.extend(Self::split(part));
            } else if has_waited {
                parts.insert(0, part);
            } else {
                for job in part {
                    tracing::error!(order = %job.order.order.id, cause, "an order was refused by the database");
                    job.answer(Err(RepositoryError::Refused));
                }
            }
        }
    }

    /// Something in it is refused, or waits for somebody. What need not wait, most likely, comes last and is tried first:
    /// limits are held often, keys seldom.
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

    /// Acknowledges what is there after all, once it is confirmed, and tries the rest again. A database that cannot be
    /// asked soon is away: clients are told that the outcome is unknown, and their keys tell later.
    async fn ask(&mut self, part: Vec<Job>, parts: &mut Vec<Vec<Job>>) {
        let deadline = Instant::now() + Self::ASK_DEADLINE;
        loop {
            let ids: Vec<_> = part.iter().map(|job| job.order.order.id.uuid()).collect();
            let asked =
                timeout(deadline.saturating_duration_since(Instant::now()), self.store.look_for(&ids)).await;
            match asked {
                Ok(Ok(Looked { stored, is_final })) => {
                    let (there, missing): (Vec<_>, Vec<_>) =
                        part.into_iter().partition(|job| stored.contains(&job.order.order.id.uuid()));
                    self.confirm_found(there).await;
                    if is_final {
                        parts.push(missing);
                    } else {
                        Self::leave_unknown(missing);
                    }
                    return;
                }
                Ok(Err(_)) if Instant::now() + Self::ASK_PAUSE < deadline => {
                    sleep(Self::ASK_PAUSE).await; // ok: asks again until the deadline
                }
                _ => {
                    Self::leave_unknown(part);
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
        if self.store.confirm(Store::CONFIRM_FOUND_DEADLINE).await {
            for job in there {
                self.metrics.note_outcome(&job.order, &OrderPlacement::Stored);
                job.answer(Ok(OrderPlacement::Stored));
            }
        } else {
            tracing::warn!(
                orders = there.len(),
                "orders are stored, and no commit after them passes: the server waits for a standby"
            );
            self.metrics.note_unconfirmed(there.len());
            Self::leave_unknown(there);
        }
    }

    fn leave_unknown(part: Vec<Job>) {
        for job in part {
            job.answer(Err(RepositoryError::OutcomeUnknown(None)));
        }
    }

    const ASK_DEADLINE: Duration = Duration::from_millis(200);
    const ASK_PAUSE: Duration = Duration::from_millis(50);
}
