//! Looking at files again and again, for as long as somebody holds what is made of them.

use crate::acceptor::milliseconds_now;
use crate::followed::SETTLED_MS;
use alongside_transport::watch::Watch;
use std::sync::Weak;
use std::time::Duration;

/// How often files are looked at even if nothing was noticed.
const LOOK: Duration = Duration::from_secs(30);
/// How soon files are looked at again that somebody may be writing.
const LOOK_SOON: Duration = Duration::from_millis(SETTLED_MS);

/// Lets `look` at the files whenever something changes on the ways to them; it gets the time in milliseconds since 1970, and
/// returns whether somebody may be writing. It ends when nobody holds the thing.
pub async fn follow<T>(held: Weak<T>, mut watch: Watch, look: impl Fn(&T, i64) -> bool) {
    while let Some(thing) = held.upgrade() {
        let wait = if look(&thing, milliseconds_now()) { LOOK_SOON } else { LOOK };
        drop(thing);
        // Not before the look: what was renamed shall not wait for a watch on where it now leads.
        watch.renew();
        watch.changed(wait).await;
    }
}
