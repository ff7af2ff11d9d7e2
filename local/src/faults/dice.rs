//! Chance that can be repeated: who is hit depends on the seed, on where it happens, and on how
//! often it happened there before; not on the clock, and not on what happens elsewhere.

/// The dice of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dice(u64);

impl Dice {
    /// The dice of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// What is thrown the `nth` time at this place.
    #[must_use]
    pub fn throw(self, place: &str, nth: u64) -> Throw {
        // FNV-1a of the place, then mixed with the rest.
        let place = place.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Throw(mixed(mixed(self.0 ^ place).wrapping_add(nth)))
    }
}

/// A throw, which more can be drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throw(u64);

impl Throw {
    /// Whether it falls into so large a share of all throws; goes on with what is left of it.
    pub fn falls_into(&mut self, share: f64) -> bool {
        // 2^53: every step is a number that f64 can tell from the next.
        #[allow(clippy::cast_precision_loss)]
        let at = (self.next() >> 11) as f64 / 9_007_199_254_740_992.0;
        at < share
    }

    /// A number below `count`; 0 for none.
    pub fn below(&mut self, count: u64) -> u64 {
        self.next().checked_rem(count).unwrap_or(0)
    }

    /// A plain number.
    pub fn next(&mut self) -> u64 {
        self.0 = mixed(self.0);
        self.0
    }
}

/// One step of `SplitMix64`: <https://prng.di.unimi.it/splitmix64.c>.
fn mixed(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_place_and_number_throw_the_same() {
        let thrown = |seed, place: &str, nth| Dice::new(seed).throw(place, nth).next();
        assert_eq!(thrown(7, "PutItem", 3), thrown(7, "PutItem", 3));
        assert_ne!(thrown(7, "PutItem", 3), thrown(8, "PutItem", 3));
        assert_ne!(thrown(7, "PutItem", 3), thrown(7, "Query", 3));
        assert_ne!(thrown(7, "PutItem", 3), thrown(7, "PutItem", 4));
    }

    #[test]
    fn a_share_is_hit_as_often_as_it_is_large() {
        let hits = (0..10_000)
            .filter(|nth| Dice::new(1).throw("PutItem", *nth).falls_into(0.05))
            .count();
        assert!((400..600).contains(&hits), "{hits}");
        assert!(!Dice::new(1).throw("x", 1).falls_into(0.0));
        assert!(Dice::new(1).throw("x", 1).falls_into(1.0));
    }

    #[test]
    fn every_number_below_a_count_is_thrown_and_no_other() {
        let thrown: std::collections::BTreeSet<u64> = (0..1000)
            .map(|nth| Dice::new(1).throw("x", nth).below(5))
            .collect();
        assert_eq!(thrown, (0..5).collect());
        assert_eq!(Dice::new(1).throw("x", 1).below(0), 0);
    }
}
