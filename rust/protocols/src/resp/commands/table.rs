//! One line a command, in the order of their names.

use super::{Arity, Command, Kind, Local, Split};

const fn command(name: &'static str, arity: Arity, kind: Kind) -> Command {
    Command { name, arity, kind }
}

/// Every command that is known, in the order of their names.
pub const ALL: &[Command] = &[
    command("DEL", Arity::AtLeast(2), Kind::Split(Split::Sum)),
    command("GET", Arity::Exactly(2), Kind::ByKey(1)),
    command("MGET", Arity::AtLeast(2), Kind::Split(Split::Mget)),
    command("MSET", Arity::Pairs, Kind::Split(Split::Mset)),
    command("PING", Arity::Exactly(1), Kind::Local(Local::Ping)),
    command("SET", Arity::AtLeast(3), Kind::ByKey(1)),
];
