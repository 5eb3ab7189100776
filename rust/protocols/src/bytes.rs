//! Looking at every byte of something short.

/// Return whether every byte is marked in a table.
///
/// Without a branch for each byte: nearly all that is asked about is good, and what is not is refused however long it took.
#[must_use]
pub fn are_all(bytes: &[u8], table: &[bool; 256]) -> bool {
    bytes.iter().fold(true, |are_good, &byte| are_good & table[usize::from(byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_that_is_not_marked_is_enough_wherever_it_stands() {
        let mut table = [false; 256];
        table[usize::from(b'a')] = true;
        assert!(are_all(b"", &table) && are_all(b"a", &table) && are_all(&[b'a'; 100], &table));
        for at in 0..20 {
            let mut bytes = [b'a'; 20];
            bytes[at] = b'b';
            assert!(!are_all(&bytes, &table));
        }
    }
}
