//! Messages that arrive in pieces: what a reader knows of one so far.

/// What is known of a message that may not be whole yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// It is not whole. Call again with the same bytes and more behind them.
    More {
        /// Bytes that the message has at least: all of them once its last part's length is known; 0 if nothing is known.
        /// With fewer there is no use in calling.
        need: usize,
    },
    /// It is whole, or refused.
    Whole(T),
}

/// How far the reader of one message is, so that a message which comes byte by byte costs no more than one at once.
///
/// Keep one with each stream of messages. It is fresh again as soon as a message was whole or refused; make it fresh
/// yourself (`Progress::default()`) where bytes of an incomplete message are given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the message that need not be looked at again.
    pub(crate) seen: usize,
    /// Bytes that the message has at least; below them nothing is looked at.
    pub(crate) need: usize,
    /// Parts that are still to come.
    pub(crate) left: usize,
}
