//! A handle for calling a load off from outside, as a signal does.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use coupon_corpus::Progress;
use tokio::sync::watch;

use crate::LoadError;

/// A handle for calling a load off. Data sets that are not published by then are not kept. A clone is another handle
/// for the same load.
#[derive(Debug, Clone, Default)]
pub struct Interruption(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_raised: watch::Sender<bool>,
    /// The progress of reading coupon files, as long as it lasts.
    reading: Mutex<Weak<Progress>>,
}

impl Interruption {
    /// Calls the load off: it ends soon, with [`LoadError::Interrupted`].
    pub fn raise(&self) {
        self.0.is_raised.send_replace(true);
        let reading = self.0.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = reading.upgrade() {
            progress.cancel();
        }
    }

    /// Whether the load is called off.
    pub fn is_raised(&self) -> bool {
        *self.0.is_raised.borrow()
    }

    /// Waits until the load is called off.
    pub async fn raised(&self) {
        // Waiting fails only without a sender, and `self` holds it.
        let _ = self.0.is_raised.subscribe().wait_for(|is_raised| *is_raised).await;
    }

    /// Fails if the load is called off. Work that never awaits calls this from time to time.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        if self.is_raised() { Err(LoadError::Interrupted) } else { Ok(()) }
    }

    /// A progress for reading coupon files from now on; calling the load off cancels it.
    pub(crate) fn reading(&self) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        *self.0.reading.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&progress);
        if self.is_raised() {
            progress.cancel();
        }
        progress
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use coupon_corpus::{CorpusError, CouponSource, Settings, digest};

    use super::*;

    fn is_cancelled(progress: &Progress) -> bool {
        let settings = Settings { threads: NonZeroUsize::MIN, ..Settings::default() };
        let source =
            CouponSource { name: "one".to_owned(), size_bytes: 9, content: Box::new(&b"AAAAAAAA\n"[..]) };
        matches!(digest(vec![source], &settings, progress), Err(CorpusError::Cancelled))
    }

    #[test]
    fn reading_ends_whether_it_began_before_or_after() {
        let interruption = Interruption::default();
        let (earlier, before) = (interruption.reading(), interruption.reading());
        assert!(!interruption.is_raised() && !is_cancelled(&before) && interruption.check().is_ok());
        interruption.clone().raise();
        assert!(interruption.is_raised() && is_cancelled(&before) && is_cancelled(&interruption.reading()));
        assert!(!is_cancelled(&earlier), "over when the next one began");
        assert!(matches!(interruption.check(), Err(LoadError::Interrupted)));
    }

    #[tokio::test]
    async fn waiting_ends_whether_it_began_before_or_after() {
        let interruption = Interruption::default();
        let waiting = tokio::spawn({
            let interruption = interruption.clone();
            async move { interruption.raised().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        interruption.raise();
        waiting.await.unwrap();
        interruption.raised().await;
        interruption.clone().raised().await;
    }
}
