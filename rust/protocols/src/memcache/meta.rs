//! The meta commands: flags, keys in base64, and what their quiet form hides.

use data_encoding::BASE64;

use super::fault::Reason;
use super::reply::Outcome;
use super::request::Request;
use super::verb::{Kind, Verb};
use super::words::{Words, number};

/// Bytes that a key in base64 may have when decoded, and a little more.
pub const KEY_ROOM_BYTES: usize = 256;

/// Room for one key that was sent in base64.
pub type KeyRoom = [u8; KEY_ROOM_BYTES];

/// The most flags that memcached takes with a block behind them; with more it would read the block as commands.
const FLAGS_MAX: usize = 16;

/// Check a meta command's flags; tell whether `q` is among them. What is behind their letters, the server checks.
pub(super) fn check(key: &[u8], flags: Words<'_>) -> Result<bool, Reason> {
    let (mut seen, mut count) = (0_u128, 0);
    for flag in flags {
        count += 1;
        if count > FLAGS_MAX {
            return Err(Reason::TooManyFlags);
        }
        if !flag[0].is_ascii_alphabetic() {
            return Err(Reason::Flag);
        }
        let bit = 1 << flag[0];
        if seen & bit != 0 {
            return Err(Reason::FlagAgain);
        }
        seen |= bit;
    }
    if seen & 1 << b'b' != 0 && decoded_key(key, &mut [0; KEY_ROOM_BYTES]).is_none() {
        return Err(Reason::Base64);
    }
    Ok(seen & 1 << b'q' != 0)
}

/// Return a key that was sent in base64 as the server sees it; nothing where it is no key.
pub fn decoded_key<'r>(key: &[u8], room: &'r mut KeyRoom) -> Option<&'r [u8]> {
    let length = BASE64.decode_len(key.len()).ok().filter(|&length| length <= room.len())?;
    let length = BASE64.decode_mut(key, &mut room[..length]).ok()?;
    Some(&room[..length])
}

/// Which replies the client of a quiet meta command is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hides {
    /// All are shown.
    Nothing,
    /// That there is no value.
    Misses,
    /// That it is done.
    Done,
    /// That it is done, with a value or without.
    DoneAndHits,
}

impl Hides {
    /// Tell whether a reply of that kind is hidden.
    #[must_use]
    pub const fn hides(self, outcome: Outcome) -> bool {
        match self {
            Hides::Nothing => false,
            Hides::Misses => matches!(outcome, Outcome::Miss),
            Hides::Done => matches!(outcome, Outcome::Done),
            Hides::DoneAndHits => matches!(outcome, Outcome::Done | Outcome::Hit),
        }
    }
}

impl<'a> Request<'a> {
    /// Return a meta command's flags with what is behind their letters; nothing for other commands.
    #[must_use]
    pub fn flags(&self) -> Words<'a> {
        let mut words = self.rest();
        match self.verb {
            Verb::MetaSet => drop(words.next()),
            Verb::MetaGet | Verb::MetaDelete | Verb::MetaArithmetic | Verb::MetaDebug => {}
            _ => return Words::default(),
        }
        words
    }

    /// Return the first key as the server sees it, which is what placement hashes: decoded if it was sent in base64.
    #[must_use]
    pub fn placement_key<'r>(&self, room: &'r mut KeyRoom) -> &'r [u8]
    where
        'a: 'r,
    {
        let key = self.key();
        if self.kind() == Kind::Meta && self.flags().any(|flag| flag[0] == b'b') {
            return decoded_key(key, room).unwrap_or_default();
        }
        key
    }

    /// Return which replies the client of a meta command is not shown.
    #[must_use]
    pub const fn hides(&self) -> Hides {
        match self.verb {
            _ if !self.is_quiet => Hides::Nothing,
            Verb::MetaGet => Hides::Misses,
            Verb::MetaSet | Verb::MetaDelete => Hides::Done,
            Verb::MetaArithmetic => Hides::DoneAndHits,
            _ => Hides::Nothing,
        }
    }

    /// Append the same request, but so that a server always answers it: without `noreply` or `q`.
    pub fn write_loud(&self, out: &mut Vec<u8>) {
        if !self.is_quiet {
            return out.extend_from_slice(self.bytes);
        }
        // The command and the first key stay whatever they are called.
        let kept = 1 + usize::from(self.key_count > 0);
        let is_hushing = |word: &[u8]| if self.verb.is_meta() { word[0] == b'q' } else { word == b"noreply" };
        for (i, word) in Words::new(self.line).enumerate() {
            if i < kept || !is_hushing(word) {
                out.extend_from_slice(word);
                out.push(b' ');
            }
        }
        out.pop();
        out.extend_from_slice(b"\r\n");
        if matches!(self.verb, Verb::MetaSet) || self.kind() == Kind::Store {
            out.extend_from_slice(self.block);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Return the length of a meta reply's block, which its line says.
pub(super) fn block_bytes(word: &[u8]) -> Option<usize> {
    number(word, 1 << 40).and_then(|length| usize::try_from(length).ok())
}

#[cfg(test)]
mod tests;
