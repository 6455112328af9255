//! The buffers of connections, and the pool that they come from. A connection needs them only while something is
//! under way. An idle connection has none. That makes ten thousand idle connections cheap.

use crate::limits::{BUFFER_POOL_BYTES_MAX, BUFFER_POOL_MAX};

/// The bytes of one connection that are under way.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// Bytes that arrived and are not decoded yet: part of a frame, or frames that wait for the gate.
    pub(crate) input: Vec<u8>,
    /// Replies. The first `written` bytes of them are already sent.
    pub(crate) output: Vec<u8>,
    pub(crate) written: usize,
}

impl Buffers {
    /// Whether both are empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_empty() && self.output.is_empty()
    }

    /// Forgets all bytes.
    pub(crate) fn clear(&mut self) {
        self.input.clear();
        self.output.clear();
        self.written = 0;
    }
}

/// Free buffers for the next connection that needs some.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    // Boxed, so that a connection has one pointer instead of the buffers themselves.
    #[allow(clippy::vec_box)]
    free: Vec<Box<Buffers>>,
}

impl BufferPool {
    /// Takes empty buffers out of the pool, or makes new ones.
    #[inline]
    pub(crate) fn take(&mut self) -> Box<Buffers> {
        self.free.pop().unwrap_or_default()
    }

    /// Keeps empty buffers for later, unless there are enough of them or these have grown too large.
    #[inline]
    pub(crate) fn put(&mut self, buffers: Box<Buffers>) {
        debug_assert!(buffers.is_empty() && buffers.written == 0);
        let bytes = buffers.input.capacity().max(buffers.output.capacity());
        if self.free.len() < BUFFER_POOL_MAX && bytes <= BUFFER_POOL_BYTES_MAX {
            self.free.push(buffers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_empty_and_large_ones_are_freed() {
        let mut pool = BufferPool::default();
        let mut buffers = pool.take();
        buffers.input.extend_from_slice(b"begun");
        buffers.output.extend_from_slice(b"reply");
        buffers.written = 2;
        assert!(!buffers.is_empty());
        buffers.clear();
        pool.put(buffers);
        let buffers = pool.take();
        assert!(buffers.is_empty());
        assert_eq!(buffers.written, 0);
        assert!(buffers.output.capacity() >= 5);

        let mut large = pool.take();
        large.output.reserve(BUFFER_POOL_BYTES_MAX + 1);
        pool.put(large);
        assert_eq!(pool.take().output.capacity(), 0);
    }

    #[test]
    fn the_pool_keeps_a_bounded_number() {
        let mut pool = BufferPool::default();
        for _ in 0..2 * BUFFER_POOL_MAX {
            pool.put(Box::default());
        }
        assert_eq!(pool.free.len(), BUFFER_POOL_MAX);
    }
}
