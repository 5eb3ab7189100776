//! Places for clients and links: an index that is used again, with a generation that is not.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

macro_rules! id {
    ($(#[$doc:meta])+ $name:ident) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            pub(crate) index: u32,
            pub(crate) generation: u32,
        }

        impl $name {
            /// Return its index, which is small, and another's when it is gone.
            #[must_use]
            pub const fn index(self) -> usize {
                self.index as usize
            }

            /// Return what tells it from others of the same index.
            #[must_use]
            pub const fn generation(self) -> u32 {
                self.generation
            }
        }

        impl From<(u32, u32)> for $name {
            fn from((index, generation): (u32, u32)) -> $name {
                $name { index, generation }
            }
        }
    };
}

id! {
    /// A client's connection.
    ClientId
}

id! {
    /// A connection to a server.
    LinkId
}

/// Things in places. A place is used again before another is made, the lowest first, so that those behind can be given back.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    /// Places that may be used again; some of them are so already, or are gone.
    free: BinaryHeap<Reverse<u32>>,
    /// The generation of a place that is made: that of none before it at its index.
    first_generation: u32,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    thing: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { places: Vec::new(), free: BinaryHeap::new(), first_generation: 0 }
    }
}

impl<T> Slab<T> {
    /// Put a thing in; return its index and generation.
    pub(crate) fn insert(&mut self, thing: T) -> (u32, u32) {
        while let Some(Reverse(index)) = self.free.pop() {
            if let Some(place) = self.places.get_mut(index as usize).filter(|place| place.thing.is_none()) {
                place.thing = Some(thing);
                return (index, place.generation);
            }
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { generation: self.first_generation, thing: Some(thing) });
        (index, self.first_generation)
    }

    /// Take a thing out, if it is still the one that is meant.
    pub(crate) fn remove(&mut self, index: u32, generation: u32) -> Option<T> {
        let place = self.places.get_mut(index as usize).filter(|place| place.generation == generation)?;
        let thing = place.thing.take()?;
        place.generation = place.generation.wrapping_add(1);
        let first = &mut self.first_generation;
        let is_gone = |place: &Place<T>| {
            if place.thing.is_none() {
                *first = place.generation.max(*first);
            }
            place.thing.is_none()
        };
        let has_less_room = give_back(&mut self.places, is_gone);
        let count = self.places.len();
        if (index as usize) < count {
            self.free.push(Reverse(index));
        }
        if has_less_room {
            // Made anew, it lies low in the heap, which is given back from above.
            self.free = self.free.drain().filter(|free| (free.0 as usize) < count).collect();
        }
        Some(thing)
    }

    #[inline]
    pub(crate) fn get(&self, index: u32, generation: u32) -> Option<&T> {
        let place = self.places.get(index as usize)?;
        if place.generation == generation { place.thing.as_ref() } else { None }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32, generation: u32) -> Option<&mut T> {
        let place = self.places.get_mut(index as usize)?;
        if place.generation == generation { place.thing.as_mut() } else { None }
    }

    /// Return all things with their indexes and generations.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = ((u32, u32), &mut T)> {
        (0_u32..).zip(&mut self.places).filter_map(|(index, place)| {
            let generation = place.generation;
            place.thing.as_mut().map(|thing| ((index, generation), thing))
        })
    }

    /// Return all things with their indexes and generations.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ((u32, u32), &T)> {
        (0_u32..).zip(&self.places).filter_map(|(index, place)| {
            let generation = place.generation;
            place.thing.as_ref().map(|thing| ((index, generation), thing))
        })
    }
}

/// Places whose room is kept, however few are in use.
const KEPT: usize = 256;

/// Give the places behind the last one in use back; their room too where it is much, and tell so.
pub(crate) fn give_back<P>(places: &mut Vec<P>, mut is_free: impl FnMut(&P) -> bool) -> bool {
    while places.last().is_some_and(&mut is_free) {
        places.pop();
    }
    let is_much = places.capacity() > KEPT && places.len() < places.capacity() / 4;
    if is_much {
        places.shrink_to(KEPT.max(places.len() * 2));
    }
    is_much
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn room_is_given_back_and_no_id_comes_again() {
        let mut slab = Slab::default();
        let mut seen = HashSet::new();
        for round in 0..3_u32 {
            let ids: Vec<_> = (0..10_000).map(|number| slab.insert(number)).collect();
            assert!(ids.iter().all(|&id| seen.insert(id)), "round {round}");
            // One stays, where it holds the fewest places.
            for (number, &(index, generation)) in ids.iter().enumerate().skip(1) {
                assert_eq!(slab.remove(index, generation), Some(number as u32));
                assert_eq!(slab.remove(index, generation), None);
                assert_eq!(slab.get(index, generation), None);
            }
            assert!(slab.places.capacity() <= KEPT.max(8 * (round as usize + 1)));
            assert_eq!(slab.get(ids[0].0, ids[0].1), Some(&0));
        }
        assert_eq!(slab.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_place_in_the_middle_is_used_again_before_one_is_made() {
        let mut slab = Slab::default();
        let ids: Vec<_> = (0..6).map(|number| slab.insert(number)).collect();
        for at in [1, 5, 4, 2] {
            slab.remove(ids[at].0, ids[at].1);
        }
        let again: Vec<_> = (10..14).map(|number| slab.insert(number)).collect();
        assert_eq!(again.iter().map(|id| id.0).collect::<Vec<_>>(), [1, 2, 4, 5]);
        assert!(again.iter().zip(10..).all(|(id, number)| slab.get(id.0, id.1) == Some(&number)));
        assert!(!ids.iter().any(|id| again.contains(id)));
    }
}
