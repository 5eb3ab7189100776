//! Finding a command by its name: one probe of a table that the compiler makes.

use super::Command;
use super::table::ALL;

/// Slots of the table: four times what it holds, so that most names are at home.
const SLOTS: usize = 1024;

/// Eight letters' bits without the one for the case.
const CASELESS: u64 = u64::from_le_bytes([0xdf; 8]);

/// No command.
const FREE: u16 = u16::MAX;

/// The command of each slot, by its place in [`ALL`].
static TABLE: [u16; SLOTS] = table();

/// Return the command of that name, in any case; `None` for what nobody has.
#[inline]
#[must_use]
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let mut slot = home(name);
    loop {
        // A free slot's number is no command's.
        let command = ALL.get(usize::from(TABLE[slot]))?;
        if is_name(command.name.as_bytes(), name) {
            return Some(command);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Tell whether a name is that of a command, which is in upper case: so only the one is to be changed.
#[inline]
fn is_name(known: &[u8], name: &[u8]) -> bool {
    known.len() == name.len() && known.iter().zip(name).all(|(known, byte)| *known == byte.to_ascii_uppercase())
}

/// Return the slot where a name's search begins, the same in any case: its first and last bytes, whose bit for the case
/// is left out, and its length.
#[inline]
const fn home(name: &[u8]) -> usize {
    let (first, last) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => (u32::from_le_bytes(*first) as u64, u32::from_le_bytes(*last) as u64),
            _ => match (name.first_chunk(), name.last_chunk()) {
                (Some(first), Some(last)) => (u16::from_le_bytes(*first) as u64, u16::from_le_bytes(*last) as u64),
                _ => (0, 0),
            },
        },
    };
    let mixed = (first & CASELESS) ^ (last & CASELESS).rotate_left(29) ^ name.len() as u64;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize % SLOTS
}

const fn table() -> [u16; SLOTS] {
    let mut table = [FREE; SLOTS];
    let mut i = 0;
    while i < ALL.len() {
        let mut slot = home(ALL[i].name.as_bytes());
        while table[slot] != FREE {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = i as u16;
        i += 1;
    }
    table
}
