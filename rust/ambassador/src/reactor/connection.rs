//! A connection: its socket, its TLS where it has some, and what is known of both.

use super::socket::Socket;
use std::io::{self, ErrorKind, Read, Write};

/// Bytes that rustls may hold of what was written to it.
const TLS_BYTES_MAX: usize = 64 * 1024;

/// Reads in one turn of what nobody wants.
const LAST_READS: usize = 16;

/// What a look at a connection brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Got {
    /// So many bytes; there may be more.
    Bytes(usize),
    /// So many bytes, and no more now.
    Last(usize),
    /// Nothing now.
    Nothing,
    /// The other side sends no more.
    End,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    tls: Option<Box<rustls::Connection>>,
    /// Bytes of the output that rustls has and the socket may not have.
    entrusted: usize,
    /// The socket takes nothing before it says so.
    pub(crate) is_blocked: bool,
    /// The socket has, or may have, something to read.
    pub(crate) is_readable: bool,
    /// The kernel said that the other side sends no more; it does not say so twice.
    pub(crate) is_ending: bool,
    /// It is to be looked at in this turn or the next.
    pub(crate) is_listed: bool,
}

impl Connection {
    pub(crate) fn new(socket: Socket, tls: Option<rustls::Connection>) -> Self {
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(Some(TLS_BYTES_MAX));
            Box::new(tls)
        });
        Self { socket, tls, entrusted: 0, is_blocked: false, is_readable: false, is_ending: false, is_listed: false }
    }

    /// Whether it speaks TLS.
    pub(crate) const fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether its TLS still shakes hands.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Whether its TLS has something to say of its own.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Reads once.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> io::Result<Got> {
        let Some(tls) = &mut self.tls else {
            return match self.socket.read(scratch) {
                Ok(0) => Ok(Got::End),
                // The end comes after the last bytes, and is not announced again.
                Ok(count) if count < scratch.len() && !self.is_ending => Ok(Got::Last(count)),
                Ok(count) => Ok(Got::Bytes(count)),
                Err(error) => nothing(error),
            };
        };
        loop {
            match tls.reader().read(scratch) {
                Ok(0) => return Ok(Got::End),
                Ok(count) => return Ok(Got::Bytes(count)),
                // It ended without a word of TLS: what came is whole all the same, since the protocols inside say what is.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Got::End),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            match tls.read_tls(&mut self.socket) {
                Ok(_) => {
                    if let Err(error) = tls.process_new_packets() {
                        // The other side is told why, if it listens.
                        let _ = tls.write_tls(&mut self.socket);
                        return Err(io::Error::new(ErrorKind::InvalidData, error));
                    }
                }
                Err(error) => return nothing(error),
            }
        }
    }

    /// Writes what the socket takes of an output; returns how many bytes of it are gone.
    pub(crate) fn write(&mut self, output: &[u8]) -> io::Result<usize> {
        self.is_blocked = false;
        let mut gone = 0;
        let Some(tls) = &mut self.tls else {
            while gone < output.len() {
                match self.socket.write(&output[gone..]) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => gone += count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.is_blocked = true;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            return Ok(gone);
        };
        loop {
            self.entrusted += tls.writer().write(output.get(gone + self.entrusted..).unwrap_or_default())?;
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.is_blocked = true;
                        return Ok(gone);
                    }
                    Err(error) => return Err(error),
                }
            }
            gone += std::mem::take(&mut self.entrusted);
            if gone >= output.len() || tls.is_handshaking() {
                return Ok(gone);
            }
        }
    }

    /// Says that nothing follows.
    pub(crate) fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // Nobody waits for it.
            let _ = tls.write_tls(&mut self.socket);
        }
        self.socket.finish();
    }

    /// Reads what nobody wants any more; tells whether the other side has ended.
    pub(crate) fn is_over(&mut self, scratch: &mut [u8]) -> bool {
        for _ in 0..LAST_READS {
            match self.socket.read(scratch).map_err(nothing) {
                Ok(0) | Err(Err(_)) => return true,
                Ok(_) => {}
                Err(Ok(_)) => return false,
            }
        }
        false
    }
}

fn nothing(error: io::Error) -> io::Result<Got> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(Got::Nothing),
        _ => Err(error),
    }
}
