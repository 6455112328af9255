//! Lets a limited number of reports of one kind through in a span of time, and counts the rest.

use crate::{
    limits::{RAISE_REPORT_INTERVAL, RAISE_REPORTS_MAX},
    time::Instant,
};

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct News {
    /// When the span of time began.
    began_at: Option<Instant>,
    told: u32,
    untold: u64,
}

impl News {
    /// Something has happened. If it should be logged, returns how many of its kind were not logged since the last one.
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
    fn of_many_the_first_are_told_and_the_rest_are_counted() {
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
