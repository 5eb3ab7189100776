//! What a sibling has still to be told to forget.
//!
//! A list for each sibling, told in order and again until it answers. Where the list is full, or the sibling away for too long, it is
//! to forget everything when it is back. What it says meanwhile is judged by its age (purged.rs).

use crate::between;
use crate::flight::FetchError;
use crate::key;
use crate::sibling::Sibling;
use alongside_http::forget;
use alongside_policy::owed::{Owed, Round, Terms, Ticket, What};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is remembered for a sibling; more, or for longer, and it has to forget everything.
pub const TERMS: Terms = Terms {
    orders_max: 1024,
    bytes_max: 256 * 1024,
    batch_max: 1,
    batch_bytes_max: 0,
    pause_ms: 5,
    pause_ms_max: 1_000,
    patience_ms: Some(60_000),
};

/// How long one attempt may take.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(1);

/// What waits for one sibling; nobody waits for it here.
#[derive(Debug)]
pub(crate) struct Purges(Mutex<Owed<Infallible>>);

impl Default for Purges {
    fn default() -> Self {
        Self(Mutex::new(Owed::new(TERMS)))
    }
}

impl Purges {
    fn lock(&self) -> MutexGuard<'_, Owed<Infallible>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Orders that are not settled.
    pub fn open(&self) -> usize {
        self.lock().open()
    }

    /// How many these are, and what they take.
    pub fn owed(&self) -> (usize, usize) {
        let owed = self.lock();
        (owed.open(), owed.bytes())
    }
}

/// Lets a sibling forget the URL of a key as soon as it can be told.
pub(crate) fn tell(sibling: &Arc<Sibling>, key: &[u8]) {
    // Keys are made by this cache; one that could not be read would be told as another URL, which does no harm.
    let (target, host, scheme) =
        key::read(key).map_or((&b"/"[..], &b"-"[..], "http"), |(url, _)| (url.target, url.host, url.scheme));
    add(sibling, What::One(forget::head(target, host, scheme, &between::from_line(&sibling.own_id)).into()));
}

/// Lets a sibling forget everything as soon as it can be told.
pub(crate) fn tell_all(sibling: &Arc<Sibling>) {
    add(sibling, What::Everything);
}

/// Drops what waits; says so where there was something.
pub(crate) fn give_up(sibling: &Sibling, reason: &str) {
    let open = sibling.purges.lock().drop_all();
    if open > 0 {
        tracing::warn!(event = "forgets_dropped", node = sibling.id, open, reason);
    }
}

fn add(sibling: &Arc<Sibling>, what: What) {
    let is_first = {
        let mut owed = sibling.purges.lock();
        owed.add(what, None);
        owed.begin()
    };
    if is_first {
        let sibling = Arc::downgrade(sibling);
        tokio::spawn(async move {
            // A sibling that the document names no more is told nothing.
            while let Some(sibling) = sibling.upgrade() {
                let Some(ticket) = sibling.purges.lock().take().pop() else { return };
                let round = tell_one(&sibling, &ticket).await;
                let next = sibling.purges.lock().end_round(round, sibling.now_ms());
                if next.pause_ms > 0 {
                    drop(sibling);
                    tokio::time::sleep(Duration::from_millis(next.pause_ms)).await;
                }
            }
        });
    }
}

async fn tell_one(sibling: &Sibling, ticket: &Ticket) -> Round {
    let everything;
    let (text, outcome) = match &ticket.what {
        What::One(text) => (&**text, "told"),
        What::Everything => {
            everything = forget::everything(&between::from_line(&sibling.own_id));
            (&everything[..], "all")
        }
    };
    match sibling.ask(text, false, ATTEMPT_TIME_MAX).await {
        Ok(answer) if answer.has_purged => {
            sibling.heard();
            sibling.purges.lock().done(ticket);
            sibling.metrics.purge_told(outcome);
            return Round::Went;
        }
        Err(FetchError::Unreachable | FetchError::TimedOut) => sibling.failed(),
        Ok(_) | Err(_) => {}
    }
    sibling.metrics.purge_told("failed");
    Round::Failed
}
