//! Telling nodes to forget a URL, until each of them has.
//!
//! Each node has a queue of its own, whoever knows it. While one has open orders that a writer no longer waits for, it is not read
//! from; what is too much to remember becomes "forget everything".
//!
//! An order is a HEAD that may only be answered from a store, so that whoever does not understand it does nothing: no write reaches
//! an origin twice.

use crate::link::{Server, Upstream};
use alongside_protocols::{Asked, Limits, guard, scratch};
use alongside_transport::Buffer;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a client that changed something waits for the nodes at most.
pub const WAIT_MAX: Duration = Duration::from_millis(250);

/// What a node says that has forgotten.
const PURGED: &str = "x-alongside-purged";

/// How long a connection, or one answer, may take.
const TRY_MAX: Duration = Duration::from_secs(1);

/// Between tries, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// URLs that are remembered for a node; one more, and it is told to forget everything.
const QUEUE_MAX: usize = 4096;

/// Orders that are on their way at one time, and their bytes: they are sent before the first answer is read.
const BATCH_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 16 * 1024;

/// Bytes that an answer's head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The order to forget everything.
static EVERYTHING: LazyLock<Arc<[u8]>> = LazyLock::new(|| Arc::from(order(b"/", b"localhost", "http", "purge-all")));

/// What a node has still to be told.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    /// It has not forgotten yet what it was told to, and must not be read from. Written under the lock.
    is_behind: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Order>,
    /// Where an order waits, counted from the first that ever did.
    places: HashMap<Arc<[u8]>, u64>,
    /// The count of the first that waits.
    first: u64,
    /// Orders that are on their way.
    sent: usize,
    /// A task tells the node.
    is_told: bool,
    /// It was said that the node does not understand.
    is_refusal_said: bool,
}

#[derive(Debug)]
struct Order {
    head: Arc<[u8]>,
    /// Dropped, under the queue's lock, when it is done.
    waits: Vec<oneshot::Sender<()>>,
}

/// What a node made of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It has forgotten.
    Done,
    /// It does not understand, and never will: it is no cache of ours, or does not believe us.
    Refused(u16),
    /// It cannot now.
    Again,
}

/// What came of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Something was settled.
    Went,
    /// The kept connection had closed.
    Stale,
    /// Nothing was.
    Failed,
}

/// Returns the order to forget a URL.
#[must_use]
pub fn head(target: &[u8], authority: &[u8], scheme: &str) -> Vec<u8> {
    order(target, if authority.is_empty() { b"localhost" } else { authority }, scheme, "purge")
}

fn order(target: &[u8], host: &[u8], scheme: &str, word: &str) -> Vec<u8> {
    [
        b"HEAD ",
        target,
        b" HTTP/1.1\r\nhost: ",
        host,
        b"\r\nx-forwarded-proto: ",
        scheme.as_bytes(),
        b"\r\ncache-control: only-if-cached\r\nx-alongside-ask: ",
        word.as_bytes(),
        b"\r\n\r\n",
    ]
    .concat()
}

/// Tells all of these nodes; returns when they have done it, or after [`WAIT_MAX`]: then they are told on, and not read from before.
pub async fn everywhere(nodes: Vec<Arc<Upstream>>, head: Arc<[u8]>) {
    let mut waits: Vec<_> = nodes.iter().map(|node| (&node.server, tell(&node.server, Arc::clone(&head)))).collect();
    let all = async {
        for (_, wait) in &mut waits {
            // It is done when the other end is dropped.
            let _ = wait.await;
        }
    };
    if timeout(WAIT_MAX, all).await.is_err() {
        waits.iter_mut().for_each(|(server, wait)| server.forgets.outwait(&server.id, wait));
    }
}

fn tell(server: &Arc<Server>, head: Arc<[u8]>) -> oneshot::Receiver<()> {
    let (done, wait) = oneshot::channel();
    let mut state = server.forgets.lock();
    if state.add(head, done) {
        tracing::warn!(event = "node_forgets_everything", node = server.id, reason = "more than it can be told");
    }
    if !std::mem::replace(&mut state.is_told, true) {
        tokio::spawn(work(Arc::downgrade(server)));
    }
    wait
}

/// Tells a node what there is to tell, until nothing is left or nobody knows the node any more.
async fn work(server: Weak<Server>) {
    let mut pause = PAUSE_MIN;
    let mut kept = None;
    loop {
        let Some(server) = server.upgrade() else { return };
        let Some(batch) = server.forgets.take(&server.id) else { return };
        match send(&server, &mut kept, batch).await {
            Round::Went => pause = PAUSE_MIN,
            Round::Stale => {}
            Round::Failed => {
                server.forgets.fall_behind(&server.id);
                drop(server);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

impl Order {
    fn join(&mut self, more: impl IntoIterator<Item = oneshot::Sender<()>>) {
        if self.waits.len() == self.waits.capacity() {
            self.waits.retain(|wait| !wait.is_closed());
        }
        self.waits.extend(more);
    }
}

impl State {
    /// Adds an order, or joins it with what says as much; true where that became "forget everything".
    fn add(&mut self, head: Arc<[u8]>, wait: oneshot::Sender<()>) -> bool {
        if let Some(equal) = self.equal(&head) {
            equal.join([wait]);
            return false;
        }
        let is_too_much = self.waiting.len() >= QUEUE_MAX;
        let mut order = Order { head, waits: vec![wait] };
        if is_too_much {
            order.head = Arc::clone(&EVERYTHING);
            for one in self.waiting.drain(..) {
                order.join(one.waits.into_iter().filter(|wait| !wait.is_closed()));
            }
            self.places = HashMap::new();
        }
        self.places.insert(Arc::clone(&order.head), self.first.wrapping_add(self.waiting.len() as u64));
        self.waiting.push_back(order);
        is_too_much
    }

    /// Returns the order that waits and says as much as this one.
    fn equal(&mut self, head: &Arc<[u8]>) -> Option<&mut Order> {
        let place = *self.places.get(head).or_else(|| self.places.get(&*EVERYTHING))?;
        self.waiting.get_mut(usize::try_from(place.wrapping_sub(self.first)).ok()?)
    }

    fn pop(&mut self) -> Option<Order> {
        let order = self.waiting.pop_front()?;
        self.first = self.first.wrapping_add(1);
        self.places.remove(&order.head);
        Some(order)
    }

    /// Puts an order back to be the next, or joins it with what says as much.
    fn put_back(&mut self, order: Order) {
        if let Some(equal) = self.equal(&order.head) {
            return equal.join(order.waits);
        }
        self.first = self.first.wrapping_sub(1);
        self.places.insert(Arc::clone(&order.head), self.first);
        self.waiting.push_front(order);
    }

    fn open(&self) -> usize {
        self.waiting.len() + self.sent
    }
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
        self.lock().open()
    }

    /// Drops what waits; says so where there was something.
    pub fn give_up(&self, id: &str, reason: &str) {
        let mut state = self.lock();
        let open = state.open();
        while state.pop().is_some() {}
        if open > 0 {
            tracing::warn!(event = "forgets_dropped", node = id, open, reason);
        }
    }

    /// Notes that a writer waits no longer: until its order is done, nobody reads what it changed.
    fn outwait(&self, id: &str, wait: &mut oneshot::Receiver<()>) {
        let state = self.lock();
        if matches!(wait.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            self.set_behind(id, true, &state);
        }
    }

    fn fall_behind(&self, id: &str) {
        let state = self.lock();
        if state.open() > 0 {
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
    fn take(&self, id: &str) -> Option<VecDeque<Order>> {
        let mut state = self.lock();
        let (mut batch, mut bytes) = (VecDeque::new(), 0);
        while batch.len() < BATCH_MAX
            && let Some(next) = state.waiting.front()
        {
            bytes += next.head.len();
            if bytes > BATCH_BYTES_MAX && !batch.is_empty() {
                break;
            }
            batch.extend(state.pop());
        }
        state.sent = batch.len();
        state.is_told = !batch.is_empty();
        if batch.is_empty() {
            self.set_behind(id, false, &state);
            return None;
        }
        Some(batch)
    }

    /// Settles an order that was answered; returns it where it is to be told again.
    fn settle(&self, order: Order, verdict: Verdict, id: &str) -> Option<Order> {
        let mut state = self.lock();
        match verdict {
            Verdict::Again => return Some(order),
            Verdict::Done => state.is_refusal_said = false,
            Verdict::Refused(status) => {
                if !std::mem::replace(&mut state.is_refusal_said, true) {
                    let reason = "it is no cache of ours, or its `inner` lacks this router";
                    tracing::warn!(event = "node_forgets_nothing", node = id, status, reason);
                }
            }
        }
        state.sent -= 1;
        drop(order);
        None
    }

    /// Puts back what was not settled.
    fn put_back(&self, orders: impl DoubleEndedIterator<Item = Order>) {
        let mut state = self.lock();
        orders.rev().for_each(|order| state.put_back(order));
        state.sent = 0;
    }
}

/// Tells a batch on one connection, the next before the one before is answered.
async fn send(server: &Server, kept: &mut Option<TcpStream>, mut batch: VecDeque<Order>) -> Round {
    let is_kept = kept.is_some();
    let (mut again, mut settled) = (Vec::new(), 0);
    let broken = talk(server, kept, &mut batch, |order, verdict| {
        settled += usize::from(verdict != Verdict::Again);
        again.extend(server.forgets.settle(order, verdict, &server.id));
    });
    let is_broken = broken.await.is_none();
    let has_answers = settled > 0 || !again.is_empty();
    // Those that it could not do stand behind those that it was not asked for yet.
    server.forgets.put_back(batch.into_iter().chain(again));
    match (settled, is_broken) {
        (1.., _) => Round::Went,
        (0, true) if is_kept && !has_answers => Round::Stale,
        _ => Round::Failed,
    }
}

/// Sends all orders and reads an answer to each; the connection is kept if it may be. Nothing where it broke or took too long.
async fn talk(
    server: &Server,
    kept: &mut Option<TcpStream>,
    batch: &mut VecDeque<Order>,
    mut answered: impl FnMut(Order, Verdict),
) -> Option<()> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => timeout(TRY_MAX, server.open()).await.ok()?.ok()?,
    };
    let heads: Vec<u8> = batch.iter().flat_map(|order| order.head.iter().copied()).collect();
    timeout(TRY_MAX, stream.write_all(&heads)).await.ok()?.ok()?;
    let mut buffer = Buffer::new();
    while !batch.is_empty() {
        let (verdict, goes_on) = timeout(TRY_MAX, answer(&mut stream, &mut buffer)).await.ok()??;
        if let Some(order) = batch.pop_front() {
            answered(order, verdict);
        }
        if !goes_on {
            return None;
        }
    }
    *kept = Some(stream).filter(|_| buffer.is_empty());
    Some(())
}

/// Returns what the next answer says, and whether the connection goes on; nothing where there is none.
async fn answer(stream: &mut TcpStream, buffer: &mut Buffer) -> Option<(Verdict, bool)> {
    loop {
        let mut room = scratch();
        // An answer to HEAD has no body.
        let asked = Asked { head: true, upgrade: false };
        if let Some(head) = guard::response(buffer.data(), &mut room, &Limits::default(), asked).ok()? {
            let is_purged = head.status == 200 && head.field(PURGED).is_some();
            let (used, status, goes_on) = (head.head_bytes, head.status, head.keep_alive);
            buffer.consume(used);
            if status >= 200 {
                return Some((judge(status, is_purged), goes_on));
            }
        } else if !matches!(buffer.fill(stream, HEAD_BYTES_MAX).await, Ok(1..)) {
            return None;
        }
    }
}

const fn judge(status: u16, is_purged: bool) -> Verdict {
    match status {
        _ if is_purged => Verdict::Done,
        // 504 is what a cache says to only-if-cached that does not understand the rest.
        408 | 425 | 429 | 500 | 502 | 503 | 505..=599 => Verdict::Again,
        _ => Verdict::Refused(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Servers;
    use alongside_protocols::RequestHead;
    use tokio::net::TcpListener;

    fn url(number: usize) -> Arc<[u8]> {
        head(format!("/{number}").as_bytes(), b"a", "http").into()
    }

    fn add(state: &mut State, head: Arc<[u8]>) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        state.add(head, done);
        wait
    }

    fn is_open(wait: &mut oneshot::Receiver<()>) -> bool {
        matches!(wait.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    #[test]
    fn orders_for_one_url_are_joined_and_stay_in_order() {
        let mut state = State::default();
        let mut waits: Vec<_> = [1, 2, 1, 2, 3].map(|number| add(&mut state, url(number))).into();
        assert_eq!(state.waiting.len(), 3);
        let first = state.pop().unwrap();
        // One that is on its way does not tell of what comes now.
        waits.push(add(&mut state, url(1)));
        assert_eq!(state.waiting.len(), 3);
        state.put_back(first);
        assert_eq!(state.waiting.len(), 3);
        let heads: Vec<_> = std::iter::from_fn(|| state.pop()).map(|order| order.head).collect();
        assert_eq!(heads, [url(2), url(3), url(1)]);
        assert!(state.places.is_empty() && !waits.iter_mut().any(is_open));
    }

    #[test]
    fn what_is_too_much_becomes_one_order_that_all_wait_for() {
        let mut state = State::default();
        let mut waits: Vec<_> = (0..QUEUE_MAX).map(|number| add(&mut state, url(number))).collect();
        let before = state.pop().unwrap();
        waits.push(add(&mut state, url(QUEUE_MAX)));
        waits.push(add(&mut state, url(QUEUE_MAX + 1)));
        assert_eq!(state.waiting.len(), 1);
        // What was on its way and came to nothing is part of it, and so is what comes later.
        state.put_back(before);
        waits.push(add(&mut state, url(1)));
        assert!(waits.iter_mut().all(is_open));
        let everything = state.pop().unwrap();
        assert_eq!(everything.head, *EVERYTHING);
        drop(everything);
        assert!(!waits.iter_mut().any(is_open));
    }

    #[test]
    fn who_waits_no_longer_leaves_nothing_behind() {
        let mut state = State::default();
        for _ in 0..10_000 {
            drop(add(&mut state, url(1)));
        }
        assert!(state.waiting[0].waits.len() < 64);
    }

    #[test]
    fn only_what_may_pass_is_told_again() {
        assert_eq!(judge(200, true), Verdict::Done);
        for status in [200, 204, 301, 400, 404, 405, 501, 504] {
            assert_eq!(judge(status, false), Verdict::Refused(status));
        }
        for status in [408, 429, 500, 502, 503] {
            assert_eq!(judge(status, false), Verdict::Again);
        }
    }

    #[test]
    fn many_orders_are_on_their_way_at_one_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let server = Servers::default().get("a", &address);
            let mut waits: Vec<_> = (0..BATCH_MAX).map(|number| tell(&server, url(number))).collect();
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut buffer, mut seen) = (Buffer::new(), 0);
            // It answers none before it has read all.
            while seen < BATCH_MAX {
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
