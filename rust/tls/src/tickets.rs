//! Tickets of sessions that can be resumed: sealed by keys that rotate, and good for a limited time.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;
use std::fmt;
use std::sync::{PoisonError, RwLock};

/// Bytes of a key's name.
const NAME_LEN: usize = 16;
/// Bytes of the second in which a ticket was made.
const TIME_LEN: usize = 8;
/// Bytes before what is sealed.
const HEAD_LEN: usize = NAME_LEN + TIME_LEN + NONCE_LEN;

/// One listener's tickets for clients of one policy.
pub struct Tickets {
    lifetime_s: u32,
    now_s: fn() -> u64,
    keys: RwLock<Keys>,
}

struct Keys {
    current: Option<Key>,
    previous: Option<Key>,
}

struct Key {
    name: [u8; NAME_LEN],
    sealing: LessSafeKey,
    born_s: u64,
}

impl Key {
    /// Returns a new key, or none where the system has no randomness.
    fn new(now_s: u64) -> Option<Self> {
        let random = SystemRandom::new();
        let (mut name, mut key) = ([0; NAME_LEN], [0; 32]);
        random.fill(&mut name).ok()?;
        random.fill(&mut key).ok()?;
        let sealing = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).ok()?);
        Some(Self { name, sealing, born_s: now_s })
    }
}

impl Tickets {
    /// Returns tickets that are good for `lifetime_s` seconds, with a new key as often.
    #[must_use]
    pub fn new(lifetime_s: u32) -> Self {
        Self::by(lifetime_s, crate::now_s)
    }

    fn by(lifetime_s: u32, now_s: fn() -> u64) -> Self {
        Self { lifetime_s, now_s, keys: RwLock::new(Keys { current: Key::new(now_s()), previous: None }) }
    }

    /// Renews the key where it is time, and forgets one whose tickets are all over.
    pub fn rotate(&self) {
        let (now, lifetime) = ((self.now_s)(), u64::from(self.lifetime_s));
        let age = |key: &Option<Key>| key.as_ref().map_or(u64::MAX, |key| now.abs_diff(key.born_s));
        let is_due = |keys: &Keys| {
            age(&keys.current) >= lifetime || keys.previous.is_some() && age(&keys.previous) > 2 * lifetime
        };
        if !is_due(&self.keys.read().unwrap_or_else(PoisonError::into_inner)) {
            return;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if age(&keys.current) >= lifetime {
            keys.previous = keys.current.take();
            keys.current = Key::new(now);
        }
        if age(&keys.previous) > 2 * lifetime {
            keys.previous = None;
        }
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("lifetime_s", &self.lifetime_s).finish_non_exhaustive()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.lifetime_s
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.rotate();
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.current.as_ref()?;
        let mut ticket = Vec::with_capacity(HEAD_LEN + plain.len() + CHACHA20_POLY1305.tag_len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&(self.now_s)().to_be_bytes());
        // The name and the time are readable and cannot be changed.
        let outside = Aad::from(<[u8; NAME_LEN + TIME_LEN]>::try_from(ticket.as_slice()).ok()?);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(plain);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.sealing.seal_in_place_separate_tag(nonce, outside, &mut ticket[HEAD_LEN..]).ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (head, sealed) = ticket.split_at_checked(HEAD_LEN)?;
        let (outside, nonce) = head.split_at_checked(NAME_LEN + TIME_LEN)?;
        let (name, made_s) = outside.split_at_checked(NAME_LEN)?;
        let made_s = u64::from_be_bytes(made_s.try_into().ok()?);
        if (self.now_s)().abs_diff(made_s) > u64::from(self.lifetime_s) {
            return None;
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = [&keys.current, &keys.previous].into_iter().flatten().find(|key| key.name == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = sealed.to_vec();
        let length = key.sealing.open_in_place(nonce, Aad::from(outside), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! { static NOW: Cell<u64> = const { Cell::new(1_000_000) }; }

    fn at(seconds: u64) {
        NOW.set(1_000_000 + seconds);
    }

    #[test]
    fn a_ticket_is_good_for_its_time_also_over_a_new_key() {
        let tickets = Tickets::by(100, || NOW.get());
        let first = tickets.encrypt(b"session").unwrap();
        at(90);
        let late = tickets.encrypt(b"late").unwrap();
        at(100);
        let next = tickets.encrypt(b"next").unwrap();
        assert_ne!(first[..NAME_LEN], next[..NAME_LEN]);
        assert_eq!(tickets.decrypt(&first).as_deref(), Some(&b"session"[..]));
        at(101);
        assert_eq!(tickets.decrypt(&first), None);
        assert_eq!(tickets.decrypt(&late).as_deref(), Some(&b"late"[..]));
        at(201);
        tickets.rotate();
        assert_eq!(tickets.decrypt(&next), None);
    }

    #[test]
    fn keys_are_forgotten_when_their_tickets_are_over() {
        let tickets = Tickets::by(100, || NOW.get());
        at(100);
        tickets.rotate();
        assert!(tickets.keys.read().unwrap().previous.is_some());
        at(199);
        tickets.rotate();
        assert!(tickets.keys.read().unwrap().previous.is_some());
        at(1_000);
        tickets.rotate();
        assert!(tickets.keys.read().unwrap().previous.as_ref().is_none_or(|key| key.born_s == 1_000_100));
        at(1_050);
        tickets.rotate();
    }

    #[test]
    fn what_was_changed_or_comes_from_elsewhere_is_no_ticket() {
        let tickets = Tickets::by(100, || NOW.get());
        let ticket = tickets.encrypt(b"session").unwrap();
        assert_ne!(ticket, tickets.encrypt(b"session").unwrap());
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.decrypt(&changed), None, "byte {at}");
            assert_eq!(tickets.decrypt(&ticket[..at]), None, "cut at {at}");
        }
        assert_eq!(Tickets::by(100, || NOW.get()).decrypt(&ticket), None);
    }
}
