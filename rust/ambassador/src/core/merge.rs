//! How the parts of a Redis command become its answer.

use alongside_protocols::resp::commands::Split;
use alongside_protocols::resp::{Elements, Reply, Type, element_bytes};
use alongside_protocols::write_decimal;

use super::Why;
use super::words::{write_array, write_bulk, write_error};

/// What is kept of a merge that is used again.
const KEPT_BYTES: usize = 32 * 1024;

/// The longest text of an error that stands for each key of a part: a server may say much, and a part may have many keys.
const ERROR_BYTES_MAX: usize = 512;

/// A split command that waits for its parts.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    pub(crate) split: Option<Split>,
    /// MGET: for each key, at which of the edges its element begins; it ends at the next.
    pub(crate) places: Vec<u32>,
    /// Whether one failed part is the whole answer's failure, as with twemproxy.
    pub(crate) is_strict: bool,
    parts: Vec<Part>,
    /// The parts' elements, and errors that stand for keys; of parts that each have all, what they say together.
    bytes: Vec<u8>,
    /// MGET: where elements begin and end among the bytes, part after part: of each one more than it has keys. From the first
    /// that its server did not send on they are 0.
    edges: Vec<usize>,
    /// Bytes of errors that are still to be written for keys.
    errors_bytes: usize,
    sum: i64,
    /// The first error, whole, where it is the whole answer's.
    error: Vec<u8>,
}

/// Which of the edges are a part's.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    first: u32,
    keys: u32,
    /// Where the error is that stands for each of its keys that has no element.
    error: (usize, usize),
}

impl Merge {
    /// Begin what was cleared, without a part.
    pub(crate) fn begin(&mut self, split: Split, is_strict: bool) {
        self.split = Some(split);
        self.is_strict = is_strict;
    }

    /// Add a part with so many keys of an MGET, behind which one place is left free; 0 for another command.
    pub(crate) fn add_part(&mut self, keys: u32) {
        self.parts.push(Part { first: self.edges.len() as u32, keys, ..Part::default() });
        if keys > 0 {
            self.edges.resize(self.edges.len() + keys as usize + 1, 0);
        }
    }

    /// Forget everything; tell whether it is worth keeping.
    pub(crate) fn clear(&mut self) -> bool {
        self.split = None;
        self.sum = 0;
        self.errors_bytes = 0;
        self.parts.clear();
        self.places.clear();
        self.bytes.clear();
        self.edges.clear();
        self.error.clear();
        let edges_bytes = self.edges.capacity() * size_of::<usize>();
        let places_bytes = self.places.capacity() * size_of::<u32>();
        let parts_bytes = self.parts.capacity() * size_of::<Part>();
        let all = [self.bytes.capacity(), self.error.capacity(), edges_bytes, places_bytes, parts_bytes];
        all.into_iter().all(|bytes| bytes <= KEPT_BYTES)
    }

    /// Return what it takes to know the keys.
    pub(crate) fn keys_bytes(&self) -> usize {
        self.places.len() * size_of::<u32>() + self.edges.len() * size_of::<usize>()
    }

    /// Return how many bytes of answers wait here, with those that errors will have.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.error.len() + self.errors_bytes
    }

    /// Take a part's answer, and where its first elements end. A part that is answered otherwise than it should be has failed.
    pub(crate) fn take(&mut self, part: u32, answer: &Reply<'_>, ends: &[usize]) {
        match (self.split, answer.kind) {
            (_, Type::Error | Type::BulkError) if self.has_errors_of_keys() => {
                self.fail_keys(part, |out| write_cut(out, answer));
            }
            (_, Type::Error | Type::BulkError) => self.fail_all(answer.bytes),
            (Some(Split::Mget), Type::Array) => self.take_elements(part, answer, ends),
            (Some(Split::Sum), Type::Integer) => self.sum = self.sum.saturating_add(answer.integer().unwrap_or(0)),
            (Some(Split::Mset), Type::Simple) => {}
            (Some(Split::Same), _) if self.bytes.is_empty() => self.bytes.extend_from_slice(answer.bare()),
            (Some(Split::Same), _) if self.bytes == answer.bare() => {}
            (Some(Split::Least), Type::Array) if self.bytes.is_empty() => self.bytes.extend_from_slice(answer.bare()),
            (Some(Split::Least), Type::Array) if self.lessen(answer) => {}
            _ => self.fail(part, Why::Stray),
        }
    }

    /// Take a part's elements. `ends` has where the first of them end in the answer; what is more than there are keys is no
    /// key's.
    fn take_elements(&mut self, part: u32, answer: &Reply<'_>, ends: &[usize]) {
        let Some(&Part { first, keys, .. }) = self.parts.get(part as usize) else { return };
        let (first, keys) = (first as usize, keys as usize);
        let Some([start, edges @ ..]) = self.edges.get_mut(first..=first + keys) else { return };
        let elements = answer.elements();
        let (count, rest) = (elements.len().min(edges.len()), elements.rest());
        // The head that is before the elements is left out.
        let head_bytes = answer.bytes.len() - rest.len();
        *start = self.bytes.len();
        let shift = start.wrapping_sub(head_bytes);
        let (known, unknown) = edges[..count].split_at_mut(ends.len().min(count));
        known.iter_mut().zip(ends).for_each(|(edge, end)| *edge = shift.wrapping_add(*end));
        let mut end = known.len().checked_sub(1).map_or(head_bytes, |last| ends[last]);
        let mut found = known.len();
        for edge in unknown {
            let Some(bytes) = answer.bytes.get(end..).and_then(element_bytes) else { break };
            end += bytes;
            found += 1;
            *edge = shift.wrapping_add(end);
        }
        let missing = edges.len() - found;
        self.bytes.extend_from_slice(rest);
        if missing > 0 {
            self.stand_for(part, missing, |out| write_error(out, Why::Stray.text().as_bytes()));
        }
    }

    /// Take the lesser of each number that is there and an answer's; tell whether both have the same form.
    fn lessen(&mut self, answer: &Reply<'_>) -> bool {
        let known = Elements::new(&self.bytes[head_bytes(&self.bytes)..], answer.elements().len());
        let mut least = Vec::with_capacity(self.bytes.len());
        write_array(&mut least, known.len());
        for (one, other) in known.zip(answer.elements()) {
            let is_less = other.integer() < one.integer();
            least.extend_from_slice(if is_less { other.bytes } else { one.bytes });
        }
        let is_alike = least.len() == self.bytes.len() && least.len() == answer.bare().len();
        if is_alike {
            self.bytes = least;
        }
        is_alike
    }

    /// A part failed.
    pub(crate) fn fail(&mut self, part: u32, why: Why) {
        let text = why.text().as_bytes();
        if self.has_errors_of_keys() {
            self.fail_keys(part, |out| write_error(out, text));
        } else {
            let mut line = Vec::new();
            write_error(&mut line, text);
            self.fail_all(&line);
        }
    }

    /// Tell whether a part's error stands for its keys alone.
    fn has_errors_of_keys(&self) -> bool {
        self.split == Some(Split::Mget) && !self.is_strict
    }

    /// Keep the first error, which is the whole answer's.
    fn fail_all(&mut self, error: &[u8]) {
        if self.error.is_empty() {
            self.error.extend_from_slice(error);
        }
    }

    /// Keep the error that `write` appends for each key of a part.
    fn fail_keys(&mut self, part: u32, write: impl FnOnce(&mut Vec<u8>)) {
        let keys = self.parts.get(part as usize).map_or(0, |part| part.keys);
        self.stand_for(part, keys as usize, write);
    }

    /// Keep the error that `write` appends for so many of a part's keys, which have no element.
    fn stand_for(&mut self, part: u32, keys: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(part) = self.parts.get_mut(part as usize) else { return };
        let start = self.bytes.len();
        write(&mut self.bytes);
        part.error = (start, self.bytes.len());
        self.errors_bytes += (self.bytes.len() - start) * keys;
    }

    /// Append the answer, now that all parts are there.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        match self.split {
            Some(Split::Mget) if self.error.is_empty() => self.finish_mget(out),
            _ if !self.error.is_empty() => out.extend_from_slice(&self.error),
            Some(Split::Sum) => {
                out.push(b':');
                write_decimal(self.sum.unsigned_abs(), out);
                out.extend_from_slice(b"\r\n");
            }
            Some(Split::Same | Split::Least) => out.extend_from_slice(&self.bytes),
            _ => out.extend_from_slice(b"+OK\r\n"),
        }
    }

    fn finish_mget(&self, out: &mut Vec<u8>) {
        out.reserve(self.bytes());
        write_array(out, self.places.len());
        for &place in &self.places {
            let edges = self.edges.get(place as usize..).and_then(<[usize]>::first_chunk);
            match edges.and_then(|&[start, end]| self.bytes.get(start..end)) {
                Some(element) if !element.is_empty() => out.extend_from_slice(element),
                _ => self.finish_missing(place, out),
            }
        }
    }

    /// Append what stands for a key of which there is no element.
    #[cold]
    fn finish_missing(&self, place: u32, out: &mut Vec<u8>) {
        let its = self.parts.partition_point(|part| part.first <= place).checked_sub(1);
        let error = its.and_then(|its| self.parts.get(its)).map(|part| part.error);
        out.extend_from_slice(error.and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default());
    }
}

/// Append an error of a server, of its text what is kept, without attributes.
fn write_cut(out: &mut Vec<u8>, error: &Reply<'_>) {
    let (start, text) = (out.len(), cut(error.text()));
    if error.kind == Type::BulkError {
        write_bulk(out, text);
        out[start] = b'!';
    } else {
        out.push(b'-');
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
    }
}

/// Return what is kept of an error's text: whole characters, for clients that read it as text.
fn cut(text: &[u8]) -> &[u8] {
    let is_begun = |&end: &usize| text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = text.len().min(ERROR_BYTES_MAX);
    &text[..(end.saturating_sub(3)..=end).rev().find(|end| !is_begun(end)).unwrap_or(end)]
}

fn head_bytes(array: &[u8]) -> usize {
    memchr::memchr(b'\n', array).map_or(array.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use alongside_protocols::incremental::Parsed;
    use alongside_protocols::resp::{Limits, ReplyProgress, Version, reply_with};

    use super::*;

    const LIMITS: Limits =
        Limits { bulk_bytes_max: 4096, elements_max: 100, line_bytes_max: 4096, version: Version::Three };

    /// Begin an MGET whose keys are in these parts.
    fn begin(merge: &mut Merge, parts_of_keys: &[usize], parts: usize) {
        merge.begin(Split::Mget, false);
        let (mut next, mut nexts) = (0, Vec::new());
        for part in 0..parts {
            let keys = parts_of_keys.iter().filter(|&&of| of == part).count() as u32;
            merge.add_part(keys);
            nexts.push(next);
            next += keys + 1;
        }
        for &part in parts_of_keys {
            merge.places.push(nexts[part]);
            nexts[part] += 1;
        }
    }

    /// Return what becomes of it by what each part is answered, the last part first. So many ends of elements are known at
    /// most, as of an answer that did not come at once.
    fn answered(merge: &mut Merge, answers: &[Result<&str, Why>], known: usize) -> String {
        for (part, answer) in answers.iter().enumerate().rev() {
            let answer = match answer {
                Ok(answer) => answer,
                Err(why) => {
                    merge.fail(part as u32, *why);
                    continue;
                }
            };
            let mut ends = Vec::new();
            let parsed = reply_with(answer.as_bytes(), &LIMITS, &mut ReplyProgress::default(), Some(&mut ends));
            let Parsed::Whole(Ok(reply)) = parsed else { panic!("{answer:?} is no reply") };
            merge.take(part as u32, &reply, &ends[..ends.len().min(known)]);
        }
        let mut out = Vec::new();
        merge.finish(&mut out);
        String::from_utf8(out).unwrap().replace("\r\n", " ")
    }

    /// Whatever ends are known, and also of a merge that was used before, the answer is the same.
    fn merged(parts_of_keys: &[usize], answers: &[Result<&str, Why>]) -> String {
        let mut merge = Merge::default();
        let mut once = |known| {
            begin(&mut merge, parts_of_keys, answers.len());
            let answer = answered(&mut merge, answers, known);
            assert!(merge.clear());
            answer
        };
        let answer = once(usize::MAX);
        (0..4).for_each(|known| assert_eq!(once(known), answer));
        answer
    }

    #[test]
    fn keys_get_the_elements_of_their_parts_in_order() {
        let (one, other) = ("*2\r\n$1\r\na\r\n$-1\r\n", "*3\r\n$2\r\nbc\r\n$0\r\n\r\n:7\r\n");
        assert_eq!(merged(&[1, 0, 1, 1, 0], &[Ok(one), Ok(other)]), "*5 $2 bc $1 a $0  :7 $-1 ");
        let (null, nested) = ("|1\r\n+a\r\n+b\r\n*2\r\n_\r\n$1\r\na\r\n", "*2\r\n*1\r\n$1\r\nb\r\n$1\r\nc\r\n");
        assert_eq!(merged(&[0, 1, 1, 0], &[Ok(null), Ok(nested)]), "*4 _ *1 $1 b $1 c $1 a ");
    }

    #[test]
    fn a_key_without_an_element_gets_why_and_others_their_own() {
        let stray = format!("-ERR {}", Why::Stray.text());
        let (short, empty, long) = ("*1\r\n$1\r\na\r\n", "*0\r\n", "*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
        assert_eq!(merged(&[0, 1, 0, 0], &[Ok(short), Ok(long)]), format!("*4 $1 a $1 b {stray} {stray} "));
        assert_eq!(merged(&[0, 1, 0], &[Ok(long), Ok(empty)]), format!("*3 $1 b {stray} $1 c "));
        assert_eq!(merged(&[0, 1, 0], &[Ok(empty), Ok(long)]), format!("*3 {stray} $1 b {stray} "));
        assert_eq!(merged(&[1, 0, 2], &[Ok(short), Ok("-BUSY\r\n"), Ok(long)]), "*3 -BUSY $1 a $1 b ");
        assert_eq!(merged(&[0, 1], &[Ok("+OK\r\n"), Ok(short)]), format!("*2 {stray} $1 a "));
        let late = format!("-ERR {}", Why::TimedOut.text());
        assert_eq!(merged(&[1, 0, 1], &[Ok(short), Err(Why::TimedOut)]), format!("*3 {late} $1 a {late} "));
    }

    #[test]
    fn what_stands_for_each_key_is_an_error_of_some_length() {
        let (text, one) = ("e".repeat(4000), "*1\r\n$1\r\na\r\n");
        let short = &text[..ERROR_BYTES_MAX];
        let (line, bulk) = (format!("-{short}"), format!("!512 {short}"));
        let accented = format!("-{}é", &text[..ERROR_BYTES_MAX - 2]);
        for (error, expected) in [
            (format!("-{text}\r\n"), line.as_str()),
            (format!("{line}\r\n"), line.as_str()),
            (format!("!4000\r\n{text}\r\n"), bulk.as_str()),
            ("!6\r\nno\r\nno\r\n".to_owned(), "!6 no no"),
            (format!("-{}é\r\n", &text[..ERROR_BYTES_MAX - 1]), &line[..ERROR_BYTES_MAX]),
            (format!("-{}é!\r\n", &text[..ERROR_BYTES_MAX - 2]), &accented),
            (format!("|1\r\n+a\r\n+{text}\r\n-ERR x\r\n"), "-ERR x"),
        ] {
            assert_eq!(merged(&[0, 1, 0], &[Ok(&error), Ok(one)]), format!("*3 {expected} $1 a {expected} "));
        }
    }

    #[test]
    fn what_waits_is_counted_and_what_is_large_is_not_kept() {
        let mut merge = Merge::default();
        begin(&mut merge, &[0, 1, 0], 2);
        assert_eq!((merge.bytes(), merge.keys_bytes()), (0, 3 * 4 + 5 * 8));
        answered(&mut merge, &[Ok("*2\r\n$1\r\na\r\n:1\r\n"), Ok("*1\r\n_\r\n")], usize::MAX);
        assert_eq!((merge.bytes(), merge.keys_bytes()), (14, 3 * 4 + 5 * 8));
        assert!(merge.clear());
        begin(&mut merge, &[0, 1, 0], 2);
        answered(&mut merge, &[Ok("-ERR x\r\n"), Ok("*1\r\n_\r\n")], usize::MAX);
        assert_eq!(merge.bytes(), 3 + 8 + 2 * 8, "and once for each key");
        assert!(merge.clear());
        begin(&mut merge, &[0, 1, 0], 2);
        answered(&mut merge, &[Ok("*0\r\n"), Ok("*1\r\n_\r\n")], usize::MAX);
        let stray = "-ERR Server sent an invalid answer\r\n".len();
        assert_eq!(merge.bytes(), 3 + stray + 2 * stray, "what a server did not say is told too");
        assert!(merge.clear());
        merge.begin(Split::Sum, false);
        merge.add_part(0);
        answered(&mut merge, &[Ok("-ERR x\r\n")], usize::MAX);
        assert_eq!((merge.bytes(), merge.keys_bytes()), (8, 0));
        merge.error.reserve(2 * KEPT_BYTES);
        assert!(!merge.clear());
    }
}
