//! How many connections a process holds, in all and per address.

use crate::gate::Gate;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The process-wide count of open client connections, shared by all threads.
#[derive(Debug, Default)]
pub struct Admission {
    /// The requests that nodes and origins are answering, in the whole process.
    pub requests: Arc<Gate>,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    /// Whether the threads are asked to end an idle connection.
    is_room_wanted: Mutex<bool>,
    asked: Notify,
}

/// Why a connection is not let in; the word is the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The process holds as many connections as it may.
    Process,
    /// This address holds as many connections as one address may.
    Address,
    /// Those whom it would join are as many as they may be.
    Group,
}

impl Full {
    /// The metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "connections_max",
            Self::Address => "connections_per_address_max",
            Self::Group => "clients_max",
        }
    }
}

/// Connections that have a bound of their own beside the process': how many are open.
#[derive(Debug, Default)]
pub struct Group(AtomicUsize);

impl Group {
    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One admitted connection; dropping it makes room again.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
    group: Option<Arc<Group>>,
}

impl Admission {
    /// Lets a connection in, or says which limit is reached. `per_address_max`: `None` counts no addresses.
    ///
    /// # Errors
    /// [`Full`], which limit is reached.
    pub fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        all_max: usize,
        per_address_max: Option<usize>,
    ) -> Result<Admitted, Full> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= all_max {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Process);
        }
        let mut admitted = Admitted { admission: Arc::clone(self), address: None, group: None };
        if let Some(max) = per_address_max {
            admitted.count(address, max)?;
        }
        Ok(admitted)
    }

    /// Asks the other threads to end one idle connection; false where they are asked already and have none.
    pub fn ask_for_room(&self) -> bool {
        let mut is_wanted = self.is_room_wanted.lock().unwrap_or_else(PoisonError::into_inner);
        self.asked.notify_waiters();
        !std::mem::replace(&mut *is_wanted, true)
    }

    /// Waits until another thread asks for room.
    pub async fn asked_for_room(&self) {
        self.asked.notified().await;
    }

    /// Ends an idle connection by `shed` where room is still wanted; `shed` returns whether there was one.
    pub fn make_room(&self, shed: impl FnOnce() -> bool) {
        // One thread at a time tries: what is asked for is one connection.
        let mut is_wanted = self.is_room_wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_wanted && shed() {
            *is_wanted = false;
        }
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Admitted {
    /// Counts the connection as one of this address, where it was not known when it was let in.
    ///
    /// # Errors
    /// [`Full::Address`]: the address holds as many as it may.
    pub fn count(&mut self, address: IpAddr, max: usize) -> Result<(), Full> {
        let mut by_address = self.admission.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_address.entry(address).or_default();
        if *count >= max {
            return Err(Full::Address);
        }
        *count += 1;
        self.address = Some(address);
        Ok(())
    }

    /// Counts the connection as one of a group, and of that where it was before no more. `max`: nothing for no bound.
    ///
    /// # Errors
    /// [`Full::Group`]: the group is as large as it may be.
    pub fn join(&mut self, group: &Arc<Group>, max: Option<usize>) -> Result<(), Full> {
        if self.group.as_ref().is_some_and(|joined| Arc::ptr_eq(joined, group)) {
            return Ok(());
        }
        if group.0.fetch_add(1, Ordering::Relaxed) >= max.unwrap_or(usize::MAX) {
            group.0.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Group);
        }
        self.leave();
        self.group = Some(Arc::clone(group));
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(group) = self.group.take() {
            group.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        self.leave();
        if let Some(address) = self.address {
            let mut by_address = self.admission.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = by_address.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    by_address.remove(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[test]
    fn counts_all_connections_and_makes_room_again() {
        let admission = Arc::new(Admission::default());
        let first = admission.admit(HERE, 2, None).unwrap();
        let _second = admission.admit(THERE, 2, None).unwrap();
        assert_eq!(admission.admit(HERE, 2, None).unwrap_err(), Full::Process);
        drop(first);
        assert!(admission.admit(HERE, 2, None).is_ok());
        assert_eq!(admission.open(), 1);
    }

    #[test]
    fn room_is_asked_for_once_and_made_by_whoever_can() {
        let admission = Admission::default();
        assert!(admission.ask_for_room());
        assert!(!admission.ask_for_room());
        let mut tries = Vec::new();
        for has_idle in [false, true, true] {
            admission.make_room(|| {
                tries.push(has_idle);
                has_idle
            });
        }
        assert_eq!(tries, [false, true]);
        assert!(admission.ask_for_room());
    }

    #[test]
    fn a_group_has_a_bound_of_its_own_and_counts_also_who_came_without_one() {
        let admission = Arc::new(Admission::default());
        let (group, other) = (Arc::new(Group::default()), Arc::new(Group::default()));
        let mut first = admission.admit(HERE, 9, None).unwrap();
        first.join(&group, None).unwrap();
        let mut second = admission.admit(HERE, 9, None).unwrap();
        assert_eq!(second.join(&group, Some(1)).unwrap_err(), Full::Group);
        second.join(&other, Some(1)).unwrap();
        assert_eq!((group.open(), other.open(), admission.open()), (1, 1, 2));
        first.join(&group, Some(1)).unwrap();
        assert_eq!(group.open(), 1, "it is in already");
        drop(first);
        assert_eq!((group.open(), admission.open()), (0, 1));
        second.join(&group, Some(1)).unwrap();
        assert_eq!((group.open(), other.open()), (1, 0), "it is in one group at a time");
        drop(second);
        assert!(admission.admit(HERE, 9, None).unwrap().join(&group, Some(1)).is_ok());
    }

    #[test]
    fn counts_each_address_only_where_asked() {
        let admission = Arc::new(Admission::default());
        let first = admission.admit(HERE, 9, Some(1)).unwrap();
        assert_eq!(admission.admit(HERE, 9, Some(1)).unwrap_err(), Full::Address);
        let _other = admission.admit(THERE, 9, Some(1)).unwrap();
        assert_eq!(admission.open(), 2);
        drop(first);
        assert!(admission.admit(HERE, 9, Some(1)).is_ok());
        assert_eq!(admission.by_address.lock().unwrap().len(), 1);
    }
}
