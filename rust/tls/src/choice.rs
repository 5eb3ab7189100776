//! Which certificate a client is shown, and whether it is asked for one: by the name it asks for, pure.

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
    /// Adds a name in any case; one that is there already keeps its value.
    pub fn add(&mut self, name: &str, value: T) {
        let name = plain(name);
        match name.strip_prefix("*.") {
            Some(parent) => self.below.entry(parent.into()).or_insert(value),
            None => self.exact.entry(name.into()).or_insert(value),
        };
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

/// Returns a name in lower case, without a dot at its end.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// What a certificate says that it is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    /// Names of hosts, wildcards as `*.example`.
    pub names: Vec<Box<str>>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
}

/// Which certificate a client is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    names: Names<usize>,
    addresses: HashMap<IpAddr, usize>,
    default: Option<usize>,
    /// The first certificate, for who names nothing where there is no default.
    first: Option<usize>,
    /// There is one certificate, and it serves all.
    is_only: bool,
}

impl Choice {
    /// Returns the choice among certificates, each with its number; of two that hold the same, the former has it.
    /// `default`: the number of the one for who asks for nothing that is held. `is_only`: a single one was asked for.
    #[must_use]
    pub fn new<'h>(held: impl IntoIterator<Item = (usize, &'h Holds)>, default: Option<usize>, is_only: bool) -> Self {
        let mut choice = Self { default, is_only, ..Self::default() };
        for (number, holds) in held {
            holds.names.iter().for_each(|name| choice.names.add(name, number));
            for address in &holds.addresses {
                choice.addresses.entry(address.to_canonical()).or_insert(number);
            }
            choice.first = choice.first.or(Some(number));
            if is_only {
                choice.default = Some(number);
            }
        }
        choice
    }

    /// Returns the number of the certificate for a client that asks for `name`, or for none at the address `local`;
    /// `None`: it is refused, as it asks for a host that nobody has.
    #[must_use]
    pub fn choose(&self, name: Option<&str>, local: Option<IpAddr>) -> Option<usize> {
        if self.is_only {
            return self.default;
        }
        let literal = name.and_then(|name| name.trim_matches(['[', ']']).parse().ok());
        let held = match (name, literal.or(local)) {
            (Some(name), _) if literal.is_none() => self.names.get(name),
            (_, Some(address)) => self.addresses.get(&address.to_canonical()),
            _ => None,
        };
        let is_named = name.is_some() && literal.is_none();
        held.copied().or(self.default).or(self.first.filter(|_| !is_named))
    }
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

    /// Whether a request for `authority` (`HOST` or `HOST:PORT`) may come in by a connection that was opened for `host`:
    /// both are asked, or neither is.
    #[must_use]
    pub fn serves(&self, host: Option<&str>, authority: &str) -> bool {
        self.asks(host) == self.asks(Some(without_port(authority)))
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
        }
    }

    fn several(default: Option<usize>) -> Choice {
        let held = [
            holds(&["a.example", "Shared.example"], &["192.0.2.1"]),
            holds(&["*.example", "shared.example"], &["::1", "127.0.0.1"]),
            holds(&["*.deep.example", "f*.example", "*"], &[]),
        ];
        Choice::new(held.iter().enumerate(), default, false)
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
            assert_eq!(several(None).choose(name, local), expected, "{name:?} at {local:?}");
            let is_unheld = expected.is_none() || matches!((name, local), (None, None));
            if is_unheld {
                assert_eq!(several(Some(2)).choose(name, local), Some(2), "{name:?} at {local:?}");
            }
        }
    }

    #[test]
    fn a_single_certificate_serves_everybody_and_one_that_is_awaited_nobody() {
        let held = holds(&["a.example"], &[]);
        let only = Choice::new([(0, &held)], None, true);
        for name in [Some("a.example"), Some("other.test"), Some("127.0.0.1"), None] {
            assert_eq!(only.choose(name, None), Some(0));
        }
        assert_eq!(Choice::new([], None, true).choose(Some("a.example"), None), None);
        // Another is still awaited: this one is not shown for its names.
        assert_eq!(Choice::new([(0, &held)], None, false).choose(Some("other.test"), None), None);
    }

    #[test]
    fn asks_for_certificates_by_host_and_serves_only_hosts_of_one_policy() {
        let mut hosts = Names::default();
        ["secret.example", "*.inner.example"].iter().for_each(|host| hosts.add(host, ()));
        let some = Asking::Hosts(hosts);
        let cases = [
            (Some("secret.example"), "secret.example", true),
            (Some("secret.example"), "SECRET.example.:8443", true),
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
            assert_eq!(some.serves(host, authority), expected, "{host:?} for {authority}");
            assert!(Asking::Nobody.serves(host, authority) && Asking::Everybody.serves(host, authority));
        }
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
            let chosen = Choice::new(held.iter().enumerate(), default, false).choose(Some(&asked), None);
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
