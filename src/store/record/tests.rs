//! The record: its bytes, and what is wrong with others.

use super::*;

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

fn record() -> Record {
    Record {
        cluster: "Grüße".parse().unwrap(),
        pid: Pid::new(7).unwrap(),
        incarnation: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
        boot: 3,
        session: 0x0102_0304_0506_0708,
        generation: 41,
        sequence: sequence(1000),
        ceiling: sequence(2000),
        reach: sequence(3000),
        recovered: sequence(7),
        objected: Some(Objected::stale(sequence(8))),
        clean: false,
        lives: vec![life(1, 17, 900), life(3, 0x0102_0304_0506_0708, 2500)],
        members: MembersMark::Saved,
    }
}

fn life(boot: u64, session: u64, ceiling: u64) -> Life {
    Life {
        boot,
        session,
        ceiling: sequence(ceiling),
    }
}

/// What a version wrote that knew only the fields before the lives.
fn older() -> Record {
    Record {
        lives: Vec::new(),
        members: MembersMark::Never,
        ..record()
    }
}

/// A block whose checksum is right although `edit` changed it.
fn forged(edit: impl FnOnce(&mut [u8; BLOCK_BYTES])) -> Result<Record, RecordError> {
    let mut bytes = record().encode(1);
    edit(&mut bytes.0);
    seal(&mut bytes);
    Record::decode(&bytes, 1)
}

#[test]
fn the_layout_is_the_one_in_the_docs() {
    let bytes = record().encode(1).0;
    assert_eq!(&bytes[..8], b"IPSEITY\0");
    assert_eq!(bytes[8..16], [0, 2, 0, 7, 1, 2, 7, 0]);
    assert_eq!(bytes[16..32], record().incarnation.to_be_bytes());
    for (at, value) in [
        (32, 3u64),
        (40, 41),
        (48, 1000),
        (56, 2000),
        (64, 3000),
        (72, 7),
    ] {
        assert_eq!(bytes[at..at + 8], value.to_be_bytes(), "at {at}");
    }
    assert_eq!(&bytes[80..87], "Grüße".as_bytes());
    assert!(bytes[87..336].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[336..344], 9u64.to_be_bytes(), "one more than 8");
    assert_eq!(bytes[344..352], [1, 2, 3, 4, 5, 6, 7, 8]);
    for (at, value) in [(352, 1u64), (360, 17), (368, 900), (376, 3), (392, 2500)] {
        assert_eq!(bytes[at..at + 8], value.to_be_bytes(), "at {at}");
    }
    assert_eq!(bytes[384..392], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(bytes[400..4092].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[4092..], crc32c::crc32c(&bytes[..4092]).to_be_bytes());
}

#[test]
fn what_is_written_is_what_is_read() {
    let clean = Record {
        sequence: sequence(2000),
        clean: true,
        cluster: "x".repeat(255).parse().unwrap(),
        ..record()
    };
    let lives = (0..LIVES_REMEMBERED_MAX as u64).rev();
    let lives = lives
        .map(|ago| life(u64::MAX - ago, ago, Sequence::MAX.get()))
        .collect();
    let last = Record {
        boot: u64::MAX,
        session: 0,
        lives,
        members: MembersMark::Lost,
        generation: u64::MAX,
        ceiling: Sequence::MAX,
        reach: Sequence::MAX,
        recovered: Sequence::ZERO,
        objected: None,
        ..record()
    };
    let conflict = Record {
        objected: Some(Objected::conflict(Sequence::MAX)),
        ..record()
    };
    for record in [record(), clean, last, conflict, older()] {
        for block in 0..BLOCK_COUNT {
            assert_eq!(
                Record::decode(&record.encode(block), block),
                Ok(record.clone())
            );
        }
    }
}

/// Version 0.1 wrote it like this. Such a record must stay readable for as long as somebody may have one.
fn format_1(edit: impl FnOnce(&mut [u8; BLOCK_BYTES])) -> Block {
    let mut bytes = Record {
        session: 0,
        ..older()
    }
    .encode(1);
    bytes.0[9] = 1;
    edit(&mut bytes.0);
    seal(&mut bytes);
    bytes
}

#[test]
fn a_record_of_format_1_is_read_and_has_no_session() {
    let read = Record::decode(&format_1(|_| {}), 1).unwrap();
    let as_written = Record {
        session: 0,
        ..older()
    };
    assert_eq!(read, as_written);
    assert_eq!(format_1(|_| {}).format(), 1);
    assert_eq!(
        read.encode(1).format(),
        FORMAT,
        "only the newest is written"
    );
    // Nothing stood there in format 1, so this was never written.
    for at in [13, 15, 344, 351, 352, 360, 872, 4091] {
        let forged = format_1(|b| b[at] |= 2);
        let fault = Record::decode(&forged, 1).unwrap_err();
        assert_eq!(fault, RecordError::Field("reserved bytes"), "byte {at}");
    }
}

/// The other way round a version that knows less would lose what it does not know, so it refuses the record.
#[test]
fn a_record_of_format_2_without_the_later_fields_is_read_and_keeps_its_bytes() {
    let bytes = older().encode(1);
    assert_eq!(bytes.0[13], 0);
    assert!(bytes.0[352..4092].iter().all(|byte| *byte == 0));
    assert_eq!(Record::decode(&bytes, 1), Ok(older()));
}

#[test]
fn a_members_file_is_lost_until_an_operator_gives_it_up() {
    use MembersMark::{Lost, Never, Saved};
    for (mark, is_there, given_up, then) in [
        (Never, false, false, Never),
        (Never, true, false, Saved),
        (Never, false, true, Never),
        (Never, true, true, Saved),
        (Saved, true, false, Saved),
        (Saved, false, false, Lost),
        (Saved, true, true, Saved),
        (Saved, false, true, Never),
        (Lost, false, false, Lost),
        (Lost, true, false, Lost),
        (Lost, false, true, Never),
        (Lost, true, true, Saved),
    ] {
        let noted = mark.at_start(is_there, given_up);
        assert_eq!(noted, then, "{mark:?} {is_there} {given_up}");
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = record().encode(2);
    for at in 0..BLOCK_BYTES {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes.0[at] ^= 1 << bit;
            assert!(Record::decode(&bytes, 2).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_cause_has_its_error() {
    assert_eq!(Record::decode(&Block::ZERO, 0), Err(RecordError::Blank));
    assert_eq!(
        Record::decode(&Block([b'x'; BLOCK_BYTES]), 0),
        Err(RecordError::NoMagic)
    );
    assert_eq!(
        Record::decode(&record().encode(1), 3),
        Err(RecordError::Misplaced(1))
    );
    assert_eq!(forged(|b| b[9] = 3), Err(RecordError::NewerFormat(3)));
    assert_eq!(forged(|b| b[9] = 0), Err(RecordError::Field("format")));
    assert_eq!(forged(|b| b[10] = 4), Err(RecordError::Field("pid")));
    assert_eq!(forged(|b| b[13] = 8), Err(RecordError::NewerFields));
    assert_eq!(forged(|b| b[13] = 6), Err(RecordError::Field("flags")));
    assert_eq!(
        forged(|b| b[15] = 1),
        Err(RecordError::Field("reserved bytes"))
    );
    assert_eq!(forged(|b| b[13] = 1), Err(RecordError::Field("ceiling")));
    assert_eq!(forged(|b| b[14] = 0), Err(RecordError::Field("cluster")));
    assert_eq!(forged(|b| b[82] = 0xff), Err(RecordError::Field("cluster")));
    assert_eq!(
        forged(|b| b[48] = 0xff),
        Err(RecordError::Field("sequence"))
    );
    assert_eq!(
        forged(|b| b[72] = 0xff),
        Err(RecordError::Field("recovered"))
    );
    assert_eq!(forged(|b| b[50] = 1), Err(RecordError::Field("ceiling")));
    assert_eq!(forged(|b| b[58] = 1), Err(RecordError::Field("reach")));
    assert_eq!(forged(|b| b[352] = 0xff), Err(RecordError::Field("lives")));
    assert_eq!(
        forged(|b| b[376] = 1),
        Err(RecordError::Field("lives")),
        "the newest is not of this boot"
    );
    assert_eq!(
        forged(|b| b[391] = 1),
        Err(RecordError::Field("lives")),
        "nor of this session"
    );
    assert_eq!(
        forged(|b| b[359] = 3),
        Err(RecordError::Field("lives")),
        "boot 3 twice"
    );
    assert_eq!(
        forged(|b| b[415] = 4),
        Err(RecordError::Field("reserved bytes")),
        "an entry after the last"
    );
    for at in [1120, 4000, 4091] {
        assert_eq!(forged(|b| b[at] = 1), Err(RecordError::NewerFields));
    }
    let mut bytes = record().encode(1);
    bytes.0[9] = 3;
    assert!(
        matches!(Record::decode(&bytes, 1), Err(RecordError::Checksum { .. })),
        "a newer format is believed only when the block is whole"
    );
}

#[test]
fn every_error_says_what_the_block_is() {
    for (error, text) in [
        (RecordError::Blank, "blank"),
        (RecordError::NoMagic, "not a record of Ipseity"),
        (
            RecordError::Checksum {
                stored: 0xa,
                computed: 0xb,
            },
            "damaged: the checksum is 0000000a and should be 0000000b",
        ),
        (
            RecordError::NewerFormat(3),
            "of format 3; this build reads up to 2",
        ),
        (
            RecordError::NewerFields,
            "with fields that this build does not know",
        ),
        (
            RecordError::Misplaced(3),
            "a copy of block 3 in the wrong place",
        ),
        (RecordError::Field("pid"), "invalid in the field pid"),
    ] {
        assert_eq!(error.to_string(), text);
    }
    // A failed test shows a block, and the head of it is enough.
    let shown = format!("{:?}", record().encode(1));
    assert!(shown.starts_with("Block([49, 50, 53, 45"), "{shown}");
    assert!(shown.len() < 400, "{shown}");
}
