//! One thing in files that is followed by its content: what is in force stays until something better is there, pure.

use crate::files::Fault;
use std::sync::Arc;

/// A thing that is followed.
#[derive(Debug)]
pub struct Followed<T> {
    in_force: Option<(u64, Arc<T>)>,
    /// The last look found a fault that nobody was told of: somebody may be writing.
    is_doubtful: bool,
    told: Option<String>,
}

// Not derived: a thing need not have a default.
impl<T> Default for Followed<T> {
    fn default() -> Self {
        Self { in_force: None, is_doubtful: false, told: None }
    }
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that anybody need know.
    Same,
    /// A fault that may be over in a moment.
    Doubtful,
    /// A good one, which is in force now.
    Taken,
    /// A fault, for the second time.
    Refused(String),
    /// What is in force lies there again.
    GoodAgain,
}

impl<T> Followed<T> {
    /// Returns one of which something is in force already.
    pub fn new(digest: u64, thing: T) -> Self {
        Self { in_force: Some((digest, Arc::new(thing))), ..Self::default() }
    }

    /// Returns one that begins with what is in force at another.
    pub fn like(other: &Self) -> Self {
        Self { in_force: other.in_force.clone(), ..Self::default() }
    }

    /// Returns what is in force.
    pub fn get(&self) -> Option<&Arc<T>> {
        self.in_force.as_ref().map(|(_, thing)| thing)
    }

    /// Returns the digest of what is in force.
    pub fn digest(&self) -> Option<u64> {
        self.in_force.as_ref().map(|(digest, _)| *digest)
    }

    /// Judges what lies there now: its digest, and how it is made where that is a new one.
    pub fn look(&mut self, digest: Result<u64, Fault>, make: impl FnOnce() -> Result<T, Fault>) -> Found {
        let found = digest.and_then(|digest| match &self.in_force {
            Some((before, _)) if *before == digest => Ok(None),
            _ => make().map(|thing| Some((digest, Arc::new(thing)))),
        });
        match found {
            Ok(taken) => {
                self.is_doubtful = false;
                let was_bad = self.told.take().is_some();
                match taken {
                    Some(thing) => self.in_force = Some(thing),
                    None if was_bad => return Found::GoodAgain,
                    None => return Found::Same,
                }
                Found::Taken
            }
            Err(fault) => self.doubt(fault.to_string()),
        }
    }

    fn doubt(&mut self, fault: String) -> Found {
        if self.told.as_ref() == Some(&fault) {
            self.is_doubtful = false;
            return Found::Same;
        }
        if !self.is_doubtful {
            self.is_doubtful = true;
            return Found::Doubtful;
        }
        self.is_doubtful = false;
        self.told = Some(fault.clone());
        Found::Refused(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Part, Reason};

    fn fault(reason: Reason) -> Fault {
        Fault { part: Part::Chain, path: "/tls.crt".into(), reason }
    }

    #[test]
    fn says_each_change_once_and_doubts_what_is_bad_for_one_look() {
        let mut followed = Followed::new(1, "old");
        let look = |followed: &mut Followed<&'static str>, digest: Result<u64, Reason>, thing| {
            followed.look(digest.map_err(fault), || Ok(thing))
        };
        let empty = || Err(Reason::Empty);
        assert_eq!(look(&mut followed, Ok(1), "never made"), Found::Same);
        assert_eq!(look(&mut followed, empty(), ""), Found::Doubtful);
        assert_eq!(look(&mut followed, Ok(2), "new"), Found::Taken);
        assert_eq!(look(&mut followed, empty(), ""), Found::Doubtful);
        assert!(matches!(look(&mut followed, empty(), ""), Found::Refused(_)));
        assert_eq!(look(&mut followed, empty(), ""), Found::Same);
        assert_eq!(look(&mut followed, Err(Reason::Absent), ""), Found::Doubtful);
        assert!(matches!(look(&mut followed, Err(Reason::Absent), ""), Found::Refused(_)));
        assert_eq!(followed.get().map(|thing| **thing), Some("new"));
        assert_eq!(look(&mut followed, Ok(2), "never made"), Found::GoodAgain);
        assert_eq!(look(&mut followed, Ok(2), "never made"), Found::Same);
    }

    #[test]
    fn what_cannot_be_made_leaves_what_was() {
        let mut followed = Followed::new(1, 1);
        assert_eq!(followed.look(Ok(2), || Err(fault(Reason::Mismatch))), Found::Doubtful);
        assert_eq!(followed.get().map(|thing| **thing), Some(1));
        assert_eq!(followed.look(Ok(2), || Ok(2)), Found::Taken);
    }
}
