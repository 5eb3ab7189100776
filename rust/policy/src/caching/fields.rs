//! A borrowed view of header fields, and the list syntax that most of them share.

use httparse::Header;

/// The fields of one message, in the order they came.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [Header<'a>]);

impl<'a> Fields<'a> {
    /// Return the values of every field of that name (any case), trimmed.
    pub fn all(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.trim_ascii())
    }

    /// Return the value if there is exactly one field of that name.
    #[must_use]
    pub fn only(self, name: &str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// Whether a field of that name is there.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

/// A list that cannot be split because a quoted string does not end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Split one field value at its commas outside quoted strings; members are trimmed, empty ones left out.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        while let Some(value) = rest {
            let Some(end) = member_end(value) else {
                rest = None;
                return Some(Err(Malformed));
            };
            let member = value[..end].trim_ascii();
            rest = value.get(end + 1..);
            if !member.is_empty() {
                return Some(Ok(member));
            }
        }
        None
    })
}

/// Return where the first member ends: its comma, or the end; `None` inside an open quoted string.
fn member_end(value: &[u8]) -> Option<usize> {
    let mut quotes = Quotes::default();
    for (at, &byte) in value.iter().enumerate() {
        if byte == b',' && !quotes.is_open() {
            return Some(at);
        }
        quotes.read(byte);
    }
    (!quotes.is_open()).then_some(value.len())
}

/// Whether a reader stands inside a quoted string.
#[derive(Default)]
pub(super) struct Quotes {
    is_open: bool,
    is_escaped: bool,
}

impl Quotes {
    /// Whether the next byte belongs to a quoted string.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Take one byte.
    pub(super) fn read(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.is_open => self.is_escaped = true,
            b'"' => self.is_open = !self.is_open,
            _ => {}
        }
    }
}

/// Whether a name is a token of RFC 9110 section 5.6.2.
pub(super) fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Result<&[&str], Malformed>) {
        let found: Result<Vec<&[u8]>, Malformed> = members(value.as_bytes()).collect();
        let expected = expected.map(|list| list.iter().map(|one| one.as_bytes()).collect());
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn splits_lists_at_commas_outside_quotes() {
        check("", Ok(&[]));
        check(" a ,b,, c", Ok(&["a", "b", "c"]));
        check("a=\"x,y\", b", Ok(&["a=\"x,y\"", "b"]));
        check("a=\"x\\\",y\", b", Ok(&["a=\"x\\\",y\"", "b"]));
        check("a=\"x, b", Err(Malformed));
        check("a=\"x\\", Err(Malformed));
    }
}
