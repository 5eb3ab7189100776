//! Orders on a connection, and what is answered to them.

use crate::link::Server;
use alongside_protocols::{Asked, Limits, guard, scratch};
use alongside_transport::{Buffer, Wire};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// What a node says that has forgotten.
const PURGED: &str = "x-alongside-purged";

/// What a node says that will tell another one.
const OWED: &str = "x-alongside-owed";

/// How long a connection, or one answer, may take.
const TRY_MAX: Duration = Duration::from_secs(1);

/// Bytes that an answer's head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What a node made of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has forgotten.
    Done,
    /// It does not understand, and never will: it is no cache of ours, or does not believe us.
    Refused(u16),
    /// It cannot now.
    Again,
}

/// What an answer says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    status: u16,
    is_purged: bool,
    is_owed: bool,
}

impl Said {
    /// What it made of an order to forget.
    pub const fn verdict(self) -> Verdict {
        match self.status {
            200 if self.is_purged => Verdict::Done,
            // 504 is what a cache says to only-if-cached that does not understand the rest.
            408 | 425 | 429 | 500 | 502 | 503 | 505..=599 => Verdict::Again,
            status => Verdict::Refused(status),
        }
    }

    /// Whether it will tell who was named.
    pub const fn will_tell(self) -> bool {
        self.status == 200 && self.is_owed
    }
}

/// Sends so many orders and reads an answer to each; the connection is kept if it may be. Nothing where it broke or took too long.
pub(super) async fn talk(
    server: &Server,
    kept: &mut Option<Wire>,
    (heads, count): (&[u8], usize),
    mut answered: impl FnMut(Said),
) -> Option<()> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => timeout(TRY_MAX, server.open()).await.ok()?.ok()?,
    };
    timeout(TRY_MAX, stream.write_all(heads)).await.ok()?.ok()?;
    let mut buffer = Buffer::new();
    for at in 1..=count {
        let (said, goes_on) = timeout(TRY_MAX, answer(&mut stream, &mut buffer)).await.ok()??;
        answered(said);
        if !goes_on {
            return (at == count).then_some(());
        }
    }
    *kept = Some(stream).filter(|_| buffer.is_empty());
    Some(())
}

/// Returns what the next answer says, and whether the connection goes on; nothing where there is none.
async fn answer(stream: &mut Wire, buffer: &mut Buffer) -> Option<(Said, bool)> {
    loop {
        let mut room = scratch();
        // An answer to HEAD has no body.
        let asked = Asked { head: true, upgrade: false };
        if let Some(head) = guard::response(buffer.data(), &mut room, &Limits::default(), asked).ok()? {
            let (status, is_purged, is_owed) = (head.status, head.field(PURGED).is_some(), head.field(OWED).is_some());
            let (used, goes_on) = (head.head_bytes, head.keep_alive);
            buffer.consume(used);
            if status >= 200 {
                return Some((Said { status, is_purged, is_owed }, goes_on));
            }
        } else if !matches!(buffer.fill(stream, HEAD_BYTES_MAX).await, Ok(1..)) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, is_purged: bool, is_owed: bool) -> Said {
        Said { status, is_purged, is_owed }
    }

    #[test]
    fn only_what_may_pass_is_told_again() {
        assert_eq!(said(200, true, false).verdict(), Verdict::Done);
        for status in [200, 204, 301, 400, 404, 405, 501, 504] {
            assert_eq!(said(status, false, false).verdict(), Verdict::Refused(status));
        }
        for status in [408, 429, 500, 502, 503] {
            assert_eq!(said(status, false, false).verdict(), Verdict::Again);
        }
    }

    #[test]
    fn only_a_promise_is_believed() {
        for (status, is_owed, expected) in [(200, true, true), (200, false, false), (503, true, false)] {
            assert_eq!(said(status, true, is_owed).will_tell(), expected);
        }
    }
}
