//! What a sibling has still to be told to forget.
//!
//! Best effort: a list for each sibling, told in order and again until it answers. Where the list is full, or the sibling away for
//! too long, it is to forget everything when it is back. What it says meanwhile is judged by its age (purged.rs).

use crate::between::{self, Question};
use crate::flight::FetchError;
use crate::key;
use crate::sibling::Sibling;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// URLs that wait for one sibling; more become one request to forget everything.
pub const PURGES_MAX: usize = 1024;

/// How long one sibling is told single URLs again and again; then it has to forget everything.
pub const PURGE_TIME_MAX: Duration = Duration::from_secs(60);

/// How long one attempt may take.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(1);

/// Between two attempts, at first and at most.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What waits for one sibling.
#[derive(Debug, Default)]
pub(crate) struct Purges(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Keys whose URLs are to be forgotten.
    keys: VecDeque<Box<[u8]>>,
    /// Everything is to be forgotten.
    is_all: bool,
    /// More came while it was told so.
    is_all_again: bool,
    is_running: bool,
}

impl Purges {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, key: &[u8]) {
        if self.is_all || self.keys.len() == PURGES_MAX {
            self.give_up();
        } else {
            self.keys.push_back(key.into());
        }
    }

    /// Takes off what the sibling has been told; what came meanwhile stays.
    fn told(&mut self, is_all: bool) {
        if is_all {
            self.is_all = std::mem::take(&mut self.is_all_again);
        } else if !self.is_all {
            self.keys.pop_front();
        }
    }

    /// Lets the sibling forget everything instead.
    fn give_up(&mut self) {
        self.keys = VecDeque::new();
        self.is_all_again = self.is_all;
        self.is_all = true;
    }
}

/// Lets a sibling forget the URL of a key as soon as it can be told.
pub(crate) fn tell(sibling: &Arc<Sibling>, key: &[u8]) {
    let is_running = {
        let mut waiting = sibling.purges.lock();
        waiting.add(key);
        std::mem::replace(&mut waiting.is_running, true)
    };
    if !is_running {
        let sibling = Arc::downgrade(sibling);
        tokio::spawn(async move {
            let (mut since, mut pause) = (None, PAUSE);
            // A sibling that the document names no more is told nothing.
            while let Some(sibling) = sibling.upgrade() {
                match tell_next(&sibling).await {
                    Told::All => return,
                    Told::One => (since, pause) = (None, PAUSE),
                    Told::Nothing => {
                        let since = *since.get_or_insert_with(Instant::now);
                        if since.elapsed() > PURGE_TIME_MAX {
                            sibling.purges.lock().give_up();
                        }
                        drop(sibling);
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(PAUSE_MAX);
                    }
                }
            }
        });
    }
}

enum Told {
    /// There is nothing left to tell.
    All,
    One,
    /// It does not answer.
    Nothing,
}

async fn tell_next(sibling: &Arc<Sibling>) -> Told {
    let (text, is_all) = {
        let mut waiting = sibling.purges.lock();
        match (waiting.is_all, waiting.keys.front()) {
            (true, _) => (sibling.request(Question::PurgeAll), true),
            (false, Some(key)) => (purge(sibling, key), false),
            (false, None) => {
                waiting.is_running = false;
                return Told::All;
            }
        }
    };
    match sibling.ask(&text, false, ATTEMPT_TIME_MAX).await {
        Ok(answer) if answer.has_purged => {
            sibling.heard();
            sibling.purges.lock().told(is_all);
            sibling.metrics.purge_told(if is_all { "all" } else { "told" });
            Told::One
        }
        Ok(_) => failed(sibling),
        Err(error) => {
            if matches!(error, FetchError::Unreachable | FetchError::TimedOut) {
                sibling.failed();
            }
            failed(sibling)
        }
    }
}

fn failed(sibling: &Sibling) -> Told {
    sibling.metrics.purge_told("failed");
    Told::Nothing
}

/// Returns the request to forget the URL of a key.
fn purge(sibling: &Sibling, key: &[u8]) -> Vec<u8> {
    let mut text = b"GET ".to_vec();
    // Keys are made by this cache; one that could not be read would be told as another URL, which does no harm.
    let (scheme, host, target) =
        key::read(key).map_or(("http", &b"-"[..], &b"/"[..]), |(url, _)| (url.scheme, url.host, url.target));
    for part in [target, b" HTTP/1.1\r\nhost: ", host, b"\r\nx-forwarded-proto: ", scheme.as_bytes(), b"\r\n"] {
        text.extend_from_slice(part);
    }
    text.extend_from_slice(b"cache-control: only-if-cached\r\n");
    between::write_question(Question::Purge, &sibling.own_id, &mut text);
    text.extend_from_slice(b"\r\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_list_becomes_one_request() {
        let mut waiting = Waiting::default();
        for one in 0..PURGES_MAX {
            waiting.add(&one.to_le_bytes());
        }
        assert_eq!((waiting.keys.len(), waiting.is_all), (PURGES_MAX, false));
        waiting.add(b"x");
        assert_eq!((waiting.keys.len(), waiting.is_all), (0, true));
        // The key that was on its way is told, then everything, and what comes meanwhile once more.
        waiting.told(false);
        waiting.add(b"y");
        waiting.told(true);
        assert!(waiting.is_all);
        waiting.told(true);
        waiting.add(b"z");
        assert_eq!((waiting.keys.len(), waiting.is_all), (1, false));
        waiting.told(false);
        assert!(waiting.keys.is_empty());
    }
}
