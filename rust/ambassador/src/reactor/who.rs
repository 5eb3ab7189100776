//! Which of a thread's connections something is about.

use mio::Token;

/// Which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Client(usize),
    Link(usize),
}

impl Who {
    pub(super) const fn of(token: Token) -> Self {
        if token.0 & 1 == 0 { Self::Client(token.0 >> 1) } else { Self::Link(token.0 >> 1) }
    }

    pub(super) const fn token(self) -> Token {
        match self {
            Self::Client(index) => Token(index << 1),
            Self::Link(index) => Token(index << 1 | 1),
        }
    }
}
