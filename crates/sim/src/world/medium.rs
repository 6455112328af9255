//! Four blocks that keep what was written to them, as a disk does that may lose its power at any moment.
//!
//! A write is on its way until the moment at which it is durable. What is on its way when the power goes may
//! have been kept, or not, or be torn.

use std::{cell::RefCell, collections::VecDeque, io, rc::Rc, time::Duration};

use ipseity::{
    limits::BLOCK_COUNT,
    store::{
        record::{Block, Record},
        slots::BlockDevice,
    },
};
use ipseity_core::time::Instant;

/// What becomes of a write that was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFate {
    /// Nothing of it is there.
    Old,
    /// It is there.
    New,
    /// So many bytes of it are, and behind them what was there before.
    Torn(usize),
}

/// A write that is on its way.
#[derive(Clone)]
struct Pending {
    index: usize,
    block: Box<Block>,
    /// When it is durable.
    at: Instant,
}

/// See the head of this file.
#[derive(Clone)]
pub struct Medium {
    blocks: Vec<Block>,
    pending: VecDeque<Pending>,
    /// What the page cache shows of a write that failed.
    cached: Vec<Option<Box<Block>>>,
    /// When the last write is durable that was begun.
    busy_until: Instant,
    /// How long one takes.
    latency: Duration,
    /// After how many writes one fails, and what is then on the medium.
    fails: Option<(u32, WriteFate)>,
    /// The newest record, until a block changes.
    newest: Option<Record>,
    /// Reads that showed what is not on the medium.
    pub stale_reads: u32,
    /// It acknowledges what it forgets with the power.
    pub lies: bool,
    /// What it keeps all the same.
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
            fails: None,
            newest: None,
            stale_reads: 0,
            lies: false,
            kept: None,
        }
    }

    /// The writes that come now begin at this moment, and each takes so long.
    pub fn begin(&mut self, now: Instant, latency: Duration) {
        self.busy_until = now;
        self.latency = latency;
    }

    /// When the last write is durable that was begun.
    pub fn busy_until(&self) -> Instant {
        self.busy_until
    }

    /// Lets a write fail, after so many that do not.
    pub fn fail(&mut self, after: u32, fate: WriteFate) {
        self.fails = Some((after, fate));
    }

    /// It works again.
    pub fn repair(&mut self) {
        self.fails = None;
    }

    /// What is durable by now is.
    pub fn pass(&mut self, now: Instant) {
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.at <= now) {
            self.keep(pending.index, *pending.block);
        }
    }

    /// The process is gone, and the machine with it if its power is.
    pub fn crash(&mut self, now: Instant, fate: WriteFate, power: bool) {
        self.pass(now);
        if let Some(pending) = self.pending.pop_front() {
            self.end(pending.index, &pending.block, fate);
        }
        self.pending.clear();
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

/// The medium in the hand of a server, or of a start.
#[derive(Clone)]
pub struct Device(pub Rc<RefCell<Medium>>);

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device")
    }
}

impl BlockDevice for Device {
    fn settle(&mut self) -> io::Result<()> {
        let medium = &mut *self.0.borrow_mut();
        medium.pass(Instant::from_nanos(u64::MAX));
        // bug StartReadsCache: return Ok(());
        medium.cached.fill(None);
        Ok(())
    }

    fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()> {
        let medium = &mut *self.0.borrow_mut();
        let index = index as usize;
        let shown = medium.cached[index].as_deref();
        medium.stale_reads += u32::from(shown.is_some_and(|shown| *shown != medium.blocks[index]));
        block.clone_from(shown.unwrap_or(&medium.blocks[index]));
        Ok(())
    }

    fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
        let medium = &mut *self.0.borrow_mut();
        let index = index as usize;
        medium.busy_until = medium.busy_until.after(medium.latency);
        match &mut medium.fails {
            Some((0, fate)) => {
                let fate = *fate;
                // Nothing that is on its way stands behind it.
                medium.pass(Instant::from_nanos(u64::MAX));
                medium.end(index, block, fate);
                medium.cached[index] = Some(Box::new(block.clone()));
                return Err(io::Error::from_raw_os_error(5));
            }
            Some((after, _)) => *after -= 1,
            None => {}
        }
        medium.cached[index] = None;
        medium.pending.push_back(Pending {
            index,
            block: Box::new(block.clone()),
            at: medium.busy_until,
        });
        Ok(())
    }
}
