//! Who holds the accepted connections: a count for each address. It is updated when a connection comes and when it
//! goes, and at no other time.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::connection::Holder;

/// The count for each holder. There are never more holders than connections.
#[derive(Debug, Default)]
pub(super) struct Holders(BTreeMap<Holder, usize>);

impl Holders {
    /// A connection came.
    pub(super) fn came(&mut self, holder: Holder) {
        *self.0.entry(holder).or_default() += 1;
    }

    /// A connection is gone.
    pub(super) fn left(&mut self, holder: Holder) {
        if let Some(count) = self.0.get_mut(&holder) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&holder);
            }
        }
    }

    /// How many connections a holder has.
    pub(super) fn count(&self, holder: Holder) -> usize {
        self.0.get(&holder).copied().unwrap_or(0)
    }

    /// The holder with the most connections, and the next one if there is one, each with its count. Those that are among
    /// `others` too do not count.
    pub(super) fn most_without(&self, others: &Holders) -> Vec<(Holder, usize)> {
        let mut most = Vec::new();
        for (holder, count) in &self.0 {
            let count = count.saturating_sub(others.count(*holder));
            if count == 0 {
                continue;
            }
            most.push((*holder, count));
            most.sort_by_key(|(_, count)| Reverse(*count));
            most.truncate(2);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(address: &str) -> Holder {
        Holder::of(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_one_holder_are_counted_together() {
        for (address, shown) in [
            ("10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
            ("255.255.255.255", "255.255.255.255"),
            ("0.0.0.0", "0.0.0.0"),
            ("fe80::1", "fe80::/64"),
            ("::1", "::1"),
        ] {
            assert_eq!(holder(address).to_string(), shown);
        }
        assert_eq!(holder("2001:db8::1"), holder("2001:db8::2"));
        assert_ne!(holder("2001:db8:0:1::1"), holder("2001:db8:0:2::1"));
        assert_ne!(holder("0.0.0.1"), holder("::1"));
    }

    #[test]
    fn the_two_that_hold_most_are_known_and_those_without_connections_are_forgotten() {
        let mut holders = Holders::default();
        assert_eq!(holders.most_without(&Holders::default()), []);
        for (address, count) in [
            ("10.0.0.1", 2),
            ("10.0.0.2", 5),
            ("10.0.0.3", 1),
            ("10.0.0.4", 3),
        ] {
            (0..count).for_each(|_| holders.came(holder(address)));
        }
        assert_eq!(
            holders.most_without(&Holders::default()),
            [(holder("10.0.0.2"), 5), (holder("10.0.0.4"), 3)]
        );
        (0..5).for_each(|_| holders.left(holder("10.0.0.2")));
        assert_eq!(
            holders.most_without(&Holders::default()),
            [(holder("10.0.0.4"), 3), (holder("10.0.0.1"), 2)]
        );
        assert_eq!(holders.0.len(), 3);
    }
}
