//! What a thread is told from outside: pools, clients, names that were looked up.

use super::connection::Connection;
use super::turn::{Client, Reactor};
use super::who::Who;
use super::{Arrival, Connectors};
use crate::core::{Explained, Terms};
use std::sync::Arc;
use tokio::sync::oneshot;

/// After the word to drain, what a client may still take to ask: neither protocol can say that a connection ends, and one
/// that was let in just now has not asked anything.
const DRAIN_GRACE_US: u64 = 1_000_000;

/// What a thread is told.
pub(crate) enum Command {
    /// Have these pools and no others.
    Apply(Vec<Arc<Terms>>, Arc<Connectors>),
    /// Take a client.
    Adopt(Box<Arrival>),
    /// A name's lookup is over.
    Named(Arc<str>),
    /// Say where a key goes.
    Explain {
        /// The pool.
        pool: String,
        /// The key.
        key: Vec<u8>,
        /// Who wants to know.
        answer: oneshot::Sender<Option<(Arc<Terms>, Explained)>>,
    },
    /// Take commands of clients for a moment more, then none.
    Drain,
    /// Break, at the work of a client or at nobody's.
    #[cfg(test)]
    Panic(Option<usize>),
}

impl Reactor {
    pub(super) fn take_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Apply(pools, connectors) => {
                    self.connectors.follow(&pools, &connectors);
                    self.tls_told.clear();
                    self.applied.clone_from(&pools);
                    self.core.apply(pools, self.now_us);
                }
                Command::Adopt(arrival) => self.adopt(*arrival),
                Command::Named(name) => self.named(&name),
                Command::Explain { pool, key, answer } => {
                    // Whoever asked may have gone.
                    let _ = answer.send(self.explain(&pool, &key));
                }
                Command::Drain => {
                    self.drain_at_us.get_or_insert(self.now_us + DRAIN_GRACE_US);
                }
                #[cfg(test)]
                Command::Panic(at) => {
                    self.at = at.map(Who::Client);
                    panic!("as a test wants it");
                }
            }
        }
    }

    fn adopt(&mut self, arrival: Arrival) {
        let Arrival { pool, socket, tls, admitted } = arrival;
        let Some(id) = self.core.client_opened(&pool, self.now_us) else { return };
        let index = id.index();
        let mut connection = Connection::new(socket, tls.map(rustls::Connection::Server));
        if self.register(&mut connection.socket, Who::Client(index)).is_err() {
            return self.core.client_failed(id, self.now_us);
        }
        if self.clients.len() <= index {
            self.clients.resize_with(index + 1, || None);
        }
        // TLS may have read more than its handshake.
        connection.is_readable = connection.has_tls();
        let client = Client { id, pool, connection, is_paused: false, has_ended: false, _admitted: admitted };
        self.clients[index] = Some(client);
        self.list(Who::Client(index));
        self.unblocked.push(Who::Client(index));
        if self.is_draining {
            self.core.drain(self.now_us);
        }
    }

    /// Returns where a key goes, and the terms that say so.
    fn explain(&mut self, pool: &str, key: &[u8]) -> Option<(Arc<Terms>, Explained)> {
        let terms = self.applied.iter().find(|terms| terms.pool.name.as_str() == pool)?;
        Some((Arc::clone(terms), self.core.explain(pool, key)?))
    }
}
