//! `Cache-Control`, read strictly: what cannot be read is remembered, and of two values the stricter counts.

use super::Fields;
use super::fields::{Malformed, is_token, members};

/// The largest age or lifetime, seconds.
///
//= RFC 9111 section 1.2.2: a greater number is taken as 2^31.
pub(super) const SECONDS_MAX: u64 = 1 << 31;

/// The directives of a request or a response that this cache obeys.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    /// Some member is no directive: nothing may be concluded from what is missing.
    pub is_malformed: bool,
    pub no_store: bool,
    pub no_cache: bool,
    pub private: bool,
    pub public: bool,
    pub must_revalidate: bool,
    pub only_if_cached: bool,
    /// Seconds; 0 where the number is unreadable.
    pub max_age: Option<u64>,
    /// Seconds; 0 where the number is unreadable.
    pub s_maxage: Option<u64>,
    /// Seconds; the greatest where the number is unreadable.
    pub min_fresh: u64,
}

impl Directives {
    /// Read every `Cache-Control` field of a message.
    pub(super) fn read(fields: Fields<'_>) -> Self {
        let mut found = Self::default();
        for member in fields.all("cache-control").flat_map(members) {
            if member.and_then(|member| found.take(member)).is_err() {
                found.is_malformed = true;
            }
        }
        found
    }

    fn take(&mut self, member: &[u8]) -> Result<(), Malformed> {
        let (name, argument) = split(member)?;
        //= RFC 9111 section 5.2.2.4 and 5.2.2.7: a cache may treat the forms that name fields
        // (private="x", no-cache="x") as the ones that do not; the stricter reading.
        let flag = match name.to_ascii_lowercase().as_slice() {
            b"no-store" => &mut self.no_store,
            b"no-cache" => &mut self.no_cache,
            b"private" => &mut self.private,
            b"public" => &mut self.public,
            b"must-revalidate" => &mut self.must_revalidate,
            b"only-if-cached" => &mut self.only_if_cached,
            b"max-age" => return lower(&mut self.max_age, argument),
            b"s-maxage" => return lower(&mut self.s_maxage, argument),
            b"min-fresh" => {
                let value = argument.and_then(seconds).unwrap_or(SECONDS_MAX);
                self.min_fresh = self.min_fresh.max(value);
                return Ok(());
            }
            //= RFC 9111 section 5.2.3: unknown directives are ignored.
            _ => return Ok(()),
        };
        *flag = true;
        Ok(())
    }
}

/// Keep the smaller of the values seen.
///
//= RFC 9111 section 4.2.1: with duplicates or invalid values, consider the response stale.
fn lower(slot: &mut Option<u64>, argument: Option<&[u8]>) -> Result<(), Malformed> {
    let value = argument.and_then(seconds).unwrap_or(0);
    *slot = Some(slot.map_or(value, |before| before.min(value)));
    Ok(())
}

/// Split `name[=argument]`; the quotes of a quoted argument are taken off.
fn split(member: &[u8]) -> Result<(&[u8], Option<&[u8]>), Malformed> {
    let end = member.iter().position(|&byte| byte == b'=');
    let name = &member[..end.unwrap_or(member.len())];
    if !is_token(name) {
        return Err(Malformed);
    }
    let Some(argument) = end.map(|end| &member[end + 1..]) else {
        return Ok((name, None));
    };
    if is_token(argument) {
        return Ok((name, Some(argument)));
    }
    let inner = argument.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).ok_or(Malformed)?;
    // Escapes never stand in a number or a field name; the content is only read for numbers.
    let mut is_escaped = false;
    for &byte in inner {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Err(Malformed),
            _ => {}
        }
    }
    if is_escaped {
        return Err(Malformed);
    }
    Ok((name, Some(inner)))
}

/// Read `1*DIGIT`, at most [`SECONDS_MAX`]; `None` for anything else.
pub(super) fn seconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, byte| {
        byte.is_ascii_digit().then(|| (value * 10 + u64::from(byte - b'0')).min(SECONDS_MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use httparse::Header;

    fn check(lines: &[&str], expected: Directives) {
        let fields: Vec<Header> =
            lines.iter().map(|line| Header { name: "Cache-Control", value: line.as_bytes() }).collect();
        assert_eq!(Directives::read(Fields(&fields)), expected, "{lines:?}");
    }

    fn max_age(value: u64) -> Directives {
        Directives { max_age: Some(value), ..Directives::default() }
    }

    #[test]
    fn reads_directives_and_the_stricter_of_two() {
        let none = Directives::default;
        let malformed = || Directives { is_malformed: true, ..none() };
        check(&[], none());
        check(&["max-age=60"], max_age(60));
        check(&["MAX-AGE=\"60\", x=y, z"], max_age(60));
        check(&["max-age=60, max-age=5"], max_age(5));
        check(&["max-age=5", "max-age=60"], max_age(5));
        check(&["max-age=99999999999999999999999"], max_age(SECONDS_MAX));
        for bad in ["max-age", "max-age=-1", "max-age=1.5", "max-age=\"\"", "max-age=0x1"] {
            check(&[bad], max_age(0));
        }
        check(&["min-fresh=x"], Directives { min_fresh: SECONDS_MAX, ..none() });
        check(&["Private=\"set-cookie\""], Directives { private: true, ..none() });
        check(&["no-cache=\"a,b\""], Directives { no_cache: true, ..none() });
        check(&["x=\"private\""], none());
        for bad in [
            "x=\"private",
            "max age=1",
            "max-age =1",
            "max-age= 1",
            "=1",
            "a=\"b\"c",
            "a=\"b\"\"c\"",
            "x=",
            "\"private\"",
        ] {
            check(&[bad], malformed());
        }
        check(&["x=\"a\\\"", "no-store"], Directives { no_store: true, ..malformed() });
    }
}
