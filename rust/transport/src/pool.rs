//! Idle connections to upstreams, kept by the thread that opened them.

use crate::Wire;
use crate::deadline;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

struct Idle {
    stream: Wire,
    since_ms: u64,
}

/// Eight bytes at a time, folded: addresses are short and ours, so that a hash that withstands attackers would only cost.
#[derive(Clone, Copy, Default)]
struct Folded(u64);

impl Folded {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        self.fold(rest.iter().fold(bytes.len() as u64, |word, &byte| word << 8 | u64::from(byte)));
    }

    fn write_u8(&mut self, _: u8) {
        // The length is in it already: what marks the end of a text says nothing new.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type ByAddress = HashMap<Box<str>, Vec<Idle>, BuildHasherDefault<Folded>>;

thread_local! {
    static POOL: RefCell<ByAddress> = RefCell::new(ByAddress::default());
}

/// Returns a connection to `address` that is open and silent, the one used last first; `None` where there is none.
#[must_use]
pub fn take(address: &str) -> Option<Wire> {
    loop {
        let idle = POOL.with_borrow_mut(|pool| pool.get_mut(address).and_then(Vec::pop))?;
        if idle.stream.is_silent() {
            return Some(idle.stream);
        }
    }
}

/// Keeps a connection for later, unless `idle_max` of the address are kept already.
pub fn give(address: &str, stream: Wire, idle_max: usize) {
    if matches!(stream, Wire::Channel(_)) {
        return;
    }
    POOL.with_borrow_mut(|pool| {
        let idle = Idle { stream, since_ms: deadline::now_ms() };
        match pool.get_mut(address) {
            Some(kept) if kept.len() < idle_max => kept.push(idle),
            None if idle_max > 0 => {
                pool.insert(address.into(), vec![idle]);
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
            give("a", first.into(), 1);
            give("a", second.into(), 1);
            assert!(take("b").is_none());
            assert!(take("a").is_some());
            assert!(take("a").is_none());
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
            give("a", closed.into(), 9);
            give("a", spoke.into(), 9);
            assert!(take("a").is_none());
        });
    }

    #[test]
    fn sweeps_what_was_idle_for_too_long() {
        block_on(async {
            clear();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (near, _far) = pair(&listener).await;
            give("a", near.into(), 9);
            sweep(10_000);
            assert!(POOL.with_borrow(|pool| pool.contains_key("a")));
            for _ in 0..4 {
                deadline::tick();
            }
            sweep(1_000);
            assert!(POOL.with_borrow(HashMap::is_empty));
        });
    }
}
