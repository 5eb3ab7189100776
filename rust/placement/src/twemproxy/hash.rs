//! twemproxy's twelve hashes.
//!
//! Source: twemproxy 0.5.0, `src/hashkit`; docs/decisions/0012-twemproxy-placement.md defines each. All arithmetic is
//! modulo 2^32 unless said otherwise.

use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};

use super::{UnknownWord, known};

/// What makes a number of a key.
#[allow(non_camel_case_types, reason = "twemproxy's words, of which one ends in 1 and one in 1a")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// Jenkins's one-at-a-time.
    OneAtATime,
    /// The first four bytes of MD5.
    Md5,
    /// CRC-16 (XMODEM) with what it shifts out left in the upper half.
    Crc16,
    /// Bits 16 to 30 of CRC-32, below nearly every point of a ring: of use with `modula` alone.
    Crc32,
    /// CRC-32.
    Crc32a,
    /// The lower half of 64-bit FNV-1.
    Fnv1_64,
    /// The lower half of 64-bit FNV-1a; twemproxy's default.
    Fnv1a_64,
    /// 32-bit FNV-1.
    Fnv1_32,
    /// 32-bit FNV-1a.
    Fnv1a_32,
    /// Hsieh's SuperFastHash.
    Hsieh,
    /// MurmurHash2.
    Murmur,
    /// Jenkins's lookup3.
    Jenkins,
}

/// How C reads a byte from 0x80 on where it reads a `char`: as a negative number (x86) or not (ARM).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Signedness {
    /// As twemproxy on x86-64 does; the default on every processor, so that a mixed fleet agrees.
    #[default]
    Signed,
    /// As twemproxy on AArch64 does.
    Unsigned,
}

impl Hash {
    /// Every hash, in twemproxy's order.
    pub const ALL: [Hash; 12] = [
        Hash::OneAtATime,
        Hash::Md5,
        Hash::Crc16,
        Hash::Crc32,
        Hash::Crc32a,
        Hash::Fnv1_64,
        Hash::Fnv1a_64,
        Hash::Fnv1_32,
        Hash::Fnv1a_32,
        Hash::Hsieh,
        Hash::Murmur,
        Hash::Jenkins,
    ];

    /// Return twemproxy's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Hash::OneAtATime => "one_at_a_time",
            Hash::Md5 => "md5",
            Hash::Crc16 => "crc16",
            Hash::Crc32 => "crc32",
            Hash::Crc32a => "crc32a",
            Hash::Fnv1_64 => "fnv1_64",
            Hash::Fnv1a_64 => "fnv1a_64",
            Hash::Fnv1_32 => "fnv1_32",
            Hash::Fnv1a_32 => "fnv1a_32",
            Hash::Hsieh => "hsieh",
            Hash::Murmur => "murmur",
            Hash::Jenkins => "jenkins",
        }
    }

    /// Return the hash of a key; 0 for an empty one, which twemproxy does not hash. O(bytes).
    #[must_use]
    pub fn of(self, key: &[u8], signedness: Signedness) -> u32 {
        if key.is_empty() {
            return 0;
        }
        match signedness {
            Signedness::Signed => self.reading(key, |byte| i64::from(byte as i8) as u64),
            Signedness::Unsigned => self.reading(key, u64::from),
        }
    }

    /// Return the same of [`Hash::Fnv1a_64`] and [`Signedness::Signed`], which most pools have: without a look at which it is.
    #[inline(always)]
    pub(super) fn of_default(key: &[u8]) -> u32 {
        if key.is_empty() { 0 } else { fnv1a_64(key, |byte| i64::from(byte as i8) as u64) }
    }

    /// Return the hash of a key whose bytes are widened to 64 bits in some way; the lower 32 are that to 32.
    #[inline(always)]
    fn reading(self, key: &[u8], wide: impl Fn(u8) -> u64) -> u32 {
        match self {
            Hash::OneAtATime => one_at_a_time(key, |byte| wide(byte) as u32),
            Hash::Md5 => md5(key),
            Hash::Crc16 => crc16(key),
            Hash::Crc32 => (crc32fast::hash(key) >> 16) & 0x7fff,
            Hash::Crc32a => crc32fast::hash(key),
            Hash::Fnv1_64 => fnv1_64(key, wide),
            Hash::Fnv1a_64 => fnv1a_64(key, wide),
            Hash::Fnv1_32 => fold(key, FNV_32, |hash, byte| hash.wrapping_mul(FNV_32_PRIME) ^ wide(byte) as u32),
            Hash::Fnv1a_32 => fold(key, FNV_32, |hash, byte| (hash ^ wide(byte) as u32).wrapping_mul(FNV_32_PRIME)),
            Hash::Hsieh => hsieh(key, wide),
            Hash::Murmur => murmur(key),
            Hash::Jenkins => jenkins(key),
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Hash {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Hash, UnknownWord> {
        known("hash", word, &Hash::ALL, Hash::as_str)
    }
}

const FNV_32: u32 = 0x811c_9dc5;
const FNV_32_PRIME: u32 = 0x0100_0193;

/// Take in byte after byte, with few looks at where the key ends. For the last ones each look is a branch, which is foreseen
/// where keys are alike; a jump by a table of all cases was twice as slow.
#[inline(always)]
fn fold<H>(key: &[u8], start: H, take: impl Fn(H, u8) -> H) -> H {
    let (eights, mut rest) = key.as_chunks::<8>();
    let mut hash = start;
    for &[a, b, c, d, e, f, g, h] in eights {
        hash = take(take(take(take(hash, a), b), c), d);
        hash = take(take(take(take(hash, e), f), g), h);
    }
    if let Some((&[a, b, c, d], last)) = rest.split_first_chunk() {
        hash = take(take(take(take(hash, a), b), c), d);
        rest = last;
    }
    if let Some((&[a, b], last)) = rest.split_first_chunk() {
        hash = take(take(hash, a), b);
        rest = last;
    }
    if let Some(&last) = rest.first() { take(hash, last) } else { hash }
}

/// In 64 bits, of which the lower half is the hash.
#[inline(always)]
fn fnv1_64(key: &[u8], wide: impl Fn(u8) -> u64) -> u32 {
    fold(key, 0xcbf2_9ce4_8422_2325_u64, |hash, byte| hash.wrapping_mul(0x0100_0000_01b3) ^ wide(byte)) as u32
}

/// Of which the lower half, the hash, needs no more than itself.
#[inline(always)]
fn fnv1a_64(key: &[u8], wide: impl Fn(u8) -> u64) -> u32 {
    fold(key, 0x8422_2325_u32, |hash, byte| (hash ^ wide(byte) as u32).wrapping_mul(0x1b3))
}

#[inline(always)]
fn one_at_a_time(key: &[u8], wide: impl Fn(u8) -> u32) -> u32 {
    let mixed = fold(key, 0_u32, |hash, byte| {
        let hash = hash.wrapping_add(wide(byte));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ (hash >> 6)
    });
    let hash = mixed.wrapping_add(mixed << 3);
    let hash = hash ^ (hash >> 11);
    hash.wrapping_add(hash << 15)
}

fn md5(key: &[u8]) -> u32 {
    u128::from_le_bytes(Md5::digest(key).into()) as u32
}

/// For each upper byte what its bits become once they are shifted out.
const CRC16_TABLE: [u32; 256] = crc16_table();

const fn crc16_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 0x8000 == 0 { rest << 1 } else { (rest << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = rest as u32;
        byte += 1;
    }
    table
}

fn crc16(key: &[u8]) -> u32 {
    key.iter().fold(0_u32, |rest, &byte| (rest << 8) ^ CRC16_TABLE[usize::from((rest >> 8) as u8 ^ byte)])
}

/// Return up to four bytes as one little-endian number.
#[inline]
fn little(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u32::from(byte))
}

fn hsieh(key: &[u8], wide: impl Fn(u8) -> u64) -> u32 {
    let (blocks, rest) = key.as_chunks::<4>();
    let mixed = blocks.iter().fold(0_u32, |hash, block| {
        let hash = hash.wrapping_add(little(&block[..2]));
        let hash = (hash << 16) ^ (little(&block[2..]) << 11) ^ hash;
        hash.wrapping_add(hash >> 11)
    });
    let mut hash = mixed;
    match *rest {
        [first, second, third] => {
            hash = hash.wrapping_add(little(&[first, second]));
            hash ^= hash << 16;
            hash ^= (wide(third) as u32) << 18;
            hash = hash.wrapping_add(hash >> 11);
        }
        [first, second] => {
            hash = hash.wrapping_add(little(&[first, second]));
            hash ^= hash << 11;
            hash = hash.wrapping_add(hash >> 17);
        }
        [first] => {
            hash = hash.wrapping_add(u32::from(first));
            hash ^= hash << 10;
            hash = hash.wrapping_add(hash >> 1);
        }
        _ => {}
    }
    for (left, right) in [(3, 5), (4, 17), (25, 6)] {
        hash ^= hash << left;
        hash = hash.wrapping_add(hash >> right);
    }
    hash
}

fn murmur(key: &[u8]) -> u32 {
    const FACTOR: u32 = 0x5bd1_e995;
    let length = key.len() as u32;
    let (blocks, rest) = key.as_chunks::<4>();
    let mut hash = blocks.iter().fold(length.wrapping_mul(0xdead_beef) ^ length, |hash, block| {
        let word = u32::from_le_bytes(*block).wrapping_mul(FACTOR);
        hash.wrapping_mul(FACTOR) ^ (word ^ (word >> 24)).wrapping_mul(FACTOR)
    });
    if !rest.is_empty() {
        hash = (hash ^ little(rest)).wrapping_mul(FACTOR);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

fn jenkins(key: &[u8]) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(key.len() as u32).wrapping_add(13);
    let mut state = [start; 3];
    // The last block, of 1 to 12 bytes, is mixed in another way.
    let (blocks, last) = key.split_at((key.len() - 1) / 12 * 12);
    for block in blocks.chunks_exact(12) {
        add(&mut state, block);
        mix(&mut state);
    }
    add(&mut state, last);
    for [this, that, left] in [[2, 1, 14], [0, 2, 11], [1, 0, 25], [2, 1, 16], [0, 2, 4], [1, 0, 14], [2, 1, 24]] {
        state[this] = (state[this] ^ state[that]).wrapping_sub(state[that].rotate_left(left as u32));
    }
    state[2]
}

fn add(state: &mut [u32; 3], block: &[u8]) {
    for (word, bytes) in state.iter_mut().zip(block.chunks(4)) {
        *word = word.wrapping_add(little(bytes));
    }
}

/// Six steps, each with the next three words in turn.
fn mix(state: &mut [u32; 3]) {
    for (step, left) in [4, 6, 8, 16, 19, 4].into_iter().enumerate() {
        let [this, that, other] = [step % 3, (step + 2) % 3, (step + 1) % 3];
        state[this] = state[this].wrapping_sub(state[that]) ^ state[that].rotate_left(left);
        state[that] = state[that].wrapping_add(state[other]);
    }
}
