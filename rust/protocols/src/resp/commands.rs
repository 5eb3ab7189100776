//! The table of Redis' commands: which go where, which are answered here, which are refused.

mod table;

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
}

/// How many arguments twemproxy lets a command have, its name among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// So many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
    /// Between these.
    Between(usize, usize),
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
    /// It goes where its first key lives, if it says that it has keys: the number of keys stands at index 2.
    Script,
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
    /// COMMAND
    Command,
    /// INFO
    Info,
    /// CLIENT
    Client,
}

/// Why a command is refused. The word is a metric's label.
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
    /// Its keys would have to change together.
    Together,
}

impl Why {
    /// Return the metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Transaction => "transaction",
            Why::Blocking => "blocking",
            Why::PubSub => "pubsub",
            Why::AllKeys => "all_keys",
            Why::Server => "server",
            Why::Together => "together",
        }
    }

    /// Return the reason for an error's text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Why::Transaction => "transactions need a connection to one server",
            Why::Blocking => "it would block the requests of others",
            Why::PubSub => "messages are not passed on",
            Why::AllKeys => "it concerns the keys of all servers",
            Why::Server => "it concerns a server, not keys",
            Why::Together => "its keys may live on several servers and must change together",
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
            Arity::Between(least, most) => count >= least && count <= most,
            Arity::Pairs => count >= 3 && count % 2 == 1,
            Arity::Script => count >= 4,
            Arity::Unknown => false,
        }
    }
}

/// Return the command of that name, in any case; `None` for what nobody has.
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let mut upper = [0; NAME_BYTES_MAX];
    let upper = upper.get_mut(..name.len())?;
    for (upper, byte) in upper.iter_mut().zip(name) {
        *upper = byte.to_ascii_uppercase();
    }
    let at = ALL.binary_search_by(|command| command.name.as_bytes().cmp(upper)).ok()?;
    Some(&ALL[at])
}

/// The longest name of a command in the table.
const NAME_BYTES_MAX: usize = 24;
