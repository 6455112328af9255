//! An input, read from its front. After its end come zeros, so every input has a meaning.

/// See the head of this file.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number that is often small, and often close to a power of two.
    pub fn number(&mut self) -> u64 {
        let (shift, value) = (self.byte(), u64::from(self.u16()));
        match shift {
            0..64 => value << shift,
            64..128 => (1u64 << (shift - 64)).wrapping_sub(value),
            _ => u64::MAX - value,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As much as is left, but not more than `bytes`.
    pub fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Cuts a stream into pieces. The same `cut` makes the same cuts; 0 leaves the stream whole, 1 cuts it into bytes.
pub fn pieces(stream: &[u8], cut: u8) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(u64::from(cut));
    let length_max = 1 << random.usize(0..12);
    let mut pieces = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let length = match cut {
            0 => rest.len(),
            1 => 1,
            _ => random.usize(1..=length_max).min(rest.len()),
        };
        let (piece, behind) = rest.split_at(length);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}
