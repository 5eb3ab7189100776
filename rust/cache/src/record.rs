//! What a warm-up sends: a pure format, read as if a stranger had written it.
//!
//! ```text
//! preamble   "alongside-warm" version u8 = 1, bytes that may come u64
//! record     kind u8 = 1, status u16, lengths of key u32, secondary key u32, head u32, body u64,
//!            sent u64, arrived u64, age u64 in ms; then key, secondary key, head, body
//! end        kind u8 = 0, records u64
//! ```
//!
//! Numbers are little-endian. `sent` counts from the beginning of the stream, `arrived` and `age` back from `sent`: no clock of one
//! node is read by another.

use bytes::Bytes;

/// What a stream begins with: a name and the version of the format.
const MAGIC: &[u8; 15] = b"alongside-warm\x01";
const PREAMBLE_BYTES: usize = MAGIC.len() + 8;
const RECORD: u8 = 1;
const END: u8 = 0;
const RECORD_BYTES: usize = 2 + 4 + 4 + 4 + 8 + 8 + 8 + 8;
const END_BYTES: usize = 8;

/// Longer keys are refused: a target and its shard key stand in one head.
const KEY_BYTES_MAX: usize = 1 << 21;
/// Longer secondary keys are refused: they are values of one head.
const VALUES_BYTES_MAX: usize = 1 << 20;
/// Longer heads are refused.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// One response, but for its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Its status.
    pub status: u16,
    /// When it was sent, milliseconds since the stream's beginning.
    pub sent_ms: u64,
    /// How long ago its head had come then, milliseconds.
    pub arrived_ms: u64,
    /// How old it was then, milliseconds.
    pub age_ms: u64,
    /// The store's key.
    pub key: Vec<u8>,
    /// The secondary key.
    pub values: Vec<u8>,
    /// The stored head.
    pub head: Vec<u8>,
}

/// Appends a stream's beginning; `bytes` is about how much may come.
pub fn write_preamble(bytes: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&bytes.to_le_bytes());
}

/// Appends a record; its body of `body_bytes` has to follow.
pub fn write_record(record: &Record, body_bytes: u64, out: &mut Vec<u8>) {
    out.push(RECORD);
    out.extend_from_slice(&record.status.to_le_bytes());
    for part in [&record.key, &record.values, &record.head] {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    for number in [body_bytes, record.sent_ms, record.arrived_ms, record.age_ms] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for part in [&record.key, &record.values, &record.head] {
        out.extend_from_slice(part);
    }
}

/// Returns the bytes that [`write_record`] appends.
#[must_use]
pub fn record_bytes(record: &Record) -> usize {
    1 + RECORD_BYTES + record.key.len() + record.values.len() + record.head.len()
}

/// Appends a stream's end.
pub fn write_end(records: u64, out: &mut Vec<u8>) {
    out.push(END);
    out.extend_from_slice(&records.to_le_bytes());
}

/// Why a stream is not read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is of another format, or of another version of this one.
    #[error("it is of another format or version")]
    Version,
    /// It says something that no sender of this version says.
    #[error("it is broken")]
    Broken,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet: more bytes are needed.
    More,
    /// The beginning: about so many bytes may come.
    Preamble(u64),
    /// A record begins, with a body of so many bytes: call [`Decoder::skip`] where it is not wanted.
    Begin(u64),
    /// A record is whole.
    Record(Record, Bytes),
    /// The end.
    End,
}

#[derive(Debug)]
enum State {
    Preamble,
    Kind,
    Lengths,
    Parts(Record, [usize; 3], u64),
    Body(Record, Vec<u8>, u64),
    Skip(u64),
    End,
    Done,
}

/// Reads a stream as its bytes come; holds no more than one record.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// What has come of a part that is not whole.
    part: Vec<u8>,
    records: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::Preamble, part: Vec::new(), records: 0 }
    }
}

impl Decoder {
    /// Reads on; returns how many bytes were used. Call again with the rest until [`Step::More`] or [`Step::End`].
    ///
    /// # Errors
    /// [`Malformed`]; nothing of the rest can be read then.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<(usize, Step), Malformed> {
        let mut used = 0;
        loop {
            let (count, step) = self.step(&bytes[used..])?;
            used += count;
            if let Some(step) = step {
                return Ok((used, step));
            }
        }
    }

    /// Leaves out the body of the record that has just begun.
    pub fn skip(&mut self) {
        if let State::Body(_, _, left) = self.state {
            self.state = State::Skip(left);
        }
    }

    fn step(&mut self, bytes: &[u8]) -> Result<(usize, Option<Step>), Malformed> {
        match &mut self.state {
            State::Preamble => self.preamble(bytes),
            State::Kind => {
                let Some(kind) = bytes.first() else { return Ok((0, Some(Step::More))) };
                self.state = match *kind {
                    RECORD => State::Lengths,
                    END => State::End,
                    _ => return Err(Malformed::Broken),
                };
                Ok((1, None))
            }
            State::Lengths => self.lengths(bytes),
            State::Parts(_, lengths, _) => {
                let wanted = lengths.iter().sum();
                let used = self.gather(bytes, wanted);
                if self.part.len() < wanted { Ok((used, Some(Step::More))) } else { Ok((used, Some(self.begin()))) }
            }
            State::Body(_, body, left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                body.extend_from_slice(&bytes[..taken]);
                *left -= taken as u64;
                let step = if *left == 0 { self.whole() } else { Step::More };
                Ok((taken, Some(step)))
            }
            State::Skip(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                if *left == 0 {
                    self.state = State::Kind;
                    return Ok((taken, None));
                }
                Ok((taken, Some(Step::More)))
            }
            State::End => {
                let used = self.gather(bytes, END_BYTES);
                let Some(records) = self.part.first_chunk::<END_BYTES>() else { return Ok((used, Some(Step::More))) };
                if u64::from_le_bytes(*records) != self.records {
                    return Err(Malformed::Broken);
                }
                self.state = State::Done;
                Ok((used, Some(Step::End)))
            }
            State::Done => Ok((0, Some(Step::End))),
        }
    }

    /// Takes bytes until the part has as many as wanted.
    fn gather(&mut self, bytes: &[u8], wanted: usize) -> usize {
        let taken = wanted.saturating_sub(self.part.len()).min(bytes.len());
        self.part.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn preamble(&mut self, bytes: &[u8]) -> Result<(usize, Option<Step>), Malformed> {
        let used = self.gather(bytes, PREAMBLE_BYTES);
        let known = self.part.len().min(MAGIC.len());
        if self.part[..known] != MAGIC[..known] {
            return Err(Malformed::Version);
        }
        if self.part.len() < PREAMBLE_BYTES {
            return Ok((used, Some(Step::More)));
        }
        let expected = number(&self.part, MAGIC.len());
        self.part.clear();
        self.state = State::Kind;
        Ok((used, Some(Step::Preamble(expected))))
    }

    fn lengths(&mut self, bytes: &[u8]) -> Result<(usize, Option<Step>), Malformed> {
        let used = self.gather(bytes, RECORD_BYTES);
        if self.part.len() < RECORD_BYTES {
            return Ok((used, Some(Step::More)));
        }
        let part = std::mem::take(&mut self.part);
        let length = |at: usize| u32::from_le_bytes([part[at], part[at + 1], part[at + 2], part[at + 3]]) as usize;
        let lengths = [length(2), length(6), length(10)];
        if lengths[0] > KEY_BYTES_MAX || lengths[1] > VALUES_BYTES_MAX || lengths[2] > HEAD_BYTES_MAX {
            return Err(Malformed::Broken);
        }
        let record = Record {
            status: u16::from_le_bytes([part[0], part[1]]),
            sent_ms: number(&part, 22),
            arrived_ms: number(&part, 30),
            age_ms: number(&part, 38),
            ..Record::default()
        };
        self.state = State::Parts(record, lengths, number(&part, 14));
        Ok((used, None))
    }

    /// Cuts the parts of a record; its body follows.
    fn begin(&mut self) -> Step {
        let State::Parts(record, [key, values, _], body) = std::mem::replace(&mut self.state, State::Kind) else {
            return Step::More;
        };
        let part = std::mem::take(&mut self.part);
        let record = Record {
            key: part[..key].to_vec(),
            values: part[key..key + values].to_vec(),
            head: part[key + values..].to_vec(),
            ..record
        };
        self.records += 1;
        self.state = State::Body(record, Vec::new(), body);
        Step::Begin(body)
    }

    fn whole(&mut self) -> Step {
        let State::Body(record, body, _) = std::mem::replace(&mut self.state, State::Kind) else { return Step::More };
        // A boxed slice holds no spare capacity.
        Step::Record(record, Bytes::from(body.into_boxed_slice()))
    }
}

// Callers have as many bytes.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], piece: usize) -> Result<(Vec<(Record, Bytes)>, bool), Malformed> {
        let (mut decoder, mut found, mut is_over) = (Decoder::default(), Vec::new(), false);
        for part in bytes.chunks(piece) {
            let mut rest = part;
            loop {
                let (used, step) = decoder.decode(rest)?;
                rest = &rest[used..];
                match step {
                    Step::More => break,
                    Step::End => {
                        is_over = true;
                        break;
                    }
                    Step::Record(record, body) => found.push((record, body)),
                    Step::Preamble(_) | Step::Begin(_) => {}
                }
            }
        }
        Ok((found, is_over))
    }

    fn stream(records: &[(Record, Vec<u8>)]) -> Vec<u8> {
        let mut out = Vec::new();
        write_preamble(7, &mut out);
        for (record, body) in records {
            let before = out.len();
            write_record(record, body.len() as u64, &mut out);
            assert_eq!(out.len() - before, record_bytes(record));
            out.extend_from_slice(body);
        }
        write_end(records.len() as u64, &mut out);
        out
    }

    fn records() -> impl Strategy<Value = Vec<(Record, Vec<u8>)>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        let numbers = (any::<u16>(), any::<u64>(), any::<u64>(), any::<u64>());
        let record = (numbers, bytes(), bytes(), bytes()).prop_map(
            |((status, sent_ms, arrived_ms, age_ms), key, values, head)| Record {
                status,
                sent_ms,
                arrived_ms,
                age_ms,
                key,
                values,
                head,
            },
        );
        prop::collection::vec((record, bytes()), 0..6)
    }

    proptest! {
        #[test]
        fn reads_what_it_writes_in_pieces_of_any_size(records in records(), piece in 1usize..200) {
            let (found, is_over) = read(&stream(&records), piece).unwrap();
            let found: Vec<_> = found.into_iter().map(|(record, body)| (record, body.to_vec())).collect();
            prop_assert_eq!(found, records);
            prop_assert!(is_over);
        }

        #[test]
        fn a_cut_stream_has_no_end_and_no_half_record(records in records(), cut in 0.0..1.0) {
            let bytes = stream(&records);
            let end = (bytes.len() as f64 * cut) as usize;
            let (found, is_over) = read(&bytes[..end], 64).unwrap();
            prop_assert!(!is_over && found.len() <= records.len());
            for ((record, body), (wanted, whole)) in found.iter().zip(&records) {
                prop_assert_eq!((record, &body[..]), (wanted, &whole[..]));
            }
        }

        #[test]
        fn survives_whatever_comes(bytes in prop::collection::vec(any::<u8>(), 0..400), is_begun in any::<bool>()) {
            let mut input = Vec::new();
            if is_begun {
                write_preamble(1, &mut input);
                input.push(RECORD);
            }
            input.extend_from_slice(&bytes);
            let _ = read(&input, 7);
        }
    }

    #[test]
    fn refuses_other_versions_and_lengths_at_once() {
        let mut other = stream(&[]);
        other[MAGIC.len() - 1] = 2;
        assert_eq!(read(&other, 1), Err(Malformed::Version));
        assert_eq!(read(b"GET / HTTP/1.1", 14), Err(Malformed::Version));
        let mut kind = stream(&[]);
        kind[PREAMBLE_BYTES] = 9;
        assert_eq!(read(&kind, 99), Err(Malformed::Broken));
        for at in [2, 6, 10] {
            let mut long = Vec::new();
            write_preamble(0, &mut long);
            write_record(&Record::default(), 0, &mut long);
            long[PREAMBLE_BYTES + 1 + at..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
            assert_eq!(read(&long, 99), Err(Malformed::Broken), "{at}");
        }
        let mut count = Vec::new();
        write_preamble(0, &mut count);
        write_end(1, &mut count);
        assert_eq!(read(&count, 99), Err(Malformed::Broken));
    }

    #[test]
    fn a_body_that_is_not_wanted_is_never_held() {
        let mut bytes = Vec::new();
        write_preamble(0, &mut bytes);
        write_record(&Record::default(), 1 << 62, &mut bytes);
        let mut decoder = Decoder::default();
        let (used, _) = decoder.decode(&bytes).unwrap();
        assert_eq!(decoder.decode(&bytes[used..]).unwrap().1, Step::Begin(1 << 62));
        decoder.skip();
        for _ in 0..100 {
            assert_eq!(decoder.decode(&[0; 4096]).unwrap(), (4096, Step::More));
        }
        assert!(matches!(&decoder.state, State::Skip(left) if *left == (1 << 62) - 409_600));
    }
}
