//! Four blocks that keep what was written to them, like a disk that may lose its power at any moment.
//!
//! A write is on its way until the moment at which it is durable. If the power goes before that, the write may be
//! kept, lost or torn.
//!
//! Two processes may write to the blocks without knowing of each other, as through two mounts that share no locks.
//! A write of one may be on its way while the other reads and writes.

use std::{cell::RefCell, collections::VecDeque, io, rc::Rc, time::Duration};

use ipseity::{
    limits::BLOCK_COUNT,
    store::{
        record::{Block, Record},
        slots::BlockDevice,
    },
};
use ipseity_core::time::Instant;

/// What happens to a write that was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFate {
    /// Nothing of it is kept.
    Old,
    /// All of it is kept.
    New,
    /// This many bytes of it are kept, and after them come the old bytes.
    Torn(usize),
}

/// The process that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writer(pub u8);

/// A write that is on its way.
#[derive(Clone)]
struct Pending {
    writer: Writer,
    index: usize,
    block: Box<Block>,
    /// When it becomes durable.
    at: Instant,
}

/// See the head of this file.
#[derive(Clone)]
pub struct Medium {
    blocks: Vec<Block>,
    /// In the order in which they become durable.
    pending: VecDeque<Pending>,
    /// For each block: what the page cache shows after a write that failed.
    cached: Vec<Option<Box<Block>>>,
    /// When the last write of the present process is durable. [`Medium::begin`] sets the present process.
    busy_until: Instant,
    /// How long a write takes.
    latency: Duration,
    /// How much longer the next write takes.
    hang: Duration,
    /// How many more writes succeed before one fails, and what that one leaves on the medium.
    fails: Option<(u32, WriteFate)>,
    /// The newest record; `None` after a block has changed.
    newest: Option<Record>,
    /// How many reads returned something else than what is on the medium.
    pub stale_reads: u32,
    /// Whether it confirms writes and then forgets them at a power loss.
    pub lies: bool,
    /// If it lies: the blocks that it really keeps.
    kept: Option<Vec<Block>>,
}

impl Medium {
    pub fn new() -> Medium {
        Medium {
            blocks: vec![Block::ZERO; BLOCK_COUNT as usize],
            pending: VecDeque::new(),
            cached: vec![None; BLOCK_COUNT as usize],
            busy_until: Instant::START,
            latency: Duration::ZERO,
            hang: Duration::ZERO,
            fails: None,
            newest: None,
            stale_reads: 0,
            lies: false,
            kept: None,
        }
    }

    /// The reads and writes of one process begin at this moment, and each write takes this long.
    pub fn begin(&mut self, now: Instant, latency: Duration) {
        self.busy_until = now;
        self.latency = latency;
        self.hang = Duration::ZERO;
    }

    /// The next write takes this much longer.
    pub fn hang(&mut self, wait: Duration) {
        self.hang = wait;
    }

    /// When the last write of the present process is durable.
    pub fn busy_until(&self) -> Instant {
        self.busy_until
    }

    /// Lets this many writes succeed and the next one fail.
    pub fn fail(&mut self, after: u32, fate: WriteFate) {
        self.fails = Some((after, fate));
    }

    /// It works again.
    pub fn repair(&mut self) {
        self.fails = None;
    }

    /// Makes the writes durable that are due by now.
    pub fn pass(&mut self, now: Instant) {
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.at <= now) {
            self.keep(pending.index, *pending.block);
        }
    }

    /// Makes all writes of a process durable.
    pub fn settle(&mut self, writer: Writer) {
        let (own, others) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.writer == writer);
        self.pending = others;
        let own: VecDeque<Pending> = own;
        for pending in own {
            self.keep(pending.index, *pending.block);
        }
    }

    /// The process is gone; with `power`, the machine has lost its power too.
    pub fn crash(&mut self, writer: Writer, now: Instant, fate: WriteFate, power: bool) {
        self.pass(now);
        let is_own = |pending: &Pending| pending.writer == writer;
        if let Some(first) = self.pending.iter().position(is_own)
            && let Some(pending) = self.pending.remove(first)
        {
            self.end(pending.index, &pending.block, fate);
        }
        self.pending.retain(|pending| !is_own(pending));
        if power {
            self.cached.fill(None);
            if let Some(kept) = self.kept.take() {
                self.blocks = kept;
                self.newest = None;
            }
        }
    }

    /// Flips a bit.
    pub fn rot(&mut self, index: usize, bit: usize) {
        let mut block = self.blocks[index].clone();
        block.0[bit / 8] ^= 1 << (bit % 8);
        self.keep(index, block);
    }

    /// The newest record that can be read: what a start would find now.
    pub fn newest(&mut self) -> Option<&Record> {
        if self.newest.is_none() {
            let records = self.blocks.iter().zip(0..);
            self.newest = records
                .filter_map(|(block, index)| Record::decode(block, index).ok())
                .max_by_key(|record| (record.generation, record.ceiling, record.boot));
        }
        self.newest.as_ref()
    }

    /// What a process reads in a block, after it has waited for its own writes.
    fn shown(&self, writer: Writer, index: usize) -> &Block {
        let is_there = |pending: &&Pending| {
            pending.index == index && (pending.writer == writer || pending.at <= self.busy_until)
        };
        let newest = self.pending.iter().rfind(is_there);
        newest.map_or(&self.blocks[index], |pending| &*pending.block)
    }

    fn keep(&mut self, index: usize, block: Block) {
        if self.lies && self.kept.is_none() {
            self.kept = Some(self.blocks.clone());
        }
        self.blocks[index] = block;
        self.newest = None;
    }

    fn end(&mut self, index: usize, block: &Block, fate: WriteFate) {
        let kept = match fate {
            WriteFate::Old => 0,
            WriteFate::New => block.0.len(),
            WriteFate::Torn(bytes) => bytes,
        };
        let mut mixed = self.blocks[index].clone();
        mixed.0[..kept].copy_from_slice(&block.0[..kept]);
        self.keep(index, mixed);
    }
}

/// The medium, as a server or a start uses it.
#[derive(Clone)]
pub struct Device(pub Rc<RefCell<Medium>>, pub Writer);

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

impl BlockDevice for Device {
    fn settle(&mut self) -> io::Result<()> {
        self.0.borrow_mut().settle(self.1);
        // bug StartReadsCache: return Ok(());
        self.look_again()
    }

    fn look_again(&mut self) -> io::Result<()> {
        self.0.borrow_mut().cached.fill(None);
        Ok(())
    }

    fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()> {
        let medium = &mut *self.0.borrow_mut();
        let index = index as usize;
        let cached = medium.cached[index].as_deref();
        medium.stale_reads +=
            u32::from(cached.is_some_and(|cached| *cached != medium.blocks[index]));
        block.clone_from(cached.unwrap_or_else(|| medium.shown(self.1, index)));
        Ok(())
    }

    fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
        let medium = &mut *self.0.borrow_mut();
        let index = index as usize;
        let takes = medium.latency + std::mem::take(&mut medium.hang);
        medium.busy_until = medium.busy_until.after(takes);
        match &mut medium.fails {
            Some((0, fate)) => {
                let fate = *fate;
                // All earlier writes of this process are durable before it.
                medium.settle(self.1);
                medium.end(index, block, fate);
                medium.cached[index] = Some(Box::new(block.clone()));
                return Err(io::Error::from_raw_os_error(5));
            }
            Some((after, _)) => *after -= 1,
            None => {}
        }
        medium.cached[index] = None;
        let at = medium.busy_until;
        let place = medium.pending.partition_point(|pending| pending.at <= at);
        let pending = Pending {
            writer: self.1,
            index,
            block: Box::new(block.clone()),
            at,
        };
        medium.pending.insert(place, pending);
        Ok(())
    }
}
