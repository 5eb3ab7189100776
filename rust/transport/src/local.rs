//! Connections within this machine, which no network carries.
//!
//! Where the system's congestion control paces what it sends, as BBR does, each packet between two programs of one
//! machine pays for timers and models of a network that is not there: a sixteenth of a proxy's processor time.

use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::{Domain, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use tokio::net::{TcpSocket, TcpStream};

/// What congestion controls that pace are called, at the beginning.
const PACING: &str = "bbr";

/// What every Linux has and lets everybody take, and what costs least.
const PLAIN: &str = "reno";

/// Has a socket send without pacing if its other side is on this machine. A listening socket hands it on to what it
/// accepts; one that connects is told before it does, for a connection that paced once goes on.
pub fn unpace(socket: impl AsFd, other: IpAddr) {
    static PACES: OnceLock<bool> = OnceLock::new();
    let paces = || usual().is_ok_and(|name| is_pacing(&name));
    if other.to_canonical().is_loopback() && *PACES.get_or_init(paces) {
        // A system that refuses has a dearer connection, and no worse one.
        let _ = sockopt::set_tcp_congestion(socket, PLAIN);
    }
}

fn is_pacing(name: &str) -> bool {
    name.starts_with(PACING)
}

/// Returns what sockets have of which nobody says anything; one that is passed to us may have been told before.
fn usual() -> io::Result<String> {
    let fresh = socket2::Socket::new(Domain::IPV4, Type::STREAM, None)?;
    Ok(sockopt::tcp_congestion(&fresh)?)
}

/// Returns a socket that is to be connected: it never waits, does not hold small writes back, and paces nothing here.
fn socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    unpace(&socket, address.ip());
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Opens a connection without delay for small writes.
///
/// # Errors
/// The connection's.
pub async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpSocket::from_std_stream(socket(address)?.into()).connect(address).await
}

/// Begins to open a connection without delay for small writes; the stream never waits, and says when it is there.
///
/// # Errors
/// The connection's, where it is known at once.
pub fn begin(address: SocketAddr) -> io::Result<std::net::TcpStream> {
    let socket = socket(address)?;
    match socket.connect(&address.into()) {
        Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(socket: impl AsFd) -> String {
        sockopt::tcp_congestion(socket).unwrap()
    }

    #[test]
    fn tells_what_paces() {
        let paces = |name: &&str| is_pacing(name);
        let all = ["bbr", "bbr2", "cubic", "reno", "dctcp", ""];
        assert_eq!(all.iter().copied().filter(paces).collect::<Vec<_>>(), ["bbr", "bbr2"]);
    }

    #[test]
    fn both_sides_within_this_machine_do_without_pacing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = crate::listen::bind("127.0.0.1:0").unwrap();
            let usual = control(&listener);
            let expected = if is_pacing(&usual) { PLAIN } else { &usual };
            unpace(&listener, "192.0.2.1".parse().unwrap());
            assert_eq!(control(&listener), usual, "its other side is elsewhere");
            unpace(&listener, "::ffff:127.0.0.1".parse().unwrap());
            let near = connect(listener.local_addr().unwrap()).await.unwrap();
            let (far, _) = listener.accept().unwrap();
            let begun = begin(listener.local_addr().unwrap()).unwrap();
            assert_eq!([control(&near), control(&far), control(&begun)], [expected; 3]);
            assert!(near.nodelay().unwrap() && begun.nodelay().unwrap());
        });
    }
}
