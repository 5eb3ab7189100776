//! Asking a sibling of a node that cannot be told to tell it too.
//!
//! One task for each such node copies what it is owed to one of its fellows, which keeps it in the list that it has for its siblings.
//! The orders stay here as well: whoever reaches the node first has told it.

use super::talk::talk;
use super::{Queue, State, text};
use crate::link::Server;
use alongside_policy::owed::Ticket;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Between two tries where nobody took anything, at first and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Idle connections that are kept to a fellow.
const IDLE_MAX: usize = 8;

/// Begins to entrust what is open to fellows, where nobody does.
pub(super) fn begin(server: &Arc<Server>) {
    let is_first = {
        let mut state = server.forgets.lock();
        state.look_after_holder();
        let is_due = state.owed.unminded_count() > 0 && state.fellows.len() > 1;
        is_due && !std::mem::replace(&mut state.is_entrusting, true)
    };
    if is_first {
        tokio::spawn(work(Arc::downgrade(server)));
    }
}

async fn work(server: Weak<Server>) {
    let mut pause = PAUSE;
    loop {
        let Some(server) = server.upgrade() else { return };
        for fellow in server.forgets.fellows(&server) {
            if entrust_to(&server, &fellow).await {
                pause = PAUSE;
                break;
            }
        }
        if server.forgets.is_all_minded() {
            return;
        }
        drop(server);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Lets a fellow tell all that nobody else tells; whether it took some.
async fn entrust_to(server: &Arc<Server>, fellow: &Arc<Server>) -> bool {
    let line = format!("x-alongside-for: {}\r\n", server.id);
    let mut has_taken = false;
    loop {
        let batch = server.forgets.lock().owed.unminded();
        if batch.is_empty() {
            return has_taken;
        }
        let heads: Vec<u8> = batch.iter().flat_map(|ticket| with_line(text(&ticket.what), &line)).collect();
        let (mut answered, mut taken) = (0, 0);
        let mut kept = fellow.reuse();
        let mut tries = if kept.is_some() { 2 } else { 1 };
        // A kept connection may have closed.
        while tries > 0 && answered == 0 {
            tries -= 1;
            let whole = talk(fellow, &mut kept, (&heads, batch.len()), |said| {
                if said.will_tell() {
                    server.forgets.minded(&batch[answered], (server, fellow));
                    taken += 1;
                }
                answered += 1;
            });
            _ = whole.await;
        }
        if let Some(stream) = kept {
            fellow.keep(stream, IDLE_MAX);
        }
        if taken == 0 {
            return has_taken;
        }
        has_taken = true;
    }
}

/// Returns an order with a line more.
fn with_line(order: &[u8], line: &str) -> Vec<u8> {
    let (head, end) = order.split_at(order.len().saturating_sub(2));
    [head, line.as_bytes(), end].concat()
}

impl State {
    /// What somebody had who is gone, or behind itself, is entrusted anew.
    fn look_after_holder(&mut self) {
        let is_lost = |holder: &Weak<Server>| holder.upgrade().is_none_or(|holder| holder.forgets.is_behind());
        if self.holder.as_ref().is_some_and(is_lost) {
            self.holder = None;
            self.owed.unmind();
        }
    }
}

impl Queue {
    /// Returns who may be asked, who was asked before first.
    fn fellows(&self, own: &Arc<Server>) -> Vec<Arc<Server>> {
        let mut state = self.lock();
        state.look_after_holder();
        let is_usable = |fellow: &Arc<Server>| !Arc::ptr_eq(fellow, own) && !fellow.forgets.is_behind();
        let holder = state.holder.as_ref().and_then(Weak::upgrade);
        let others = state.fellows.iter().filter_map(Weak::upgrade).filter(is_usable);
        let is_other = |other: &Arc<Server>| holder.as_ref().is_none_or(|holder| !Arc::ptr_eq(holder, other));
        let others: Vec<_> = others.filter(is_other).collect();
        holder.iter().cloned().chain(others).collect()
    }

    /// Notes that a fellow tells the node too: it is not read from here, and nobody waits for it.
    fn minded(&self, ticket: &Ticket, (own, fellow): (&Server, &Arc<Server>)) {
        let mut state = self.lock();
        if state.holder.as_ref().is_none_or(|holder| !holder.ptr_eq(&Arc::downgrade(fellow))) {
            // One of them has all, so that none has to be asked what it has. The one before did not answer.
            state.owed.unmind();
            state.holder = Some(Arc::downgrade(fellow));
            tracing::info!(event = "node_minded", node = own.id, by = fellow.id);
        }
        if state.owed.minded(ticket) {
            self.set_behind(&own.id, true, &state);
        }
    }

    /// Whether all is entrusted; whoever comes next begins anew.
    fn is_all_minded(&self) -> bool {
        let mut state = self.lock();
        state.is_entrusting = state.owed.unminded_count() > 0;
        !state.is_entrusting
    }
}
