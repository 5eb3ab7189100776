//! A connection to the origin or a sibling during one question.

use crate::flight::FetchError;
use crate::sibling::Sibling;
use alongside_http::link::{ConnectError, Upstream};
use alongside_transport::{Buffer, Deadline, Wire};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// How long a sibling may be silent before it is asked whether it is still there.
pub const SILENCE: Duration = Duration::from_secs(1);

/// A connection during one question.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Wire,
    /// What came and is not used yet.
    pub buffer: Buffer,
    /// What bounds the wait for more.
    pub deadline: Deadline,
    /// It was used before: that it closes says nothing.
    pub is_kept: bool,
    /// Who is to be looked after while it is silent.
    watched: Option<Arc<Sibling>>,
}

impl Link {
    /// Takes an idle connection, or opens one.
    pub async fn open(upstream: &Upstream, connect_timeout_ms: u64, is_fresh: bool) -> Result<Self, FetchError> {
        let deadline = Deadline::new();
        let kept = if is_fresh { None } else { upstream.server.reuse() };
        let is_kept = kept.is_some();
        let stream = match kept {
            Some(stream) => stream,
            None => {
                let connected = upstream.connect(&deadline, connect_timeout_ms).await;
                connected.map_err(|error| match error {
                    ConnectError::Failed { .. } => FetchError::Unreachable,
                    ConnectError::TimedOut { .. } => FetchError::TimedOut,
                })?
            }
        };
        Ok(Self { stream, buffer: Buffer::new(), deadline, is_kept, watched: None })
    }

    /// Looks after the sibling at the other end whenever it is silent: a frozen one is not waited for.
    pub fn watch(&mut self, sibling: Option<&Arc<Sibling>>) {
        self.watched = sibling.cloned();
    }

    /// Keeps the connection for the next question, where nothing is left over.
    pub fn give_back(self, upstream: &Upstream, keep_alive: bool, idle_max: u32) {
        if keep_alive && self.buffer.is_empty() {
            upstream.server.keep(self.stream, idle_max as usize);
        }
    }

    /// Sends a question, within the deadline.
    pub async fn send(&mut self, text: &[u8]) -> Result<(), FetchError> {
        match self.deadline.within(self.stream.write_all(text)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(FetchError::Closed),
            Err(_) => Err(FetchError::TimedOut),
        }
    }

    /// Reads more, within the deadline, up to `limit` buffered bytes.
    pub async fn fill(&mut self, limit: usize) -> Result<(), FetchError> {
        let Some(sibling) = self.watched.clone() else { return self.fill_unwatched(limit).await };
        loop {
            match timeout(SILENCE, self.fill_unwatched(limit)).await {
                Ok(filled) => return filled,
                // Boxed, since a probe is a question on a connection too.
                Err(_) if Box::pin(sibling.is_alive()).await => {}
                Err(_) => return Err(FetchError::TimedOut),
            }
        }
    }

    async fn fill_unwatched(&mut self, limit: usize) -> Result<(), FetchError> {
        match self.deadline.within(self.buffer.fill(&mut self.stream, limit)).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::OutOfMemory => Err(FetchError::Refused),
            Ok(_) => Err(FetchError::Closed),
            Err(_) => Err(FetchError::TimedOut),
        }
    }
}
