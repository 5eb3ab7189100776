//! What speaks TLS to the servers of the pools that a thread has, those among them that go and have a client yet.

use super::Connectors;
use crate::core::Terms;
use alongside_tls::Connector;
use std::sync::{Arc, Weak};

/// Connectors by the terms of their pool, for as long as somebody has these.
#[derive(Debug, Default)]
pub(crate) struct Kept(Vec<(Weak<Terms>, Arc<Connector>)>);

impl Kept {
    /// Has these pools' from now on, beside those of pools that are not over.
    pub(crate) fn follow(&mut self, pools: &[Arc<Terms>], connectors: &Connectors) {
        self.0.retain(|(terms, _)| terms.strong_count() > 0);
        for terms in pools.iter().filter(|terms| terms.pool.server_tls.is_some()) {
            if let Some(connector) = connectors.get(terms.pool.name.as_str()) {
                self.0.push((Arc::downgrade(terms), Arc::clone(connector)));
            }
        }
    }

    /// Returns what speaks TLS to a pool's servers. A name would not do: another pool may have it by now.
    pub(crate) fn of(&self, terms: &Arc<Terms>) -> Option<&Arc<Connector>> {
        let wanted = Arc::as_ptr(terms);
        self.0.iter().find(|(terms, _)| std::ptr::eq(terms.as_ptr(), wanted)).map(|(_, connector)| connector)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
