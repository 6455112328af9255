//! The state directory on real file systems: what a start finds after stops, crashes, damage and misuse.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    process,
};

use ipseity::{
    limits::BLOCK_BYTES,
    store::{
        MembersFile, Started, Store, StoreError, StoreOptions,
        record::{Block, Record},
    },
};
use ipseity_core::{
    actor::Life,
    identity::{Pid, Sequence},
    limits::STEP_MAX,
};

const FIRST_STEP: u64 = 1000;

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

fn options(directory: &Path) -> StoreOptions {
    StoreOptions {
        directory: directory.to_path_buf(),
        makes_parents: true,
        is_existing: false,
        may_be_shared: false,
        session: 11,
        cluster: "here".parse().unwrap(),
        pid: Pid::new(7).unwrap(),
        first_step: FIRST_STEP,
        recover_above: None,
        members_lost: false,
    }
}

fn open(directory: &Path) -> (Store, Started) {
    Store::open(&options(directory)).unwrap()
}

fn refused(options: &StoreOptions) -> StoreError {
    let error = Store::open(options)
        .map(|(_, started)| started)
        .unwrap_err();
    let text = error.to_string();
    let directory = options.directory.to_str().unwrap();
    assert!(
        text.contains(directory),
        "{text:?} does not name {directory}"
    );
    error
}

/// Every file in the directory, byte by byte.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

/// The records of the state file, for tests that look at or edit them.
fn edit(directory: &Path, mut change: impl FnMut(&mut Record)) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(directory.join("state"))
        .unwrap();
    for block in 0..4u32 {
        let at = u64::from(block) * BLOCK_BYTES as u64;
        let mut bytes = Block::ZERO;
        file.read_exact_at(&mut bytes.0, at).unwrap();
        let mut record = Record::decode(&bytes, block).unwrap();
        change(&mut record);
        file.write_all_at(&record.encode(block).0, at).unwrap();
    }
}

#[test]
fn a_first_start_makes_a_private_directory_and_begins_at_zero() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("ipseity-data").join("7");
    let (store, started) = open(&directory);
    assert_eq!(store.path(), directory);
    assert!(started.first_start);
    assert_eq!((started.boot, started.skipped), (1, 0));
    assert_eq!(started.sequence, Sequence::ZERO);
    assert_eq!(started.ceiling, sequence(FIRST_STEP));
    for made in [&directory, directory.parent().unwrap()] {
        let mode = fs::metadata(made).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", made.display());
    }
    let files: Vec<_> = contents(&directory).into_keys().collect();
    assert_eq!(files, ["lock", "state"]);
    assert_eq!(
        fs::metadata(directory.join("state")).unwrap().len(),
        4 * BLOCK_BYTES as u64
    );
}

#[test]
fn a_clean_stop_is_exact_and_a_crash_skips_to_the_ceiling() {
    let home = tempfile::tempdir().unwrap();
    let (mut store, first) = open(home.path());
    store.write_ceiling(sequence(400), sequence(5000)).unwrap();
    store.write_stop(sequence(4321)).unwrap();
    drop(store);

    let (mut store, second) = open(home.path());
    assert_eq!(second.incarnation, first.incarnation);
    assert_eq!((second.boot, second.skipped), (2, 0));
    assert_eq!(second.sequence, sequence(4321));
    assert_eq!(second.ceiling, sequence(5321));
    assert!(!second.first_start);
    store.write_ceiling(sequence(5000), sequence(9000)).unwrap();
    drop(store);

    let (store, third) = open(home.path());
    assert_eq!((third.boot, third.skipped), (3, 4000));
    assert_eq!(third.sequence, sequence(9000));
    drop(store);

    let (_store, fourth) = open(home.path());
    assert_eq!(fourth.sequence, sequence(9000 + FIRST_STEP));
    assert_eq!((fourth.boot, fourth.skipped), (4, FIRST_STEP));
}

#[test]
fn a_second_server_is_told_who_holds_the_directory() {
    let home = tempfile::tempdir().unwrap();
    let held = open(home.path());
    let error = refused(&options(home.path()));
    assert!(
        matches!(error, StoreError::Locked { holder: Some(id), .. } if id == process::id()),
        "{error}"
    );
    assert!(error.to_string().contains(&process::id().to_string()));
    drop(held);
    open(home.path());
}

#[test]
fn a_removed_lock_file_does_not_let_a_second_server_in() {
    let home = tempfile::tempdir().unwrap();
    let _held = open(home.path());
    fs::remove_file(home.path().join("lock")).unwrap();
    let error = refused(&options(home.path()));
    assert!(
        matches!(error, StoreError::Locked { holder: None, .. }),
        "{error}"
    );
}

#[test]
fn a_foreign_directory_is_refused_and_untouched() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    let before = contents(home.path());

    let mut other_pid = options(home.path());
    other_pid.pid = Pid::new(8).unwrap();
    other_pid.recover_above = Some(sequence(1));
    let error = refused(&other_pid);
    assert!(matches!(error, StoreError::ForeignPid { .. }), "{error}");
    assert!(error.to_string().contains("--pid 7"), "{error}");

    let mut other_cluster = options(home.path());
    other_cluster.cluster = "there".parse().unwrap();
    let error = refused(&other_cluster);
    assert!(
        matches!(error, StoreError::ForeignCluster { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("\"here\""), "{error}");

    assert_eq!(contents(home.path()), before);
}

#[test]
fn a_newer_format_is_refused_and_untouched() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    let path = home.path().join("state");
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] = 3;
    let checksum = crc32c::crc32c(&bytes[..BLOCK_BYTES - 4]).to_be_bytes();
    bytes[BLOCK_BYTES - 4..BLOCK_BYTES].copy_from_slice(&checksum);
    fs::write(&path, bytes).unwrap();
    let before = contents(home.path());
    let error = refused(&options(home.path()));
    assert!(
        matches!(error, StoreError::NewerFormat { found: 3, .. }),
        "{error}"
    );
    assert_eq!(contents(home.path()), before);
}

#[test]
fn blocks_of_two_directories_are_refused_and_untouched() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    let mut block = 0;
    edit(home.path(), |record| {
        record.incarnation ^= u128::from(block == 3);
        block += 1;
    });
    let before = contents(home.path());
    let error = refused(&options(home.path()));
    assert!(matches!(error, StoreError::Mixed { .. }), "{error}");
    assert_eq!(contents(home.path()), before);
}

#[test]
fn a_file_without_a_good_block_is_refused_untouched_with_every_cause() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    let path = home.path().join("state");
    let mut garbage = fs::read(&path).unwrap();
    garbage[100] ^= 1;
    garbage[BLOCK_BYTES..2 * BLOCK_BYTES].fill(b'x');
    garbage[2 * BLOCK_BYTES..3 * BLOCK_BYTES].fill(0);
    garbage.truncate(3 * BLOCK_BYTES + 10);
    fs::write(&path, &garbage).unwrap();
    let mut options = options(home.path());
    // Not even --recover-above makes it overwrite what may still be rescued.
    options.recover_above = Some(sequence(1));
    let text = refused(&options).to_string();
    for part in [
        "block 0 at offset 0 is damaged",
        "block 1 at offset 4096 is not a record",
        "block 2 at offset 8192 is blank",
        "block 3 at offset 12288 is unreadable: only 10 of its 4096 bytes could be read",
        "--recover-above",
        "unused --pid",
    ] {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    assert_eq!(fs::read(&path).unwrap(), garbage);
}

#[test]
fn one_bad_block_is_a_warning() {
    for block in 0..4 {
        let home = tempfile::tempdir().unwrap();
        let (mut store, _) = open(home.path());
        store.write_ceiling(sequence(1), sequence(5000)).unwrap();
        store.write_stop(sequence(4321)).unwrap();
        drop(store);
        let path = home.path().join("state");
        let mut bytes = fs::read(&path).unwrap();
        bytes[block * BLOCK_BYTES + 50] ^= 4;
        fs::write(&path, bytes).unwrap();
        let (_, started) = open(home.path());
        assert_eq!(started.sequence, sequence(4321), "block {block}");
        let at = format!("block {block} at offset {}", block * BLOCK_BYTES);
        assert!(
            started.notes.iter().any(|note| note.text.contains(&at)),
            "{:?}",
            started.notes
        );
    }
}

/// However much is cut off, a start begins at or above what was promised, or is refused.
#[test]
fn no_truncation_makes_a_start_begin_too_low() {
    let home = tempfile::tempdir().unwrap();
    let (mut store, _) = open(home.path());
    store.write_ceiling(sequence(900), sequence(5000)).unwrap();
    store.write_ceiling(sequence(4000), sequence(9000)).unwrap();
    drop(store);
    let path = home.path().join("state");
    let whole = fs::read(&path).unwrap();
    let edge = |length: &usize| {
        let over = length % BLOCK_BYTES;
        over <= 2 || over >= BLOCK_BYTES - 2 || over.is_multiple_of(512)
    };
    for length in (0..=whole.len()).filter(edge) {
        fs::write(&path, &whole[..length]).unwrap();
        match Store::open(&options(home.path())) {
            Ok((_, started)) => {
                assert!(length >= BLOCK_BYTES);
                assert!(started.sequence >= sequence(9000), "{length}: {started:?}");
            }
            Err(StoreError::Damaged { .. }) => {
                assert!(length < BLOCK_BYTES, "{length}");
                assert_eq!(fs::read(&path).unwrap(), whole[..length]);
            }
            Err(error) => panic!("{length}: {error}"),
        }
    }
}

#[test]
fn a_crash_in_the_first_start_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("lock"), "").unwrap();
    fs::write(home.path().join("state.new"), "half a file").unwrap();
    let (_store, started) = open(home.path());
    assert!(started.first_start);
    assert!(!home.path().join("state.new").exists());
}

#[test]
fn a_leftover_that_cannot_be_removed_is_reported_with_its_cause() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("state.new")).unwrap();
    let error = refused(&options(home.path()));
    let cause = error.source().unwrap().to_string();
    // The rest is in the system's own words, which differ between systems.
    assert!(!cause.contains("exists"), "{cause}");
}

#[test]
fn each_start_says_which_starts_and_which_ceiling_were_before_it() {
    let home = tempfile::tempdir().unwrap();
    let mut sessions = options(home.path());
    let (mut store, first) = Store::open(&sessions).unwrap();
    let life = |boot, session, ceiling| Life {
        boot,
        session,
        ceiling: sequence(ceiling),
    };
    assert_eq!(first.lives, [life(1, 11, FIRST_STEP)]);
    store.write_ceiling(sequence(5), sequence(70_000)).unwrap();
    store.write_stop(sequence(6)).unwrap();
    drop(store);
    sessions.session = 12;
    let (_, second) = Store::open(&sessions).unwrap();
    let own = life(2, 12, 6 + FIRST_STEP);
    assert_eq!(second.lives, [life(1, 11, 70_000), own]);
    assert_eq!(second.ceiling, sequence(6 + FIRST_STEP));
}

/// Starts, and says whether the members file is lost; a warning says so too.
fn has_lost_members(options: &StoreOptions) -> bool {
    let (_, started) = Store::open(options).unwrap();
    let file = options.directory.join("members");
    let warning = format!("the list of members {} was lost", file.display());
    let is_told = started
        .notes
        .iter()
        .any(|note| note.text.contains(&warning));
    assert_eq!(is_told, started.members_lost, "{:?}", started.notes);
    started.members_lost
}

#[test]
fn a_members_file_that_was_saved_is_missed_until_an_operator_gives_it_up() {
    // It is noted when it is saved; and by a start, if a crash came in between or an older version saved it.
    for notes_save in [true, false] {
        let home = tempfile::tempdir().unwrap();
        let usual = options(home.path());
        assert!(!has_lost_members(&usual));
        assert!(!has_lost_members(&usual), "it was never saved");
        let mut file = MembersFile::new(home.path());
        let (mut store, _) = open(home.path());
        file.save(&[]).unwrap();
        if notes_save {
            store.write_members_saved().unwrap();
        }
        drop(store);
        if !notes_save {
            assert!(!has_lost_members(&usual));
        }
        fs::remove_file(file.path()).unwrap();
        assert!(has_lost_members(&usual));
        // What is saved from now on is not what was lost.
        file.save(&[]).unwrap();
        assert!(has_lost_members(&usual));
        let mut word = options(home.path());
        word.members_lost = true;
        assert!(!has_lost_members(&word));
        assert!(!has_lost_members(&usual));
        fs::remove_file(file.path()).unwrap();
        assert!(!has_lost_members(&word));
        assert!(!has_lost_members(&usual), "there is none to be missed");
    }
}

#[test]
fn a_state_file_that_is_gone_is_not_a_first_start() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    fs::remove_file(home.path().join("state")).unwrap();
    let error = refused(&options(home.path()));
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert!(!home.path().join("state").exists());

    let mut word = options(home.path());
    word.recover_above = Some(sequence(77_000));
    let (_, started) = Store::open(&word).unwrap();
    assert_eq!(started.sequence, sequence(77_000));
}

#[test]
fn recover_above_is_durable_and_never_lowers_the_sequence() {
    let home = tempfile::tempdir().unwrap();
    let far = 5 * STEP_MAX;
    let mut word = options(home.path());
    word.recover_above = Some(sequence(far));
    let (store, started) = Store::open(&word).unwrap();
    assert_eq!(started.sequence, sequence(far));
    assert_eq!(started.ceiling, sequence(far + FIRST_STEP));
    assert_eq!(started.skipped, 0, "the jump of the operator is not a skip");
    drop(store);
    word.recover_above = Some(sequence(5));
    let (_, started) = Store::open(&word).unwrap();
    assert_eq!(started.sequence, sequence(far + FIRST_STEP));
    assert_eq!(started.skipped, FIRST_STEP);
}

#[test]
fn a_raise_in_a_directory_that_is_gone_is_an_error() {
    let removed: fn(&Path) = |directory| fs::remove_dir_all(directory).unwrap();
    let renamed: fn(&Path) =
        |directory| fs::rename(directory, directory.with_extension("old")).unwrap();
    let replaced: fn(&Path) = |directory| {
        fs::rename(directory.join("state"), directory.join("aside")).unwrap();
        fs::copy(directory.join("aside"), directory.join("state")).unwrap();
    };
    for lose in [removed, renamed, replaced] {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("7");
        let (mut store, _) = open(&directory);
        store.write_ceiling(sequence(1), sequence(2000)).unwrap();
        lose(&directory);
        let error = store
            .write_ceiling(sequence(2), sequence(3000))
            .unwrap_err();
        assert!(matches!(error, StoreError::Gone { .. }), "{error}");
        for again in [
            store.write_ceiling(sequence(2), sequence(4000)),
            store.write_ceiling(sequence(2), sequence(5)),
            store.write_members_saved(),
            store.write_stop(sequence(2)),
        ] {
            let error = again.unwrap_err();
            assert!(matches!(error, StoreError::Poisoned { .. }), "{error}");
        }
    }
}

#[test]
fn boots_and_generations_that_are_used_up_are_errors_and_never_wrap() {
    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    edit(home.path(), |record| {
        record.boot = u64::MAX;
        record.lives.clear();
    });
    let error = refused(&options(home.path()));
    assert!(
        matches!(error, StoreError::Exhausted { what: "boots", .. }),
        "{error}"
    );

    let home = tempfile::tempdir().unwrap();
    drop(open(home.path()));
    edit(home.path(), |record| {
        record.generation = u64::MAX - 3 + record.generation % 2;
    });
    let (mut store, _) = open(home.path());
    store.write_ceiling(sequence(1), sequence(5000)).unwrap();
    let error = store
        .write_ceiling(sequence(1), sequence(6000))
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Exhausted {
                what: "generations",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_last_sequence_is_reached_and_not_passed() {
    let home = tempfile::tempdir().unwrap();
    let (mut store, _) = open(home.path());
    store.write_ceiling(Sequence::MAX, Sequence::MAX).unwrap();
    store.write_stop(Sequence::MAX).unwrap();
    drop(store);
    let (_store, started) = open(home.path());
    assert_eq!(
        (started.sequence, started.ceiling),
        (Sequence::MAX, Sequence::MAX)
    );
}

#[test]
fn a_path_that_is_not_a_directory_is_named_in_the_error() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    for directory in [file.clone(), file.join("below")] {
        let error = refused(&options(&directory));
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(error.source().is_some());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_place_where_no_directory_can_be_made_is_named_in_the_error() {
    for place in ["/proc/ipseity", "/proc/ipseity/below/1"] {
        let error = refused(&options(Path::new(place)));
        assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("cannot make the state directory"), "{text}");
        assert!(text.contains(place), "{text}");
    }
}

/// The store lives on a thread of its own.
#[test]
fn a_store_can_be_sent_to_a_thread() {
    let home = tempfile::tempdir().unwrap();
    let (mut store, _) = open(home.path());
    std::thread::spawn(move || store.write_ceiling(sequence(1), sequence(5000)))
        .join()
        .unwrap()
        .unwrap();
}
