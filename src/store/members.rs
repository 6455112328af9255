//! What other servers have said about themselves, kept across restarts. With it, a server that comes back with an
//! older state, or with none, can be told so.
//!
//! ```text
//! offset  bytes  field             all integers are big-endian
//!      0      8  magic             "IPSEMEM\0"
//!      8      2  format            2
//!     10      2  count             0 to 1024
//!     12      2  entry bytes       44, or more in a later version
//!     14         for each: pid 2, flags 2, incarnation 16, boot 8, session 8, sequence 8; pids ascend
//!    end      4  CRC-32C of all before it
//! ```
//!
//! The flags are 0. A later version that has more to note of a server uses them, or makes all entries longer. In
//! both cases 0 means that the field is not there, so it can read this format as it is. This version reads
//! longer entries, and refuses values other than 0 in the unknown part, because it could not keep them.
//!
//! Format 1 is read too: it had neither the entry bytes nor the flags. The file is always replaced whole, in
//! format 2. It may import `files`, `actor`, `identity` and `limits`.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use byteorder::{BigEndian, ByteOrder};
use rustix::fs::OFlags;

use super::{
    directory::MEMBERS,
    error::advice,
    files::{create_temporary, open_regular, sync_all, sync_directory},
};
use ipseity_core::{
    actor::Remembered,
    identity::{Pid, Sequence},
    limits::REMEMBERED_MAX,
};

const MAGIC: &[u8; 8] = b"IPSEMEM\0";
const FORMAT: u16 = 2;
const HEADER_BYTES: usize = 14;
const ENTRY_BYTES: usize = 44;
/// More than a later version will need for a server.
const ENTRY_BYTES_MAX: usize = 1024;
const CHECKSUM_BYTES: usize = 4;
const FILE_BYTES_MAX: usize = HEADER_BYTES + REMEMBERED_MAX * ENTRY_BYTES_MAX + CHECKSUM_BYTES;

/// The format without flags and with entries of one length.
const FORMAT_1: u16 = 1;
const HEADER_BYTES_1: usize = 12;
const ENTRY_BYTES_1: usize = 42;

const _: () = assert!(REMEMBERED_MAX == Pid::MAX.get() as usize + 1);

/// The file `members` of a state directory. Only the server that holds the directory's lock uses it.
#[derive(Debug)]
pub struct MembersFile {
    directory: PathBuf,
}

impl MembersFile {
    /// The file in `directory`, which need not exist yet.
    pub fn new(directory: &Path) -> MembersFile {
        MembersFile {
            directory: directory.to_path_buf(),
        }
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.directory.join(MEMBERS)
    }

    /// What was saved last, in the order of the pids; an empty list if nothing was ever saved.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is damaged, or is of a newer format.
    pub fn load(&self) -> Result<Vec<Remembered>, MembersError> {
        let mut bytes = Vec::new();
        let mut how = OpenOptions::new();
        let file = match open_regular(&self.path(), how.read(true), OFlags::empty()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.io("open", error)),
        };
        // If there is one byte more than there can be, the file is too long.
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.io("read", error))?;
        decode(&bytes).map_err(|fault| MembersError::Damaged {
            file: self.path(),
            fault,
        })
    }

    /// Replaces what is remembered by `members`, durably, in any order. To forget a server, leave it out.
    /// After an error the file holds either the old list or the new one, and saving may be tried again: each save
    /// makes a new file.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or `members` has two entries of one pid.
    pub fn save(&mut self, members: &[Remembered]) -> Result<(), MembersError> {
        let mut members = members.to_vec();
        members.sort_by_key(|member| member.pid);
        if let Some(twice) = members.windows(2).find(|two| two[0].pid == two[1].pid) {
            return Err(MembersError::Twice(twice[0].pid));
        }
        let temporary = self.directory.join(format!("{MEMBERS}.new"));
        let mut file = create_temporary(&temporary).map_err(|error| self.io("create", error))?;
        file.write_all(&encode(&members))
            .and_then(|()| sync_all(&file))
            .map_err(|error| self.io("write", error))?;
        std::fs::rename(&temporary, self.path())
            .and_then(|()| sync_directory(&self.directory))
            .map_err(|error| self.io("put in place", error))
    }

    fn io(&self, doing: &'static str, source: io::Error) -> MembersError {
        MembersError::Io {
            doing,
            file: self.path(),
            source,
        }
    }
}

/// The bytes of at most 1024 entries with ascending pids.
fn encode(members: &[Remembered]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + members.len() * ENTRY_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    BigEndian::write_u16(&mut bytes[8..], FORMAT);
    // There are no more pids than that.
    BigEndian::write_u16(&mut bytes[10..], members.len() as u16);
    BigEndian::write_u16(&mut bytes[12..], ENTRY_BYTES as u16);
    for (member, b) in members
        .iter()
        .zip(bytes[HEADER_BYTES..].chunks_exact_mut(ENTRY_BYTES))
    {
        BigEndian::write_u16(b, member.pid.get());
        BigEndian::write_u128(&mut b[4..], member.incarnation);
        BigEndian::write_u64(&mut b[20..], member.boot);
        BigEndian::write_u64(&mut b[28..], member.session);
        BigEndian::write_u64(&mut b[36..], member.sequence.get());
    }
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<Vec<Remembered>, MembersFault> {
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(MembersFault::Length(bytes.len()));
    };
    let wrong_length = MembersFault::Length(bytes.len());
    if bytes.len() > FILE_BYTES_MAX || content.len() < HEADER_BYTES_1 {
        return Err(wrong_length);
    }
    if !content.starts_with(MAGIC) {
        return Err(MembersFault::NoMagic);
    }
    if u32::from_be_bytes(*checksum) != crc32c::crc32c(content) {
        return Err(MembersFault::Checksum);
    }
    let (header_bytes, entry_bytes) = match BigEndian::read_u16(&content[8..]) {
        FORMAT_1 => (HEADER_BYTES_1, ENTRY_BYTES_1),
        FORMAT if content.len() < HEADER_BYTES => return Err(wrong_length),
        FORMAT => (
            HEADER_BYTES,
            usize::from(BigEndian::read_u16(&content[12..])),
        ),
        newer => return Err(MembersFault::Format(newer)),
    };
    let entries = &content[header_bytes..];
    let count = usize::from(BigEndian::read_u16(&content[10..]));
    let is_possible =
        header_bytes == HEADER_BYTES_1 || (ENTRY_BYTES..=ENTRY_BYTES_MAX).contains(&entry_bytes);
    if !is_possible || count > REMEMBERED_MAX || entries.len() != count * entry_bytes {
        return Err(wrong_length);
    }
    let members = entries
        .chunks_exact(entry_bytes)
        .map(decode_entry)
        .collect::<Result<Vec<_>, _>>()?;
    if !members.is_sorted_by(|one, next| one.pid < next.pid) {
        return Err(MembersFault::Entry);
    }
    Ok(members)
}

/// An entry of either format. That of format 1 is shorter than any other.
fn decode_entry(entry: &[u8]) -> Result<Remembered, MembersFault> {
    let (pid, fields) = entry.split_at(2);
    let fields = match entry.len() {
        ENTRY_BYTES_1 => fields,
        _ => {
            let (flags, fields) = fields.split_at(2);
            let later = &entry[ENTRY_BYTES..];
            if flags.iter().chain(later).any(|byte| *byte != 0) {
                return Err(MembersFault::NewerFields);
            }
            fields
        }
    };
    let remembered = || {
        Some(Remembered {
            pid: Pid::new(BigEndian::read_u16(pid))?,
            incarnation: BigEndian::read_u128(fields),
            boot: BigEndian::read_u64(&fields[16..]),
            session: BigEndian::read_u64(&fields[24..]),
            sequence: Sequence::new(BigEndian::read_u64(&fields[32..]))?,
        })
    };
    remembered().ok_or(MembersFault::Entry)
}

/// Why the members cannot be loaded or saved.
#[derive(Debug)]
pub enum MembersError {
    /// The operating system refused.
    Io {
        /// What was attempted, as "open" in "cannot open".
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// The file is not as it was written.
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: MembersFault,
    },
    /// Two entries of this pid were to be saved. Nothing was.
    Twice(Pid),
}

/// What is wrong with the bytes of a members file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersFault {
    /// It has this many bytes, and a list has another length. One byte more than the longest list stands for every
    /// longer file.
    Length(usize),
    /// It does not begin like a members file.
    NoMagic,
    /// The bytes are not those that were written.
    Checksum,
    /// It is whole, and has this format, which this build does not know.
    Format(u16),
    /// It is whole, and an entry has fields that only a newer build knows.
    NewerFields,
    /// The checksum is right, and an entry has an invalid field, or the entries are not in order.
    Entry,
}

impl fmt::Display for MembersFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(bytes) => write!(f, "its length of {bytes} bytes is wrong"),
            Self::NoMagic => f.write_str("it is not a file of Ipseity"),
            Self::Checksum => f.write_str("its checksum is wrong"),
            Self::Format(format) => {
                write!(f, "it has format {format}, and this version knows {FORMAT}")
            }
            Self::NewerFields => f.write_str("it has fields that this version does not know"),
            Self::Entry => f.write_str("an entry is invalid"),
        }
    }
}

impl fmt::Display for MembersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io {
                doing,
                file,
                source,
            } => write!(
                f,
                "cannot {doing} the list of members {}: {source}; {}",
                file.display(),
                advice(source)
            ),
            Self::Damaged { file, fault } => {
                write!(
                    f,
                    "the list of members {} cannot be used: {fault}; ",
                    file.display()
                )?;
                f.write_str(match fault {
                    MembersFault::Format(_) | MembersFault::NewerFields => "start the version that wrote it, or a newer one",
                    MembersFault::Length(_)
                    | MembersFault::NoMagic
                    | MembersFault::Checksum
                    | MembersFault::Entry => {
                        "move it aside: this server's own identities do not depend on it, and it gets to know \
                         its peers again; but until it has heard from a peer, it does not notice if the \
                         directory of that peer is lost or rolled back"
                    }
                })
            }
            Self::Twice(pid) => write!(
                f,
                "the list of members has two entries of pid {pid}; this is a bug in Ipseity, please report it"
            ),
        }
    }
}

impl std::error::Error for MembersError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Damaged { .. } | Self::Twice(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: u16) -> Vec<Remembered> {
        (0..count)
            .map(|pid| Remembered {
                pid: Pid::new(pid).unwrap(),
                incarnation: u128::MAX - u128::from(pid),
                boot: u64::MAX - u64::from(pid),
                session: u64::from(pid) << 50,
                sequence: Sequence::new(u64::from(pid) << 40).unwrap(),
            })
            .collect()
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
        let bytes = encode(&members(2)[1..]);
        assert_eq!(bytes.len(), 14 + 44 + 4);
        assert_eq!(&bytes[..14], b"IPSEMEM\0\0\x02\0\x01\0\x2c");
        assert_eq!(bytes[14..18], [0, 1, 0, 0]);
        assert_eq!(bytes[18..34], (u128::MAX - 1).to_be_bytes());
        assert_eq!(bytes[34..42], (u64::MAX - 1).to_be_bytes());
        assert_eq!(bytes[42..50], (1u64 << 50).to_be_bytes());
        assert_eq!(bytes[50..58], (1u64 << 40).to_be_bytes());
        assert_eq!(bytes[58..], crc32c::crc32c(&bytes[..58]).to_be_bytes());
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
        for member in members(2) {
            bytes.extend(member.pid.get().to_be_bytes());
            bytes.extend(member.incarnation.to_be_bytes());
            for number in [member.boot, member.session, member.sequence.get()] {
                bytes.extend(number.to_be_bytes());
            }
        }
        assert_eq!(decode(&sealed(bytes)), Ok(members(2)));
        assert_eq!(
            decode(&sealed(b"IPSEMEM\0\0\x01\0\0".to_vec())),
            Ok(Vec::new())
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
        for entry_bytes in [45, 64, ENTRY_BYTES_MAX] {
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
        assert_eq!(forged(|b| b[9] = 3), Err(MembersFault::Format(3)));
        assert_eq!(forged(|b| b[11] = 4), Err(MembersFault::Length(150)));
        assert_eq!(forged(|b| b[13] = 43), Err(MembersFault::Length(150)));
        assert_eq!(forged(|b| b.truncate(13)), Err(MembersFault::Length(17)));
        assert_eq!(forged(|b| b[0] = 0), Err(MembersFault::NoMagic));
        assert_eq!(forged(|b| b[17] = 1), Err(MembersFault::NewerFields));
        assert_eq!(
            forged(|b| b[14] = 4),
            Err(MembersFault::Entry),
            "no such pid"
        );
        assert_eq!(
            forged(|b| b[15] = 1),
            Err(MembersFault::Entry),
            "pid 1 twice"
        );
        assert_eq!(
            forged(|b| b[50] = 0xff),
            Err(MembersFault::Entry),
            "no such sequence"
        );

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
                MembersFault::Format(3),
                "it has format 3, and this version knows 2",
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
            let begins =
                format!("the list of members /x/members cannot be used: {what}; {way_out}");
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
    }
}
