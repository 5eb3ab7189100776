//! Places for clients and links: an index that is used again, with a generation that is not.

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

/// Things in places.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    thing: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Put a thing in; return its index and generation.
    pub(crate) fn insert(&mut self, thing: T) -> (u32, u32) {
        if let Some(index) = self.free.pop() {
            let place = &mut self.places[index as usize];
            place.thing = Some(thing);
            return (index, place.generation);
        }
        let index = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(Place { generation: 0, thing: Some(thing) });
        (index, 0)
    }

    /// Take a thing out, if it is still the one that is meant.
    pub(crate) fn remove(&mut self, index: u32, generation: u32) -> Option<T> {
        let place = self.places.get_mut(index as usize).filter(|place| place.generation == generation)?;
        let thing = place.thing.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
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
