//! What is left after a panic, and goes on.

use super::links::Link;
use super::turn::Reactor;
use super::who::Who;
use crate::core::{Core, Why};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl Reactor {
    /// Forgets a client whose work broke, and the links of its pool: a command of its may be half written to any of them.
    /// Tells whether it was there.
    fn forget_broken(&mut self, index: usize) -> bool {
        let Some(pool) = self.clients.get(index).and_then(Option::as_ref).map(|client| Arc::clone(&client.pool)) else {
            return false;
        };
        self.client_failed(index);
        for index in 0..self.links.len() {
            let is_its = |link: &Link| link.pool() == &*pool;
            if self.links[index].as_ref().is_some_and(is_its) {
                self.close(index, Why::Own);
            }
        }
        true
    }

    /// Goes on after a panic: without the client whose work it was, else from the beginning.
    pub(super) fn recover(&mut self) {
        let at = self.at.take();
        self.hold.end();
        self.dirty.1.clear();
        tracing::error!(event = "panicked", at = ?at);
        let is_over = match at {
            Some(Who::Client(index)) => {
                catch_unwind(AssertUnwindSafe(|| self.forget_broken(index))).is_ok_and(|is_over| is_over)
            }
            _ => false,
        };
        if !is_over {
            self.clients.clear();
            self.links.clear();
            self.core = Core::new(self.seed);
            let _ = catch_unwind(AssertUnwindSafe(|| self.core.apply(self.applied.clone(), self.now_us)));
        }
        // What the kernel said in this turn it says no more.
        let all = (0..self.clients.len()).map(Who::Client).chain((0..self.links.len()).map(Who::Link));
        for who in all.collect::<Vec<_>>() {
            if let Some(connection) = self.connection(who) {
                (connection.is_readable, connection.is_blocked, connection.is_listed) = (true, false, false);
                self.unblocked.push(who);
                self.list(who);
            }
        }
    }
}
