//! What XREAD and XREADGROUP say before their keys.

use super::Request;

/// Where the keys of a request stand, and whether it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Streams {
    /// The first key's index.
    pub(super) first: usize,
    /// How many keys there are; as many numbers of entries follow them.
    pub(super) count: usize,
    /// It would wait for entries that are still to come.
    pub(super) is_blocking: bool,
}

impl Streams {
    /// Read a request's words as Redis does: what an option's argument is called is no matter.
    pub(super) fn of(request: &Request<'_>) -> Streams {
        let mut streams = Streams::default();
        let mut args = request.args().enumerate().skip(1);
        while let Some((at, word)) = args.next() {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("STREAMS") {
                (streams.first, streams.count) = (at + 1, (request.count - at - 1) / 2);
                break;
            }
            streams.is_blocking |= is("BLOCK");
            let arguments = [("BLOCK", 1), ("COUNT", 1), ("GROUP", 2)];
            for _ in 0..arguments.iter().find(|(name, _)| is(name)).map_or(0, |(_, count)| *count) {
                args.next();
            }
        }
        streams
    }
}
