//! Which certificates a client may be shown, and whether it is asked for one: by the name it asks for, pure.

use rustls::SignatureAlgorithm;
use std::collections::HashMap;
use std::net::IpAddr;

/// Values by names; a name that begins with `*.` stands for every name one label below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names<T> {
    exact: HashMap<Box<str>, T>,
    below: HashMap<Box<str>, T>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), below: HashMap::new() }
    }
}

impl<T> Names<T> {
    /// Returns the value of a name in any case, or of a wildcard; one that is not there yet is added.
    pub fn add(&mut self, name: &str) -> &mut T
    where
        T: Default,
    {
        let name = plain(name);
        match name.strip_prefix("*.") {
            Some(parent) => self.below.entry(parent.into()),
            None => self.exact.entry(name.into()),
        }
        .or_default()
    }

    fn values(&self) -> impl Iterator<Item = &T> {
        self.exact.values().chain(self.below.values())
    }

    /// Returns the value of a name in any case: its own, else that of the wildcard above it. O(1).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        let name = plain(name);
        self.exact.get(name.as_str()).or_else(|| {
            let (label, parent) = name.split_once('.')?;
            if label.is_empty() { None } else { self.below.get(parent) }
        })
    }
}

/// Returns a name in lower case, without dots at its end.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// What a certificate says that it is for, and of which kind its key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    /// Names of hosts, wildcards as `*.example`.
    pub names: Vec<Box<str>>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// What its key signs with.
    pub key: SignatureAlgorithm,
}

impl Holds {
    /// Whether this is for all that another one is for.
    fn covers(&self, other: &Self) -> bool {
        let has_names = other.names.iter().all(|name| self.names.contains(name));
        has_names && other.addresses.iter().all(|address| self.addresses.contains(address))
    }
}

/// The numbers of certificates for the same, with keys of different kinds: a client is shown the first one that it can
/// check. Those with RSA keys are last, as they cost most, and every client can check them.
pub type Twins = Vec<usize>;

/// Which certificate a client is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    names: Names<Twins>,
    addresses: HashMap<IpAddr, Twins>,
    default: Option<Twins>,
    /// The first certificate, for who names nothing where there is no default.
    first: Option<Twins>,
    /// There is one certificate, and it serves all.
    is_only: bool,
}

impl Choice {
    /// Returns the choice among certificates, each with its number; of two that hold the same by keys of one kind, the
    /// former has it. `default`: the number of the one for who asks for nothing that is held. `is_only`: a single one was
    /// asked for.
    #[must_use]
    pub fn new(held: &[(usize, &Holds)], default: Option<usize>, is_only: bool) -> Self {
        let mut choice = Self { is_only, ..Self::default() };
        for &(number, holds) in held {
            holds.names.iter().for_each(|name| join(choice.names.add(name), number, held));
            for address in &holds.addresses {
                join(choice.addresses.entry(address.to_canonical()).or_default(), number, held);
            }
        }
        let first = held.first().map(|&(number, _)| number);
        choice.first = first.map(|number| twins(number, held));
        choice.default = if is_only { first } else { default }.map(|number| twins(number, held));
        choice
    }

    /// Returns all twins that may be chosen.
    pub fn all(&self) -> impl Iterator<Item = &Twins> {
        self.names.values().chain(self.addresses.values()).chain(&self.default).chain(&self.first)
    }

    /// Returns the certificates for a client that asks for `name`, or for none at the address `local`;
    /// `None`: it is refused, as it asks for a host that nobody has.
    #[must_use]
    pub fn choose(&self, name: Option<&str>, local: Option<IpAddr>) -> Option<&Twins> {
        if self.is_only {
            return self.default.as_ref();
        }
        let literal = name.and_then(|name| name.trim_matches(['[', ']']).parse().ok());
        let held = match (name, literal.or(local)) {
            (Some(name), _) if literal.is_none() => self.names.get(name),
            (_, Some(address)) => self.addresses.get(&address.to_canonical()),
            _ => None,
        };
        let is_named = name.is_some() && literal.is_none();
        held.or(self.default.as_ref()).or(self.first.as_ref().filter(|_| !is_named))
    }
}

/// Adds a certificate to others for the same, where none of these has a key of its kind.
fn join(twins: &mut Twins, number: usize, held: &[(usize, &Holds)]) {
    let key = |number: usize| held.iter().find(|(other, _)| *other == number).map(|(_, holds)| holds.key);
    if !twins.iter().any(|&twin| key(twin) == key(number)) {
        twins.push(number);
        twins.sort_by_key(|&twin| (key(twin) == Some(SignatureAlgorithm::RSA), twin));
    }
}

/// Returns a certificate, and others that are for all that it is for. One that is not held yet stands for itself.
fn twins(number: usize, held: &[(usize, &Holds)]) -> Twins {
    let mut twins = vec![number];
    if let Some((_, own)) = held.iter().find(|(other, _)| *other == number) {
        let others = held.iter().filter(|(_, holds)| !own.names.is_empty() && holds.covers(own));
        others.for_each(|&(other, _)| join(&mut twins, other, held));
    }
    twins
}

/// Which clients are asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asking {
    /// None.
    Nobody,
    /// All.
    Everybody,
    /// Those who ask for one of these hosts.
    Hosts(Names<()>),
}

impl Asking {
    /// Whether a client is that asks for a host, or for none.
    #[must_use]
    pub fn asks(&self, host: Option<&str>) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Hosts(hosts) => host.is_some_and(|host| hosts.get(host).is_some()),
        }
    }

    /// Whether a request for `authority` (`HOST` or `HOST:PORT`) may come in by a connection whose client was asked, or was not:
    /// its host asks as well, or does not either. Where nobody is asked, who was asked before may stay.
    #[must_use]
    pub fn serves(&self, is_asked: bool, authority: &str) -> bool {
        *self == Self::Nobody || is_asked == self.asks(Some(without_port(authority)))
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(names: &[&str], addresses: &[&str]) -> Holds {
        Holds {
            names: names.iter().map(|&name| name.into()).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            key: SignatureAlgorithm::ECDSA,
        }
    }

    fn among(held: &[Holds], default: Option<usize>, is_only: bool) -> Choice {
        Choice::new(&held.iter().enumerate().collect::<Vec<_>>(), default, is_only)
    }

    fn chosen(choice: &Choice, name: Option<&str>, local: Option<IpAddr>) -> Option<usize> {
        choice.choose(name, local).map(|twins| {
            assert_eq!(twins.len(), 1);
            twins[0]
        })
    }

    fn several(default: Option<usize>) -> Choice {
        let held = [
            holds(&["a.example", "Shared.example"], &["192.0.2.1"]),
            holds(&["*.example", "shared.example"], &["::1", "127.0.0.1"]),
            holds(&["*.deep.example", "f*.example", "*"], &[]),
        ];
        among(&held, default, false)
    }

    #[test]
    fn chooses_by_name_then_by_wildcard_then_the_default() {
        let cases: [(Option<&str>, Option<&str>, Option<usize>); 19] = [
            (Some("a.example"), None, Some(0)),
            (Some("A.EXAMPLE"), None, Some(0)),
            (Some("a.example."), None, Some(0)),
            (Some("shared.example"), None, Some(0)),
            (Some("b.example"), None, Some(1)),
            (Some("fx.example"), None, Some(1)),
            (Some("x.deep.example"), None, Some(2)),
            (Some("deep.example"), None, Some(1)),
            (Some("x.y.deep.example"), None, None),
            (Some("x.a.example"), None, None),
            (Some("example"), None, None),
            (Some(".example"), None, None),
            (Some("other.test"), Some("127.0.0.1"), None),
            (None, Some("127.0.0.1"), Some(1)),
            (None, Some("::ffff:192.0.2.1"), Some(0)),
            (None, Some("192.0.2.9"), Some(0)),
            (None, None, Some(0)),
            (Some("192.0.2.1"), Some("127.0.0.1"), Some(0)),
            (Some("[::1]"), None, Some(1)),
        ];
        for (name, local, expected) in cases {
            let local = local.map(|address| address.parse().unwrap());
            assert_eq!(chosen(&several(None), name, local), expected, "{name:?} at {local:?}");
            let is_unheld = expected.is_none() || matches!((name, local), (None, None));
            if is_unheld {
                assert_eq!(chosen(&several(Some(2)), name, local), Some(2), "{name:?} at {local:?}");
            }
        }
    }

    #[test]
    fn a_single_certificate_serves_everybody_and_one_that_is_awaited_nobody() {
        let held = holds(&["a.example"], &[]);
        let only = Choice::new(&[(0, &held)], None, true);
        for name in [Some("a.example"), Some("other.test"), Some("127.0.0.1"), None] {
            assert_eq!(chosen(&only, name, None), Some(0));
        }
        assert_eq!(Choice::new(&[], None, true).choose(Some("a.example"), None), None);
        // Another is still awaited: this one is not shown for its names.
        assert_eq!(Choice::new(&[(0, &held)], None, false).choose(Some("other.test"), None), None);
    }

    #[test]
    fn certificates_for_one_name_with_keys_of_two_kinds_are_both_chosen_rsa_last() {
        let rsa = |holds: Holds| Holds { key: SignatureAlgorithm::RSA, ..holds };
        let held = [
            rsa(holds(&["a.example", "b.example"], &["192.0.2.1"])),
            holds(&["a.example", "b.example", "c.example"], &["192.0.2.1"]),
            holds(&["a.example"], &[]),
            rsa(holds(&["*.example"], &[])),
            rsa(holds(&["c.example"], &[])),
        ];
        let choice = among(&held, Some(4), false);
        let cases: [(Option<&str>, Option<&str>, &[usize]); 7] = [
            (Some("a.example"), None, &[1, 0]),
            (Some("b.example"), None, &[1, 0]),
            (Some("c.example"), None, &[1, 4]),
            (Some("d.example"), None, &[3]),
            (None, Some("192.0.2.1"), &[1, 0]),
            // The default, and what is for all that it is for.
            (None, None, &[1, 4]),
            (Some("other.test"), None, &[1, 4]),
        ];
        for (name, local, expected) in cases {
            let twins = choice.choose(name, local.map(|local| local.parse().unwrap()));
            assert_eq!(twins.map(Vec::as_slice), Some(expected), "{name:?} at {local:?}");
        }
        assert_eq!(among(&held, None, false).choose(None, None), Some(&vec![1, 0]), "the first, and its twin");
        assert_eq!(among(&held[3..], Some(9), false).choose(None, None), Some(&vec![9]), "one that is awaited");
    }

    #[test]
    fn asks_for_certificates_by_host_and_serves_only_hosts_of_one_policy() {
        let mut hosts = Names::default();
        ["secret.example", "*.inner.example"].iter().for_each(|host| *hosts.add(host) = ());
        let some = Asking::Hosts(hosts);
        let cases = [
            (Some("secret.example"), "secret.example", true),
            (Some("secret.example"), "SECRET.example.:8443", true),
            (Some("open.example"), "secret.example..", false),
            (Some("secret.example"), "x.inner.example", true),
            (Some("secret.example"), "open.example", false),
            (Some("open.example"), "secret.example", false),
            (Some("open.example"), "secret.example:443", false),
            (Some("open.example"), "secret.example:", false),
            (Some("open.example"), "x.inner.example", false),
            (Some("open.example"), "other.example:1", true),
            (None, "secret.example", false),
            (None, "[::1]:8443", true),
        ];
        for (host, authority, expected) in cases {
            let is_asked = some.asks(host);
            assert_eq!(some.serves(is_asked, authority), expected, "{host:?} for {authority}");
            assert!(Asking::Nobody.serves(is_asked, authority) && Asking::Everybody.serves(true, authority));
        }
        assert!(!Asking::Everybody.serves(false, "open.example"), "it came in before anybody was asked");
        assert!(!Asking::Nobody.asks(Some("secret.example")) && Asking::Everybody.asks(None));
    }

    proptest! {
        #[test]
        fn shows_only_what_holds_the_name_or_the_default(
            names in prop::collection::vec(prop::collection::vec("(\\*\\.)?[ab](\\.[ab]){0,2}", 0..4), 2..5),
            asked in "[abAB](\\.[abAB]){0,3}",
            default in prop::option::of(0usize..2),
        ) {
            let held: Vec<Holds> = names
                .iter()
                .map(|names| holds(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[]))
                .collect();
            let chosen = chosen(&among(&held, default, false), Some(&asked), None);
            let asked = asked.to_ascii_lowercase();
            let exact = |number: &usize| names[*number].contains(&asked);
            let wild = |number: &usize| {
                let parent = asked.split_once('.').map(|(_, parent)| format!("*.{parent}"));
                names[*number].iter().any(|name| Some(name) == parent.as_ref())
            };
            let expected = (0..names.len()).find(exact).or_else(|| (0..names.len()).find(wild)).or(default);
            prop_assert_eq!(chosen, expected);
        }
    }
}
