//! A line of answers or requests that wait, in the order in which they came.
//!
//! An answer that could leave at once must not overtake one that its connection already waits for. So the line knows
//! for every connection whether it holds anything for it, without a search. A search would be slow: while a disk
//! hangs the line is as long as the number of frames in flight, and every answer has to ask.

use std::collections::{BTreeMap, VecDeque};

use super::ConnectionId;
use crate::limits::EMPTY_LIST_ROOM_MAX;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Line<T> {
    items: VecDeque<(ConnectionId, T)>,
    /// How many items are for each connection. Connections without items are left out.
    counts: BTreeMap<ConnectionId, usize>,
}

impl<T> Line<T> {
    pub(super) fn new() -> Line<T> {
        Line {
            items: VecDeque::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether anything in it is for that connection.
    pub(super) fn has(&self, connection: ConnectionId) -> bool {
        self.counts.contains_key(&connection)
    }

    /// The item that leaves next.
    pub(super) fn first(&self) -> Option<&T> {
        self.items.front().map(|(_, item)| item)
    }

    /// All items, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|(_, item)| item)
    }

    pub(super) fn push(&mut self, to: ConnectionId, item: T) {
        self.items.push_back((to, item));
        *self.counts.entry(to).or_default() += 1;
    }

    /// Takes out the next item if `may_leave` allows it.
    pub(super) fn pop_if(&mut self, may_leave: impl FnOnce(&T) -> bool) -> Option<T> {
        let (to, item) = self.items.pop_front_if(|(_, item)| may_leave(item))?;
        if let Some(count) = self.counts.get_mut(&to) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&to);
            }
        }
        if self.items.is_empty() {
            self.items.shrink_to(EMPTY_LIST_ROOM_MAX);
        }
        Some(item)
    }

    /// Takes out everything that is for that connection, in order.
    pub(super) fn take_of(&mut self, connection: ConnectionId) -> Vec<T> {
        if self.counts.remove(&connection).is_none() {
            return Vec::new();
        }
        let (of_it, rest) = std::mem::take(&mut self.items)
            .into_iter()
            .partition::<VecDeque<_>, _>(|(to, _)| *to == connection);
        self.items = rest;
        of_it.into_iter().map(|(_, item)| item).collect()
    }

    /// Takes everything out, in order.
    pub(super) fn take_all(&mut self) -> VecDeque<(ConnectionId, T)> {
        self.counts.clear();
        std::mem::take(&mut self.items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_leave_in_order_and_the_line_knows_their_connections() {
        let (one, other) = (ConnectionId::new(1, 1), ConnectionId::new(2, 1));
        let mut line = Line::new();
        assert!(line.is_empty());
        assert_eq!(line.first(), None);
        for (to, item) in [(one, 1), (other, 2), (one, 3)] {
            assert!(!line.has(other) || item == 3);
            line.push(to, item);
        }
        assert_eq!(line.first(), Some(&1));
        assert_eq!(line.pop_if(|item| *item == 2), None);
        assert_eq!(line.pop_if(|item| *item == 1), Some(1));
        assert!(line.has(one) && line.has(other));
        assert_eq!(line.pop_if(|_| true), Some(2));
        assert!(line.has(one) && !line.has(other));
        line.push(other, 4);
        assert_eq!(line.take_all(), [(one, 3), (other, 4)]);
        assert!(line.is_empty() && !line.has(one) && !line.has(other));
        assert_eq!(line.pop_if(|_| true), None);
    }

    #[test]
    fn what_is_for_one_connection_can_be_taken_out_and_the_others_keep_their_order() {
        let (one, other) = (ConnectionId::new(1, 1), ConnectionId::new(2, 1));
        let mut line = Line::new();
        for (to, item) in [(one, 1), (other, 2), (one, 3), (other, 4)] {
            line.push(to, item);
        }
        assert_eq!(line.take_of(one), [1, 3]);
        assert_eq!(line.take_of(one), []);
        assert!(!line.has(one) && line.has(other));
        assert_eq!(line.take_all(), [(other, 2), (other, 4)]);
    }

    #[test]
    fn a_line_that_was_long_gives_its_memory_back() {
        let mut line = Line::new();
        for item in 0..=4 * EMPTY_LIST_ROOM_MAX {
            line.push(ConnectionId::new(1, 1), item);
        }
        while line.pop_if(|_| true).is_some() {}
        assert!(line.items.capacity() < 2 * EMPTY_LIST_ROOM_MAX);
        assert!(line.counts.is_empty());
    }
}
