//! Connections whose last bytes are written: a close with bytes that were not read would take those back that are under way.

use super::connection::Connection;
use std::collections::VecDeque;

/// How long the other side may take to end.
const LEAVE_US: u64 = 2_000_000;
/// How often it is looked whether it has.
const LOOK_US: u64 = 20_000;
/// Connections that are waited for; of more the oldest are closed.
const LEAVING_MAX: usize = 256;

/// Connections that say no more, and until when what still comes is read.
#[derive(Debug, Default)]
pub(crate) struct Leaving {
    connections: VecDeque<(u64, Connection)>,
    look_us: u64,
}

impl Leaving {
    /// Says that nothing follows, and closes the connection when the other side says the same, or after a while.
    pub(crate) fn take(&mut self, mut connection: Connection, scratch: &mut [u8], now_us: u64) {
        connection.finish();
        if connection.is_over(scratch) {
            return;
        }
        if self.connections.is_empty() {
            self.look_us = now_us + LOOK_US;
        }
        if self.connections.len() == LEAVING_MAX {
            self.connections.pop_front();
        }
        self.connections.push_back((now_us + LEAVE_US, connection));
    }

    /// Closes those that are over, if it is time for a look.
    pub(crate) fn look(&mut self, scratch: &mut [u8], now_us: u64) {
        if self.connections.is_empty() || now_us < self.look_us {
            return;
        }
        self.look_us = now_us + LOOK_US;
        self.connections.retain_mut(|(until_us, connection)| now_us < *until_us && !connection.is_over(scratch));
    }

    /// Returns when the next look is due.
    pub(crate) fn next_us(&self) -> Option<u64> {
        (!self.connections.is_empty()).then_some(self.look_us)
    }
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }
}
