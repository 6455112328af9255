//! How many identities a refill of the stand-in takes.

use std::time::{Duration, Instant};

use super::faults::has;

/// The first refill, and the smallest.
pub(super) const BLOCK_MIN: u32 = 16;

/// A refill that follows within this time is twice as large.
const SOON: Duration = Duration::from_millis(100);

/// A refill that follows after this time is half as large.
const LATE: Duration = Duration::from_secs(1);

pub(super) struct Demand {
    /// The most that a refill may take.
    most: u32,
    /// The last refill that has brought something.
    last: Option<Begun>,
    /// The one that began last.
    begun: Option<Begun>,
}

/// A refill, as it began.
#[derive(Clone, Copy)]
struct Begun {
    at: Instant,
    size: u32,
    /// How many identities had been dropped by then.
    dropped: u64,
}

impl Demand {
    pub(super) fn up_to(block_max: u32) -> Demand {
        let most = match has("source-ignores-block-max") {
            true => u32::MAX / 4,
            false => block_max,
        };
        Demand {
            most: most.min(65_536),
            last: None,
            begun: None,
        }
    }

    /// The size of a refill that begins now.
    pub(super) fn next(&mut self, dropped: u64) -> u32 {
        let size = self.last.map_or(BLOCK_MIN, |last| {
            let since = last.at.elapsed();
            let soon = if has("source-grows-late") { LATE } else { SOON };
            let is_kept = last.dropped == dropped || has("source-counts-dropped");
            if is_kept && since < soon && !has("source-never-grows") || has("source-always-grows") {
                let by = if has("source-grows-threefold") { 3 } else { 2 };
                last.size * by
            } else if since > LATE && !has("source-never-shrinks") {
                last.size / 2
            } else {
                last.size
            }
        });
        let size = size.max(BLOCK_MIN).min(self.most);
        self.begun = Some(Begun {
            at: Instant::now(),
            size,
            dropped,
        });
        size
    }

    /// The refill that began last is over, and has brought so many identities.
    pub(super) fn ended(&mut self, count: u32) {
        if count > 0 || has("source-counts-failed") {
            self.last = self.begun;
        }
        if has("source-counts-from-end")
            && let Some(last) = &mut self.last
        {
            last.at = Instant::now();
        }
    }
}
