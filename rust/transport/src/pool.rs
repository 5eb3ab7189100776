//! Idle connections to upstreams, kept by the thread that opened them.

use crate::Wire;
use crate::deadline;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

struct Idle {
    stream: Wire,
    since_ms: u64,
}

/// An address under which connections are kept. What it is found by is made once, and not for each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    folded: u64,
    address: Box<str>,
}

impl Key {
    /// Returns the key of an address; equal addresses have equal keys.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { folded: fold(address.as_bytes()), address: address.into() }
    }
}

// Equal addresses fold alike, as Eq demands.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.folded);
    }
}

/// Eight bytes at a time, folded: addresses are short and ours, so that a hash that withstands attackers would only cost.
fn fold(bytes: &[u8]) -> u64 {
    let fold = |before: u64, word: u64| {
        let product = u128::from(before ^ word) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let folded = words.iter().fold(0, |before, word| fold(before, u64::from_le_bytes(*word)));
    fold(folded, rest.iter().fold(bytes.len() as u64, |word, &byte| word << 8 | u64::from(byte)))
}

/// Hands on what was folded before.
#[derive(Clone, Copy, Default)]
struct Given(u64);

impl Hasher for Given {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = fold(bytes);
    }

    fn write_u64(&mut self, folded: u64) {
        self.0 = folded;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type ByAddress = HashMap<Key, Vec<Idle>, BuildHasherDefault<Given>>;

thread_local! {
    static POOL: RefCell<ByAddress> = RefCell::new(ByAddress::default());
}

/// Returns a connection to an address that is open and silent, the one used last first; `None` where there is none.
#[must_use]
pub fn take(key: &Key) -> Option<Wire> {
    loop {
        let idle = POOL.with_borrow_mut(|pool| pool.get_mut(key).and_then(Vec::pop))?;
        if idle.stream.is_silent() {
            return Some(idle.stream);
        }
    }
}

/// Keeps a connection for later, unless `idle_max` of the address are kept already.
pub fn give(key: &Key, stream: Wire, idle_max: usize) {
    if matches!(stream, Wire::Channel(_)) {
        return;
    }
    POOL.with_borrow_mut(|pool| {
        let idle = Idle { stream, since_ms: deadline::now_ms() };
        match pool.get_mut(key) {
            Some(kept) if kept.len() < idle_max => kept.push(idle),
            None if idle_max > 0 => {
                pool.insert(key.clone(), vec![idle]);
            }
            _ => {}
        }
    });
}

/// Closes the connections that nobody used for `idle_ms`, and those that their peer closed.
pub fn sweep(idle_ms: u64) {
    let now = deadline::now_ms();
    POOL.with_borrow_mut(|pool| {
        pool.retain(|_, kept| {
            kept.retain(|idle| now.saturating_sub(idle.since_ms) < idle_ms && idle.stream.is_silent());
            !kept.is_empty()
        });
    });
}

/// Closes all idle connections of this thread.
pub fn clear() {
    POOL.with_borrow_mut(HashMap::clear);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    fn block_on<F: Future>(work: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    async fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[test]
    fn gives_back_what_it_took_up_to_its_limit() {
        block_on(async {
            clear();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (first, _far) = pair(&listener).await;
            let (second, _far) = pair(&listener).await;
            give(&Key::new("a"), first.into(), 1);
            give(&Key::new("a"), second.into(), 1);
            assert!(take(&Key::new("b")).is_none());
            assert!(take(&Key::new("a")).is_some());
            assert!(take(&Key::new("a")).is_none());
        });
    }

    #[test]
    fn leaves_out_connections_that_closed_or_spoke() {
        block_on(async {
            clear();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (closed, far) = pair(&listener).await;
            drop(far);
            let (spoke, mut far) = pair(&listener).await;
            far.write_all(b"!").await.unwrap();
            closed.readable().await.unwrap();
            spoke.readable().await.unwrap();
            give(&Key::new("a"), closed.into(), 9);
            give(&Key::new("a"), spoke.into(), 9);
            assert!(take(&Key::new("a")).is_none());
        });
    }

    #[test]
    fn sweeps_what_was_idle_for_too_long() {
        block_on(async {
            clear();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (near, _far) = pair(&listener).await;
            give(&Key::new("a"), near.into(), 9);
            sweep(10_000);
            assert!(POOL.with_borrow(|pool| pool.contains_key(&Key::new("a"))));
            for _ in 0..4 {
                deadline::tick();
            }
            sweep(1_000);
            assert!(POOL.with_borrow(HashMap::is_empty));
        });
    }
}
