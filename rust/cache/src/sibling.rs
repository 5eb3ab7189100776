//! Another replica of this cache's shard: asking it, and knowing whether it is worth asking.

use crate::between::{self, Question};
use crate::circuit::{Began, Circuit, Standing};
use crate::clock::Clock;
use crate::flight::FetchError;
use crate::link::{Link, SILENCE};
use crate::metrics::CacheMetrics;
use crate::purges::Purges;
use alongside_http::body::BodyReader;
use alongside_http::link::Upstream;
use alongside_policy::rendezvous;
use alongside_protocols::chunked::Piece;
use alongside_protocols::{Asked, Limits, guard, scratch};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long a connection to a sibling may take.
pub const CONNECT_MS: u64 = 500;

/// How long a sibling may take to say how warm it is.
pub const PROBE_TIME_MAX: Duration = Duration::from_millis(500);

/// How much of the body of a small answer is read.
const SMALL_BYTES_MAX: usize = 16 * 1024;

/// Idle connections that are kept to a sibling for small questions.
const IDLE_MAX: u32 = 8;

/// Another replica of this cache's shard.
#[derive(Debug)]
pub(crate) struct Sibling {
    /// Its node id.
    pub id: String,
    /// The id's hash, for the order of a key's replicas.
    pub hash: u64,
    /// Where it is.
    pub upstream: Upstream,
    /// What it has not been told yet.
    pub purges: Purges,
    /// What is counted.
    pub metrics: CacheMetrics,
    /// The node that asks.
    pub own_id: String,
    clock: Clock,
    circuit: Mutex<Circuit>,
    heard_ms: AtomicU64,
    /// It was said that it has another origin.
    is_origin_said: AtomicBool,
    /// One probe at a time answers for all who wait.
    probing: tokio::sync::Mutex<()>,
}

/// A small answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small {
    /// How warm the node is.
    pub warmth: Option<u8>,
    /// It has forgotten what it was told to.
    pub has_purged: bool,
}

impl Sibling {
    /// Returns a sibling of which nothing is known yet.
    pub fn new(upstream: Upstream, own_id: &str, (clock, metrics): (Clock, CacheMetrics)) -> Arc<Self> {
        Arc::new(Self {
            id: upstream.id.clone(),
            hash: rendezvous::hash(upstream.id.as_bytes()),
            upstream,
            purges: Purges::default(),
            metrics,
            own_id: own_id.to_owned(),
            clock,
            circuit: Mutex::default(),
            heard_ms: AtomicU64::new(0),
            is_origin_said: AtomicBool::new(false),
            probing: tokio::sync::Mutex::new(()),
        })
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is worth a question.
    pub fn is_usable(self: &Arc<Self>) -> bool {
        let standing = self.circuit().standing(self.clock.now_ms());
        if standing == Standing::Due {
            let sibling = Arc::clone(self);
            tokio::spawn(async move { sibling.try_again().await });
        }
        standing == Standing::Usable
    }

    async fn try_again(&self) {
        let began = self.begin();
        if self.probe().await.is_ok() {
            self.heard();
        } else {
            self.circuit().trial_failed(began, self.clock.now_ms());
        }
    }

    /// Notes that it answered.
    pub fn heard(&self) {
        self.heard_ms.store(self.clock.now_ms(), Relaxed);
        self.circuit().answered();
    }

    /// Notes that it did not.
    pub fn failed(&self) {
        self.circuit().failed(self.clock.now_ms());
    }

    fn begin(&self) -> Began {
        self.circuit().begin()
    }

    /// Notes that it asked something itself.
    pub fn spoke(&self) {
        self.circuit().spoke(self.clock.now_ms());
    }

    /// Notes whose answers it said that it has, where these are another origin's; says so once.
    pub fn note_origin(&self, own: &str, theirs: Option<String>) {
        let is_said = self.is_origin_said.swap(theirs.is_some(), Relaxed);
        if let Some(theirs) = theirs.filter(|_| !is_said) {
            let remedy = "write the origin of all replicas alike";
            tracing::warn!(event = "sibling_of_another_origin", sibling = self.id, own, theirs, remedy);
        }
    }

    /// The time by the cache's clock.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn was_heard(&self) -> bool {
        let silent_ms = self.clock.now_ms().saturating_sub(self.heard_ms.load(Relaxed));
        Duration::from_millis(silent_ms) < SILENCE
    }

    /// Whether it is there: it answered just now, or answers a probe. If not, it is left.
    pub async fn is_alive(&self) -> bool {
        if self.was_heard() {
            return true;
        }
        let _one = self.probing.lock().await;
        if self.was_heard() {
            return true;
        }
        let standing = self.circuit().standing(self.clock.now_ms());
        if standing == Standing::Left {
            return false;
        }
        let began = self.begin();
        if self.probe().await.is_ok() {
            self.heard();
            return true;
        }
        match standing {
            Standing::Due => self.circuit().trial_failed(began, self.clock.now_ms()),
            Standing::Usable | Standing::Left => self.circuit().probe_failed(began, self.clock.now_ms()),
        }
        // It may have answered something else meanwhile.
        self.begin() != began
    }

    /// Asks how warm it is, on a new connection.
    pub async fn probe(&self) -> Result<Small, FetchError> {
        let answer = self.ask(&self.request(Question::Probe), true, PROBE_TIME_MAX).await?;
        if answer.warmth.is_some() { Ok(answer) } else { Err(FetchError::Refused) }
    }

    /// Returns a question that is about no key.
    pub fn request(&self, question: Question) -> Vec<u8> {
        let mut text = self.lines(question);
        text.extend_from_slice(b"\r\n");
        text
    }

    /// Returns the question for all that it has of an origin.
    pub fn warm_request(&self, origin: &str) -> Vec<u8> {
        let mut text = self.lines(Question::Warm);
        between::write_origin(origin, &mut text);
        text.extend_from_slice(b"\r\n");
        text
    }

    fn lines(&self, question: Question) -> Vec<u8> {
        let address = &self.upstream.address;
        // Whoever does not understand the question asks nobody else because of it.
        let mut text = format!("GET / HTTP/1.1\r\nhost: {address}\r\ncache-control: only-if-cached\r\n").into_bytes();
        between::write_question(question, &self.own_id, &mut text);
        text
    }

    /// Asks something whose answer is small.
    pub async fn ask(&self, text: &[u8], is_fresh: bool, limit: Duration) -> Result<Small, FetchError> {
        timeout(limit, self.converse(text, is_fresh)).await.unwrap_or(Err(FetchError::TimedOut))
    }

    async fn converse(&self, text: &[u8], is_fresh: bool) -> Result<Small, FetchError> {
        let mut is_fresh = is_fresh;
        loop {
            let mut link = Link::open(&self.upstream, CONNECT_MS, is_fresh).await?;
            // The caller's limit comes first.
            link.deadline.set(u64::from(u32::MAX));
            let answered = match link.send(text).await {
                Ok(()) => self.small(&mut link, text.starts_with(b"HEAD ")).await,
                Err(error) => Err(error),
            };
            match answered {
                // A kept connection that closed before a byte came was closed before it was asked.
                Err(FetchError::Closed) if link.is_kept && link.buffer.is_empty() => is_fresh = true,
                Err(error) => return Err(error),
                Ok((answer, keep_alive)) => {
                    link.give_back(&self.upstream, keep_alive && !is_fresh, IDLE_MAX);
                    return Ok(answer);
                }
            }
        }
    }

    async fn small(&self, link: &mut Link, is_head: bool) -> Result<(Small, bool), FetchError> {
        let (limits, asked) = (Limits::default(), Asked { head: is_head, upgrade: false });
        let (answer, body, keep_alive) = loop {
            let mut room = scratch();
            let parsed = guard::response(link.buffer.data(), &mut room, &limits, asked);
            if let Some(head) = parsed.map_err(|_| FetchError::Refused)? {
                let used = head.head_bytes;
                let answer = Small { warmth: between::warmth(&head), has_purged: between::has_purged(&head) };
                let rest = (head.body, head.keep_alive);
                link.buffer.consume(used);
                break (answer, rest.0, rest.1);
            }
            link.fill(limits.head_bytes_max).await?;
        };
        let mut reader = BodyReader::new(body, &limits);
        let mut left = SMALL_BYTES_MAX;
        while !reader.is_done() {
            let (used, piece) = reader.next(link.buffer.data()).map_err(|_| FetchError::Refused)?;
            let (is_end, is_more) = (piece == Piece::End, piece == Piece::More);
            link.buffer.consume(used);
            left = left.checked_sub(used).ok_or(FetchError::Refused)?;
            if is_end {
                break;
            }
            if is_more {
                link.fill(usize::MAX).await?;
            }
        }
        Ok((answer, keep_alive))
    }
}
