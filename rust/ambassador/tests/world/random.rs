//! Random numbers that a seed repeats: splitmix64.

/// A stream of random numbers.
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1))
    }

    /// 64 uniform bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A place below `bound`.
    pub fn place(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    /// Whether something happens that happens in so many of a thousand times.
    pub fn is_so(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// The length of the next piece of so many bytes: one, few, or all of them.
    pub fn piece(&mut self, bytes: usize) -> usize {
        let most = match self.below(4) {
            0 => 1,
            1 => 1 + self.place(7),
            2 => 1 + self.place(200),
            _ => bytes,
        };
        most.min(bytes)
    }
}
