//! Why a document is not applied.

use alongside_document::{Document, Problem, Succession, placed};
use std::io;
use std::path::Path;

/// Why a document is not applied.
#[derive(Debug)]
pub enum Refused {
    /// It is wrong.
    Wrong(Vec<Problem>),
    /// A newer one is in force, or another one with the same number.
    Overtaken(String),
    /// An address is taken.
    AddressTaken(Problem),
    /// The process has no thread or descriptor left for it.
    Exhausted(Problem),
    /// The process drains.
    Leaving,
}

impl Refused {
    /// Returns what is wrong, where, and what to do.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Wrong(problems) => problems.clone(),
            Self::Overtaken(why) => {
                vec![Problem::new("generation", why.clone(), "write the next generation, or begin the next epoch")]
            }
            Self::AddressTaken(problem) | Self::Exhausted(problem) => vec![problem.clone()],
            Self::Leaving => vec![Problem::new("", "the process is ending", "send it to its successor")],
        }
    }

    /// Returns the same, told by where the document's parts were written.
    pub fn placed(self, document: &Document) -> Self {
        let told = |problem| placed(&document.places, problem);
        match self {
            Self::Wrong(problems) => Self::Wrong(problems.into_iter().map(told).collect()),
            Self::AddressTaken(problem) => Self::AddressTaken(told(problem)),
            Self::Exhausted(problem) => Self::Exhausted(told(problem)),
            other @ (Self::Overtaken(_) | Self::Leaving) => other,
        }
    }

    /// Whether the same document may be good later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::AddressTaken(_) | Self::Exhausted(_))
    }
}

/// Says that a document comes too late.
pub fn overtaken(current: &Document, document: &Document, word: Succession) -> Refused {
    let relation = if word == Succession::Older { "is older than" } else { "has other content under the number of" };
    Refused::Overtaken(format!(
        "document {}.{} {relation} the one in force, {}.{}",
        document.epoch, document.generation, current.epoch, current.generation
    ))
}

/// Says why the address of a listener, which is known by its place and its name, cannot be had.
pub fn refuse_address((index, name): (usize, &str), address: &str, owner: Option<&str>, error: &io::Error) -> Refused {
    let path = format!("listeners[{index}].address");
    // Who wrote another file than the document knows the name alone.
    let who = format!("listener {name:?}");
    match (error.kind(), owner) {
        (io::ErrorKind::AddrInUse, Some(owner)) => Refused::AddressTaken(Problem::new(
            path,
            format!("{who}: {address} is taken by listener {owner:?} of this process"),
            "choose another port, or apply a document without that listener first",
        )),
        (io::ErrorKind::AddrInUse, None) => Refused::AddressTaken(Problem::new(
            path,
            format!("{who}: {address} is taken"),
            "choose another port or stop its owner",
        )),
        _ if is_exhausted(error) => Refused::Exhausted(Problem::new(
            path,
            format!("{who}: cannot listen on {address}: {error}"),
            "raise the process's limit of open files",
        )),
        _ => Refused::Wrong(vec![Problem::new(
            path,
            format!("{who}: cannot listen on {address}: {error}"),
            "choose an address of this machine",
        )]),
    }
}

/// Says why a pool's UNIX socket cannot be had.
pub fn refuse_socket((index, pool): (usize, &str), socket: &Path, error: &io::Error) -> Refused {
    let problem = |remedy| {
        let what = format!("pool {pool:?}: cannot listen on {}: {error}", socket.display());
        Problem::new(format!("pools[{index}].socket.path"), what, remedy)
    };
    match error.kind() {
        io::ErrorKind::AddrInUse => Refused::AddressTaken(problem("choose another path or stop its owner")),
        _ if is_exhausted(error) => Refused::Exhausted(problem("raise the process's limit of open files")),
        _ => Refused::Wrong(vec![problem("choose another path")]),
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS, Errno::NOSPC]
        .map(|it| Some(it.raw_os_error()))
        .contains(&error.raw_os_error())
}

/// Says that a pool's threads cannot start.
pub fn refuse_threads(error: &io::Error) -> Refused {
    let what = format!("a thread for pools cannot start: {error}");
    Refused::Exhausted(Problem::new("threads", what, "write fewer threads"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn a_socket_that_cannot_be_had_now_may_be_later_and_no_other() {
        let refused = |errno: Errno| refuse_socket((1, "cache"), Path::new("/run/a.sock"), &errno.into());
        assert!(matches!(refused(Errno::ADDRINUSE), Refused::AddressTaken(_)));
        assert!(matches!(refused(Errno::MFILE), Refused::Exhausted(_)));
        let wrong = refused(Errno::NOENT);
        assert!(matches!(wrong, Refused::Wrong(_)) && !wrong.is_passing());
        assert!(wrong.problems()[0].to_string().contains("pool \"cache\": cannot listen on /run/a.sock"));
    }
}
