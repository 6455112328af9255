//! The slot file. The input: the contents of its four blocks, and then what happens to them: starts, raises,
//! objections, stops, kills, writes that are cut short, rot, and blocks that cannot be read.

use std::{
    cell::{Ref, RefCell, RefMut},
    io,
    rc::Rc,
};

use ipseity::{
    limits::{BLOCK_BYTES, BLOCK_COUNT, LIVES_REMEMBERED_MAX},
    store::{
        record::{Block, MembersMark, Record, RecordError},
        slots::{BlockDevice, LookError, Owner, RecoverError, Slots, SlotsError, recover},
    },
};
use ipseity_core::{
    actor::{Life as Start, Objected},
    identity::{Pid, Sequence},
    words::ClusterName,
};

use super::input::Input;

/// The most things that happen to one file.
const OPS_MAX: usize = 64;

/// The smallest unit that a disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// A start never panics, never writes before it is told to go on, and never begins below a sequence that any
/// server may have handed out. The same is true of every raise, stop and start that follows.
pub fn check(input: &[u8]) {
    let mut input = Input::new(input);
    let disk = Shared(Rc::new(RefCell::new(Disk::read(&mut input))));
    let mut life = Life {
        disk,
        server: None,
        used: None,
        highest: Sequence::ZERO,
    };
    life.boot(Sequence::ZERO, 0, 0);
    for _ in 0..OPS_MAX {
        if input.is_empty() {
            break;
        }
        life.apply(&mut input);
    }
    life.server = None;
    life.disk.borrow_mut().heal();
    life.boot(Sequence::ZERO, 1, 0);
}

/// Four blocks of memory. Each bit of a mask stands for a block, or for a sector of a block.
#[derive(Clone, Debug)]
struct Disk {
    blocks: Vec<Block>,
    unreadable: u8,
    /// After this many writes, one write reaches only these sectors, and after it nothing works.
    crash: Option<(u32, u8)>,
    crashed: bool,
    writes: u32,
}

impl Disk {
    fn read(input: &mut Input) -> Disk {
        let mut blocks: Vec<Block> = Vec::new();
        for index in 0..BLOCK_COUNT {
            let block = match input.byte() % 8 {
                0 => Block::ZERO,
                1 => {
                    let mut block = Block::ZERO;
                    let bytes = usize::from(input.u16());
                    let bytes = input.take(bytes.min(BLOCK_BYTES));
                    block.0[..bytes.len()].copy_from_slice(bytes);
                    block
                }
                // The contents of another block.
                2 => blocks.first().cloned().unwrap_or(Block::ZERO),
                // A record with some bytes changed, with a wrong checksum or (4) a right one.
                3 => changed(record(input).encode(index), input),
                4 => sealed(changed(record(input).encode(index), input)),
                _ => record(input).encode(index),
            };
            blocks.push(block);
        }
        Disk {
            blocks,
            unreadable: input.byte() >> 4,
            crash: None,
            crashed: false,
            writes: 0,
        }
    }

    /// The record that a start may find in a block.
    fn found(&self, block: u32) -> Result<Record, RecordError> {
        if self.unreadable & (1 << block) != 0 {
            return Err(RecordError::Blank);
        }
        Record::decode(&self.blocks[block as usize], block)
    }

    fn heal(&mut self) {
        (self.unreadable, self.crash, self.crashed) = (0, None, false);
    }
}

fn record(input: &mut Input) -> Record {
    let sequence = |input: &mut Input| Sequence::ZERO.saturating_add(input.number());
    let flags = input.byte();
    let generation = input.number();
    let sequence_noted = sequence(input);
    // Mostly these numbers are in order, as every server writes them. The others are for the checks of a record.
    let ceiling = sequence_noted.saturating_add(input.number());
    let reach = ceiling.saturating_add(input.number());
    let clean = flags & 1 != 0;
    let (boot, session) = (input.number(), u64::from(flags));
    let more = input.byte();
    Record {
        cluster: match flags & 6 {
            6 => "other".parse().unwrap(),
            _ => ClusterName::default(),
        },
        pid: match flags & 24 {
            24 => Pid::MAX,
            _ => Pid::MIN,
        },
        incarnation: u128::from(flags & 96 == 96),
        boot,
        session,
        generation,
        sequence: if clean { ceiling } else { sequence_noted },
        ceiling,
        reach: if flags & 128 == 0 {
            reach
        } else {
            sequence(input)
        },
        recovered: sequence(input),
        objected: Some(sequence(input))
            .filter(|objected| objected.get() % 2 == 1)
            .map(|sequence| Objected {
                sequence,
                is_conflict: sequence.get() % 4 == 1,
            }),
        clean,
        lives: starts(usize::from(more >> 2), boot, session, ceiling),
        members: [MembersMark::Never, MembersMark::Saved, MembersMark::Lost][usize::from(more) % 3],
    }
}

/// At most so many starts, the last of which is this one. Some of them are missing.
fn starts(most: usize, boot: u64, session: u64, ceiling: Sequence) -> Vec<Start> {
    let is_counted = |ago: &u64| ago.is_multiple_of(session % 3 + 1);
    let mut starts: Vec<Start> = (0..boot)
        .filter(is_counted)
        .take(most.min(LIVES_REMEMBERED_MAX))
        .map(|ago| Start {
            boot: boot - ago,
            session: session.wrapping_add(ago),
            ceiling: ceiling.saturating_add(ago),
        })
        .collect();
    starts.reverse();
    starts
}

fn changed(mut block: Block, input: &mut Input) -> Block {
    for _ in 0..=input.byte() % 4 {
        let at = usize::from(input.u16()) % BLOCK_BYTES;
        block.0[at] = input.byte();
    }
    block
}

fn sealed(mut block: Block) -> Block {
    let checksum = crc32c::crc32c(&block.0[..BLOCK_BYTES - 4]);
    block.0[BLOCK_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
    block
}

/// A disk that outlives the servers on it.
#[derive(Clone, Debug)]
struct Shared(Rc<RefCell<Disk>>);

impl Shared {
    fn borrow(&self) -> Ref<'_, Disk> {
        self.0.borrow()
    }

    fn borrow_mut(&self) -> RefMut<'_, Disk> {
        self.0.borrow_mut()
    }
}

impl BlockDevice for Shared {
    fn settle(&mut self) -> io::Result<()> {
        // Every write is on the medium at once.
        Ok(())
    }

    fn look_again(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()> {
        let disk = self.borrow();
        if disk.unreadable & (1 << index) != 0 {
            return Err(io::ErrorKind::Other.into());
        }
        block.clone_from(&disk.blocks[index as usize]);
        Ok(())
    }

    fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
        let disk = &mut *self.borrow_mut();
        assert!(!disk.crashed, "written to after a failure");
        let mut sectors = u8::MAX;
        if let Some((after, landed)) = disk.crash
            && disk.writes == after
        {
            disk.crashed = true;
            sectors = landed;
        }
        disk.writes = disk.writes.wrapping_add(1);
        let old = &mut disk.blocks[index as usize].0;
        let halves = old
            .chunks_mut(SECTOR_BYTES)
            .zip(block.0.chunks(SECTOR_BYTES));
        for (sector, (old, new)) in halves.enumerate() {
            if sectors & (1 << sector) != 0 {
                old.copy_from_slice(new);
            }
        }
        match disk.crashed {
            true => Err(io::ErrorKind::Other.into()),
            false => Ok(()),
        }
    }
}

/// A file, its servers, and how far they may have handed out.
struct Life {
    disk: Shared,
    server: Option<Slots<Shared>>,
    /// The highest sequence that was ever allowed, once there has been a start.
    used: Option<Sequence>,
    /// The highest ceiling that was ever durable.
    highest: Sequence,
}

impl Life {
    /// Does the next thing of the input, if it is possible now.
    fn apply(&mut self, input: &mut Input) {
        let byte = input.byte();
        match (byte % 9, self.server.take()) {
            (0 | 1, None) => {
                let above = Sequence::ZERO.saturating_add(input.number());
                self.boot(above, input.number(), byte / 9);
            }
            (0 | 1, Some(mut slots)) => {
                let (sequence, ceiling) = (slots.newest().sequence, slots.newest().ceiling);
                let sequence = sequence.saturating_add(input.number()).min(ceiling);
                let higher = ceiling.saturating_add(input.number());
                let is_done = slots.write_ceiling(sequence, higher);
                self.go_on(slots, is_done, |newest| newest.ceiling == higher);
            }
            (2, Some(mut slots)) => {
                let sequence = Sequence::ZERO.saturating_add(input.number());
                let is_conflict = sequence.get() % 2 == 1;
                let objected = Objected {
                    sequence,
                    is_conflict,
                };
                let is_done = slots.write_objection(objected);
                self.go_on(slots, is_done, |newest| {
                    newest.objected.is_some_and(|noted| {
                        noted.sequence >= sequence && (noted.is_conflict || !is_conflict)
                    })
                });
            }
            (3, Some(mut slots)) => {
                // A sequence above the ceiling cannot have been handed out, but it can have been absorbed.
                let last = slots.newest().sequence.saturating_add(input.number());
                // Nothing above it was handed out, whether or not the stop becomes durable.
                if last <= slots.newest().ceiling {
                    self.used = Some(last);
                }
                match slots.write_stop(last) {
                    Ok(()) => {
                        assert!(matches!(slots.write_stop(last), Err(SlotsError::Stopped)));
                        self.used = Some(last);
                    }
                    Err(error) => self.failed(error),
                }
            }
            (4, server) => {
                self.server = server;
                let disk = &mut *self.disk.borrow_mut();
                let after = u32::from(input.byte() % 8);
                disk.crash = Some((disk.writes.wrapping_add(after), input.byte()));
            }
            (5, server) => {
                self.server = server;
                let disk = &mut *self.disk.borrow_mut();
                let at = usize::from(input.u16());
                // A single bit: the checksum always notices it.
                disk.blocks[at % 4].0[at / 4 % BLOCK_BYTES] ^= 1 << (at % 8);
            }
            (6, server) => {
                self.server = server;
                self.disk.borrow_mut().unreadable = input.byte() >> 4;
            }
            (7, Some(mut slots)) => {
                let noted = slots.newest().members;
                let is_done = slots.write_members_saved();
                self.go_on(slots, is_done, |newest| match noted {
                    MembersMark::Lost => newest.members == MembersMark::Lost,
                    MembersMark::Never | MembersMark::Saved => newest.members == MembersMark::Saved,
                });
            }
            // The server is killed, or there was none.
            (_, _) => {}
        }
    }

    /// Two bits of `members` say whether the members file is there, and whether it is given up.
    fn boot(&mut self, above: Sequence, first_step: u64, members: u8) {
        let (has_members, given_up) = (members & 1 != 0, members & 2 != 0);
        self.disk.borrow_mut().crashed = false;
        let owner = Owner {
            cluster: ClusterName::default(),
            pid: Pid::MIN,
        };
        let before = self.disk.borrow().clone();
        let whole: Vec<Record> = (0..BLOCK_COUNT)
            .filter_map(|block| before.found(block).ok())
            .collect();
        let mut found = match recover(self.disk.clone(), &owner) {
            Ok(found) => found,
            Err(error) => return refused(&error, &whole, &before),
        };
        assert_eq!(
            self.disk.borrow().blocks,
            before.blocks,
            "nothing is written yet"
        );
        let start = found.start();
        assert!(Some(start) >= self.used, "{start:?} < {:?}", self.used);
        let highest = whole.iter().map(|record| record.generation).max();
        for newest in whole
            .iter()
            .filter(|record| Some(record.generation) == highest)
        {
            assert!(start >= newest.ceiling);
        }
        assert!(found.newest().sequence <= start);
        assert_eq!(found.faults().len(), BLOCK_COUNT as usize - whole.len());
        let newest = found.newest();
        // Of the lives that this boot forgets, a peer may still tell the ceiling.
        let (bound, forgotten) = match found.hidden() {
            true => (newest.reach, newest.lives.len()),
            false => (
                newest.ceiling,
                (newest.lives.len() + 1).saturating_sub(LIVES_REMEMBERED_MAX),
            ),
        };
        let ceilings = newest.lives[..forgotten].iter().map(|life| life.ceiling);
        assert_eq!(
            start,
            ceilings.fold(bound, Sequence::max),
            "nothing is skipped without need"
        );

        let (boot, generation) = (found.newest().boot, found.newest().generation);
        let was = found.newest().clone();
        let is_hidden = found.hidden();
        found.see_members(has_members, given_up);
        let shows_the_one_before = |block: u32| {
            let before = before.found(block).ok().map(|record| record.generation);
            generation > 0 && before == Some(generation - 1)
        };
        let others = [0, 2].map(|block| block + (1 - generation as u32 % 2));
        let is_sure = others.into_iter().any(shows_the_one_before);
        assert_eq!(
            found.hidden(),
            !is_sure,
            "it skips when it must, and only then"
        );
        match found.boot(7, Some(above), first_step) {
            Ok(slots) => {
                let newest = slots.newest();
                assert_eq!(newest.sequence, start.max(above));
                assert_eq!(newest.ceiling, newest.sequence.saturating_add(first_step));
                assert!(newest.boot > boot && newest.generation > generation && !newest.clean);
                assert_eq!(newest.members, was.members.at_start(has_members, given_up));
                check_starts(&newest.lives, newest.life(), &was, is_hidden);
                self.highest = newest.life().ceiling;
                self.used = Some(newest.ceiling);
                self.server = Some(slots);
                if self.disk.borrow().unreadable == 0 {
                    let disk = self.disk.borrow();
                    assert!((0..BLOCK_COUNT).all(|block| disk.found(block).is_ok()));
                }
            }
            // Nothing was handed out.
            Err(SlotsError::BootsExhausted) => assert!(boot >= u64::MAX - 1),
            Err(SlotsError::GenerationsExhausted) => assert!(generation >= u64::MAX - 1),
            Err(SlotsError::Write { .. }) => assert!(self.disk.borrow().crashed),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Checks that the write is durable, or that the server has to end.
    fn go_on(
        &mut self,
        slots: Slots<Shared>,
        is_done: Result<(), SlotsError>,
        holds: impl Fn(&Record) -> bool,
    ) {
        match is_done {
            Ok(()) => {
                assert!(holds(slots.newest()));
                self.used = self.used.max(Some(slots.newest().ceiling));
                assert!(slots.newest().life().ceiling >= self.highest);
                self.highest = slots.newest().life().ceiling;
                self.server = Some(slots);
            }
            Err(error) => self.failed(error),
        }
    }

    fn failed(&self, error: SlotsError) {
        match error {
            SlotsError::Write { .. } => assert!(self.disk.borrow().crashed),
            // Both blocks of the newest record were lost meanwhile.
            SlotsError::Look(LookError::Unseen { faults }) => assert!(faults.len() >= 2),
            SlotsError::GenerationsExhausted => {}
            error => panic!("{error:?}"),
        }
    }
}

/// A start remembers itself and the starts before it, unless one of these may be missing.
fn check_starts(starts: &[Start], own: Start, was: &Record, is_hidden: bool) {
    let (last, earlier) = starts.split_last().expect("its own start");
    assert_eq!(*last, own);
    assert!(starts.len() <= LIVES_REMEMBERED_MAX);
    if is_hidden {
        assert_eq!(earlier, []);
    } else if was.lives.is_empty() {
        let only = Some(was.life()).filter(|life| life.boot != 0 && life.session != 0);
        assert_eq!(earlier, only.as_slice());
    } else {
        let kept = was.lives.len().min(LIVES_REMEMBERED_MAX - 1);
        assert_eq!(earlier, &was.lives[was.lives.len() - kept..]);
    }
}

/// Checks that the blocks contain the reason why the start was refused.
fn refused(error: &RecoverError, whole: &[Record], disk: &Disk) {
    match error {
        RecoverError::Settle(error) => panic!("this device always settles: {error}"),
        RecoverError::NoneGood { faults } => {
            assert!(whole.is_empty());
            assert_eq!(faults.len(), BLOCK_COUNT as usize);
            for fault in faults {
                assert!(!fault.to_string().is_empty());
            }
        }
        RecoverError::NewerFields => {
            let newer = Err(RecordError::NewerFields);
            assert!((0..BLOCK_COUNT).any(|block| disk.found(block) == newer));
        }
        RecoverError::Newer { found } => {
            let newer = Err(RecordError::NewerFormat(*found));
            assert!((0..BLOCK_COUNT).any(|block| disk.found(block) == newer));
        }
        RecoverError::ForeignPid { found } => assert!(whole.iter().any(|r| r.pid == *found)),
        RecoverError::ForeignCluster { found } => {
            assert!(whole.iter().any(|record| record.cluster == *found));
        }
        RecoverError::Mixed => {
            assert!(
                whole
                    .iter()
                    .any(|record| record.incarnation != whole[0].incarnation)
            );
        }
    }
}
