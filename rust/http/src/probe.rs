//! Looking whether nodes can be used, from time to time and when something happened.

use crate::link::Upstream;
use crate::standing::Standing;
use alongside_document::Probe;
use alongside_policy::health::Look;
use alongside_protocols::{Asked, Limits, guard, scratch};
use alongside_transport::Buffer;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

/// Bytes that an answer's head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How a node is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// By what.
    pub probe: Probe,
    /// What HTTP asks for.
    pub path: String,
    /// How long a look may take.
    pub timeout: Duration,
}

/// Looks at a node until nobody holds it any more. The first look is at once.
pub async fn watch(node: Weak<Upstream>) {
    loop {
        let Some(held) = node.upgrade() else { return };
        let Some(standing) = &held.standing else { return };
        let terms = standing.probe_terms();
        let began = Instant::now();
        let found = tokio::time::timeout(terms.timeout, look(&held, &terms)).await;
        match found.ok().flatten() {
            Some(warmth) => standing.probed(Look::Good, warmth, began),
            None => standing.probed(Look::Bad, None, began),
        }
        wait(&held, standing).await;
    }
}

/// Waits for the next look without keeping a node that left its document.
async fn wait(node: &Arc<Upstream>, standing: &Standing) {
    standing.next_look().await;
    let _ = node;
}

/// Returns what a good look found: the node's warmth, where it said it.
async fn look(node: &Upstream, terms: &Terms) -> Option<Option<u8>> {
    let mut stream = node.open().await.ok()?;
    let path = match terms.probe {
        Probe::Tcp => return Some(None),
        Probe::Http => terms.path.as_str(),
        Probe::Cache => "/",
    };
    let ask = if terms.probe == Probe::Cache { "x-alongside-ask: probe\r\n" } else { "" };
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nuser-agent: alongside-probe\r\naccept: */*\r\n{ask}connection: close\r\n\r\n",
        node.address
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut buffer = Buffer::new();
    loop {
        if !matches!(buffer.fill(&mut stream, HEAD_BYTES_MAX).await, Ok(1..)) {
            return None;
        }
        let mut room = scratch();
        let asked = Asked { head: false, upgrade: false };
        let Some(head) = guard::response(buffer.data(), &mut room, &Limits::default(), asked).ok()? else { continue };
        let warmth = head.field("x-alongside-warmth").and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        return (200..400).contains(&head.status).then_some(warmth);
    }
}
