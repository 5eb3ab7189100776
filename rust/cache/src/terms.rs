//! To whom an answer may go besides the client whose request brought it.

use alongside_policy::caching::vary::{self, VaryNames};
use alongside_policy::caching::{Fields, Meta};

/// The conditions under which an answer may be shared.
#[derive(Debug)]
pub struct Terms {
    /// Why it may go to nobody else; nothing where it may.
    pub unshared: Option<&'static str>,
    /// Which request fields chose it.
    vary: VaryNames,
    /// The values they had.
    values: Vec<u8>,
    /// It may answer requests with credentials.
    is_shared: bool,
}

/// Whether an answer to someone else's request answers another one too.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Yes,
    /// It would, if the fields of these names said the same.
    OtherVariant(VaryNames),
    /// It does not.
    No,
}

impl Terms {
    /// Returns the terms of an answer to a request with these fields.
    #[must_use]
    pub fn new(unshared: Option<&'static str>, vary: VaryNames, request: Fields<'_>, meta: &Meta) -> Self {
        let mut values = Vec::new();
        vary::key(&vary, request, &mut values);
        Self { unshared, vary, values, is_shared: meta.is_shared }
    }

    /// Returns whether the answer may go to a client with these fields.
    #[must_use]
    pub fn fit(&self, request: Fields<'_>) -> Fit {
        if self.unshared.is_some() || (request.has("authorization") && !self.is_shared) {
            return Fit::No;
        }
        let mut values = Vec::new();
        vary::key(&self.vary, request, &mut values);
        if values == self.values { Fit::Yes } else { Fit::OtherVariant(self.vary.clone()) }
    }
}

/// Returns the question of a request: those with equal ones may wait for each other. `vary` names the fields that
/// chose the answers before.
#[must_use]
pub fn question(key: &[u8], vary: &VaryNames, request: Fields<'_>) -> Vec<u8> {
    let mut question = key.to_vec();
    for name in vary.iter() {
        question.extend_from_slice(name.as_bytes());
        question.push(b',');
    }
    vary::key(vary, request, &mut question);
    question
}

#[cfg(test)]
mod tests {
    use super::*;
    use httparse::Header;

    fn terms(unshared: Option<&'static str>, is_shared: bool) -> Terms {
        let names = vary::names(Fields(&[Header { name: "vary", value: b"accept" }])).unwrap();
        let meta = Meta { is_shared, ..crate::answer::passing(0) };
        Terms::new(unshared, names, Fields(&[Header { name: "Accept", value: b"a" }]), &meta)
    }

    #[test]
    fn an_answer_goes_only_to_those_whom_it_suits() {
        let accept = |value: &'static str| Header { name: "accept", value: value.as_bytes() };
        let credentials = Header { name: "authorization", value: b"x" };
        let free = terms(None, false);
        assert_eq!(free.fit(Fields(&[accept("a")])), Fit::Yes);
        assert!(matches!(free.fit(Fields(&[accept("b")])), Fit::OtherVariant(_)));
        assert_eq!(free.fit(Fields(&[accept("a"), credentials])), Fit::No);
        assert_eq!(terms(None, true).fit(Fields(&[accept("a"), credentials])), Fit::Yes);
        assert_eq!(terms(Some("set-cookie"), true).fit(Fields(&[accept("a")])), Fit::No);
    }
}
