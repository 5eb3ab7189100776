//! One thread writes what all log, so that a reader that stalls stops nobody: what is too much is dropped, counted and said.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that wait to be written; twice as many where what is said is not the access log, which is by far the most.
const BYTES_MAX: usize = 1 << 20;

/// The access log's event, of which there may be one for each request.
const ACCESS_TARGET: &str = "alongside_http::access";

/// Of lines that are said however little is said.
pub const ALWAYS_TARGET: &str = "always";

/// How much is said, in twemproxy's steps; by default all.
static VERBOSITY: AtomicU8 = AtomicU8::new(u8::MAX);
/// The least of them with which errors alone are not all, and with which what is no warning is said too.
const WARNINGS: u8 = 4;
const ALL: u8 = 5;

/// Before a target that takes nothing now is tried again.
const PAUSE: Duration = Duration::from_millis(10);

static LINES: OnceLock<Arc<Lines>> = OnceLock::new();

/// Lines on their way.
#[derive(Default)]
pub struct Lines {
    state: Mutex<State>,
    /// Something changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
    /// Lines that were dropped, and those of them that were said.
    dropped: u64,
    said: u64,
}

/// Starts the thread that writes to stderr.
pub fn start() -> Sink {
    let lines = LINES.get_or_init(|| {
        begin(io::stderr()).unwrap_or_else(|error| {
            let _ = writeln!(io::stderr(), "alongside-dataplane: nothing is logged: no thread for it: {error}");
            Arc::default()
        })
    });
    Sink(Arc::clone(lines))
}

fn begin(mut target: impl Write + Send + 'static) -> io::Result<Arc<Lines>> {
    let lines = Arc::<Lines>::default();
    let of_thread = Arc::clone(&lines);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_to(&mut target))?;
    Ok(lines)
}

/// Lines that were dropped so far.
pub fn dropped() -> u64 {
    LINES.get().map_or(0, |lines| lines.lock().dropped)
}

/// How much is said.
pub fn verbosity() -> u8 {
    VERBOSITY.load(Ordering::Relaxed)
}

/// Says more, or less, from now on.
pub fn set_verbosity(verbosity: u8) {
    VERBOSITY.store(verbosity, Ordering::Relaxed);
}

fn is_said(metadata: &Metadata<'_>, verbosity: u8) -> bool {
    let least = match *metadata.level() {
        Level::ERROR => 0,
        Level::WARN => WARNINGS,
        _ => ALL,
    };
    verbosity >= least || metadata.target() == ALWAYS_TARGET
}

/// Waits until everything is written, at most so long.
pub fn flush(limit: Duration) {
    LINES.get().iter().for_each(|lines| lines.flush(limit));
}

/// Says a line that is never dropped; before the start it is written at once.
pub fn say(line: Vec<u8>) {
    match LINES.get() {
        Some(lines) => lines.push(line, usize::MAX),
        None => drop(io::stderr().write_all(&line)),
    }
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Vec<u8>, bytes_max: usize) {
        let mut state = self.lock();
        if state.bytes.saturating_add(line.len()) > bytes_max {
            state.dropped += 1;
            return;
        }
        state.bytes += line.len();
        state.waiting.push_back(line);
        self.changed.notify_all();
    }

    fn flush(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        while state.is_writing || !state.waiting.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).map_or_else(|poisoned| poisoned.into_inner().0, |it| it.0);
        }
    }

    /// Writes what comes, until the process ends.
    fn write_to(&self, target: &mut impl Write) {
        loop {
            let mut state = self.lock();
            state.is_writing = false;
            self.changed.notify_all();
            while state.waiting.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let lines = std::mem::take(&mut state.waiting);
            state.is_writing = true;
            drop(state);
            for line in lines {
                write_whole(target, &line);
                let mut state = self.lock();
                state.bytes -= line.len();
                let missing = state.dropped - state.said;
                state.said = state.dropped;
                drop(state);
                if missing > 0 {
                    write_whole(target, &super::dropped_line(missing));
                }
            }
        }
    }
}

/// A line is lost where nobody can ever read it.
fn write_whole(target: &mut impl Write, mut line: &[u8]) {
    while !line.is_empty() {
        match target.write(line) {
            Ok(0) => return,
            Ok(count) => line = &line[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The other end of a terminal or pipe may have been made non-blocking by somebody else.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(_) => return,
        }
    }
}

/// Takes lines of all threads.
pub struct Sink(Arc<Lines>);

/// Takes one line.
pub struct Line<'s> {
    lines: &'s Lines,
    bytes_max: usize,
    is_said: bool,
}

impl<'s> MakeWriter<'s> for Sink {
    type Writer = Line<'s>;

    fn make_writer(&'s self) -> Line<'s> {
        Line { lines: &self.0, bytes_max: 2 * BYTES_MAX, is_said: true }
    }

    fn make_writer_for(&'s self, metadata: &Metadata<'_>) -> Line<'s> {
        let times = if metadata.target() == ACCESS_TARGET { 1 } else { 2 };
        Line { lines: &self.0, bytes_max: times * BYTES_MAX, is_said: is_said(metadata, verbosity()) }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.is_said {
            self.lines.push(line.to_vec(), self.bytes_max);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A target that waits for a word before it takes anything.
    struct Stalled {
        words: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.words.recv();
            let _ = self.taken.send(line.to_vec());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_reader_stops_nobody_and_is_told_what_it_missed() {
        let ((go_on, words), (taken, seen)) = (channel(), channel());
        let lines = begin(Stalled { words, taken }).unwrap();
        for _ in 0..100 {
            lines.push(vec![b'a'; BYTES_MAX / 10], BYTES_MAX);
        }
        let dropped = lines.lock().dropped;
        assert!((85..=90).contains(&dropped), "{dropped}");
        // What is not the access log has room of its own.
        lines.push(b"left\n".to_vec(), 2 * BYTES_MAX);
        lines.flush(Duration::from_millis(1));
        drop(go_on);
        lines.flush(Duration::from_secs(30));
        let seen: Vec<Vec<u8>> = seen.try_iter().collect();
        assert_eq!(seen.iter().filter(|line| line[0] == b'a').count() as u64, 100 - dropped);
        assert!(seen.contains(&b"left\n".to_vec()));
        let missing = format!("\"lines\":{dropped}");
        assert!(seen.iter().any(|line| String::from_utf8_lossy(line).contains(&missing)));
        assert_eq!(lines.lock().bytes, 0);
    }
}
