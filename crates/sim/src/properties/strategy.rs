//! Inputs for proptest: the seeds of the fuzzer, changed a little.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::seeds::{Seeds, seeds};

/// Made once, because each input begins with one of them.
static SEEDS: LazyLock<Vec<Seeds>> = LazyLock::new(seeds);

/// A seed of the target with some bytes changed, put in or taken out, sometimes with another seed after it, and
/// sometimes no seed at all.
pub fn bytes_for(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let seed = || any::<Index>().prop_map(move |index| index.get(of(target)).clone());
    let edit = (any::<Index>(), 0..4u8, any::<u8>(), 0..40usize);
    let edited = (seed(), vec(edit, 0..6), prop::option::of(seed())).prop_map(
        |(mut bytes, edits, behind)| {
            for (at, what, byte, length) in edits {
                let at = at.index(bytes.len() + 1);
                let end = bytes.len().min(at + length);
                match what {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                    2 => drop(bytes.splice(at..at, [byte])),
                    _ => drop(bytes.drain(at..end)),
                }
            }
            bytes.extend(behind.into_iter().flatten());
            bytes
        },
    );
    prop_oneof![9 => edited, 1 => vec(any::<u8>(), 0..300)]
}

fn of(target: &str) -> &'static [Vec<u8>] {
    let found = SEEDS.iter().find(|(name, _)| *name == target);
    &found.expect("every target has seeds").1
}
