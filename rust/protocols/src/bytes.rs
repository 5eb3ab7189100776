//! Looking at every byte of something short.

/// Bytes that are looked at in one go.
const BLOCK: usize = 16;

/// Return whether every byte is good.
///
/// Without a branch for each byte, and many at once where `is_good` only compares: nearly all that is asked about is good, and
/// what is not is refused however long it took.
#[must_use]
#[inline]
pub fn are_all(bytes: &[u8], is_good: impl Fn(u8) -> bool) -> bool {
    let Some(last) = bytes.last_chunk::<BLOCK>() else {
        return bytes.iter().fold(true, |are_good, &byte| are_good & is_good(byte));
    };
    let mut are_bad = [0u8; BLOCK];
    // The last block may overlap the one before, so that nothing is left over.
    bytes.as_chunks::<BLOCK>().0.iter().chain([last]).for_each(|block| {
        for (is_bad, &byte) in are_bad.iter_mut().zip(block) {
            *is_bad |= u8::from(!is_good(byte));
        }
    });
    are_bad == [0; BLOCK]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_that_is_not_good_is_enough_wherever_it_stands() {
        let is_good = |byte| byte == b'a';
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert!(are_all(&bytes, is_good));
            for at in 0..length {
                bytes[at] = b'b';
                assert!(!are_all(&bytes, is_good), "{at} of {length}");
                bytes[at] = b'a';
            }
        }
    }
}
