//! Sending a sibling what is stored, hottest first.

use crate::entry::Entry;
use crate::object::Object;
use crate::record::{self, Record};
use crate::service::Cache;
use alongside_http::{Broken, Exchange, Stream};
use alongside_protocols::chunked;
use alongside_transport::deadline;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Siblings that are sent something at one time; each at most once.
pub const GIVINGS_MAX: usize = 8;

/// Bytes that are collected before they are written.
const COLLECTED_BYTES: usize = 16 * 1024;

/// Who is being sent something.
#[derive(Debug, Default)]
pub(crate) struct Givings(Mutex<HashSet<String>>);

/// One of them, until this is dropped.
struct Giving<'g>(&'g Givings, String);

impl Givings {
    fn begin(&self, id: &str) -> Option<Giving<'_>> {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = ids.len() < GIVINGS_MAX && ids.insert(id.to_owned());
        is_new.then(|| Giving(self, id.to_owned()))
    }
}

impl Drop for Giving<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Cache {
    /// Sends what is stored and fresh. Only keys are held meanwhile: what leaves the store before its turn is left out.
    pub(crate) async fn give<S: Stream>(&self, id: &str, exchange: &mut Exchange<'_, S>) -> Result<(), Broken> {
        let Some(_giving) = self.warmup.givings.begin(id) else {
            return exchange.refuse(503, "it is sending as much as it may").await;
        };
        if !exchange.facts.is_http11 || exchange.facts.is_head {
            return exchange.refuse(400, "a warm-up is asked for with GET in HTTP/1.1").await;
        }
        let began_ms = self.clock.now_ms();
        let store = Arc::clone(&self.store);
        let listed = tokio::task::spawn_blocking(move || store.hottest(began_ms)).await;
        let (keys, bytes) = listed.map_err(|_| Broken)?;
        exchange.output.clear();
        exchange.output.extend_from_slice(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n",
        );
        exchange.end_head();
        exchange.status = 200;
        let mut text = Vec::new();
        record::write_preamble(bytes, &mut text);
        chunked::write_chunk(&text, &mut exchange.output);
        let mut records = 0;
        for key in keys {
            // Who leaves does not keep its process waiting for a sibling.
            if deadline::is_draining() {
                break;
            }
            let Some(entry) = self.store.entry(&key) else { continue };
            records += self.give_entry(&entry, began_ms, exchange).await?;
        }
        text.clear();
        record::write_end(records, &mut text);
        chunked::write_chunk(&text, &mut exchange.output);
        chunked::write_end(b"", &mut exchange.output);
        exchange.write_paced(None).await
    }

    async fn give_entry<S: Stream>(
        &self,
        entry: &Entry,
        began_ms: u64,
        exchange: &mut Exchange<'_, S>,
    ) -> Result<u64, Broken> {
        let mut records = 0;
        for (values, object) in entry.variants() {
            let now_ms = self.clock.now_ms();
            if object.meta().is_fresh(now_ms) {
                let record = record_of(entry, values, object, (now_ms, began_ms));
                give_object(&record, object, exchange).await?;
                records += 1;
            }
        }
        Ok(records)
    }
}

fn record_of(entry: &Entry, values: &[u8], object: &Object, (now_ms, began_ms): (u64, u64)) -> Record {
    Record {
        status: object.status(),
        sent_ms: now_ms.saturating_sub(began_ms),
        arrived_ms: now_ms.saturating_sub(object.meta().arrived_ms),
        age_ms: object.meta().age_now_ms(now_ms),
        key: entry.key.bytes().to_vec(),
        values: values.to_vec(),
        head: object.head().to_vec(),
    }
}

/// Sends one record as one chunk.
async fn give_object<S: Stream>(
    record: &Record,
    object: &Object,
    exchange: &mut Exchange<'_, S>,
) -> Result<(), Broken> {
    let body_bytes = object.body().length();
    exchange.trail.body_bytes += body_bytes;
    let bytes = usize::try_from(body_bytes).unwrap_or(usize::MAX).saturating_add(record::record_bytes(record));
    chunked::write_chunk_start(bytes, &mut exchange.output);
    record::write_record(record, body_bytes, &mut exchange.output);
    for piece in object.body().chunks() {
        if exchange.output.len() + piece.len() <= COLLECTED_BYTES {
            exchange.output.extend_from_slice(piece);
        } else {
            exchange.write_paced(None).await?;
            exchange.output.clear();
            exchange.write_paced(Some(piece)).await?;
        }
    }
    exchange.output.extend_from_slice(b"\r\n");
    if exchange.output.len() > COLLECTED_BYTES {
        exchange.write_paced(None).await?;
        exchange.output.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_once_to_each_and_to_few() {
        let givings = Givings::default();
        let first = givings.begin("a").unwrap();
        assert!(givings.begin("a").is_none());
        let others: Vec<_> = (1..GIVINGS_MAX).map(|one| givings.begin(&one.to_string()).unwrap()).collect();
        assert!(givings.begin("b").is_none());
        drop(first);
        assert!(givings.begin("a").is_some());
        drop(others);
    }
}
