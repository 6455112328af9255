//! The slots on four blocks of memory that tear, rot and refuse.

// Long because: one disk that fails in every way serves all of these tests.

use std::{cell::RefCell, rc::Rc};

use proptest::prelude::*;

use ipseity_core::actor::Life as Start;

use super::*;

/// The session of every server here that is alone.
const SESSION: u64 = 5;

const SECTOR_BYTES: usize = 512;
const SECTORS: usize = BLOCK_BYTES / SECTOR_BYTES;

fn stale(value: u64) -> Objected {
    Objected::stale(sequence(value))
}

/// Four blocks of memory with faults. A bit of a mask stands for a block, or for a sector of one.
#[derive(Clone, Debug)]
struct Fake {
    blocks: [Block; BLOCK_COUNT as usize],
    /// Blocks that cannot be read, for as long as the bit is set.
    unreadable: u8,
    /// After this many writes comes one that writes only these sectors, and then nothing works.
    crash: Option<(u32, u8)>,
    crashed: bool,
    writes: u32,
}

impl Fake {
    fn new() -> Fake {
        let mut fake = Fake {
            blocks: [const { Block::ZERO }; BLOCK_COUNT as usize],
            unreadable: 0,
            crash: None,
            crashed: false,
            writes: 0,
        };
        format(&mut fake, &owner(), 1).unwrap();
        fake.writes = 0;
        fake
    }

    /// The same blocks after the power is back.
    fn restarted(mut self) -> Fake {
        (self.crash, self.crashed, self.writes) = (None, false, 0);
        self
    }

    /// How many blocks cannot be used.
    fn bad(&self) -> usize {
        let is_bad = |block: &u32| {
            let bytes = &self.blocks[*block as usize];
            self.unreadable & (1 << block) != 0 || Record::decode(bytes, *block).is_err()
        };
        (0..BLOCK_COUNT).filter(is_bad).count()
    }

    fn rot(&mut self, blocks: u8) {
        for (index, block) in self.blocks.iter_mut().enumerate() {
            if blocks & (1 << index) != 0 {
                block.0[1000] ^= 0x10;
            }
        }
    }
}

impl BlockDevice for Fake {
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn look_again(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()> {
        if self.unreadable & (1 << index) != 0 {
            return Err(io::ErrorKind::Other.into());
        }
        block.clone_from(&self.blocks[index as usize]);
        Ok(())
    }

    fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
        assert!(!self.crashed, "written to after a failure");
        let mut sectors = u8::MAX;
        if let Some((after, torn)) = self.crash
            && self.writes == after
        {
            self.crashed = true;
            sectors = torn;
        }
        self.writes += 1;
        for sector in (0..SECTORS).filter(|sector| sectors & (1 << sector) != 0) {
            let bytes = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            self.blocks[index as usize].0[bytes.clone()].copy_from_slice(&block.0[bytes]);
        }
        match self.crashed {
            true => Err(io::ErrorKind::Other.into()),
            false => Ok(()),
        }
    }
}

impl Slots<Fake> {
    /// Gives the device back, as a crash would.
    fn into_device(self) -> Fake {
        self.device
    }
}

fn owner() -> Owner {
    Owner {
        cluster: ClusterName::default(),
        pid: Pid::MAX,
    }
}

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

fn recovered(device: &Fake) -> Recovered<Fake> {
    recover(device.clone(), &owner()).unwrap()
}

fn booted(device: &Fake, first_step: u64) -> Slots<Fake> {
    recovered(device).boot(SESSION, None, first_step).unwrap()
}

/// A directory that was used a little and then stopped at 1234.
fn stopped() -> Fake {
    let mut slots = booted(&Fake::new(), 1000);
    slots.write_ceiling(sequence(700), sequence(2000)).unwrap();
    slots.write_stop(sequence(1234)).unwrap();
    slots.into_device().restarted()
}

/// A directory whose last server crashed under the ceiling 5000, with 1900 noted.
fn crashed() -> Fake {
    let mut slots = booted(&stopped(), 1000);
    slots.write_ceiling(sequence(1500), sequence(4000)).unwrap();
    slots.write_ceiling(sequence(1900), sequence(5000)).unwrap();
    slots.into_device().restarted()
}

#[test]
fn a_new_file_begins_at_nothing() {
    let found = recovered(&Fake::new());
    assert_eq!((found.start(), found.skipped()), (Sequence::ZERO, 0));
    assert_eq!(found.newest().boot, 0);
    assert!(!found.hidden());
    // Both copies of both generations are where they belong, so a start has nothing to complete.
    for (block, generation) in [(0, 0), (1, 1), (2, 0), (3, 1)] {
        let record = Record::decode(&found.device.blocks[block as usize], block).unwrap();
        assert_eq!(record.generation, generation);
    }
    let slots = found.boot(SESSION, None, 1000).unwrap();
    assert_eq!(slots.device().writes, 2);
    assert_eq!(slots.newest().boot, 1);
    assert_eq!(slots.newest().ceiling, sequence(1000));
}

#[test]
fn a_clean_stop_is_exact_once() {
    let found = recovered(&stopped());
    assert_eq!((found.start(), found.skipped()), (sequence(1234), 0));
    assert!(found.newest().clean);
    // The boot that follows ends that, however little it did.
    let device = booted(&stopped(), 1000).into_device();
    let found = recovered(&device);
    assert!(!found.newest().clean);
    assert_eq!((found.start(), found.skipped()), (sequence(2234), 1000));
}

#[test]
fn a_crash_skips_from_the_last_note_to_the_ceiling() {
    let found = recovered(&crashed());
    assert_eq!((found.start(), found.skipped()), (sequence(5000), 3100));
    assert!(!found.hidden());
}

#[test]
fn every_flipped_byte_of_every_block_costs_a_warning_and_no_sequence() {
    for (device, start) in [(stopped(), 1234), (crashed(), 5000)] {
        for block in 0..BLOCK_COUNT {
            for at in 0..BLOCK_BYTES {
                let mut device = device.clone();
                device.blocks[block as usize].0[at] ^= 1 << (at % 8);
                let found = recover(device, &owner()).unwrap();
                assert_eq!(found.start(), sequence(start), "byte {at} of block {block}");
                let [fault] = found.faults() else {
                    panic!("byte {at} of block {block}: {:?}", found.faults());
                };
                assert_eq!(fault.block, block);
            }
        }
    }
}

#[test]
fn bad_blocks_never_let_a_start_begin_too_low() {
    for (device, used) in [(stopped(), 1234), (crashed(), 5000)] {
        for bad in 0..0b1111 {
            let mut rotten = device.clone();
            rotten.rot(bad);
            let found = recovered(&rotten);
            assert!(found.start() >= sequence(used), "{bad:04b}");
            assert!(found.start() <= sequence(used + 2 * STEP_MAX), "{bad:04b}");
            assert_eq!(found.faults().len(), bad.count_ones() as usize);
            // A pair that is lost is the only reason to skip.
            let hidden = bad & 0b0101 == 0b0101 || bad & 0b1010 == 0b1010;
            assert!(hidden || found.start() == sequence(used), "{bad:04b}");
        }
        let mut rotten = device.clone();
        rotten.rot(0b1111);
        let error = recover(rotten, &owner()).unwrap_err();
        assert!(matches!(error, RecoverError::NoneGood { faults } if faults.len() == 4));
    }
}

#[test]
fn an_operators_word_stays_and_never_becomes_lower() {
    let mut device = stopped();
    let said = |device: &Fake| recovered(device).newest().recovered;
    assert_eq!(said(&device), Sequence::ZERO);
    for (word, stays) in [(Some(9000), 9000), (None, 9000), (Some(5), 9000)] {
        let mut slots = recovered(&device)
            .boot(SESSION, word.map(sequence), 1000)
            .unwrap();
        assert_eq!(slots.newest().recovered, sequence(stays));
        let ceiling = slots.newest().ceiling;
        slots
            .write_ceiling(ceiling, ceiling.saturating_add(10))
            .unwrap();
        slots.write_stop(ceiling).unwrap();
        device = slots.into_device().restarted();
        assert_eq!(said(&device), sequence(stays));
    }
}

#[test]
fn an_objection_stays_until_an_operators_word_is_not_lower() {
    let mut slots = booted(&Fake::new(), 1000);
    slots.write_objection(stale(500)).unwrap();
    // The highest counts, and an objection that is already known is not written again.
    let writes = slots.device().writes;
    slots.write_objection(stale(500)).unwrap();
    slots.write_objection(stale(400)).unwrap();
    assert_eq!(slots.device().writes, writes);
    assert_eq!(slots.newest().objected, Some(stale(500)));
    let device = slots.into_device();
    for (word, stays) in [
        (None, true),
        (Some(499), true),
        (Some(500), false),
        (Some(501), false),
    ] {
        let slots = recovered(&device)
            .boot(SESSION, word.map(sequence), 10)
            .unwrap();
        assert_eq!(
            slots.newest().objected,
            stays.then(|| stale(500)),
            "{word:?}"
        );
    }
}

#[test]
fn a_conflict_stays_one_whatever_is_objected_later() {
    let mut slots = booted(&Fake::new(), 1000);
    slots.write_objection(stale(500)).unwrap();
    let conflict = Objected::conflict(sequence(300));
    slots.write_objection(conflict).unwrap();
    slots.write_objection(stale(700)).unwrap();
    let device = slots.into_device().restarted();
    let slots = recovered(&device).boot(SESSION, None, 10).unwrap();
    let both = Objected::conflict(sequence(700));
    assert_eq!(slots.newest().objected, Some(both));
}

/// What docs/guarantees.md says about rot: the newest word is lost with both of its blocks, but the start is still
/// above it. After one more raise it is in all four blocks.
#[test]
fn a_word_that_rots_is_lost_unless_a_raise_came_after_it_but_the_start_is_above_it() {
    // The second and the last word are beyond the reach of the record before them.
    for (word, objected) in [
        (9000, None),
        (1 << 50, None),
        (0, Some(7)),
        (1 << 50, Some(1 << 51)),
    ] {
        let start = |device: &Fake| {
            let above = Some(sequence(word)).filter(|word| *word > Sequence::ZERO);
            let mut slots = recovered(device).boot(SESSION, above, 1000).unwrap();
            if let Some(objected) = objected {
                slots.write_objection(stale(objected)).unwrap();
            }
            slots
        };
        let rot = |slots: Slots<Fake>| {
            let newest = slots.newest().clone();
            let mut device = slots.into_device().restarted();
            let blocks = pair(newest.generation);
            device.rot(blocks.iter().map(|block| 1 << block).sum());
            (newest, recovered(&device))
        };
        let (newest, found) = rot(start(&stopped()));
        let said = (newest.recovered, newest.objected);
        assert_ne!((found.newest().recovered, found.newest().objected), said);
        assert!(found.start() >= sequence(word), "{word}");
        let mut slots = start(&stopped());
        let ceiling = slots.newest().ceiling;
        slots
            .write_ceiling(ceiling, ceiling.saturating_add(10))
            .unwrap();
        let (_, found) = rot(slots);
        assert_eq!((found.newest().recovered, found.newest().objected), said);
    }
}

/// The boots of the starts that a record remembers.
fn boots(record: &Record) -> Vec<u64> {
    record.lives.iter().map(|life| life.boot).collect()
}

fn start_of(boot: u64, ceiling: u64) -> Start {
    Start {
        boot,
        session: SESSION,
        ceiling: sequence(ceiling),
    }
}

#[test]
fn the_last_starts_are_remembered() {
    let mut device = Fake::new();
    let most = LIVES_REMEMBERED_MAX as u64;
    for boot in 1..=most + 2 {
        let slots = booted(&device, 10);
        let first = boot.saturating_sub(most - 1).max(1);
        let last: Vec<Start> = (first..=boot)
            .map(|boot| start_of(boot, 10 * boot))
            .collect();
        assert_eq!(slots.newest().lives, last);
        device = slots.into_device().restarted();
    }
}

/// Of a life that is forgotten, a peer may still tell the ceiling. A start below it would look like an older state.
#[test]
fn a_start_that_forgets_a_life_begins_at_its_ceiling() {
    let mut slots = booted(&Fake::new(), 1000);
    for boot in 2..=LIVES_REMEMBERED_MAX as u64 + 1 {
        slots.write_stop(sequence(5)).unwrap();
        let device = slots.into_device().restarted();
        let is_full = boot > LIVES_REMEMBERED_MAX as u64;
        let start = if is_full { 1000 } else { 5 };
        assert_eq!(recovered(&device).start(), sequence(start), "boot {boot}");
        slots = booted(&device, 10);
    }
    assert_eq!(boots(slots.newest())[0], 2);
}

#[test]
fn a_start_that_was_cut_off_is_remembered_if_anything_of_it_is_left() {
    let mut device = crashed();
    device.crash = Some((0, u8::MAX));
    let shared = Rc::new(RefCell::new(device));
    let found = recover(Rc::clone(&shared), &owner()).unwrap();
    assert!(found.boot(SESSION + 1, None, 10).is_err());
    let device = shared.borrow().clone().restarted();
    let slots = booted(&device, 10);
    let lives = &slots.newest().lives;
    let boots: Vec<u64> = lives.iter().map(|life| life.boot).collect();
    assert_eq!(boots, [1, 2, 3, 4]);
    assert_eq!(lives[2].session, SESSION + 1);
}

/// A peer may remember the start whose record was lost. A list without it would say that it was none of this directory.
#[test]
fn a_start_after_a_lost_record_remembers_only_itself() {
    let mut device = crashed();
    let newest = recovered(&device).newest().clone();
    assert_eq!(boots(&newest), [1, 2]);
    device.rot(pair(newest.generation).map(|block| 1 << block).iter().sum());
    let slots = booted(&device, 10);
    assert_eq!(boots(slots.newest()), [4]);
    let device = slots.into_device().restarted();
    let slots = booted(&device, 10);
    assert_eq!(boots(slots.newest()), [4, 5]);
}

#[test]
fn the_ceiling_of_each_start_outlives_clean_stops_and_later_starts() {
    let ceilings = |slots: &Slots<Fake>| {
        let lives = slots.newest().lives.iter();
        lives.map(|life| life.ceiling.get()).collect::<Vec<_>>()
    };
    let mut slots = booted(&Fake::new(), 1000);
    assert_eq!(ceilings(&slots), [1000]);
    slots.write_ceiling(sequence(1), sequence(50_000)).unwrap();
    slots.write_stop(sequence(10)).unwrap();
    assert_eq!(slots.newest().ceiling, sequence(10));
    assert_eq!(ceilings(&slots), [50_000]);
    let mut slots = booted(&slots.into_device().restarted(), 1000);
    assert_eq!(ceilings(&slots), [50_000, 1010]);
    slots.write_ceiling(sequence(20), sequence(60_000)).unwrap();
    assert_eq!(ceilings(&slots), [50_000, 60_000]);
}

#[test]
fn a_lost_members_file_is_noted_until_it_is_given_up() {
    let started = |device: &Fake, is_there, given_up| {
        let mut found = recovered(device);
        found.see_members(is_there, given_up);
        let is_lost = found.has_lost_members();
        let slots = found.boot(SESSION, None, 10).unwrap();
        assert_eq!(is_lost, slots.newest().members == MembersMark::Lost);
        slots
    };
    // One file is there that no record knows: an older version has saved it, or the record was not written any more.
    for is_noted_late in [true, false] {
        let mut slots = started(&Fake::new(), is_noted_late, false);
        slots.write_members_saved().unwrap();
        let writes = slots.device().writes;
        slots.write_members_saved().unwrap();
        assert_eq!(slots.device().writes, writes, "it is noted once");
        slots.write_stop(Sequence::ZERO).unwrap();
        let device = slots.into_device().restarted();
        assert_eq!(recovered(&device).newest().members, MembersMark::Saved);

        let mut slots = started(&device, false, false);
        assert_eq!(slots.newest().members, MembersMark::Lost);
        // What is saved now does not hold what was lost.
        slots.write_members_saved().unwrap();
        let device = slots.into_device().restarted();
        let slots = started(&device, true, false);
        assert_eq!(slots.newest().members, MembersMark::Lost);
        let slots = started(&slots.into_device().restarted(), true, true);
        assert_eq!(slots.newest().members, MembersMark::Saved);
    }
}

#[test]
fn a_members_file_that_is_saved_after_a_stop_is_left_to_the_next_start() {
    let mut slots = booted(&Fake::new(), 10);
    slots.write_stop(Sequence::ZERO).unwrap();
    let writes = slots.device().writes;
    slots.write_members_saved().unwrap();
    assert_eq!(slots.device().writes, writes);
    let mut slots = booted(&Fake::new(), 10);
    slots.poison("test".to_owned());
    let error = slots.write_members_saved().unwrap_err();
    assert!(matches!(error, SlotsError::Poisoned(_)), "{error:?}");
}

/// The mark is an operator's word too, so an announcement does not carry it.
#[test]
fn a_members_file_is_given_up_together_with_the_boot_that_says_so() {
    for writes in 0..5 {
        let mut slots = booted(&Fake::new(), 10);
        slots.write_members_saved().unwrap();
        let mut device = slots.into_device().restarted();
        device.crash = Some((writes, 0));
        let shared = Rc::new(RefCell::new(device));
        let mut found = recover(Rc::clone(&shared), &owner()).unwrap();
        found.see_members(false, true);
        // So far away that it has to be announced first.
        let far = Some(sequence(1 << 40));
        let went_well = found.boot(SESSION, far, 1000).is_ok();
        let found = recovered(&shared.borrow().clone().restarted());
        let is_given_up = found.newest().members == MembersMark::Never;
        assert_eq!(is_given_up, found.newest().recovered > Sequence::ZERO);
        assert!(is_given_up || !went_well, "crash at write {writes}");
    }
}

#[test]
fn a_start_that_skipped_raises_the_boot_by_two() {
    let mut device = crashed();
    let boot = recovered(&device).newest().boot;
    let lost = recovered(&device).newest().generation;
    device.rot(pair(lost).iter().map(|block| 1 << block).sum());
    let found = recovered(&device);
    assert!(found.hidden());
    assert_eq!(found.start(), sequence(4000 + STEP_MAX));
    let slots = found.boot(SESSION, None, 10).unwrap();
    assert_eq!(slots.newest().boot, boot + 2);
    assert_eq!(slots.newest().ceiling, sequence(4000 + STEP_MAX + 10));
}

/// Found by the histories below: the write of generation 6 was cut short after one copy, and generation 7 was written
/// after it. When both blocks of 7 and that copy rotted, 4 did not bound what 7 had allowed.
#[test]
fn a_generation_with_one_copy_is_completed_before_the_next() {
    let mut device = Fake::new();
    let newest = recovered(&device).newest().clone();
    let half = Record {
        generation: newest.generation + 1,
        ceiling: sequence(500),
        ..newest
    };
    let half = Record {
        sequence: half.ceiling,
        ..half
    };
    let [first, second] = pair(half.generation);
    device.write(first, &half.encode(first)).unwrap();
    let device = booted(&device, 10).into_device();
    assert_eq!(device.blocks[second as usize], half.encode(second));
}

#[test]
fn a_start_leaves_no_bad_block_behind() {
    for bad in 1..0b1111 {
        let mut device = crashed();
        device.rot(bad);
        assert_eq!(booted(&device, 10).into_device().bad(), 0, "{bad:04b}");
    }
}

#[test]
fn boots_count_on_while_blocks_stay_unreadable() {
    let mut device = crashed();
    let newest = recovered(&device).newest().clone();
    device.unreadable = pair(newest.generation + 1)
        .iter()
        .map(|block| 1 << block)
        .sum();
    // Without a first step nothing but the announcement makes the record move to the other pair.
    let first = booted(&device, 0);
    let second = booted(&first.device, 0);
    assert!(second.newest().boot > first.newest().boot);
}

#[test]
fn a_jump_is_announced_before_it_is_allowed() {
    let mut slots = booted(&Fake::new(), 0);
    let far = sequence(3 * STEP_MAX);
    let near = Sequence::ZERO.checked_add(STEP_MAX).unwrap();
    let writes = slots.device().writes;
    slots.write_ceiling(sequence(1), near).unwrap();
    assert_eq!(slots.device().writes, writes + 2);
    slots.write_ceiling(sequence(1), far).unwrap();
    assert_eq!(slots.device().writes, writes + 6);
    // The record that allows it may be lost: the announcement is enough.
    let mut device = slots.into_device();
    let newest = recovered(&device).newest().generation;
    device.rot(pair(newest).iter().map(|block| 1 << block).sum());
    assert!(recovered(&device).start() >= far);
}

#[test]
fn a_durable_ceiling_is_not_written_again() {
    let mut slots = booted(&Fake::new(), 1000);
    let writes = slots.device().writes;
    slots.write_ceiling(sequence(1), sequence(1000)).unwrap();
    slots.write_ceiling(sequence(1), sequence(10)).unwrap();
    assert_eq!(slots.device().writes, writes);
    assert_eq!(slots.newest().ceiling, sequence(1000));
}

#[test]
fn notes_do_not_decrease_and_stay_under_the_ceiling() {
    let mut slots = booted(&Fake::new(), 1000);
    slots.write_ceiling(sequence(500), sequence(2000)).unwrap();
    slots.write_ceiling(sequence(400), sequence(3000)).unwrap();
    assert_eq!(slots.newest().sequence, sequence(500));
    slots.write_ceiling(sequence(9000), sequence(4000)).unwrap();
    assert_eq!(slots.newest().sequence, sequence(4000));
    assert!(matches!(
        slots.write_stop(sequence(3999)),
        Err(SlotsError::Backwards { .. })
    ));
}

#[test]
fn nothing_follows_a_stop_or_a_failure() {
    let mut slots = booted(&Fake::new(), 1000);
    slots.write_stop(sequence(10)).unwrap();
    for call in [
        slots.write_ceiling(sequence(10), sequence(20)),
        slots.write_stop(sequence(10)),
    ] {
        assert!(matches!(call, Err(SlotsError::Stopped)), "{call:?}");
    }

    let mut slots = booted(&Fake::new(), 1000);
    slots.device.crash = Some((slots.device.writes + 1, u8::MAX));
    let error = slots
        .write_ceiling(sequence(10), sequence(2000))
        .unwrap_err();
    assert!(matches!(error, SlotsError::Write { .. }), "{error:?}");
    // The fake panics if it is written to again.
    for call in [
        slots.write_ceiling(sequence(10), sequence(3000)),
        slots.write_ceiling(sequence(10), sequence(20)),
        slots.write_stop(sequence(10)),
    ] {
        assert!(matches!(call, Err(SlotsError::Poisoned(_))), "{call:?}");
    }
}

#[test]
fn a_bad_block_is_named_with_its_place_and_its_fault() {
    let mut device = stopped();
    device.blocks[2] = Block::ZERO;
    device.unreadable = 0b1000;
    let texts: Vec<String> = recovered(&device)
        .faults()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        texts,
        [
            "block 2 at offset 8192 is blank",
            "block 3 at offset 12288 is unreadable: other error"
        ]
    );
}

/// What version 0.1 left behind.
fn in_format_1(device: &Fake) -> Fake {
    let mut older = device.clone();
    for (index, block) in older.blocks.iter_mut().enumerate() {
        let record = Record::decode(block, index as u32).unwrap();
        let record = Record {
            session: 0,
            lives: Vec::new(),
            ..record
        };
        *block = record.encode(index as u32);
        block.0[9] = 1;
        let checksum = crc32c::crc32c(&block.0[..BLOCK_BYTES - 4]);
        block.0[BLOCK_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
    }
    older
}

#[test]
fn blocks_of_format_1_are_read_and_a_boot_leaves_none_behind() {
    for (device, start) in [(stopped(), 1234), (crashed(), 5000)] {
        let older = in_format_1(&device);
        let found = recovered(&older);
        assert_eq!(found.start(), sequence(start));
        let boot = found.newest().boot;
        let slots = booted(&older, 1000);
        assert_eq!(slots.newest().boot, boot + 1);
        assert_eq!(slots.newest().session, SESSION);
        assert_eq!(boots(slots.newest()), [boot + 1]);
        let formats = slots.into_device().blocks.map(|block| block.format());
        assert_eq!(formats, [FORMAT; BLOCK_COUNT as usize]);
    }
}

/// Wherever the first boot in the new format is cut off, the next start goes on from there.
#[test]
fn a_change_of_formats_may_be_cut_off_anywhere() {
    for tear in tears() {
        for after in 0..4 {
            let mut device = in_format_1(&crashed());
            device.crash = Some((after, tear));
            let shared = Rc::new(RefCell::new(device));
            let found = recover(Rc::clone(&shared), &owner()).unwrap();
            assert!(found.boot(SESSION, None, 1000).is_err());
            let device = shared.borrow().clone().restarted();
            let found = recovered(&device);
            // The boot may have been durable although its server was not told.
            let start = found.start().get();
            assert!(
                start == 5000 || start == 6000,
                "{tear:08b} of {after}: {start}"
            );
            found.boot(SESSION, None, 1000).unwrap();
        }
    }
}

#[test]
fn a_newer_format_and_fields_of_a_newer_version_are_refused() {
    for (at, value) in [(9, 3), (4000, 1)] {
        let mut device = crashed();
        let block = &mut device.blocks[1];
        block.0[at] = value;
        let checksum = crc32c::crc32c(&block.0[..BLOCK_BYTES - 4]);
        block.0[BLOCK_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
        let error = recover(device, &owner()).unwrap_err();
        let is_newer = matches!(error, RecoverError::Newer { found: 3 })
            || matches!(error, RecoverError::NewerFields);
        assert!(is_newer, "{error:?}");
    }
}

/// A write that waited long in another host's queue overwrites the newest generation.
#[test]
fn a_late_write_of_another_server_does_not_let_a_start_begin_too_low() {
    let mut slots = booted(&crashed(), 1000);
    let late = Record {
        session: SESSION + 1,
        lives: Vec::new(),
        ..slots.newest().clone()
    };
    for ceiling in [7000, 8000, 9000, 10_000] {
        slots
            .write_ceiling(sequence(6000), sequence(ceiling))
            .unwrap();
    }
    let ceiling = slots.newest().ceiling;
    let mut device = slots.into_device().restarted();
    for block in pair(late.generation) {
        device.write(block, &late.encode(block)).unwrap();
    }
    let found = recovered(&device);
    assert!(found.hidden());
    assert!(found.start() >= ceiling, "{} < {ceiling}", found.start());
}

#[test]
fn a_server_that_does_not_see_its_newest_record_writes_nothing_more() {
    let mut slots = booted(&crashed(), 1000);
    let newest = pair(slots.newest().generation);
    // One bad copy says nothing, as long as the other one can be read.
    slots.device.unreadable = 1 << newest[0];
    slots.write_ceiling(sequence(6000), sequence(7000)).unwrap();
    let newest = pair(slots.newest().generation);
    slots.device.unreadable = newest.map(|block| 1 << block).iter().sum();
    let writes = slots.device.writes;
    let error = slots
        .write_ceiling(sequence(6000), sequence(8000))
        .unwrap_err();
    let SlotsError::Look(LookError::Unseen { faults }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(faults.len(), 2);
    for again in [
        slots.write_ceiling(sequence(6000), sequence(8000)),
        slots.write_objection(stale(6000)),
        slots.write_stop(sequence(6000)),
    ] {
        assert!(matches!(again, Err(SlotsError::Poisoned(_))), "{again:?}");
    }
    assert_eq!(slots.device.writes, writes);
}

#[test]
fn a_server_whose_blocks_were_put_back_or_are_of_a_newer_version_stops() {
    let mut slots = booted(&crashed(), 1000);
    let snapshot = slots.device.clone();
    for ceiling in [7000, 8000, 9000] {
        slots
            .write_ceiling(sequence(6000), sequence(ceiling))
            .unwrap();
    }
    let mut newer = slots.device.clone();
    newer.blocks[0].0[9] = 3;
    let checksum = crc32c::crc32c(&newer.blocks[0].0[..BLOCK_BYTES - 4]);
    newer.blocks[0].0[BLOCK_BYTES - 4..].copy_from_slice(&checksum.to_be_bytes());
    for (blocks, says) in [
        (snapshot.blocks, "by session 0000000000000005"),
        (newer.blocks, "a record of a newer version"),
    ] {
        slots.device.blocks = blocks;
        slots.standing = Access::Open;
        let error = slots.write_stop(sequence(9000)).unwrap_err();
        let SlotsError::Look(LookError::Foreign(found)) = &error else {
            panic!("{error:?}");
        };
        assert!(found.to_string().contains(says), "{found}");
    }
}

/// Only the sectors with the record's head and with the checksum differ by their place, so these tears show everything
/// that others would show.
fn tears() -> impl Iterator<Item = u8> {
    let prefixes = (0..=SECTORS as u32).map(|count| 1u8.checked_shl(count).map_or(255, |m| m - 1));
    prefixes
        .flat_map(|prefix| [prefix, !prefix])
        .chain([0b0101_0101, 0b0111_1110])
}

/// Two lives with raises, a jump and a stop, and a third: a crash at every write, torn in every way,
/// with and without one block rotten, is followed by a start that is not too low.
#[test]
fn a_torn_write_anywhere_never_lets_a_start_begin_too_low() {
    let mut crashes = 0;
    for tear in tears() {
        for after in 0.. {
            let mut life = Life::new();
            life.disk.borrow_mut().crash = Some((after, tear));
            let script = [
                Op::Boot {
                    above: 0,
                    first_step: 1000,
                },
                Op::Raise {
                    by: 1000,
                    note: 600,
                },
                Op::Raise {
                    by: 2 * STEP_MAX,
                    note: 10,
                },
                Op::Stop { ahead: 500 },
                Op::Boot {
                    above: 0,
                    first_step: 1000,
                },
                Op::Raise {
                    by: 10_000,
                    note: 900,
                },
                Op::Stop {
                    ahead: 3 * STEP_MAX,
                },
                Op::Boot {
                    above: 20 * STEP_MAX,
                    first_step: 1000,
                },
            ];
            let reached = script.into_iter().all(|op| {
                life.apply(op);
                !life.disk.borrow().crashed
            });
            if reached {
                break;
            }
            crashes += 1;
            let device = life.disk.borrow().clone().restarted();
            for rotten in [0, 1, 2, 4, 8] {
                let mut device = device.clone();
                device.rot(rotten);
                let found = recovered(&device);
                assert!(
                    found.start() >= sequence(life.used),
                    "tear {tear:08b} of write {after}, {rotten:04b} rotten: {} < {}",
                    found.start(),
                    life.used
                );
            }
        }
    }
    assert!(crashes > 20 * 16, "{crashes} crashes");
}

/// What can happen to a directory.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// A start, with an operator's word of `above` unless that is 0.
    Boot { above: u64, first_step: u64 },
    /// The server hands out `note` more and raises the ceiling by `by`.
    Raise { by: u64, note: u64 },
    /// The server stops `ahead` above what it noted last.
    Stop { ahead: u64 },
    /// After this many writes from now the power fails, and the next write is torn.
    Crash { after: u32, sectors: u8 },
    /// The server is killed between two writes.
    Kill,
    /// Blocks rot.
    Rot { blocks: u8 },
    /// From now on only these blocks cannot be read.
    Unreadable { blocks: u8 },
}

/// A disk that outlives the servers on it.
impl BlockDevice for Rc<RefCell<Fake>> {
    fn settle(&mut self) -> io::Result<()> {
        self.borrow_mut().settle()
    }

    fn look_again(&mut self) -> io::Result<()> {
        self.borrow_mut().look_again()
    }

    fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()> {
        self.borrow_mut().read(index, block)
    }

    fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
        self.borrow_mut().write(index, block)
    }
}

/// A directory, its servers, and what they may have handed out.
struct Life {
    disk: Rc<RefCell<Fake>>,
    server: Option<Slots<Rc<RefCell<Fake>>>>,
    /// The highest sequence that was ever used, if each server that did not stop used up its ceiling.
    used: u64,
    /// What the running server has handed out so far, as it tells the store.
    noted: u64,
    /// The last stop was clean, with at most one bad block, and nothing was disturbed since.
    exact: bool,
    boot: u64,
}

impl Life {
    fn new() -> Life {
        Life {
            disk: Rc::new(RefCell::new(Fake::new())),
            server: None,
            used: 0,
            noted: 0,
            exact: true,
            boot: 0,
        }
    }

    /// Does this if it is possible now, and checks what must be true then.
    fn apply(&mut self, op: Op) {
        match (op, self.server.take()) {
            (Op::Boot { above, first_step }, None) => self.boot(above, first_step),
            (Op::Raise { by, note }, Some(slots)) => self.raise(slots, by, note),
            (Op::Stop { ahead }, Some(slots)) => self.stop(slots, ahead),
            (Op::Kill, Some(_)) => {}
            (_, server) => self.server = server,
        }
        let mut disk = self.disk.borrow_mut();
        match op {
            Op::Crash { after, sectors } => disk.crash = Some((disk.writes + after, sectors)),
            Op::Rot { blocks } => disk.rot(blocks),
            Op::Unreadable { blocks } => disk.unreadable = blocks,
            Op::Boot { .. } | Op::Raise { .. } | Op::Stop { .. } | Op::Kill => return,
        }
        self.exact = false;
    }

    fn boot(&mut self, above: u64, first_step: u64) {
        self.disk.borrow_mut().crashed = false;
        let found = match recover(self.disk.clone(), &owner()) {
            Ok(found) => found,
            Err(RecoverError::NoneGood { .. }) => return,
            Err(error) => panic!("{error:?}"),
        };
        let start = found.start().get();
        assert!(start >= self.used, "{start} < {}", self.used);
        if self.exact {
            assert_eq!((start, found.skipped()), (self.used, 0));
        }
        self.exact = false;
        match found.boot(SESSION, Some(sequence(above)), first_step) {
            Ok(slots) => {
                assert!(slots.newest().boot > self.boot);
                self.boot = slots.newest().boot;
                self.noted = start.max(above);
                assert_eq!(slots.newest().sequence, sequence(self.noted));
                self.used = slots.newest().ceiling.get();
                self.server = Some(slots);
            }
            // Nothing was handed out, and the operator was not told that the word is durable.
            Err(SlotsError::Write { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }

    fn raise(&mut self, mut slots: Slots<Rc<RefCell<Fake>>>, by: u64, note: u64) {
        let ceiling = slots.newest().ceiling;
        self.noted = (self.noted + note).min(ceiling.get());
        let higher = ceiling.saturating_add(by);
        if slots.write_ceiling(sequence(self.noted), higher).is_ok() {
            assert_eq!(slots.newest().ceiling, higher);
            self.used = higher.get();
            self.server = Some(slots);
        }
    }

    fn stop(&mut self, mut slots: Slots<Rc<RefCell<Fake>>>, ahead: u64) {
        // A sequence above the ceiling cannot have been handed out, but it can have been absorbed.
        let last = sequence(self.noted).saturating_add(ahead);
        let absorbed = last > slots.newest().ceiling;
        match slots.write_stop(last) {
            Ok(()) => {
                // One bad block must not cost a sequence. More may.
                self.exact = self.disk.borrow().bad() <= 1;
                self.used = last.get();
            }
            Err(_) if absorbed => {}
            Err(_) => self.used = last.get(),
        }
    }
}

fn ops() -> impl Strategy<Value = Op> {
    let far = prop_oneof![
        4 => 0..5000u64,
        1 => STEP_MAX - 2..STEP_MAX + 2,
        1 => 0..8 * STEP_MAX,
    ];
    let above = prop_oneof![4 => Just(0), 1 => 0..40 * STEP_MAX];
    // Servers start more often than they fail. Otherwise nothing would happen on most disks.
    prop_oneof![
        8 => (above, far.clone()).prop_map(|(above, first_step)| Op::Boot { above, first_step }),
        6 => (far.clone(), 0..5000u64).prop_map(|(by, note)| Op::Raise { by, note }),
        3 => far.prop_map(|ahead| Op::Stop { ahead }),
        2 => Just(Op::Kill),
        3 => (0..5u32, any::<u8>()).prop_map(|(after, sectors)| Op::Crash { after, sectors }),
        1 => (0..BLOCK_COUNT).prop_map(|block| Op::Rot { blocks: 1 << block }),
        1 => (0..0b1111u8).prop_map(|blocks| Op::Rot { blocks }),
        1 => (0..=0b1111u8).prop_map(|blocks| Op::Unreadable { blocks }),
    ]
}

proptest! {
    // A failure prints the smallest input that fails; a file beside the sources would not say more.
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Starts, stops, kills, power failures in the middle of a write, rot, and blocks that come and go:
    /// `Life` checks each start against everything that was promised before.
    #[test]
    fn no_history_lets_a_start_begin_too_low(history in prop::collection::vec(ops(), 1..40)) {
        let mut life = Life::new();
        for op in history {
            life.apply(op);
        }
        let mut disk = life.disk.borrow_mut();
        (disk.crash, disk.unreadable) = (None, 0);
        drop(disk);
        life.server = None;
        life.apply(Op::Boot { above: 0, first_step: 1 });
    }
}

#[test]
fn an_operators_word_is_never_durable_without_the_ceiling_that_belongs_to_it() {
    /// A device that can be looked at after a start on it has failed.
    struct Shared(Rc<RefCell<Fake>>);

    impl BlockDevice for Shared {
        fn settle(&mut self) -> io::Result<()> {
            self.0.borrow_mut().settle()
        }

        fn look_again(&mut self) -> io::Result<()> {
            self.0.borrow_mut().look_again()
        }

        fn read(&mut self, index: u32, block: &mut Block) -> io::Result<()> {
            self.0.borrow_mut().read(index, block)
        }

        fn write(&mut self, index: u32, block: &Block) -> io::Result<()> {
            self.0.borrow_mut().write(index, block)
        }
    }

    // So far away that it has to be announced first.
    let word = sequence(1 << 40);
    for writes in 0..5 {
        let mut slots = recover(crashed(), &owner())
            .unwrap()
            .boot(SESSION, None, 1000)
            .unwrap();
        slots.write_objection(Objected::stale(word)).unwrap();
        let mut device = slots.into_device().restarted();
        device.crash = Some((writes, 0));
        let shared = Rc::new(RefCell::new(device));
        let start = recover(Shared(Rc::clone(&shared)), &owner()).unwrap();
        let went_well = start.boot(SESSION, Some(word), 1000).is_ok();
        let device = shared.borrow().clone().restarted();
        let next = recover(device, &owner())
            .unwrap()
            .boot(SESSION, None, 1000)
            .unwrap();
        let next = next.newest();
        let said = next.recovered == word && next.objected.is_none() && next.sequence > word;
        let unsaid = next.recovered == Sequence::ZERO
            && next.objected == Some(Objected::stale(word))
            && next.sequence < word;
        assert!(said || unsaid, "crash at write {writes}: {next:?}");
        assert!(said || !went_well, "crash at write {writes}: {next:?}");
    }
}

/// A life that the next boot forgets has come further than the present one: it was started with a large step and stopped
/// cleanly. So the start lies above the ceiling of the newest record, which is on the disk as it was written.
#[test]
fn a_start_above_the_newest_ceiling_still_knows_its_own_records() {
    let mut device = Fake::new();
    for boot in 0..LIVES_REMEMBERED_MAX {
        let step = if boot == 0 { 1_000_000 } else { 10 };
        let recovered = recover(device, &owner()).unwrap();
        let mut slots = recovered.boot(SESSION + boot as u64, None, step).unwrap();
        let used = slots.newest().sequence;
        slots.write_stop(used).unwrap();
        device = slots.device().clone().restarted();
    }
    let recovered = recover(device, &owner()).unwrap();
    assert!(recovered.start() > recovered.newest().ceiling);
    let mut slots = recovered.boot(SESSION + 1000, None, 10).unwrap();
    for _ in 0..3 {
        let newest = slots.newest();
        let (used, ceiling) = (newest.ceiling, newest.ceiling.saturating_add(10));
        slots.write_ceiling(used, ceiling).unwrap();
    }
}
