//! Move bytes between sockets under limits.
//!
//! In:    sockets, inherited or bound; limits in milliseconds and bytes; a tick four times a second.
//! Out:   listeners, deadlines that cost nothing while they hold, buffers that exist only while bytes do, pooled connections.
//! Not:   any protocol; any knowledge of documents, shards or caches.
//! Next:  `alongside-http` builds its engine on these; `alongside-dataplane` owns the threads.

pub mod accept;
pub mod admission;
pub mod buffer;
pub mod clock;
pub mod deadline;
pub mod destination;
pub mod gate;
pub mod listen;
pub mod local;
pub mod pipe;
pub mod pool;
pub mod random;
pub mod watch;
pub mod way;
pub mod wire;

pub use buffer::Buffer;
pub use deadline::{Deadline, Expired};
pub use pipe::{Bare, Pipe};
pub use way::Way;
pub use wire::Wire;
