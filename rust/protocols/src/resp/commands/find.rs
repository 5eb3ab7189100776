//! Finding a command by its name: one probe of a table that the compiler makes.

use super::Command;
use super::table::ALL;

/// Slots of the table: four times what it holds, so that most names are at home.
const SLOTS: usize = 1024;

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
        if command.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Return the slot where a name's search begins, the same in any case.
#[inline]
const fn home(name: &[u8]) -> usize {
    let mut hash = name.len() as u32;
    let mut i = 0;
    while i < name.len() && i < 16 {
        hash = (hash ^ (name[i] & 0xdf) as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    (hash ^ hash >> 15) as usize % SLOTS
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
