//! A random stream of its own for each record, so that no record depends on which others were made.

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The source that a record is drawn from. Seeding it costs about as much as drawing from it.
pub(crate) type Stream = Xoshiro256PlusPlus;

/// What a stream is for: the same index for another purpose gives other values, other ids above all.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    CompleteTrip = 1,
    Trip = 2,
    DriverEarning = 3,
    Rider = 4,
}

/// The stream of record number `index`.
///
/// Each argument goes into a word of the 256-bit state by a bijection, so that no two records ever share a
/// stream.
pub(crate) fn of(seed: u64, index: u64, purpose: Purpose) -> Stream {
    let seed = mixed(seed);
    let index = mixed(index ^ seed);
    let purpose = mixed(purpose as u64 ^ index);
    let words = [seed, index, purpose, mixed(purpose)];
    let mut state = [0; 32];
    for (bytes, word) in state.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Stream::from_seed(state)
}

/// The output function of SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>): a bijection that changes half of
/// the bits when one bit of `x` changes.
const fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::RngExt;

    use super::*;

    #[test]
    fn neighbours_share_nothing() {
        let purposes =
            [Purpose::CompleteTrip, Purpose::Trip, Purpose::DriverEarning, Purpose::Rider];
        let mut seen = HashSet::new();
        for seed in [0, 1, 2, u64::MAX] {
            for index in 0..1000 {
                for purpose in purposes {
                    let mut stream = of(seed, index, purpose);
                    for _ in 0..4 {
                        assert!(seen.insert(stream.random::<u64>()), "{seed} {index} {purpose:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn first_draws_of_consecutive_records_look_random() {
        const RECORDS: u32 = 100_000;
        let ones: u32 = (0..RECORDS)
            .map(|index| of(7, index.into(), Purpose::Trip).random::<u64>().count_ones())
            .sum();
        // The sum of 6.4 million fair bits: mean 3.2 million, standard deviation 1265.
        let expected = f64::from(RECORDS) * 32.0;
        assert!((f64::from(ones) - expected).abs() < 5.0 * 1265.0, "{ones}");
    }
}
