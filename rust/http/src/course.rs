//! Where a request may go: one upstream after the other, until one has answered or none is left.

use crate::link::Upstream;
use std::sync::Arc;

/// An upstream that a request goes to next.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'u> {
    /// Which one.
    pub upstream: &'u Arc<Upstream>,
    /// It is the origin of a route, which gets another head than the nodes do.
    pub is_origin: bool,
}

/// How a hop was lost. The word is a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// There was no connection.
    ConnectFailed,
    /// The connection ended before the answer was whole.
    Closed,
    /// The upstream was given up while it was waited for.
    Left,
    /// The answer broke off when a part of it was out already: only its rest is asked for.
    Cut,
}

impl Lost {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::ConnectFailed, Self::Closed, Self::Left, Self::Cut];

    /// Whether another upstream does the work once more that this one may have done, so that a budget bounds it.
    #[must_use]
    pub const fn is_repeated(self) -> bool {
        matches!(self, Self::Closed | Self::Left)
    }

    /// Returns the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectFailed => "connect_failed",
            Self::Closed => "closed",
            Self::Left => "left",
            Self::Cut => "cut",
        }
    }
}

/// Where a request may go, one hop after the other.
pub trait Course<'u>: Send {
    /// Returns where it goes next; `lost` says how the hop before was lost. Nothing: it goes nowhere any more.
    fn next(&mut self, lost: Option<Lost>) -> Option<Hop<'u>>;

    /// Whether there is somewhere to go after this hop, as far as is known now.
    fn has_next(&self) -> bool {
        false
    }

    /// Whether the request may be sent twice if its method and body allow that.
    fn may_repeat(&self) -> bool {
        true
    }

    /// Bytes up to which answers are held whole; none where there is never anywhere else to go.
    fn buffer_bytes(&self) -> Option<usize> {
        None
    }

    /// Appends the head for the origin, made of the one for nodes.
    fn write_origin_head(&self, head: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(head);
    }

    /// An answer went on from another hop where one broke off.
    fn resumed(&self) {}
}

/// One upstream, and nowhere else.
#[derive(Debug)]
pub struct Only<'u>(Option<&'u Arc<Upstream>>);

impl<'u> Only<'u> {
    /// Returns a course to one upstream.
    #[must_use]
    pub const fn new(upstream: &'u Arc<Upstream>) -> Self {
        Self(Some(upstream))
    }
}

impl<'u> Course<'u> for Only<'u> {
    fn next(&mut self, _: Option<Lost>) -> Option<Hop<'u>> {
        self.0.take().map(|upstream| Hop { upstream, is_origin: false })
    }
}

/// Where a request went.
#[derive(Debug, Default)]
pub struct Trail {
    /// The last upstream.
    pub upstream: Option<Arc<Upstream>>,
    /// Upstreams that it was sent to.
    pub hops: u32,
    /// Body bytes of the answer.
    pub body_bytes: u64,
    /// What a cache had for it, in the words of `Cache-Status`.
    pub cache: Option<&'static str>,
    /// Why it was refused for want of room.
    pub shed: Option<&'static str>,
}
