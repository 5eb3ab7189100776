//! Telling nodes to forget a URL, until each of them has.
//!
//! Each node has a list of its own, whoever knows it. While one has open orders that a writer no longer waits for, it is not read
//! from, and a sibling is asked to tell it too (entrust.rs): this router may end before the node can be told.
//!
//! An order is a HEAD that may only be answered from a store, so that whoever does not understand it does nothing: no write reaches
//! an origin twice.

mod entrust;
mod talk;

use crate::link::{Server, Upstream};
use crate::standing::now_ms;
use alongside_policy::owed::{Owed, Round, Terms, Ticket, Waiter, What};
use alongside_transport::Wire;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use talk::{Verdict, talk};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a client that changed something waits for the nodes at most.
pub const WAIT_MAX: Duration = Duration::from_millis(250);

/// How long a node may take before a sibling is asked to tell it too.
const ENTRUST_AFTER: Duration = Duration::from_millis(100);

/// What is remembered for a node; one URL more, and it is told to forget everything.
const TERMS: Terms = Terms {
    orders_max: 4096,
    bytes_max: 1024 * 1024,
    // They are sent before the first answer is read.
    batch_max: 64,
    batch_bytes_max: 16 * 1024,
    // The successor of a node that ends is there in a few of these.
    pause_ms: 5,
    pause_ms_max: 1_000,
    patience_ms: None,
};

/// The order to forget everything.
static EVERYTHING: LazyLock<Arc<[u8]>> = LazyLock::new(|| everything("").into());

/// What a node has still to be told.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    /// It has not forgotten yet what it was told to, and must not be read from. Written under the lock.
    is_behind: AtomicBool,
}

#[derive(Debug)]
struct State {
    owed: Owed<Writer>,
    /// Who may be asked to tell it too: the replicas of the shard that was written to last.
    fellows: Fellows,
    /// Who was.
    holder: Option<Weak<Server>>,
    /// A task asks.
    is_entrusting: bool,
    /// It was said that the node does not understand.
    is_refusal_said: bool,
}

/// Replicas of one shard.
type Fellows = Arc<[Weak<Server>]>;

/// Dropped, under the list's lock, when the order is done.
#[derive(Debug)]
struct Writer(oneshot::Sender<()>);

impl Waiter for Writer {
    fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}

impl Default for Queue {
    fn default() -> Self {
        let fellows = Arc::from([]);
        let owed = Owed::new(TERMS);
        let state = State { owed, fellows, holder: None, is_entrusting: false, is_refusal_said: false };
        Self { state: Mutex::new(state), is_behind: AtomicBool::new(false) }
    }
}

/// Returns the order to forget a URL; `lines` say more of it, each with its end.
#[must_use]
pub fn head(target: &[u8], authority: &[u8], scheme: &str, lines: &str) -> Vec<u8> {
    order((target, if authority.is_empty() { b"localhost" } else { authority }, scheme), "purge", lines)
}

/// Returns the order to forget everything.
#[must_use]
pub fn everything(lines: &str) -> Vec<u8> {
    order((b"/", b"localhost", "http"), "purge-all", lines)
}

fn order((target, host, scheme): (&[u8], &[u8], &str), word: &str, lines: &str) -> Vec<u8> {
    [
        b"HEAD ",
        target,
        b" HTTP/1.1\r\nhost: ",
        host,
        b"\r\nx-forwarded-proto: ",
        scheme.as_bytes(),
        b"\r\ncache-control: only-if-cached\r\nx-alongside-ask: ",
        word.as_bytes(),
        b"\r\n",
        lines.as_bytes(),
        b"\r\n",
    ]
    .concat()
}

fn text(what: &What) -> &Arc<[u8]> {
    match what {
        What::One(text) => text,
        What::Everything => &EVERYTHING,
    }
}

/// Tells all nodes of these shards; returns when each has done it or a sibling sees to it that it will, or after [`WAIT_MAX`].
/// Nodes that have not are told on, and not read from before.
pub async fn everywhere(shards: Vec<Vec<Arc<Upstream>>>, head: Arc<[u8]>) {
    let mut waits = Vec::new();
    for shard in &shards {
        let fellows: Fellows = shard.iter().map(|node| Arc::downgrade(&node.server)).collect();
        waits.extend(shard.iter().map(|node| (&node.server, tell(&node.server, Arc::clone(&head), &fellows))));
    }
    let mut all = Box::pin(async {
        for (_, wait) in &mut waits {
            // It is done when the other end is dropped.
            let _ = wait.await;
        }
    });
    if timeout(ENTRUST_AFTER, &mut all).await.is_ok() {
        return;
    }
    shards.iter().flatten().for_each(|node| entrust::begin(&node.server));
    if timeout(WAIT_MAX - ENTRUST_AFTER, all).await.is_err() {
        waits.iter_mut().for_each(|(server, wait)| server.forgets.outwait(&server.id, wait));
    }
}

fn tell(server: &Arc<Server>, head: Arc<[u8]>, fellows: &Fellows) -> oneshot::Receiver<()> {
    let (done, wait) = oneshot::channel();
    let is_first = {
        let mut state = server.forgets.lock();
        state.fellows = Arc::clone(fellows);
        if state.owed.add(What::One(head), Some(Writer(done))) {
            tracing::warn!(event = "node_forgets_everything", node = server.id, reason = "more than it can be told");
        }
        state.owed.begin()
    };
    if is_first {
        tokio::spawn(work(Arc::downgrade(server)));
    }
    if server.forgets.is_behind() {
        entrust::begin(server);
    }
    wait
}

/// Tells a node what there is to tell, until nothing is left or nobody knows the node any more.
async fn work(server: Weak<Server>) {
    let mut kept = None;
    loop {
        let Some(server) = server.upgrade() else { return };
        let batch = server.forgets.take(&server.id);
        if batch.is_empty() {
            return;
        }
        let round = send(&server, &mut kept, &batch).await;
        let next = server.forgets.end_round(round, &server.id);
        if next.is_behind {
            entrust::begin(&server);
        }
        if next.pause_ms > 0 {
            drop(server);
            tokio::time::sleep(Duration::from_millis(next.pause_ms)).await;
        }
    }
}

/// Tells a batch on one connection, the next before the one before is answered.
async fn send(server: &Server, kept: &mut Option<Wire>, batch: &[Ticket]) -> Round {
    let is_kept = kept.is_some();
    let (mut answered, mut settled) = (0, 0);
    let heads: Vec<u8> = batch.iter().flat_map(|ticket| text(&ticket.what).iter().copied()).collect();
    let whole = talk(server, kept, (&heads, batch.len()), |said| {
        let verdict = said.verdict();
        settled += usize::from(verdict != Verdict::Again);
        server.forgets.settle(&batch[answered], verdict, &server.id);
        answered += 1;
    });
    match (whole.await.is_some(), answered, settled) {
        (_, _, 1..) => Round::Went,
        (false, 0, 0) if is_kept => Round::Stale,
        (_, 1.., 0) => Round::Later,
        _ => Round::Failed,
    }
}

/// What follows a round.
struct Next {
    pause_ms: u64,
    /// The node cannot be told for now.
    is_behind: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it must not be read from.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Acquire)
    }

    /// Orders that are not settled.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().owed.open()
    }

    /// How many these are, and what they take.
    #[must_use]
    pub fn owed(&self) -> (usize, usize) {
        let state = self.lock();
        (state.owed.open(), state.owed.bytes())
    }

    /// Drops what waits; says so where there was something.
    pub fn give_up(&self, id: &str, reason: &str) {
        let mut state = self.lock();
        let minded = state.owed.open() - state.owed.unminded_count();
        let open = state.owed.drop_all();
        if open > 0 {
            tracing::warn!(event = "forgets_dropped", node = id, open, minded, reason);
        }
    }

    /// Notes that a writer waits no longer: until its order is done, nobody reads what it changed.
    fn outwait(&self, id: &str, wait: &mut oneshot::Receiver<()>) {
        let state = self.lock();
        if matches!(wait.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            self.set_behind(id, true, &state);
        }
    }

    /// The lock is held by whoever calls.
    fn set_behind(&self, id: &str, is_behind: bool, _: &MutexGuard<'_, State>) {
        if self.is_behind.swap(is_behind, Ordering::AcqRel) != is_behind {
            tracing::warn!(event = "node_behind", node = id, is_behind);
        }
    }

    /// Returns what is to be told next; where that is nothing, whoever comes next begins anew.
    fn take(&self, id: &str) -> Vec<Ticket> {
        let mut state = self.lock();
        let batch = state.owed.take();
        if batch.is_empty() {
            state.holder = None;
            self.set_behind(id, false, &state);
        }
        batch
    }

    /// Notes what a node made of an order.
    fn settle(&self, ticket: &Ticket, verdict: Verdict, id: &str) {
        let mut state = self.lock();
        match verdict {
            Verdict::Again => return state.owed.again(ticket),
            Verdict::Done => state.is_refusal_said = false,
            Verdict::Refused(status) => {
                if !std::mem::replace(&mut state.is_refusal_said, true) {
                    let reason = "it is no cache of ours, or its `inner` lacks this router";
                    tracing::warn!(event = "node_forgets_nothing", node = id, status, reason);
                }
            }
        }
        state.owed.done(ticket);
    }

    /// Ends a round. A node that took nothing is not read from; one that ends is waited for as long as one that is silent, since
    /// others read from its successor as soon as it is there.
    fn end_round(&self, round: Round, id: &str) -> Next {
        let (mut state, now_ms) = (self.lock(), now_ms());
        let pause_ms = state.owed.end_round(round, now_ms).pause_ms;
        let is_failed = match round {
            Round::Went | Round::Stale => false,
            Round::Later => u128::from(state.owed.failing_ms(now_ms)) >= ENTRUST_AFTER.as_millis(),
            Round::Failed => true,
        };
        let is_behind = is_failed && state.owed.open() > 0;
        if is_behind {
            self.set_behind(id, true, &state);
        }
        Next { pause_ms, is_behind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Servers;
    use alongside_protocols::{Limits, RequestHead, guard, scratch};
    use alongside_transport::Buffer;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    fn url(number: usize) -> Arc<[u8]> {
        head(format!("/{number}").as_bytes(), b"a", "http", "").into()
    }

    fn is_open(wait: &mut oneshot::Receiver<()>) -> bool {
        matches!(wait.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    fn fellows(servers: &[&Arc<Server>]) -> Fellows {
        servers.iter().map(|server| Arc::downgrade(server)).collect()
    }

    #[test]
    fn many_orders_are_on_their_way_at_one_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = Servers::default().get("a", &address);
            let mut waits: Vec<_> =
                (0..TERMS.batch_max).map(|number| tell(&server, url(number), &fellows(&[&server]))).collect();
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut buffer, mut seen) = (Buffer::new(), 0);
            // It answers none before it has read all.
            while seen < TERMS.batch_max {
                buffer.fill(&mut stream, usize::MAX).await.unwrap();
                let mut room = scratch();
                while let Ok(Some(head)) = guard::request(buffer.data(), &mut room, &Limits::default()) {
                    let RequestHead { method, target, head_bytes, .. } = head;
                    assert_eq!((method, target), ("HEAD", format!("/{seen}").as_bytes()));
                    seen += 1;
                    buffer.consume(head_bytes);
                    room = scratch();
                }
            }
            assert!(waits.iter_mut().all(is_open));
            let answer = b"HTTP/1.1 200 OK\r\nx-alongside-purged: 1\r\ncontent-length: 0\r\n\r\n".repeat(seen);
            stream.write_all(&answer).await.unwrap();
            for wait in waits {
                assert!(wait.await.is_err());
            }
        });
    }
}
