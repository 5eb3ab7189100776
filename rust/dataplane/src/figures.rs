//! twemproxy's port of figures: whoever connects gets a line, and is let go.

use alongside_ambassador::{Engine, stats};
use alongside_transport::accept::ACCEPT_PAUSE;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long a reader may take to get its line.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Readers at one time; the others wait.
const READERS_MAX: usize = 64;

/// Serves the figures at a socket, for ever. Must begin where tasks can be started.
pub fn serve(socket: TcpListener, engine: Engine) {
    let source: Arc<str> = rustix::system::uname().nodename().to_string_lossy().into();
    let room = Arc::new(Semaphore::new(READERS_MAX));
    tokio::spawn(async move {
        loop {
            let place = Arc::clone(&room).acquire_owned().await;
            let Ok((mut stream, _)) = socket.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let line = stats::line(&engine, &source);
            tokio::spawn(async move {
                let _place = place;
                // A reader that goes away wants no more of it.
                let _ = tokio::time::timeout(TIME_MAX, async {
                    stream.write_all(line.as_bytes()).await?;
                    stream.shutdown().await
                })
                .await;
            });
        }
    });
}
