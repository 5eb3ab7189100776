//! Warming an empty store up with what siblings have: one task for each store, in the runtime that began it.

use crate::between;
use crate::budget::Reservation;
use crate::clock::Clock;
use crate::flight::FetchError;
use crate::give::Givings;
use crate::link::Link;
use crate::purged::Purged;
use crate::receive::Receiver;
use crate::record::{Decoder, Step};
use crate::service::Cache;
use crate::sibling::{CONNECT_MS, Sibling};
use crate::store::Store;
use alongside_http::body::BodyReader;
use alongside_policy::warming::{Pace, STALL_MS_MAX, WARMING_MS_MAX, Warming};
use alongside_protocols::chunked::Piece;
use alongside_protocols::{Asked, Body, Limits, guard, scratch};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Between two questions to a sibling that has no time.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// How often a sibling that has no time is asked.
const BUSY_LOOKS_MAX: usize = 20;

/// A store's warm-up: how far it is, and who is sent what it holds.
#[derive(Debug, Default)]
pub(crate) struct Warmup {
    /// Nothing before it begins, which is once.
    warming: Mutex<Option<Warming>>,
    /// Who is being sent something.
    pub givings: Givings,
}

impl Warmup {
    fn lock(&self) -> MutexGuard<'_, Option<Warming>> {
        self.warming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How warm the store is, 0 to 100; 100 where there is nothing to wait for.
    pub fn warmth(&self, now_ms: u64) -> u8 {
        self.lock().map_or(100, |warming| warming.warmth(now_ms))
    }

    fn update(&self, act: impl FnOnce(&mut Warming)) {
        if let Some(warming) = &mut *self.lock() {
            act(warming);
        }
    }
}

/// Begins to warm a store up that is empty, has siblings, and was not warmed up before. Other documents change nothing of it.
pub(crate) fn begin(cache: &Cache, bytes_per_s: Option<u64>) {
    let mut warming = cache.warmup.lock();
    let Some(bytes_per_s) = bytes_per_s.filter(|_| warming.is_none() && !cache.siblings.is_empty()) else { return };
    if !cache.store.is_empty() {
        *warming = Some(Warming::not_needed());
        return;
    }
    *warming = Some(Warming::new(cache.clock.now_ms()));
    let job = Job {
        store: Arc::downgrade(&cache.store),
        origin: Arc::clone(&cache.source),
        warmup: Arc::clone(&cache.warmup),
        purged: Arc::clone(&cache.purged),
        clock: cache.clock,
        pace: Pace::new(bytes_per_s),
    };
    let siblings = cache.siblings.all().to_vec();
    tokio::spawn(async move {
        let limit = Duration::from_millis(WARMING_MS_MAX);
        let warmup = Arc::clone(&job.warmup);
        if timeout(limit, run(job, &siblings)).await.is_err() {
            tracing::warn!(event = "warm_up_given_up", after_ms = WARMING_MS_MAX);
        }
        warmup.update(Warming::finish);
    });
}

/// What a warm-up needs. A store that nobody holds any more ends it.
struct Job {
    store: Weak<Store>,
    /// Whose answers the store is for.
    origin: Arc<str>,
    warmup: Arc<Warmup>,
    purged: Arc<Purged>,
    clock: Clock,
    pace: Pace,
}

/// How a sibling's part ended.
enum Ended {
    /// It has no more, or there is no room for more.
    Done,
    /// It has no time now.
    Busy,
}

async fn run(mut job: Job, siblings: &[Arc<Sibling>]) {
    for sibling in siblings {
        for _ in 0..BUSY_LOOKS_MAX {
            let began = Instant::now();
            match job.copy(sibling).await {
                Ok(Ended::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
                Ok(Ended::Done) => {
                    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(event = "warmed_up", sibling = sibling.id, took_ms);
                    break;
                }
                // What came before is whole; the next one has more.
                Err(error) => {
                    tracing::info!(event = "warm_up_cut", sibling = sibling.id, why = error.as_str());
                    break;
                }
            }
        }
    }
}

impl Job {
    async fn copy(&mut self, sibling: &Arc<Sibling>) -> Result<Ended, FetchError> {
        let Some(tickets) = self.store.upgrade().map(|store| store.tickets()) else { return Ok(Ended::Done) };
        let asked_ms = self.clock.now_ms();
        let mut link = timeout(Duration::from_millis(CONNECT_MS), Link::open(&sibling.upstream, CONNECT_MS, true))
            .await
            .unwrap_or(Err(FetchError::TimedOut))?;
        link.deadline.set(STALL_MS_MAX);
        link.send(&sibling.warm_request(&self.origin)).await?;
        let (status, body, other_origin) = head(&mut link).await?;
        sibling.note_origin(&self.origin, other_origin);
        match (status, body) {
            (200, Body::Chunked) => sibling.heard(),
            (503, _) => return Ok(Ended::Busy),
            _ => return Err(FetchError::Refused),
        }
        let purged = Arc::clone(&self.purged);
        let receiver = Receiver { clock: self.clock, asked_ms, tickets, purged, metrics: sibling.metrics.clone() };
        self.receive(&mut link, &receiver, BodyReader::new(body, &Limits::default())).await
    }

    async fn receive(
        &mut self,
        link: &mut Link,
        receiver: &Receiver,
        mut reader: BodyReader,
    ) -> Result<Ended, FetchError> {
        let (mut decoder, mut expected) = (Decoder::default(), 0);
        let mut reserved: Option<Reservation> = None;
        loop {
            let (used, piece) = reader.next(link.buffer.data()).map_err(|_| FetchError::Refused)?;
            let mut data = match piece {
                Piece::Data(data) => data,
                Piece::More => {
                    link.buffer.consume(used);
                    self.fill(link, expected).await?;
                    continue;
                }
                Piece::End => return Err(FetchError::Closed),
            };
            // The task shares its thread with the doors, so that it may wait; a store that left is not held meanwhile.
            let Some(store) = self.store.upgrade() else { return Ok(Ended::Done) };
            loop {
                let (count, step) = decoder.decode(data).map_err(|_| FetchError::Refused)?;
                data = &data[count..];
                match step {
                    Step::More => break,
                    Step::Preamble(bytes) => {
                        expected = bytes.min(store.bytes_max());
                        let now_ms = self.clock.now_ms();
                        self.warmup.update(|warming| warming.took(0, expected, now_ms));
                    }
                    Step::Begin(bytes) if bytes > store.object_bytes_max() => decoder.skip(),
                    Step::Begin(bytes) => {
                        if !receiver.has_room(&store, bytes) {
                            return Ok(Ended::Done);
                        }
                        reserved = store.inflight().try_reserve(bytes);
                        if reserved.is_none() {
                            decoder.skip();
                        }
                    }
                    Step::Record(record, body) => {
                        receiver.store(&store, &record, body);
                        drop(reserved.take());
                    }
                    Step::End => return Ok(Ended::Done),
                }
            }
            link.buffer.consume(used);
        }
    }

    /// Reads more, no faster than it may.
    async fn fill(&mut self, link: &mut Link, expected: u64) -> Result<(), FetchError> {
        link.deadline.set(STALL_MS_MAX);
        link.fill(usize::MAX).await?;
        let (bytes, now_ms) = (link.buffer.data().len() as u64, self.clock.now_ms());
        // Nothing was left over before.
        self.warmup.update(|warming| warming.took(bytes, expected, now_ms));
        let wait_ms = self.pace.took(bytes, now_ms);
        if wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
        Ok(())
    }
}

async fn head(link: &mut Link) -> Result<(u16, Body, Option<String>), FetchError> {
    let limits = Limits::default();
    loop {
        let mut room = scratch();
        let parsed = guard::response(link.buffer.data(), &mut room, &limits, Asked::default());
        if let Some(head) = parsed.map_err(|_| FetchError::Refused)? {
            let (found, used) = ((head.status, head.body, between::other_origin(&head)), head.head_bytes);
            link.buffer.consume(used);
            return Ok(found);
        }
        link.fill(limits.head_bytes_max).await?;
    }
}
