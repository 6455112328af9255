//! The list of members: its bytes, and what is wrong with others.

use super::*;

fn members(count: u16) -> Vec<Remembered> {
    let member = |pid: u16| {
        let sequence = Sequence::new(u64::from(pid) << 40).unwrap();
        let claim = LifeMarks {
            incarnation: u128::from(pid) << 100,
            boot: u64::MAX / 2,
            session: u64::from(pid),
        };
        // The last pids have the longest address that there can be.
        let host = "ö".repeat(usize::from(pid / 8).min(127));
        Remembered {
            ceiling: sequence.saturating_add(u64::from(pid)),
            ended: !pid.is_multiple_of(2),
            claim: Some(claim).filter(|_| pid % 4 >= 2),
            claim_before: Some(LifeMarks { boot: 9, ..claim }).filter(|_| pid % 8 >= 6),
            address: Some(format!("{host}a:65535").into()).filter(|_| !pid.is_multiple_of(3)),
            ..beginning(pid)
        }
    };
    (0..count).map(member).collect()
}

/// What the formats 1 and 2 remember.
fn beginning(pid: u16) -> Remembered {
    Remembered {
        incarnation: u128::MAX - u128::from(pid),
        boot: u64::MAX - u64::from(pid),
        session: u64::from(pid) << 50,
        ..Remembered::new(
            Pid::new(pid).unwrap(),
            Sequence::new(u64::from(pid) << 40).unwrap(),
        )
    }
}

#[test]
fn the_longest_address_is_kept_and_a_longer_one_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut file = MembersFile::new(home.path());
    let mut list = members(3);
    list[1].address = Some("x".repeat(ADDRESS_BYTES_MAX).into());
    file.save(&list).unwrap();
    assert_eq!(file.load().unwrap(), list);
    let kept = list.clone();
    list[1].address = Some("x".repeat(ADDRESS_BYTES_MAX + 1).into());
    let error = file.save(&list).unwrap_err();
    assert!(matches!(error, MembersError::LongAddress(pid) if pid == list[1].pid));
    assert_eq!(file.load().unwrap(), kept);
}

/// Otherwise the file could not be read again.
#[test]
fn a_ceiling_below_the_sequence_is_saved_as_the_sequence() {
    let mut list = members(3);
    list[2].ceiling = Sequence::ZERO;
    let loaded = decode(&encode(&list)).unwrap();
    assert_eq!(loaded[2].ceiling, list[2].sequence);
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let home = tempfile::tempdir().unwrap();
    let mut file = MembersFile::new(home.path());
    assert_eq!(file.load().unwrap(), []);
    for count in [1024, 3, 0] {
        let mut list = members(count);
        list.reverse();
        file.save(&list).unwrap();
        list.reverse();
        assert_eq!(MembersFile::new(home.path()).load().unwrap(), list);
    }
    let names: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "no temporary file is left: {names:?}");
}

#[test]
fn a_file_that_a_crash_left_half_written_does_no_harm() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("members.new"), "half").unwrap();
    let mut file = MembersFile::new(home.path());
    assert_eq!(file.load().unwrap(), []);
    file.save(&members(2)).unwrap();
    assert_eq!(file.load().unwrap(), members(2));
}

#[test]
fn one_pid_twice_is_refused_and_nothing_is_saved() {
    let home = tempfile::tempdir().unwrap();
    let mut file = MembersFile::new(home.path());
    file.save(&members(2)).unwrap();
    let mut list = members(3);
    list[0].pid = list[2].pid;
    let error = file.save(&list).unwrap_err();
    assert!(matches!(error, MembersError::Twice(pid) if pid == list[2].pid));
    assert_eq!(file.load().unwrap(), members(2));
}

#[test]
fn the_layout_is_the_one_in_the_docs() {
    let member = Remembered {
        address: Some("grün:1".into()),
        ..members(8).pop().unwrap()
    };
    let bytes = encode(&[member]);
    assert_eq!(bytes.len(), 14 + 380 + 4);
    assert_eq!(&bytes[..14], b"IPSEMEM\0\0\x03\0\x01\x01\x7c");
    let entry = &bytes[14..394];
    assert_eq!(entry[..4], [0, 7, 0, 7]);
    assert_eq!(entry[4..20], (u128::MAX - 7).to_be_bytes());
    for (at, value) in [
        (20, u64::MAX - 7),
        (28, 7 << 50),
        (36, 7 << 40),
        (44, (7 << 40) + 7),
        (68, u64::MAX / 2),
        (76, 7),
        (100, 9),
        (108, 7),
    ] {
        assert_eq!(entry[at..at + 8], value.to_be_bytes(), "at {at}");
    }
    assert_eq!(entry[52..68], (7u128 << 100).to_be_bytes());
    assert_eq!(entry[84..100], (7u128 << 100).to_be_bytes());
    assert_eq!(entry[116..118], [0, 7]);
    assert_eq!(&entry[118..125], "grün:1".as_bytes());
    assert!(entry[125..].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[394..], crc32c::crc32c(&bytes[..394]).to_be_bytes());
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend(checksum.to_be_bytes());
    bytes
}

/// Version 0.1 wrote it like this. Such a list must stay readable for as long as somebody may have one.
#[test]
fn a_file_of_format_1_is_read() {
    let mut bytes = b"IPSEMEM\0\0\x01\0\x02".to_vec();
    for member in [beginning(0), beginning(1)] {
        bytes.extend(member.pid.get().to_be_bytes());
        bytes.extend(beginning_bytes(&member));
    }
    let read = decode(&sealed(bytes));
    assert_eq!(read, Ok(vec![beginning(0), beginning(1)]));
    assert_eq!(
        decode(&sealed(b"IPSEMEM\0\0\x01\0\0".to_vec())),
        Ok(Vec::new())
    );
}

fn beginning_bytes(member: &Remembered) -> Vec<u8> {
    let mut bytes = member.incarnation.to_be_bytes().to_vec();
    for number in [member.boot, member.session, member.sequence.get()] {
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

/// Its entries ended with the sequence. It had no flags yet.
#[test]
fn a_file_of_format_2_is_read() {
    let file = |flags: u8, entry_bytes: u8| {
        let mut bytes = b"IPSEMEM\0\0\x02\0\x02\0".to_vec();
        bytes.push(entry_bytes);
        for member in [beginning(0), beginning(1)] {
            bytes.extend(member.pid.get().to_be_bytes());
            bytes.extend([0, flags]);
            bytes.extend(beginning_bytes(&member));
            bytes.resize(bytes.len() + usize::from(entry_bytes) - 44, 0);
        }
        decode(&sealed(bytes))
    };
    assert_eq!(file(0, 44), Ok(vec![beginning(0), beginning(1)]));
    assert_eq!(file(1, 44), Err(MembersFault::NewerFields));
    assert_eq!(
        file(0, 45),
        Err(MembersFault::Length(14 + 90 + 4)),
        "this was never written"
    );
}

/// A later version may make entries longer. They are read if nothing is in them that this version would lose.
#[test]
fn longer_entries_are_read_unless_they_say_more() {
    let longer = |entry_bytes: usize, last: u8| {
        let mut bytes = encode(&members(3));
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        let (header, entries) = bytes.split_at(HEADER_BYTES);
        let mut bytes = header.to_vec();
        BigEndian::write_u16(&mut bytes[12..], entry_bytes as u16);
        for entry in entries.chunks_exact(ENTRY_BYTES) {
            bytes.extend(entry);
            bytes.resize(bytes.len() + entry_bytes - ENTRY_BYTES, 0);
            *bytes.last_mut().unwrap() |= last;
        }
        decode(&sealed(bytes))
    };
    for entry_bytes in [381, 400, ENTRY_BYTES_MAX] {
        assert_eq!(longer(entry_bytes, 0), Ok(members(3)));
        assert_eq!(longer(entry_bytes, 1), Err(MembersFault::NewerFields));
    }
    let too_long = longer(ENTRY_BYTES_MAX + 1, 0);
    assert!(
        matches!(too_long, Err(MembersFault::Length(_))),
        "{too_long:?}"
    );
}

#[test]
fn every_flipped_bit_and_every_truncation_is_noticed() {
    let good = encode(&members(3));
    for length in 0..good.len() {
        assert!(decode(&good[..length]).is_err(), "{length} bytes");
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[length] ^= 1 << bit;
            assert!(decode(&bytes).is_err(), "bit {bit} of byte {length}");
        }
    }
    let mut longer = good;
    longer.push(0);
    assert!(decode(&longer).is_err());
}

#[test]
fn every_fault_has_its_name_and_a_way_out() {
    let forged = |edit: fn(&mut Vec<u8>)| {
        let mut bytes = encode(&members(3));
        bytes.truncate(bytes.len() - CHECKSUM_BYTES);
        edit(&mut bytes);
        decode(&sealed(bytes))
    };
    assert_eq!(forged(|_| {}), Ok(members(3)));
    let all = 14 + 3 * 380 + 4;
    assert_eq!(forged(|b| b[9] = 4), Err(MembersFault::Format(4)));
    for edit in [
        (|b| b[11] = 4) as fn(&mut Vec<u8>),
        |b| b[13] = 0x7b,
        // Each older format has a length of its own.
        |b| b[9] = 2,
        |b| b[9] = 1,
    ] {
        assert_eq!(forged(edit), Err(MembersFault::Length(all)));
    }
    assert_eq!(forged(|b| b.truncate(13)), Err(MembersFault::Length(17)));
    assert_eq!(forged(|b| b[0] = 0), Err(MembersFault::NoMagic));
    // These are bytes of the entries of pid 0, which has no claim and no address, and of pid 1.
    let fault = forged(|b| b[17] |= 8);
    assert_eq!(fault, Err(MembersFault::NewerFields));
    for (what, edit) in [
        ("no such pid", (|b| b[14] = 4) as fn(&mut Vec<u8>)),
        ("pid 1 twice", |b| b[15] = 1),
        ("no such sequence", |b| b[50] = 0xff),
        ("no such ceiling", |b| b[58] = 0xff),
        ("a ceiling below the sequence", |b| b[394 + 44 + 2] = 0),
        ("a claim without its flag", |b| b[14 + 83] = 1),
        ("a claim before it without its flag", |b| b[14 + 115] = 1),
        ("an address without its length", |b| b[14 + 118] = b'x'),
        ("an address that is too long", |b| b[14 + 116] = 0xff),
        ("an address that is no text", |b| b[394 + 118] = 0xff),
        ("a byte after the longest address", |b| b[14 + 379] = 1),
    ] {
        assert_eq!(forged(edit), Err(MembersFault::Entry), "{what}");
    }

    let home = tempfile::tempdir().unwrap();
    let file = MembersFile::new(home.path());
    std::fs::write(file.path(), vec![b'x'; 2 << 20]).unwrap();
    let error = file.load().unwrap_err();
    let longest = FILE_BYTES_MAX + 1;
    assert!(
        matches!(error, MembersError::Damaged { fault: MembersFault::Length(l), .. } if l == longest)
    );
    let text = error.to_string();
    assert!(text.contains(file.path().to_str().unwrap()), "{text}");
    assert!(text.contains("move it aside"), "{text}");
}

#[test]
fn every_error_names_the_file_and_a_way_out() {
    use std::error::Error;

    let file = || PathBuf::from("/x/members");
    for (fault, what, way_out) in [
        (
            MembersFault::Length(7),
            "its length of 7 bytes is wrong",
            "move it aside",
        ),
        (
            MembersFault::NoMagic,
            "it is not a file of Ipseity",
            "move it aside",
        ),
        (
            MembersFault::Checksum,
            "its checksum is wrong",
            "move it aside",
        ),
        (
            MembersFault::Format(4),
            "it has format 4, and this version knows 3",
            "start the version that wrote it",
        ),
        (
            MembersFault::NewerFields,
            "it has fields that this version does not know",
            "start the version that wrote it",
        ),
        (MembersFault::Entry, "an entry is invalid", "move it aside"),
    ] {
        let error = MembersError::Damaged {
            file: file(),
            fault,
        };
        let begins = format!("the list of members /x/members cannot be used: {what}; {way_out}");
        assert!(error.to_string().starts_with(&begins), "{error}");
        assert!(error.source().is_none());
    }
    let error = MembersError::Io {
        doing: "open",
        file: file(),
        source: io::ErrorKind::PermissionDenied.into(),
    };
    assert!(error.source().is_some());
    assert_eq!(
        error.to_string(),
        "cannot open the list of members /x/members: permission denied; let the server's user read and \
         write there, or name another place with --data-dir"
    );
    let twice = MembersError::Twice(Pid::MAX).to_string();
    assert!(
        twice.starts_with("the list of members has two entries of pid 1023;"),
        "{twice}"
    );
    let long = MembersError::LongAddress(Pid::MAX).to_string();
    assert!(
        long.starts_with("the address of pid 1023 is too long for the list of members;"),
        "{long}"
    );
}
