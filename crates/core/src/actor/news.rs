//! So many lines about one kind of thing in a while, and how many there would have been.

use crate::{
    limits::{RAISE_REPORT_INTERVAL, RAISE_REPORTS_MAX},
    time::Instant,
};

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// When the while began.
    began_at: Option<Instant>,
    told: u32,
    untold: u64,
}

impl News {
    /// Something has happened. If people should hear of it, how many of its kind they have not heard of since the last.
    pub(super) fn tell(&mut self, now: Instant) -> Option<u64> {
        let is_over = self
            .began_at
            .is_none_or(|began_at| now.since(began_at) >= RAISE_REPORT_INTERVAL);
        if is_over {
            self.began_at = Some(now);
            self.told = 0;
        }
        if self.told >= RAISE_REPORTS_MAX {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_told_of_by_its_first_and_then_by_its_number() {
        let mut news = News::default();
        let now = Instant::START;
        for _ in 0..RAISE_REPORTS_MAX {
            assert_eq!(news.tell(now), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(news.tell(now), None);
        }
        let later = now.after(RAISE_REPORT_INTERVAL);
        assert_eq!(news.tell(later), Some(7));
        assert_eq!(news.tell(later), Some(0));
    }
}
