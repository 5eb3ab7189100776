//! Listening sockets: those that the engine passed, else our own.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Connections the kernel queues for a socket before it refuses one.
const BACKLOG: i32 = 4096;

/// The longest path of a UNIX socket in bytes.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Sockets passed by whoever started the process (`LISTEN_FDS`, `LISTEN_FDNAMES`), or was this process before
/// (`LISTEN_GIVER=gone`).
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<Held>,
    /// Whoever passed them is gone: one that nothing serves any more is closed, since nobody else would serve it.
    is_left: bool,
}

/// A listening socket that this process holds.
#[derive(Debug)]
pub struct Held {
    /// The socket.
    pub socket: TcpListener,
    /// The name it was passed under; none where this process bound it.
    name: Option<String>,
    /// The address that was asked for when it last served; none before.
    served: Option<String>,
}

impl Held {
    /// Listens on `HOST:PORT`.
    ///
    /// # Errors
    /// As [`bind`].
    pub fn bind(address: &str) -> io::Result<Self> {
        Ok(Self { socket: bind(address)?, name: None, served: None })
    }

    /// Returns another handle of the same socket.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { socket: self.socket.try_clone()?, name: self.name.clone(), served: self.served.clone() })
    }

    /// Remembers what address it served.
    #[must_use]
    pub fn after(self, address: &str) -> Self {
        Self { served: Some(address.to_owned()), ..self }
    }
}

impl Inherited {
    /// Takes the sockets over. An absent `LISTEN_PID` is accepted: an engine that starts a program by fork and exec
    /// cannot know it in time.
    ///
    /// # Errors
    /// A passed descriptor is not a listening TCP socket.
    pub fn take() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let is_left = std::env::var_os("LISTEN_GIVER").is_some_and(|said| said == "gone");
        let mut passed = listenfd::ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.split(':').nth(index).unwrap_or_default().to_owned();
            let socket = passed.take_tcp_listener(index).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("socket {} of LISTEN_FDS ({name:?}) is not a TCP listener: {error}", index + 1),
                )
            })?;
            sockets.extend(socket.map(|socket| Held { socket, name: Some(name), served: None }));
        }
        Ok(Self { sockets, is_left })
    }

    /// Takes the socket with that name, or the one that already listens at `address`. One that served before goes by
    /// its name only where the same address is asked for.
    pub fn claim(&mut self, name: &str, address: &str) -> Option<Held> {
        let wanted: Option<SocketAddr> = address.parse().ok();
        let is_named = |held: &Held| {
            held.name.as_deref() == Some(name) && held.served.as_deref().is_none_or(|before| before == address)
        };
        let is_there = |held: &Held| wanted.is_some() && held.socket.local_addr().ok() == wanted;
        let index = self.sockets.iter().position(is_named).or_else(|| self.sockets.iter().position(is_there))?;
        Some(self.sockets.swap_remove(index))
    }

    /// Takes a passed socket back that nothing serves any more; one that this process bound, or has from who is gone, is
    /// closed.
    pub fn give_back(&mut self, held: Held) {
        if held.name.is_some() && !self.is_left {
            self.sockets.push(held);
        }
    }

    /// Names of the sockets that nobody claimed.
    #[must_use]
    pub fn unclaimed(&self) -> Vec<&str> {
        self.sockets.iter().filter_map(|held| held.name.as_deref()).collect()
    }
}

/// Listens on `HOST:PORT`.
///
/// # Errors
/// The address does not resolve, is taken, or is not ours.
pub fn bind(address: &str) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_socket_addrs()? {
        match bind_one(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The file of a UNIX socket that this process bound.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode, which say whether the file is still this socket's.
    identity: (u64, u64),
    /// As long as it is open, no other file gets the inode.
    _socket: UnixListener,
}

impl SocketFile {
    /// Removes the file, unless the path leads to another's by now.
    pub fn remove(&self) {
        if self.is_there() {
            // Only a file that nobody serves is left otherwise; the next process would replace it.
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// Gives the file another mode, unless the path leads to another's by now.
    ///
    /// # Errors
    /// The file is no longer this process's to change.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        if self.is_there() {
            std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(mode))
        } else {
            Ok(())
        }
    }

    fn is_there(&self) -> bool {
        identity(&self.path).is_ok_and(|now| now == self.identity)
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Listens on a UNIX socket that only its owner may open; a socket file that nobody serves is replaced.
///
/// # Errors
/// The path is longer than [`SOCKET_PATH_BYTES_MAX`], is served by somebody, leads to what is no socket, or cannot be
/// written.
pub fn bind_private(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    bind_file(path, 0o600)
}

/// Listens on a UNIX socket whose file has that mode; a socket file that nobody serves is replaced.
///
/// # Errors
/// As [`bind_private`].
pub fn bind_file(path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a socket's path may have at most {SOCKET_PATH_BYTES_MAX} bytes"),
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody serves this socket")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => remove_dead(path)?,
        Err(_) => {}
    }
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    // Nobody can connect before `listen`, so there is no moment at which others could.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    let socket = UnixListener::from(socket);
    let file = SocketFile { path: path.to_owned(), identity: identity(path)?, _socket: socket.try_clone()? };
    Ok((socket, file))
}

/// Removes a socket file that nobody serves. Whatever else is there is refused in the same way, and is somebody's.
fn remove_dead(path: &Path) -> io::Result<()> {
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "what is there is no socket"));
    }
    std::fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed<const N: usize>(sockets: [(&str, TcpListener); N]) -> Inherited {
        let held = |(name, socket): (&str, TcpListener)| Held { socket, name: Some(name.into()), served: None };
        Inherited { sockets: sockets.into_iter().map(held).collect(), is_left: false }
    }

    #[test]
    fn a_socket_given_back_is_claimed_again_for_the_address_it_served() {
        let mut inherited = passed([("web", bind("127.0.0.1:0").unwrap())]);
        let held = inherited.claim("web", "localhost:80").unwrap();
        inherited.give_back(held);
        let held = inherited.claim("web", "127.0.0.1:80").unwrap();
        inherited.give_back(held.after("127.0.0.1:80"));
        assert!(inherited.claim("web", "127.0.0.1:81").is_none());
        assert!(inherited.claim("web", "127.0.0.1:80").is_some());
        inherited.give_back(Held::bind("127.0.0.1:0").unwrap());
        assert!(inherited.unclaimed().is_empty());
    }

    #[test]
    fn claims_by_name_then_by_address() {
        let (named, plain) = (bind("127.0.0.1:0").unwrap(), bind("127.0.0.1:0").unwrap());
        let address = plain.local_addr().unwrap();
        let mut inherited = passed([("web", named), ("", plain)]);
        assert!(inherited.claim("other", "127.0.0.1:1").is_none());
        assert_eq!(inherited.claim("other", &address.to_string()).unwrap().socket.local_addr().unwrap(), address);
        assert!(inherited.claim("web", "127.0.0.1:1").is_some());
        assert!(inherited.unclaimed().is_empty());
    }

    #[test]
    fn says_that_an_address_is_taken() {
        let first = bind("127.0.0.1:0").unwrap();
        let error = bind(&first.local_addr().unwrap().to_string()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_private_socket_is_its_owners_and_replaces_a_dead_one() {
        let path = std::env::temp_dir().join(format!("alongside-listen-{}.sock", std::process::id()));
        let first = bind_private(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(bind_private(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        let (_second, file) = bind_private(&path).unwrap();
        file.remove();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_stays_where_it_is() {
        let path = std::env::temp_dir().join(format!("alongside-no-socket-{}", std::process::id()));
        std::fs::write(&path, "kept").unwrap();
        assert_eq!(bind_private(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
        let link = path.with_extension("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(bind_private(&link).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(link.is_symlink() && path.is_file());
        std::fs::remove_file(&link).unwrap();
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_sockets_file_may_get_another_mode() {
        let path = std::env::temp_dir().join(format!("alongside-mode-{}.sock", std::process::id()));
        let (_socket, file) = bind_private(&path).unwrap();
        file.set_mode(0o666).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "another's").unwrap();
        file.set_mode(0o600).unwrap();
        assert_ne!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_socket_whose_giver_is_gone_is_closed_when_nothing_serves_it() {
        let mut inherited = passed([("web", bind("127.0.0.1:0").unwrap())]);
        inherited.is_left = true;
        let held = inherited.claim("web", "127.0.0.1:80").unwrap();
        inherited.give_back(held);
        assert!(inherited.claim("web", "127.0.0.1:80").is_none());
    }

    #[test]
    fn a_private_socket_that_lost_its_path_leaves_the_one_that_has_it() {
        let path = std::env::temp_dir().join(format!("alongside-lost-{}.sock", std::process::id()));
        let (_first, file) = bind_private(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (_second, successors) = bind_private(&path).unwrap();
        file.remove();
        assert!(path.exists());
        successors.remove();
        assert!(!path.exists());
    }

    #[test]
    fn refuses_a_path_that_no_socket_can_have() {
        let path = Path::new("/tmp").join("x".repeat(120));
        assert_eq!(bind_private(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
