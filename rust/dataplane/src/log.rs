//! Log lines: one JSON object each on stderr, with `time`, `level`, `event` and fields.

mod writing;

use serde_json::{Map, Value};
use std::fmt;
use std::io::Write;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

pub use writing::{ALWAYS_TARGET, dropped, set_verbosity, verbosity};

/// How long the end of the process waits for its last lines to be read.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// Starts logging. Lines below `info` are left out.
pub fn start() {
    // A second start is impossible in this binary; were it tried, the first one stays.
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(writing::start())
        .event_format(Lines)
        .try_init();
}

/// Waits until all lines are written, for a moment.
pub fn flush() {
    writing::flush(FLUSH_TIME_MAX);
}

/// Prints a line of data on stdout; a closed pipe is no error worth telling.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints a line for people on stderr, behind the log lines before it.
pub fn complain(text: &str) {
    writing::say(format!("alongside-dataplane: {text}\n").into_bytes());
}

struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = fields(event.metadata().level().as_str());
        event.record(&mut fields);
        writeln!(writer, "{}", Value::Object(fields.0))
    }
}

/// Returns the fields that each line begins with.
fn fields(level: &str) -> Fields {
    let mut time = String::new();
    // Writing to a string cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let mut fields = Fields(Map::new());
    fields.0.insert("time".into(), time.into());
    fields.0.insert("level".into(), level.to_ascii_lowercase().into());
    fields
}

/// Returns the line that says how many are missing before it.
fn dropped_line(count: u64) -> Vec<u8> {
    let mut fields = fields("WARN");
    fields.0.insert("event".into(), "log_dropped".into());
    fields.0.insert("lines".into(), count.into());
    format!("{}\n", Value::Object(fields.0)).into_bytes()
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }
}
