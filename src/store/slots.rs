//! The slots: which generation is in which block, which one a start believes, and how a server sees that
//! another one writes the same blocks.
//!
//! Generation g is in the blocks g mod 2 and g mod 2 + 2. It is written to them in that order, and each write is
//! durable before the next begins. So a write never touches the newest whole generation, and each generation
//! has two copies. A caller is told that a generation is durable when both copies are.
//!
//! # Why a start never begins too low
//!
//! The assumptions about the disk: a block reads as something that was written to it, or it is noticed to be
//! bad (torn, rotten, unreadable). A write under way at a crash may leave its block bad. What was durable
//! does not turn back into something older.
//!
//! 1. *Generation g + 1 is begun when g is durable.* A start that finds only one copy of the newest
//!    generation, because the write of the other was cut short or the other has rotted, completes the pair first.
//! 2. *Nothing above `ceiling` of generation g is handed out before generation g + 1 is durable*, and
//!    nothing above it had been handed out before. A raise only raises the ceiling; a boot begins at or
//!    above all of that; a stop lowers the ceiling to the last sequence used, after which nothing more is
//!    handed out.
//! 3. *The ceiling of generation g + 1 is at most `reach` of generation g.* [`Slots`] checks this before
//!    it writes. Every record gives a reach of [`STEP_MAX`] above its ceiling. A jump beyond it (an
//!    absorbed sequence, an operator's word) is announced first: one generation with the old ceiling and
//!    a reach that holds the new one, then the generation that allows it.
//! 4. Let a start see g as the highest whole generation. Generation g + 2 was never durable: it would
//!    be in both blocks of g's pair, and then g would not be seen in one of them. Nor was a later
//!    one, by (1). If a block of the *other* pair holds g - 1, g + 1 was not durable either, since that
//!    block would hold it. So by (2) nothing above `ceiling` was handed out. If *neither* block of the
//!    other pair holds g - 1, g + 1 may have been durable. So by (3) nothing above `reach` was handed out,
//!    and the start begins there. If one server wrote everything, a block of the other pair that is not bad holds
//!    g - 1. If it holds something else, a second server wrote there; see below.
//!
//! So one bad block, and a torn write leaves no more than that, never costs a sequence: a clean stop stays exact. A
//! generation of which only one copy was written is as good as any other to the start that sees it: (2) holds for
//! it as soon as its write begins.
//!
//! After a start that skipped to `reach`, the number g + 1 is used a second time, over blocks that could
//! not be read. If the disk gives the old generation back in one of them, the higher ceiling wins: that of
//! the new one is `reach`, and by (3) no old one is above that. The boot count is then raised by two,
//! because the lost generation may have been that of a boot. And because the blocks may still be unreadable
//! after they were written, such a boot is always announced: then its record is in the other pair too.
//!
//! # Why two servers on the same blocks do not go on for long
//!
//! A lock keeps a second server away. But some file systems do not share their locks between two mounts or two
//! hosts. The assumption of this part: a read shows every write that was durable before the read began.
//!
//! A running server knows what each block holds: the pair of its newest generation n holds n, the other pair
//! holds n - 1, as this server read or wrote them. Before each generation it looks: it reads all four blocks.
//! If a whole block holds anything else, somebody else has written, and it stops for good. It also stops if no
//! block shows n, because then it cannot know. A bad block alone says nothing. The whole record is compared,
//! with boot, generation and session: two servers that start at once from the same record write records that
//! differ only in their sessions.
//!
//! 5. Let Y complete a write y, and let X be another server that runs. *X stops at its first look after y, or Y
//!    stops at its second.* Say that X does not stop. Then X has overwritten both blocks of y before that look,
//!    and with one write w: X looked last before y was there. If Y looks when w is there, Y sees w instead of
//!    y, and stops. If Y looks before that, it writes once more, and to the other pair. At its second look it
//!    sees w instead of y, and stops.
//! 6. So of two servers one writes at most once after the other's first write. What both may have handed out
//!    lies in that one raise and in the one before it.
//!
//! A start has looked too: it reads the blocks, and then writes one or two generations. And a write that has
//! waited long in the queue of one host may overwrite much newer generations of another. Then the pairs no longer
//! hold n and n - 1, and by (4) the next start skips to `reach`.
//!
//! # What is kept for the peers
//!
//! They remember the last life that this directory has told, and its highest ceiling. So each boot adds itself to the
//! last lives, and each generation notes its ceiling with the life that it is of. A start that skips may have lost a
//! record with a life that it cannot know, so it begins a new list.
//!
//! No I/O but through [`BlockDevice`], no clock. It may import `record`, `actor`, `identity` and `limits`.

// Long because: a third of it is the proof, and the proof belongs beside the code that it is about.

use std::{fmt, io};

use super::record::{Block, FORMAT, MembersMark, Record, RecordError};
use ipseity_core::{
    actor::{Life, Objected},
    identity::{Pid, Sequence},
    limits::STEP_MAX,
    words::ClusterName,
};

use crate::limits::{BLOCK_BYTES, BLOCK_COUNT, LIVES_REMEMBERED_MAX};

const _: () = assert!(
    BLOCK_COUNT == 4,
    "two pairs, for even and for odd generations"
);

/// Four blocks on a durable medium.
pub trait BlockDevice {
    /// Makes everything durable that was ever written, and drops what is cached, so that the reads that follow show
    /// the medium.
    fn settle(&mut self) -> io::Result<()>;

    /// Drops what is cached of the blocks, all of which are durable, so that the reads that follow show what others
    /// have written.
    fn look_again(&mut self) -> io::Result<()>;

    /// Reads the block `index`, 0 to 3, from the medium itself.
    fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()>;

    /// Writes the block `index`, 0 to 3. It is durable when this returns. After an error nothing is known
    /// about the block, and the device is not used again.
    fn write(&mut self, index: u32, block: &Block) -> io::Result<()>;
}

/// The server that the blocks belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The cluster.
    pub cluster: ClusterName,
    /// The pid in it.
    pub pid: Pid,
}

/// The two blocks of `generation`, in the order in which they are written.
fn pair(generation: u64) -> [u32; 2] {
    // bug SingleSlot: return [0, 0];
    let first = (generation % 2) as u32;
    [first, first + 2]
}

/// Writes all four blocks of a new file: generations 0 and 1 of a server that was never started.
pub fn format(device: &mut impl BlockDevice, owner: &Owner, incarnation: u128) -> io::Result<()> {
    for block in 0..BLOCK_COUNT {
        let record = Record {
            cluster: owner.cluster.clone(),
            pid: owner.pid,
            incarnation,
            boot: 0,
            session: 0,
            generation: u64::from(block % 2),
            sequence: Sequence::ZERO,
            ceiling: Sequence::ZERO,
            reach: Sequence::ZERO.saturating_add(STEP_MAX),
            recovered: Sequence::ZERO,
            objected: None,
            clean: true,
            lives: Vec::new(),
            members: MembersMark::Never,
        };
        device.write(block, &record.encode(block))?;
    }
    Ok(())
}

/// What was found on the device. Nothing has been written yet; the next step is [`Recovered::boot`].
#[derive(Debug)]
pub struct Recovered<D> {
    device: D,
    newest: Record,
    /// The blocks of its pair that do not hold it.
    missing: Vec<u32>,
    faults: Vec<BlockFault>,
    start: Sequence,
    hidden: bool,
    /// A block has an older format than this build writes.
    is_older: bool,
    /// What the boot notes of the members file.
    members: MembersMark,
}

/// Reads all four blocks and finds out what the last server may have handed out. The only thing that it may write is
/// what was already cached.
pub fn recover<D: BlockDevice>(mut device: D, owner: &Owner) -> Result<Recovered<D>, RecoverError> {
    device.settle().map_err(RecoverError::Settle)?;
    let mut records: Vec<(u32, Record)> = Vec::new();
    let mut faults: Vec<BlockFault> = Vec::new();
    let mut is_older = false;
    let mut bytes = Box::new(Block::ZERO);
    for block in 0..BLOCK_COUNT {
        let cause = match device.read(block, &mut bytes) {
            Ok(()) => match Record::decode(&bytes, block) {
                Ok(record) => {
                    is_older |= bytes.format() < FORMAT;
                    records.push((block, record));
                    continue;
                }
                // One whole block of a newer format is enough: the others may be older than it.
                Err(RecordError::NewerFormat(found)) => return Err(RecoverError::Newer { found }),
                Err(RecordError::NewerFields) => return Err(RecoverError::NewerFields),
                Err(error) => FaultCause::Record(error),
            },
            Err(error) => FaultCause::Read(error),
        };
        faults.push(BlockFault { block, cause });
    }
    for (_, record) in &records {
        if record.pid != owner.pid {
            return Err(RecoverError::ForeignPid { found: record.pid });
        }
        if record.cluster != owner.cluster {
            let found = record.cluster.clone();
            return Err(RecoverError::ForeignCluster { found });
        }
    }
    let Some(newest) = records
        .iter()
        .map(|(_, record)| record)
        .max_by_key(|record| rank(record))
        .cloned()
    else {
        return Err(RecoverError::NoneGood { faults });
    };
    if records
        .iter()
        .any(|(_, record)| record.incarnation != newest.incarnation)
    {
        return Err(RecoverError::Mixed);
    }
    let holds_newest = |block: &u32| records.contains(&(*block, newest.clone()));
    let missing = pair(newest.generation)
        .into_iter()
        .filter(|block| !holds_newest(block))
        .collect();
    let before = newest.generation.checked_sub(1);
    let others = pair(newest.generation.wrapping_add(1));
    let hidden = !records
        .iter()
        .any(|(block, record)| others.contains(block) && Some(record.generation) == before);
    // bug LostPairNotSkipped: let hidden = hidden && !BUG;
    // bug SingleSlot: let hidden = hidden && !BUG;
    let start = if hidden { newest.reach } else { newest.ceiling };
    // Of a life that the next boot forgets, a peer may still tell the ceiling. Whoever begins at or above that cannot be
    // older than the peer knows.
    let start = forgotten(&newest, hidden)
        .iter()
        .map(|life| life.ceiling)
        .fold(start, Sequence::max);
    // bug ResumeBelowCeiling: let start = if BUG { newest.sequence } else { start };
    // bug CleanStopTrusted: let start = if BUG { records.iter().find(|(_, found)| found.clean).map_or(start, |(_, found)| found.ceiling) } else { start };
    // bug CleanFlagKept: let start = if BUG && newest.clean { newest.sequence } else { start };
    Ok(Recovered {
        device,
        members: newest.members,
        newest,
        missing,
        faults,
        start,
        hidden,
        is_older,
    })
}

/// The lives in the newest record that the next boot leaves out of its own.
fn forgotten(newest: &Record, hidden: bool) -> &[Life] {
    let lives = &newest.lives;
    let count = match hidden {
        // The start that was lost with the record is not known. A list with a hole would say that it was never a start of
        // this directory, so a new one is begun: of what is older than a list, it says nothing.
        true => lives.len(),
        false => (lives.len() + 1).saturating_sub(LIVES_REMEMBERED_MAX),
    };
    &lives[..count]
}

/// The newest record has the highest. Equal generations differ only after a start that skipped; see the proof
/// above.
fn rank(record: &Record) -> (u64, Sequence, u64) {
    // bug GenerationWraps: return (record.generation & 0xf, record.ceiling, record.boot);
    (record.generation, record.ceiling, record.boot)
}

impl<D: BlockDevice> Recovered<D> {
    /// The newest record that could be read.
    pub fn newest(&self) -> &Record {
        &self.newest
    }

    /// The blocks that are bad, fewer than four.
    pub fn faults(&self) -> &[BlockFault] {
        &self.faults
    }

    /// Whether a newer record may have been lost, so that a start skips to the newest record's reach.
    pub fn hidden(&self) -> bool {
        self.hidden
    }

    /// Nothing above this was ever handed out.
    pub fn start(&self) -> Sequence {
        self.start
    }

    /// How many sequences are skipped at most: [`Recovered::start`] minus the sequence that the newest
    /// record noted. 0 after a clean stop, unless a later record may have been lost.
    pub fn skipped(&self) -> u64 {
        self.start.ahead_of(self.newest.sequence)
    }

    /// Tells whether the members file `is_there`, and whether what it held is `given_up` if it is not. The boot notes that;
    /// see [`MembersMark::at_start`].
    pub fn see_members(&mut self, is_there: bool, given_up: bool) {
        self.members = self.newest.members.at_start(is_there, given_up);
    }

    /// Whether the boot will note that the members file was lost.
    pub fn has_lost_members(&self) -> bool {
        self.members == MembersMark::Lost
    }

    /// What the record of the boot `own` remembers of the last starts.
    fn lives(&self, own: Life) -> Vec<Life> {
        let newest = &self.newest;
        let is_older = newest.lives.is_empty() && newest.boot != 0 && newest.session != 0;
        let mut lives = match is_older && !self.hidden {
            // An older version wrote the record. In format 1 it had no session.
            true => vec![newest.life()],
            false => newest.lives[forgotten(newest, self.hidden).len()..].to_vec(),
        };
        lives.push(own);
        lives
    }

    /// Begins a boot of the process `session`: completes the newest record's pair, counts the boot, and makes a
    /// ceiling durable that is `first_step` above the start. The start is [`Recovered::start`], or `above` if that is
    /// higher. At the end of the sequence space the step is what is left.
    pub fn boot(
        mut self,
        session: u64,
        above: Option<Sequence>,
        first_step: u64,
    ) -> Result<Slots<D>, SlotsError> {
        // bug ServeEarlierBoot: return Ok(Slots { device: self.device, before: self.newest.clone(), newest: self.newest, standing: Access::Open });
        let boots = if self.hidden { 2 } else { 1 };
        // bug BootNotRaised: let boots = if BUG { 0 } else { boots };
        let boot = self.newest.boot.checked_add(boots);
        let boot = boot.ok_or(SlotsError::BootsExhausted)?;
        let start = above.map_or(self.start, |above| above.max(self.start));
        let next = Record {
            boot,
            session,
            sequence: start,
            ceiling: start.saturating_add(first_step),
            // Once said, an operator's word stays.
            recovered: self.newest.recovered.max(above.unwrap_or_default()),
            objected: self
                .newest
                .objected
                .filter(|objected| above.is_none_or(|above| above < objected.sequence)),
            // bug CleanFlagKept instead: clean: BUG && self.newest.clean,
            clean: false,
            lives: self.lives(Life {
                boot,
                session,
                ceiling: start,
            }),
            members: self.members,
            ..self.newest.clone()
        };
        for block in self.missing {
            self.device
                .write(block, &self.newest.encode(block))
                .map_err(|source| SlotsError::Write { block, source })?;
        }
        let mut slots = Slots {
            device: self.device,
            before: self.newest.clone(),
            newest: self.newest,
            standing: Access::Starting,
        };
        // After two generations, no block of an older format is left.
        if self.hidden || self.is_older || next.ceiling > slots.newest.reach {
            // (2) holds for the ceiling of the start too, which may be higher.
            slots.announce(&next, self.start)?;
        }
        slots.append(next)?;
        slots.standing = Access::Open;
        Ok(slots)
    }
}

/// The blocks of a running server.
#[derive(Debug)]
pub struct Slots<D> {
    device: D,
    /// The record that is durable, in both blocks of its pair.
    newest: Record,
    /// The one before it, in both blocks of the other pair.
    before: Record,
    standing: Access,
}

#[derive(Debug)]
enum Access {
    /// The blocks have been read, and the records of this boot are not all written.
    Starting,
    Open,
    Stopped,
    Poisoned(String),
}

impl<D: BlockDevice> Slots<D> {
    /// The newest durable record.
    pub fn newest(&self) -> &Record {
        &self.newest
    }

    /// The device, for what it knows besides its blocks.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// Makes the ceiling `ceiling` durable and notes `sequence`, the highest that was handed out or
    /// absorbed. A ceiling that is already durable is not written again. The noted sequence never
    /// decreases and is at most the ceiling; another `sequence` is moved into that range.
    ///
    /// This and the calls below look at the device before they write. If somebody else has written to it, they write
    /// nothing and return an error.
    pub fn write_ceiling(
        &mut self,
        sequence: Sequence,
        ceiling: Sequence,
    ) -> Result<(), SlotsError> {
        self.check_open()?;
        if ceiling <= self.newest.ceiling {
            return Ok(());
        }
        self.append(Record {
            sequence: sequence.max(self.newest.sequence).min(ceiling),
            ceiling,
            ..self.newest.clone()
        })
    }

    /// Makes it durable that a peer objected: no later start hands out anything before an operator's word is
    /// at least as high as that sequence.
    pub fn write_objection(&mut self, objected: Objected) -> Result<(), SlotsError> {
        self.check_open()?;
        // bug ConflictForgotten: let objected = Objected { is_conflict: objected.is_conflict && !BUG, ..objected };
        let objected = Some(objected.with(self.newest.objected));
        if objected == self.newest.objected {
            return Ok(());
        }
        self.append(Record {
            objected,
            ..self.newest.clone()
        })
    }

    /// Makes it durable that the members file was saved, so that a start that does not find it knows that it is lost. Once
    /// that is noted, or if it is noted that an earlier one was lost, nothing is written. Nor is anything after a clean
    /// stop: the next start finds the file, and notes it.
    pub fn write_members_saved(&mut self) -> Result<(), SlotsError> {
        let is_stopped = matches!(self.standing, Access::Stopped);
        if self.newest.members != MembersMark::Never || is_stopped {
            return Ok(());
        }
        self.check_open()?;
        self.append(Record {
            members: MembersMark::Saved,
            ..self.newest.clone()
        })
    }

    /// Makes it durable that nothing above `sequence` was handed out. Afterwards nothing may be handed
    /// out, and every call is an error.
    pub fn write_stop(&mut self, sequence: Sequence) -> Result<(), SlotsError> {
        self.check_open()?;
        let noted = self.newest.sequence;
        if sequence < noted {
            return Err(SlotsError::Backwards { sequence, noted });
        }
        self.append(Record {
            sequence,
            ceiling: sequence,
            clean: true,
            ..self.newest.clone()
        })?;
        self.standing = Access::Stopped;
        Ok(())
    }

    /// Makes every later call an error, because of `cause`.
    pub fn poison(&mut self, cause: String) {
        self.standing = Access::Poisoned(cause);
    }

    fn check_open(&self) -> Result<(), SlotsError> {
        match &self.standing {
            Access::Starting | Access::Open => Ok(()),
            Access::Stopped => Err(SlotsError::Stopped),
            Access::Poisoned(cause) => Err(SlotsError::Poisoned(cause.clone())),
        }
    }

    /// Writes the next generation, and an announcement before it if `next` is out of reach.
    fn append(&mut self, next: Record) -> Result<(), SlotsError> {
        if next.ceiling > self.newest.reach {
            self.announce(&next, self.newest.ceiling)?;
        }
        assert!(next.ceiling <= self.newest.reach, "announced above");
        self.write(Record {
            reach: next.ceiling.saturating_add(STEP_MAX),
            ..next
        })
    }

    /// Writes a generation that allows no more than `ceiling`, but has `next` within its reach. Nothing above that ceiling was
    /// handed out.
    fn announce(&mut self, next: &Record, ceiling: Sequence) -> Result<(), SlotsError> {
        self.write(Record {
            sequence: self.newest.sequence,
            ceiling,
            reach: next.ceiling.max(self.newest.reach),
            // An operator's word becomes durable together with the ceiling that belongs to it, and not before.
            recovered: self.newest.recovered,
            objected: self.newest.objected,
            members: self.newest.members,
            clean: false,
            ..next.clone()
        })
    }

    /// Reads all blocks, and makes every later call an error unless they hold what this server knows.
    fn look(&mut self) -> Result<(), SlotsError> {
        // bug ForeignRecordIgnored: return Ok(());
        let looked = self.look_at_blocks();
        looked.map_err(|error| {
            self.poison(error.to_string());
            SlotsError::Look(error)
        })
    }

    fn look_at_blocks(&mut self) -> Result<(), LookError> {
        self.device.look_again().map_err(LookError::Device)?;
        let mut is_newest_seen = false;
        let mut faults = Vec::new();
        let mut bytes = Box::new(Block::ZERO);
        for block in 0..BLOCK_COUNT {
            let own = &self.newest;
            let foreign = |found| {
                let own = own.clone();
                LookError::Foreign(Box::new(Foreign { block, own, found }))
            };
            let cause = match self.device.read(block, &mut bytes) {
                Ok(()) => match Record::decode(&bytes, block) {
                    Ok(record) if is_same(&record, &self.newest) => {
                        is_newest_seen = true;
                        continue;
                    }
                    Ok(record) if is_same(&record, &self.before) => continue,
                    Ok(record) => return Err(foreign(Some(record))),
                    Err(RecordError::NewerFormat(_) | RecordError::NewerFields) => {
                        return Err(foreign(None));
                    }
                    Err(error) => FaultCause::Record(error),
                },
                Err(error) => FaultCause::Read(error),
            };
            faults.push(BlockFault { block, cause });
        }
        match is_newest_seen {
            true => Ok(()),
            false => Err(LookError::Unseen { faults }),
        }
    }

    fn write(&mut self, record: Record) -> Result<(), SlotsError> {
        match self.standing {
            // The blocks have just been read.
            Access::Starting => {}
            Access::Open | Access::Stopped | Access::Poisoned(_) => self.look()?,
        }
        let generation = self.newest.generation.checked_add(1);
        let mut record = Record {
            generation: generation.ok_or(SlotsError::GenerationsExhausted)?,
            ..record
        };
        record.note_ceiling();
        for block in pair(record.generation) {
            if let Err(source) = self.device.write(block, &record.encode(block)) {
                // bug FailedSyncIgnored: continue;
                self.poison(source.to_string());
                return Err(SlotsError::Write { block, source });
            }
            // bug OneCopy: break;
        }
        self.before = std::mem::replace(&mut self.newest, record);
        Ok(())
    }
}

/// Whether a block holds exactly this record.
fn is_same(found: &Record, known: &Record) -> bool {
    found == known
}

/// A block that holds no record.
#[derive(Debug)]
pub struct BlockFault {
    /// Its number, 0 to 3.
    pub block: u32,
    /// Why.
    pub cause: FaultCause,
}

/// Why a block holds no record.
#[derive(Debug)]
pub enum FaultCause {
    /// The device could not read it.
    Read(io::Error),
    /// It does not hold a record that belongs there.
    Record(RecordError),
}

impl fmt::Display for BlockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = u64::from(self.block) * BLOCK_BYTES as u64;
        write!(f, "block {} at offset {offset} is ", self.block)?;
        match &self.cause {
            FaultCause::Read(error) => write!(f, "unreadable: {error}"),
            FaultCause::Record(error) => error.fmt(f),
        }
    }
}

/// Why a server does not see that the newest record on its device is its own.
#[derive(Debug)]
pub enum LookError {
    /// The device cannot drop what is cached, so it cannot show what others have written.
    Device(io::Error),
    /// No block shows the newest record of this server, and none shows one of another.
    Unseen {
        /// What is wrong with the blocks.
        faults: Vec<BlockFault>,
    },
    /// Somebody else has written to the device, or an older state was put back.
    Foreign(Box<Foreign>),
}

impl fmt::Display for LookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Unseen { faults } => {
                f.write_str("no block shows the newest record")?;
                faults.iter().try_for_each(|fault| write!(f, ", {fault}"))
            }
            Self::Foreign(foreign) => foreign.fmt(f),
        }
    }
}

/// A record that this server has not written, found where one of its own should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The block that holds it.
    pub block: u32,
    /// The newest record of this server.
    pub own: Record,
    /// The record in that block; `None` if it is one of a newer version.
    pub found: Option<Record>,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Foreign { block, own, found } = self;
        write!(f, "block {block} holds ")?;
        match found {
            None => f.write_str("a record of a newer version")?,
            Some(found) => write_life(f, found)?,
        }
        f.write_str(", and this server has written ")?;
        write_life(f, own)
    }
}

fn write_life(f: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    write!(
        f,
        "generation {} of boot {} by session {:016x}",
        record.generation, record.boot, record.session
    )
}

/// Why the blocks cannot be used. Nothing was written.
#[derive(Debug)]
pub enum RecoverError {
    /// Earlier writes could not be made durable.
    Settle(io::Error),
    /// No block holds a record.
    NoneGood {
        /// All four.
        faults: Vec<BlockFault>,
    },
    /// A block is of a newer format than this build knows.
    Newer {
        /// That format.
        found: u16,
    },
    /// A block has fields that only a newer build knows.
    NewerFields,
    /// The blocks belong to another pid.
    ForeignPid {
        /// That pid.
        found: Pid,
    },
    /// The blocks belong to another cluster.
    ForeignCluster {
        /// That cluster.
        found: ClusterName,
    },
    /// The blocks come from different directories.
    Mixed,
}

/// Why a promise was not made durable.
#[derive(Debug)]
pub enum SlotsError {
    /// The device failed. It is not written to again.
    Write {
        /// The number of the block.
        block: u32,
        /// What the device said.
        source: io::Error,
    },
    /// The device does not show that its newest record is the server's own. It is not written to again.
    Look(LookError),
    /// The device failed before, for the reason given.
    Poisoned(String),
    /// The server has stopped.
    Stopped,
    /// A clean stop below a sequence that was noted before.
    Backwards {
        /// The sequence that was to be the last.
        sequence: Sequence,
        /// The sequence in the newest record.
        noted: Sequence,
    },
    /// All 2^64 generations are used.
    GenerationsExhausted,
    /// All 2^64 boots are used.
    BootsExhausted,
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_servers;
