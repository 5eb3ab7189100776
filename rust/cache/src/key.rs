//! The primary key: scheme, host, target and the evaluated shard key.
//!
//! Layout: `url length, u32` `url` `shard key`, where url is `host length, u32` `scheme://host` `target`. The
//! lengths make it unambiguous whatever bytes a client sends; GET and HEAD share it.

use std::borrow::Borrow;
use std::sync::Arc;

const LENGTH_BYTES: usize = 4;

/// What a client asked for, and what a purge names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The authority; its case does not matter.
    pub host: &'a [u8],
    /// The path with its query, as sent.
    pub target: &'a [u8],
}

impl<'a> Url<'a> {
    /// Split `http://host/path?query`; a missing path is `/`. `None` for another scheme, an empty host, user
    /// information or a fragment.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(end);
        let target = if target.is_empty() { "/" } else { target };
        let is_sound = matches!(scheme, "http" | "https")
            && !host.is_empty()
            && !host.contains('@')
            && target.starts_with('/')
            && !target.contains('#');
        is_sound.then_some(Self { scheme, host: host.as_bytes(), target: target.as_bytes() })
    }

    /// Append the url's part of a key.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&length(self.host.len()));
        out.extend_from_slice(self.scheme.as_bytes());
        out.extend_from_slice(b"://");
        out.extend(self.host.iter().map(u8::to_ascii_lowercase));
        out.extend_from_slice(self.target);
    }
}

/// Append the key of a request.
///
/// `shard_key` is what placement hashed, empty where there is none: two clients whose keys differ never meet.
pub fn write(url: &Url<'_>, shard_key: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let from = out.len();
    url.write(out);
    let url_length = length(out.len() - from);
    out[start..from].copy_from_slice(&url_length);
    out.extend_from_slice(shard_key);
}

/// Return the url's part of a key that [`write()`] made, as [`Url::write`] writes it.
pub(crate) fn url(key: &[u8]) -> &[u8] {
    let Some((length, rest)) = key.split_first_chunk::<LENGTH_BYTES>() else {
        return key;
    };
    let length = u32::from_le_bytes(*length) as usize;
    rest.get(..length).unwrap_or(rest)
}

/// Read the parts of a key that [`write()`] made: the URL with its host in lower case, and the shard key. `None` for other bytes.
#[must_use]
pub fn read(key: &[u8]) -> Option<(Url<'_>, &[u8])> {
    let (length, rest) = key.split_first_chunk::<LENGTH_BYTES>()?;
    let (url, shard_key) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (length, rest) = url.split_first_chunk::<LENGTH_BYTES>()?;
    let (scheme, rest) = if let Some(rest) = rest.strip_prefix(b"http://") {
        ("http", rest)
    } else {
        ("https", rest.strip_prefix(b"https://")?)
    };
    let (host, target) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let is_sound = !host.is_empty() && !host.iter().any(u8::is_ascii_uppercase) && !target.is_empty();
    is_sound.then_some((Url { scheme, host, target }, shard_key))
}

// Heads are far shorter than 4 GiB.
fn length(bytes: usize) -> [u8; LENGTH_BYTES] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

/// A key as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Arc<[u8]>);

impl Key {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

// Hash and Eq of Key are those of its bytes, as Borrow demands.
impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(host: &str, target: &str, shard_key: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let url = Url { scheme: "http", host: host.as_bytes(), target: target.as_bytes() };
        write(&url, shard_key.as_bytes(), &mut out);
        out
    }

    #[test]
    fn differs_wherever_the_requests_do() {
        let keys = [
            key("a", "/b", ""),
            key("a", "/b", "c"),
            key("a", "/bc", ""),
            key("a/b", "/", ""),
            key("a", "/b/", ""),
            key("ab", "/", ""),
            key("", "/b", ""),
            key("a", "/B", ""),
        ];
        for (at, one) in keys.iter().enumerate() {
            assert!(keys[at + 1..].iter().all(|other| one != other));
        }
        assert_eq!(key("A.example", "/b", ""), key("a.example", "/b", ""));
        assert_eq!(url(&key("a", "/b", "c")), url(&key("a", "/b", "")));
    }

    #[test]
    fn reads_its_own_keys_and_no_others() {
        let made = key("A.example", "/b?c", "d");
        let (url, shard_key) = read(&made).unwrap();
        assert_eq!((url.scheme, url.host, url.target), ("http", &b"a.example"[..], &b"/b?c"[..]));
        assert_eq!(shard_key, b"d");
        for end in 0..made.len() - 1 {
            assert_eq!(read(&made[..end]), None);
        }
        assert_eq!(read(&[0xff; 64]), None);
    }

    #[test]
    fn reads_the_url_of_a_purge() {
        let parsed = |text| Url::parse(text).map(|url| (url.scheme, url.host, url.target));
        assert_eq!(parsed("http://h:1/p?q"), Some(("http", &b"h:1"[..], &b"/p?q"[..])));
        assert_eq!(parsed("https://h"), Some(("https", &b"h"[..], &b"/"[..])));
        for bad in ["", "/p", "ftp://h/p", "http:///p", "http://u@h/p", "http://h/p#f", "http://h?q", "HTTP://h/"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
