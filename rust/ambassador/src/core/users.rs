//! Who clients of Redis are.

use alongside_protocols::resp::Request;
use alongside_protocols::resp::commands::{Command, Kind, Local};

use super::client::Client;
use super::context::Context;
use super::pool::Pool;
use super::redis::refuse;

/// Tell whether a command is for those too who have not said who they are.
pub(super) fn is_free(command: &Command) -> bool {
    matches!(command.kind, Kind::Local(Local::Auth | Local::Hello | Local::Quit | Local::Reset))
}

/// Answer `AUTH [USER] PASSWORD`.
pub(super) fn auth(client: &mut Client, pool: &Pool, request: &Request<'_>, context: &mut Context) {
    let (user, password) = match (request.arg(1), request.arg(2), request.count) {
        (Some(password), None, _) => (&b"default"[..], password),
        (Some(user), Some(password), 3) => (user, password),
        _ => return refuse(client, pool, &[b"wrong number of arguments for 'auth' command"], context),
    };
    if pool.terms.users.is_empty() && (request.count == 2 || pool.is_strict()) {
        let text: &[u8] = if pool.is_strict() {
            b"Client sent AUTH, but no password is set"
        } else {
            b"AUTH <password> called without any password configured for the default user. \
              Are you sure your configuration is correct?"
        };
        return refuse(client, pool, &[text], context);
    }
    if is_one_of(pool, user, password) {
        client.is_known = true;
        client.answer(b"+OK\r\n", context);
    } else if pool.is_strict() {
        refuse(client, pool, &[b"invalid password"], context);
    } else {
        wrong(client, pool, context);
    }
}

/// Answer that nobody has that name and password.
pub(super) fn wrong(client: &mut Client, pool: &Pool, context: &mut Context) {
    pool.lane.refused.add(1);
    client.answer(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", context);
}

/// Tell whether a user has that password; where none is wanted, the user that is everybody has any. It takes as long whichever of its bytes are wrong.
pub(super) fn is_one_of(pool: &Pool, user: &[u8], password: &[u8]) -> bool {
    let is_same = |known: &[u8]| {
        let difference = known.iter().zip(password).fold(0, |seen, (a, b)| seen | (a ^ b));
        std::hint::black_box(difference) == 0 && known.len() == password.len()
    };
    if pool.terms.users.is_empty() {
        return user == b"default";
    }
    pool.terms.users.iter().any(|known| known.name.as_bytes() == user && is_same(&known.password))
}
