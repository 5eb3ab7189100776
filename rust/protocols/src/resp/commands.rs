//! The table of Redis' commands: which go where, which are answered here, which are refused.

mod find;
mod streams;
mod table;

use super::{Args, Request};
use streams::Streams;

pub use find::find;
pub use table::ALL;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name, in upper case.
    pub name: &'static str,
    /// How many arguments the packaged twemproxy lets it have; see [`Command::fits_twemproxy`].
    pub arity: Arity,
    /// What is done with it.
    pub kind: Kind,
    /// Where its keys stand; nowhere if a number of keys says that, or if no key counts.
    pub keys: Keys,
}

/// Where a command's keys stand, as `COMMAND INFO` of Redis says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The first key's index, the command's name being 0; 0 if there is none.
    pub first: u8,
    /// The last key's index; counted from behind if negative, -1 being the last argument.
    pub last: i8,
    /// From one key to the next.
    pub step: u8,
}

/// How many arguments twemproxy lets a command have, its name among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// So many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// A name and one pair or more.
    Pairs,
    /// A script, a number of keys, a key or more, and anything.
    Script,
    /// twemproxy does not have the command: it closes the connection.
    Unknown,
}

/// What is done with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It goes where its first key lives, which stands at that index. That its other keys live there too is the client's
    /// matter (a hash tag), as with twemproxy.
    ByKey(usize),
    /// Each of its keys goes where it lives.
    Split(Split),
    /// It goes where all its keys live; with keys on several servers it would not be what it says.
    Together,
    /// As [`Kind::Together`], of keys whose number stands at index 1. (twemproxy takes that number for the key.)
    Counted,
    /// As [`Kind::ByKey`], of keys whose number stands at index 2; with none it goes to any server.
    Script,
    /// SCRIPT: each server gets what concerns scripts, since each may be asked to run them.
    Scripts,
    /// XREAD, XREADGROUP: as [`Kind::Together`], of the keys behind `STREAMS`; refused where it would wait for more.
    Streams,
    /// It goes to any server.
    Anywhere,
    /// It is answered here.
    Local(Local),
    /// It is answered with an error.
    Refused(Why),
}

/// How the answers of a command's parts become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// MGET: each part's elements at their keys' places.
    Mget,
    /// MSET: pairs of a key and a value; OK if all are.
    Mset,
    /// DEL, UNLINK, EXISTS, TOUCH: the integers' sum.
    Sum,
    /// SCRIPT LOAD, SCRIPT FLUSH: what all say.
    Same,
    /// SCRIPT EXISTS: each integer as the least of the parts has it.
    Least,
}

/// A command that is answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Local {
    /// PING
    Ping,
    /// ECHO
    Echo,
    /// SELECT
    Select,
    /// AUTH
    Auth,
    /// HELLO
    Hello,
    /// QUIT
    Quit,
    /// RESET
    Reset,
    /// COMMAND
    Command,
    /// INFO
    Info,
    /// CLIENT
    Client,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// A transaction needs a connection to one server for itself.
    Transaction,
    /// It would hold up everything behind it.
    Blocking,
    /// Messages come without having been asked for.
    PubSub,
    /// It concerns the keys of all servers.
    AllKeys,
    /// It concerns one server, not the data.
    Server,
    /// It would leave the one database that there is.
    Database,
}

impl Why {
    /// Return the reason for an error's text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Why::Transaction => "transactions need a connection to one server",
            Why::Blocking => "it would block the requests of others",
            Why::PubSub => "messages are not passed on",
            Why::AllKeys => "it concerns the keys of all servers",
            Why::Server => "it concerns a server, not keys",
            Why::Database => "there is one database, 0",
        }
    }
}

impl Command {
    /// Tell whether the packaged twemproxy has the command.
    #[must_use]
    pub const fn is_twemproxys(&self) -> bool {
        !matches!(self.arity, Arity::Unknown)
    }

    /// Tell whether twemproxy takes the command with so many arguments, its name among them; else it closes the connection.
    #[must_use]
    pub const fn fits_twemproxy(&self, count: usize) -> bool {
        match self.arity {
            Arity::Exactly(wanted) => count == wanted,
            Arity::AtLeast(least) => count >= least,
            Arity::Pairs => count >= 3 && count % 2 == 1,
            Arity::Script => count >= 4,
            Arity::Unknown => false,
        }
    }

    /// Return a request's keys, in order; none where what says so is missing, or is no number.
    #[must_use]
    pub fn keys<'a>(&self, request: &Request<'a>) -> KeyArgs<'a> {
        let counted = |at: usize| {
            let count = request.arg(at).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok()).unwrap_or(0);
            KeyArgs::new(request, at + 1, count, 1)
        };
        match self.kind {
            Kind::Counted => counted(1),
            Kind::Script => counted(2),
            Kind::Streams => {
                let streams = Streams::of(request);
                KeyArgs::new(request, streams.first, streams.count, 1)
            }
            _ if self.keys.first == 0 => KeyArgs::new(request, 0, 0, 1),
            _ => {
                let (first, step) = (usize::from(self.keys.first), usize::from(self.keys.step));
                let end = match usize::try_from(self.keys.last) {
                    Ok(last) => last + 1,
                    Err(_) => request.count,
                };
                KeyArgs::new(request, first, end.saturating_sub(first).div_ceil(step), step)
            }
        }
    }

    /// Tell whether a request would hold up what is behind it, though its command need not.
    #[must_use]
    pub fn is_blocking(&self, request: &Request<'_>) -> bool {
        self.kind == Kind::Streams && Streams::of(request).is_blocking
    }

    /// Return the key by which a request is placed, `None` if it has none.
    #[inline]
    #[must_use]
    pub fn key<'a>(&self, request: &Request<'a>) -> Option<&'a [u8]> {
        match self.kind {
            Kind::ByKey(at) => request.arg(at),
            Kind::Split(_) => request.arg(1),
            _ => self.keys(request).next(),
        }
    }

    /// Return the argument by which twemproxy places a request, which for some commands is no key.
    #[must_use]
    pub fn twemproxys_key<'a>(&self, request: &Request<'a>) -> Option<&'a [u8]> {
        match self.kind {
            Kind::Counted => request.arg(1),
            Kind::Script => request.arg(3),
            _ => self.key(request),
        }
    }
}

/// The keys of a request, in order.
#[derive(Clone, Debug)]
pub struct KeyArgs<'a> {
    args: Args<'a>,
    step: usize,
    left: usize,
}

impl<'a> KeyArgs<'a> {
    fn new(request: &Request<'a>, first: usize, left: usize, step: usize) -> KeyArgs<'a> {
        let mut args = request.args();
        if let Some(before) = first.checked_sub(1).filter(|_| left > 0) {
            args.nth(before);
        }
        KeyArgs { args, step, left }
    }
}

impl<'a> Iterator for KeyArgs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let key = self.args.next()?;
        for _ in 1..self.step {
            self.args.next();
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests;
