//! Commands as lines, for whoever types them.

/// A request as a line, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inline<'a> {
    /// All of it, with the line's end.
    pub bytes: &'a [u8],
    /// How many arguments it has, the command's name among them: at least 1.
    pub count: usize,
    line: &'a [u8],
}

impl<'a> Inline<'a> {
    /// Return the line if its quotes match.
    pub(super) fn new(bytes: &'a [u8], line: &'a [u8]) -> Option<Inline<'a>> {
        let (mut rest, mut count) = (line, 0);
        while let Some(next) = word(rest, None)? {
            rest = next;
            count += 1;
        }
        Some(Inline { bytes, count, line })
    }

    /// Append the same request as an array, which every server reads.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_head(b'*', self.count, out);
        let (mut rest, mut arg) = (self.line, Vec::new());
        while let Some(Some(next)) = word(rest, Some(&mut arg)) {
            write_head(b'$', arg.len(), out);
            out.extend_from_slice(&arg);
            out.extend_from_slice(b"\r\n");
            arg.clear();
            rest = next;
        }
    }
}

fn write_head(mark: u8, number: usize, out: &mut Vec<u8>) {
    out.push(mark);
    crate::write_decimal(number as u64, out);
    out.extend_from_slice(b"\r\n");
}

/// Read one word, with what quotes hide: return what follows it, or that there is none; `None` if quotes do not match.
fn word<'a>(line: &'a [u8], mut out: Option<&mut Vec<u8>>) -> Option<Option<&'a [u8]>> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b || *byte == 0;
    let Some(start) = line.iter().position(|byte| !is_space(byte)) else { return Some(None) };
    let mut rest = &line[start..];
    let mut push = |byte| {
        if let Some(out) = &mut out {
            out.push(byte);
        }
    };
    loop {
        match *rest {
            [] => return Some(Some(rest)),
            [byte, ..] if is_space(&byte) => return Some(Some(rest)),
            [b'"', ..] => return quoted(&rest[1..], push).map(Some),
            [b'\'', ..] => return single_quoted(&rest[1..], push).map(Some),
            [byte, ..] => {
                push(byte);
                rest = &rest[1..];
            }
        }
    }
}

/// Read up to the quote that ends a word; a word must end behind it.
fn quoted(mut rest: &[u8], mut push: impl FnMut(u8)) -> Option<&[u8]> {
    loop {
        match *rest {
            [] => return None,
            [b'"', ..] => return ends_word(&rest[1..]),
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                push(hex(high) << 4 | hex(low));
                rest = &rest[4..];
            }
            [b'\\', byte, ..] => {
                push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                rest = &rest[2..];
            }
            [byte, ..] => {
                push(byte);
                rest = &rest[1..];
            }
        }
    }
}

fn single_quoted(mut rest: &[u8], mut push: impl FnMut(u8)) -> Option<&[u8]> {
    loop {
        match *rest {
            [] => return None,
            [b'\'', ..] => return ends_word(&rest[1..]),
            [b'\\', b'\'', ..] => {
                push(b'\'');
                rest = &rest[2..];
            }
            [byte, ..] => {
                push(byte);
                rest = &rest[1..];
            }
        }
    }
}

fn ends_word(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [] | [b' ' | b'\t'..=b'\r' | 0, ..] => Some(rest),
        _ => None,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}
