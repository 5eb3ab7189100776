//! Telling nodes to forget a URL, until each of them has.
//!
//! Each node has a queue of its own. While one does not answer it is told again, and is not read from; what is too much to
//! remember becomes "forget everything".

use crate::link::Upstream;
use alongside_protocols::{Asked, Limits, guard, scratch};
use alongside_transport::Buffer;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// How long a client that changed something waits for the nodes at most.
pub const WAIT_MAX: Duration = Duration::from_millis(250);

/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(1);

/// Between tries, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// URLs that are remembered for a node; one more, and it is told to forget everything.
const QUEUE_MAX: usize = 4096;

/// Bytes that an answer's head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What a node has still to be told.
#[derive(Debug, Default)]
pub struct Queue(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    orders: VecDeque<Order>,
    /// A task tells the node.
    is_told: bool,
}

#[derive(Debug)]
struct Order {
    head: Arc<[u8]>,
    /// Dropped when it is done.
    _waits: oneshot::Sender<()>,
}

/// Returns the request that makes a node forget a URL.
#[must_use]
pub fn head(target: &[u8], authority: &[u8], scheme: &str) -> Vec<u8> {
    let host = if authority.is_empty() { b"localhost" } else { authority };
    [
        b"POST ",
        target,
        b" HTTP/1.1\r\nhost: ",
        host,
        b"\r\nx-forwarded-proto: ",
        scheme.as_bytes(),
        b"\r\nx-alongside-ask: purge\r\ncontent-length: 0\r\n\r\n",
    ]
    .concat()
}

fn everything() -> Arc<[u8]> {
    let head = b"POST / HTTP/1.1\r\nhost: localhost\r\nx-alongside-ask: purge-all\r\ncontent-length: 0\r\n\r\n";
    Arc::from(&head[..])
}

/// Tells all of these nodes; returns when they have done it, or after [`WAIT_MAX`]: then they are told on.
pub async fn everywhere(nodes: Vec<Arc<Upstream>>, head: Arc<[u8]>) {
    let waits: Vec<_> = nodes.iter().map(|node| tell(node, Arc::clone(&head))).collect();
    let all = async {
        for wait in waits {
            // It is done when the other end is dropped.
            let _ = wait.await;
        }
    };
    let _ = tokio::time::timeout(WAIT_MAX, all).await;
}

fn tell(node: &Arc<Upstream>, head: Arc<[u8]>) -> oneshot::Receiver<()> {
    let (done, wait) = oneshot::channel();
    let mut state = node.forgets.lock();
    if state.orders.len() >= QUEUE_MAX {
        tracing::warn!(event = "node_forgets_everything", node = node.id, reason = "more than it can be told");
        state.orders.clear();
        state.orders.push_back(Order { head: everything(), _waits: done });
    } else {
        state.orders.push_back(Order { head, _waits: done });
    }
    if !std::mem::replace(&mut state.is_told, true) {
        tokio::spawn(work(Arc::downgrade(node)));
    }
    wait
}

/// Tells a node what there is to tell, until nothing is left or nobody knows the node any more.
async fn work(node: Weak<Upstream>) {
    let mut pause = PAUSE_MIN;
    let mut kept = None;
    loop {
        let Some(node) = node.upgrade() else { return };
        let Some(head) = node.forgets.first() else {
            node.standing.iter().for_each(|standing| standing.set_behind(false));
            return;
        };
        let told = tokio::time::timeout(TRY_MAX, send(&node, &mut kept, &head)).await;
        if matches!(told, Ok(true)) {
            node.forgets.pop(&head);
            pause = PAUSE_MIN;
            continue;
        }
        kept = None;
        node.standing.iter().for_each(|standing| standing.set_behind(true));
        drop(node);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is to be told next; where that is nothing, whoever comes next begins anew.
    fn first(&self) -> Option<Arc<[u8]>> {
        let mut state = self.lock();
        let first = state.orders.front().map(|order| Arc::clone(&order.head));
        state.is_told = first.is_some();
        first
    }

    fn pop(&self, head: &Arc<[u8]>) {
        let mut state = self.lock();
        // It may have been replaced by "everything" meanwhile.
        if state.orders.front().is_some_and(|order| Arc::ptr_eq(&order.head, head)) {
            state.orders.pop_front();
        }
    }
}

/// Tells one thing; whether the node has done it.
async fn send(node: &Upstream, kept: &mut Option<TcpStream>, head: &[u8]) -> bool {
    let stream = match kept.take() {
        Some(stream) => Ok(stream),
        None => node.open().await,
    };
    let Ok(mut stream) = stream else { return false };
    let Some(is_good) = answer(&mut stream, head).await else { return false };
    *kept = Some(stream);
    is_good
}

/// Returns whether the answer is 200; nothing where there is none.
async fn answer(stream: &mut TcpStream, head: &[u8]) -> Option<bool> {
    stream.write_all(head).await.ok()?;
    let mut buffer = Buffer::new();
    loop {
        if !matches!(buffer.fill(stream, HEAD_BYTES_MAX).await, Ok(1..)) {
            return None;
        }
        let mut room = scratch();
        let asked = Asked { head: false, upgrade: false };
        if let Some(head) = guard::response(buffer.data(), &mut room, &Limits::default(), asked).ok()? {
            return Some(head.status == 200);
        }
    }
}
