//! What a successor that stands by knows of the two who may end its wait, and the end of one in place of the other.

use rustix::process::{Pid, getppid};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// How long a predecessor may take to say that it lets nobody in any more; a frozen one never does.
const DRAIN_WAIT: Duration = Duration::from_secs(2);

/// How soon it is asked again, where it hung up.
const DRAIN_PAUSE: Duration = Duration::from_millis(20);

const DRAIN: &[u8] = b"POST /drain HTTP/1.1\r\nhost: admin\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const DRAINING: &[u8] = b"HTTP/1.1 202";

/// How a process stands by.
#[derive(Debug)]
pub struct Standby {
    /// The admin door of the process that still serves on the same sockets.
    predecessor: Option<PathBuf>,
    starter: Option<Pid>,
}

impl Standby {
    /// Remembers who started this process, as early as possible: whoever is asked for later may be another one.
    #[must_use]
    pub fn new(predecessor: Option<PathBuf>) -> Self {
        Self { predecessor, starter: getppid() }
    }

    /// Whether the process that started this one, and that would give the word, is gone.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        getppid() != self.starter
    }

    /// Lets the predecessor let nobody in any more, as the one that is gone would have; returns when it does not, or is
    /// silent for too long.
    pub async fn end_predecessor(&self) {
        if let Some(path) = &self.predecessor
            && timeout(DRAIN_WAIT, until_drained(path)).await.is_err()
        {
            tracing::warn!(event = "predecessor_silent", door = %path.display());
        }
    }
}

/// Asks until it drains, or has no door any more.
async fn until_drained(door: &Path) {
    loop {
        match drain(door).await {
            Ok(()) => return,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return,
            Err(_) => sleep(DRAIN_PAUSE).await,
        }
    }
}

async fn drain(door: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(door).await?;
    stream.write_all(DRAIN).await?;
    let mut answer = [0; DRAINING.len()];
    stream.read_exact(&mut answer).await?;
    if answer == DRAINING { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
