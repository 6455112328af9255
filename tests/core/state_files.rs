//! The bytes of the files in a state directory: those that this version writes, and those of each earlier format. They are
//! written out here, and not made by the code that reads them. Somebody may have such files for a long time.

use std::{fs, path::Path};

use ipseity::{
    limits::BLOCK_BYTES,
    store::{
        MembersFile, Started, Store, StoreError, StoreOptions,
        record::{Block, MembersMark, Record, RecordError},
    },
};
use ipseity_core::{
    actor::{Life, Objected, Remembered},
    identity::{Pid, Sequence},
    words::LifeMarks,
};
use ipseity_sim::goldens::hex;

/// The parts of a block that are not zero, and where they are.
type Parts<'a> = &'a [(usize, &'a str)];

fn block(parts: Parts<'_>) -> Block {
    let mut block = Block::ZERO;
    for (at, part) in parts {
        let part = hex(part);
        block.0[*at..][..part.len()].copy_from_slice(&part);
    }
    block
}

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

/// What version 0.1 left behind after a clean stop, a start and a kill, before its record had any spare bytes in use. The
/// last boot and generation are 2 and 4.
const FORMAT_2: [Parts<'_>; 4] = [
    &[
        (0, "4950534549545900 0002 0007 00 00 03 00"),
        (16, INCARNATION),
        (32, "0000000000000002 0000000000000004 0000000000000000"),
        (
            56,
            "0000000000000400 0000000100000400 0000000000000000 6f6c64",
        ),
        (344, "ef55794620190651"),
        (4092, "eff30f12"),
    ],
    &[
        (0, "4950534549545900 0002 0007 01 01 03 00"),
        (16, INCARNATION),
        (32, "0000000000000001 0000000000000003 0000000000000000"),
        (
            56,
            "0000000000000000 0000000100000000 0000000000000000 6f6c64",
        ),
        (344, "0450d114ec15067a"),
        (4092, "faf00415"),
    ],
    &[
        (0, "4950534549545900 0002 0007 02 00 03 00"),
        (16, INCARNATION),
        (32, "0000000000000002 0000000000000004 0000000000000000"),
        (
            56,
            "0000000000000400 0000000100000400 0000000000000000 6f6c64",
        ),
        (344, "ef55794620190651"),
        (4092, "18057dc5"),
    ],
    &[
        (0, "4950534549545900 0002 0007 03 01 03 00"),
        (16, INCARNATION),
        (32, "0000000000000001 0000000000000003 0000000000000000"),
        (
            56,
            "0000000000000000 0000000100000000 0000000000000000 6f6c64",
        ),
        (344, "0450d114ec15067a"),
        (4092, "0d0676c2"),
    ],
];

/// The same in the format before, which had no session.
const FORMAT_1: [Parts<'_>; 4] = [
    &[
        (0, "4950534549545900 0001 0007 00 00 03 00"),
        (16, INCARNATION),
        (32, "0000000000000002 0000000000000004 0000000000000000"),
        (
            56,
            "0000000000000400 0000000100000400 0000000000000000 6f6c64",
        ),
        (4092, "200665af"),
    ],
    &[
        (0, "4950534549545900 0001 0007 01 01 03 00"),
        (16, INCARNATION),
        (32, "0000000000000001 0000000000000003 0000000000000000"),
        (
            56,
            "0000000000000000 0000000100000000 0000000000000000 6f6c64",
        ),
        (4092, "85c23df4"),
    ],
    &[
        (0, "4950534549545900 0001 0007 02 00 03 00"),
        (16, INCARNATION),
        (32, "0000000000000002 0000000000000004 0000000000000000"),
        (
            56,
            "0000000000000400 0000000100000400 0000000000000000 6f6c64",
        ),
        (4092, "d7f01778"),
    ],
    &[
        (0, "4950534549545900 0001 0007 03 01 03 00"),
        (16, INCARNATION),
        (32, "0000000000000001 0000000000000003 0000000000000000"),
        (
            56,
            "0000000000000000 0000000100000000 0000000000000000 6f6c64",
        ),
        (4092, "72344f23"),
    ],
];

const INCARNATION: &str = "d87ef1467c6b7b4768548b9d768582bd";

const MEMBERS_2: &str = "495053454d454d00 0002 0001 002c \
    0009 0000 3fdd7a1c12557a7afb9a6da9de4ffc16 0000000000000001 79ca7fbade0c7bfe 0000000000000000 e42ba5e0";

const MEMBERS_1: &str = "495053454d454d00 0001 0001 \
    0009 3fdd7a1c12557a7afb9a6da9de4ffc16 0000000000000001 79ca7fbade0c7bfe 0000000000000000 569a7fb6";

fn open(directory: &Path, session: u64) -> (Store, Started) {
    try_open(directory, session).unwrap()
}

fn try_open(directory: &Path, session: u64) -> Result<(Store, Started), StoreError> {
    Store::open(&StoreOptions {
        directory: directory.to_path_buf(),
        makes_parents: false,
        is_existing: true,
        may_be_shared: false,
        session,
        cluster: "old".parse().unwrap(),
        pid: Pid::new(7).unwrap(),
        first_step: 1000,
        recover_above: None,
        members_lost: false,
    })
}

/// Makes the checksum fit what is before it.
fn seal(block: &mut Block) {
    let checksum = crc32c::crc32c(&block.0[..BLOCK_BYTES - 4]).to_be_bytes();
    block.0[BLOCK_BYTES - 4..].copy_from_slice(&checksum);
}

fn blocks(directory: &Path) -> Vec<Block> {
    let bytes = fs::read(directory.join("state")).unwrap();
    bytes
        .chunks_exact(BLOCK_BYTES)
        .map(|bytes| Block(bytes.try_into().unwrap()))
        .collect()
}

fn life(boot: u64, session: u64, ceiling: u64) -> Life {
    Life {
        boot,
        session,
        ceiling: sequence(ceiling),
    }
}

#[test]
fn a_directory_of_each_earlier_format_is_taken_over() {
    let known = [life(2, 0xef55_7946_2019_0651, 1024), life(3, 12, 2024)];
    for (state, members, lives) in [
        (FORMAT_2, MEMBERS_2, &known[..]),
        (FORMAT_1, MEMBERS_1, &known[1..]),
    ] {
        let home = tempfile::tempdir().unwrap();
        let state: Vec<u8> = state.iter().flat_map(|parts| block(parts).0).collect();
        fs::write(home.path().join("state"), state).unwrap();
        fs::write(home.path().join("members"), hex(members)).unwrap();
        fs::write(home.path().join("lock"), "4711       \n").unwrap();

        let mut file = MembersFile::new(home.path());
        let remembered = file.load().unwrap();
        let peer = Remembered {
            incarnation: 0x3fdd_7a1c_1255_7a7a_fb9a_6da9_de4f_fc16,
            boot: 1,
            session: 0x79ca_7fba_de0c_7bfe,
            ..Remembered::new(Pid::new(9).unwrap(), Sequence::ZERO)
        };
        assert_eq!(remembered, [peer]);
        let (store, started) = open(home.path(), 12);
        assert_eq!(started.boot, 3);
        assert_eq!(started.sequence, sequence(1024));
        assert_eq!(started.lives, lives);
        assert!(!started.members_lost);
        drop(store);

        // It has noted the members file that it found.
        file.save(&remembered).unwrap();
        fs::remove_file(file.path()).unwrap();
        let (_, started) = open(home.path(), 13);
        assert!(started.members_lost);
        assert_eq!(started.lives, [lives, &[life(4, 13, 3024)]].concat());
        for (block, number) in blocks(home.path()).iter().zip(0..) {
            assert_eq!(block.format(), 2);
            let record = Record::decode(block, number).unwrap();
            assert_ne!(record.lives, [], "nothing of an earlier version is left");
        }
    }
}

#[test]
fn a_record_has_these_bytes() {
    let record = Record {
        cluster: "here".parse().unwrap(),
        pid: Pid::MAX,
        incarnation: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
        boot: 3,
        session: 0x53,
        generation: 9,
        sequence: sequence(0x1000),
        ceiling: sequence(0x1000),
        reach: sequence(0x1_0000_1000),
        recovered: sequence(0x800),
        objected: Some(Objected::conflict(sequence(0x900))),
        clean: true,
        lives: vec![life(1, 0x51, 0x700), life(3, 0x53, 0x2000)],
        members: MembersMark::Saved,
    };
    let golden: Parts<'_> = &[
        (0, "4950534549545900 0002 03ff 03 03 04 00"),
        (16, "00112233445566778899aabbccddeeff"),
        (32, "0000000000000003 0000000000000009 0000000000001000"),
        (56, "0000000000001000 0000000100001000 0000000000000800"),
        (80, "68657265"),
        (336, "8000000000000901 0000000000000053"),
        (352, "0000000000000001 0000000000000051 0000000000000700"),
        (376, "0000000000000003 0000000000000053 0000000000002000"),
        (4092, "a278c477"),
    ];
    assert_eq!(record.encode(3), block(golden));
    assert_eq!(Record::decode(&block(golden), 3), Ok(record.clone()));
    let lost = Record {
        members: MembersMark::Lost,
        clean: false,
        ..record
    };
    assert_eq!(lost.encode(3).0[13], 4);
}

#[test]
fn a_list_of_members_has_these_bytes() {
    let home = tempfile::tempdir().unwrap();
    let list = [
        Remembered {
            incarnation: 0x11,
            boot: 2,
            session: 0x33,
            ceiling: sequence(0x500),
            ended: true,
            claim: Some(LifeMarks {
                incarnation: 0x44,
                boot: 5,
                session: 0x66,
            }),
            claim_before: Some(LifeMarks {
                incarnation: 0x77,
                boot: 4,
                session: 0x88,
            }),
            address: Some("b.example:3264".into()),
            ..Remembered::new(Pid::new(2).unwrap(), sequence(0x400))
        },
        Remembered::new(Pid::MAX, sequence(7)),
    ];
    MembersFile::new(home.path()).save(&list).unwrap();
    let mut golden = hex("495053454d454d00 0003 0002 017c \
        0002 0007 00000000000000000000000000000011 0000000000000002 0000000000000033 0000000000000400 \
        0000000000000500 00000000000000000000000000000044 0000000000000005 0000000000000066 \
        00000000000000000000000000000077 0000000000000004 0000000000000088 \
        000e 622e6578616d706c653a33323634");
    golden.resize(14 + 380, 0);
    golden.extend(hex(
        "03ff 0000 00000000000000000000000000000000 0000000000000000 0000000000000000 0000000000000007 \
         0000000000000007",
    ));
    golden.resize(14 + 2 * 380, 0);
    golden.extend(hex("c2c23555"));
    assert_eq!(fs::read(home.path().join("members")).unwrap(), golden);
    assert_eq!(MembersFile::new(home.path()).load().unwrap(), list);
}

/// An earlier version of Ipseity refused every bit that it did not know, and so do all later ones.
#[test]
fn a_field_of_a_later_version_is_refused() {
    for at in [13, 4000] {
        let mut block = block(FORMAT_2[0]);
        block.0[at] = 8;
        seal(&mut block);
        let fault = Record::decode(&block, 0);
        assert_eq!(fault, Err(RecordError::NewerFields), "byte {at}");
    }
}

#[test]
fn a_state_of_a_later_format_is_refused_by_name_and_stays_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let mut blocks = FORMAT_2.map(block);
    for block in &mut blocks {
        block.0[9] = 3;
        seal(block);
    }
    let later = blocks.map(|block| block.0).concat();
    let file = home.path().join("state");
    fs::write(&file, &later).unwrap();
    let error = try_open(home.path(), 12).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the state file {} has format 3, and this version reads up to 2; start the version that wrote it, or a newer \
             one",
            file.display()
        )
    );
    assert_eq!(fs::read(&file).unwrap(), later);
}
