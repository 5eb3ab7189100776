//! Looking whether nodes can be used, from time to time and when something happened.

use crate::link::{Server, Upstream};
use alongside_document::Probe;
use alongside_policy::health::Look;
use alongside_protocols::{Asked, Limits, guard, scratch};
use alongside_transport::destination::is_own_fault;
use alongside_transport::{Buffer, Wire};
use std::sync::Arc;
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

/// Looks at a node until the task is ended. The first look is at once.
pub async fn watch(node: Arc<Upstream>) {
    let Some(standing) = &node.standing else { return };
    loop {
        let terms = standing.probe_terms();
        let began = Instant::now();
        match tokio::time::timeout(terms.timeout, look(&node.server, &terms)).await {
            Ok(Found::Good(warmth)) => standing.probed(Look::Good, warmth, began),
            Ok(Found::Unreachable) => {
                standing.probed(Look::Bad, None, began);
                standing.connect_failed(began);
            }
            Ok(Found::Bad) | Err(_) => standing.probed(Look::Bad, None, began),
            Ok(Found::Nothing) => {}
        }
        standing.next_look(began).await;
    }
}

/// What a look found.
enum Found {
    /// It can be used; it may have said how warm it is.
    Good(Option<u8>),
    /// It took no connection.
    Unreachable,
    /// It gave no answer, or a bad one, or its name has no address.
    Bad,
    /// Nothing, for want of something here.
    Nothing,
}

async fn look(node: &Server, terms: &Terms) -> Found {
    let Ok(place) = node.find().await else { return Found::Bad };
    let stream = match node.open_at(&place).await {
        Ok(stream) => stream,
        Err(error) if is_own_fault(&error) => return Found::Nothing,
        Err(_) => return Found::Unreachable,
    };
    if terms.probe == Probe::Tcp {
        return Found::Good(None);
    }
    ask(stream, &node.address, terms).await.map_or(Found::Bad, Found::Good)
}

/// Returns what a good answer said.
async fn ask(mut stream: Wire, address: &str, terms: &Terms) -> Option<Option<u8>> {
    let path = match terms.probe {
        Probe::Http => terms.path.as_str(),
        Probe::Tcp | Probe::Cache => "/",
    };
    let ask = if terms.probe == Probe::Cache { "x-alongside-ask: probe\r\n" } else { "" };
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: alongside-probe\r\naccept: */*\r\n{ask}connection: close\r\n\r\n"
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
