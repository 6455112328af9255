//! What other servers have said of themselves, kept across restarts: so that a server which comes back
//! with an older state, or none, can be told.
//!
//! ```text
//! offset  bytes  field             all integers are big-endian
//!      0      8  magic             "IPSEMEM\0"
//!      8      2  format            1
//!     10      2  count             0 to 1024
//!     12     42  for each: pid 2, incarnation 16, boot 8, session 8, sequence 8; pids ascend
//!    end      4  CRC-32C of all before it
//! ```
//!
//! The file is always replaced whole. It may import `files`, `actor`, `identity` and `limits`.

use std::{
    fmt,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use byteorder::{BigEndian, ByteOrder};

use super::{
    directory::MEMBERS,
    files::{create_temporary, open_regular, sync_all, sync_directory},
};
use ipseity_core::{
    actor::Remembered,
    identity::{Pid, Sequence},
    limits::REMEMBERED_MAX,
};

const MAGIC: &[u8; 8] = b"IPSEMEM\0";
const FORMAT: u16 = 1;
const HEADER_BYTES: usize = 12;
const ENTRY_BYTES: usize = 42;
const CHECKSUM_BYTES: usize = 4;
const FILE_BYTES_MAX: usize = HEADER_BYTES + REMEMBERED_MAX * ENTRY_BYTES + CHECKSUM_BYTES;

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

    /// What was saved last, in the order of the pids; nothing when nothing was ever saved.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is damaged, or is of a newer format.
    pub fn load(&self) -> Result<Vec<Remembered>, MembersError> {
        let mut bytes = Vec::new();
        let file = match open_regular(&self.path()) {
            Ok(Some(file)) => file,
            Ok(None) => return Err(MembersError::NotAFile { file: self.path() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.io("open", error)),
        };
        // One byte more than there can be shows that there are too many.
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.io("read", error))?;
        decode(&bytes).map_err(|fault| MembersError::Damaged {
            file: self.path(),
            fault,
        })
    }

    /// Replaces what is remembered by `members`, durably, in any order. To forget a server, leave it out.
    /// After an error either the old list or the new one stands, and saving may be tried again: each save
    /// makes a new file.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or there are two entries of one pid.
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
    for (member, b) in members
        .iter()
        .zip(bytes[HEADER_BYTES..].chunks_exact_mut(ENTRY_BYTES))
    {
        BigEndian::write_u16(b, member.pid.get());
        BigEndian::write_u128(&mut b[2..], member.incarnation);
        BigEndian::write_u64(&mut b[18..], member.boot);
        BigEndian::write_u64(&mut b[26..], member.session);
        BigEndian::write_u64(&mut b[34..], member.sequence.get());
    }
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<Vec<Remembered>, MembersFault> {
    let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
        return Err(MembersFault::Length(bytes.len()));
    };
    if bytes.len() > FILE_BYTES_MAX || content.len() < HEADER_BYTES {
        return Err(MembersFault::Length(bytes.len()));
    }
    if !content.starts_with(MAGIC) {
        return Err(MembersFault::NoMagic);
    }
    if u32::from_be_bytes(*checksum) != crc32c::crc32c(content) {
        return Err(MembersFault::Checksum);
    }
    match BigEndian::read_u16(&content[8..]) {
        FORMAT => {}
        newer => return Err(MembersFault::Format(newer)),
    }
    let entries = &content[HEADER_BYTES..];
    let count = usize::from(BigEndian::read_u16(&content[10..]));
    if count > REMEMBERED_MAX || entries.len() != count * ENTRY_BYTES {
        return Err(MembersFault::Length(bytes.len()));
    }
    let members = entries
        .chunks_exact(ENTRY_BYTES)
        .map(|b| {
            Some(Remembered {
                pid: Pid::new(BigEndian::read_u16(b))?,
                incarnation: BigEndian::read_u128(&b[2..]),
                boot: BigEndian::read_u64(&b[18..]),
                session: BigEndian::read_u64(&b[26..]),
                sequence: Sequence::new(BigEndian::read_u64(&b[34..]))?,
            })
        })
        .collect::<Option<Vec<_>>>()
        .ok_or(MembersFault::Entry)?;
    if !members.is_sorted_by(|one, next| one.pid < next.pid) {
        return Err(MembersFault::Entry);
    }
    Ok(members)
}

/// Why the members cannot be loaded or saved.
#[derive(Debug)]
pub enum MembersError {
    /// The operating system refused.
    Io {
        /// What was attempted.
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
    /// Something else stands in its place: a directory, a named pipe.
    NotAFile {
        /// What.
        file: PathBuf,
    },
    /// Two entries of this pid were to be saved. Nothing was.
    Twice(Pid),
}

/// What is wrong with the bytes of a members file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersFault {
    /// It has this many bytes, which no list has, or not the one that it holds. One byte over the most
    /// stands for all that is longer.
    Length(usize),
    /// It does not begin like a members file.
    NoMagic,
    /// The bytes are not those that were written.
    Checksum,
    /// Whole, and of this format, which this build does not know.
    Format(u16),
    /// The checksum is right, and an entry holds what it cannot hold.
    Entry,
}

impl fmt::Display for MembersFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(bytes) => write!(f, "{bytes} bytes is not its length"),
            Self::NoMagic => f.write_str("it is no list of members of Ipseity"),
            Self::Checksum => f.write_str("its checksum is wrong"),
            Self::Format(format) => {
                write!(f, "it has format {format}, and this version knows {FORMAT}")
            }
            Self::Entry => f.write_str("an entry holds what it cannot hold"),
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
                "cannot {doing} the list of members {}: {source}; check the disk and who may write there",
                file.display()
            ),
            Self::Damaged { file, fault } => {
                write!(
                    f,
                    "the list of members {} cannot be used: {fault}; ",
                    file.display()
                )?;
                f.write_str(match fault {
                    MembersFault::Format(_) => "start the version that wrote it, or a newer one",
                    MembersFault::Length(_)
                    | MembersFault::NoMagic
                    | MembersFault::Checksum
                    | MembersFault::Entry => {
                        "move it aside: this server's own identities do not depend on it, and it learns \
                         its peers anew, but until it has heard of one it does not notice when that \
                         one's directory is lost or rolled back"
                    }
                })
            }
            Self::NotAFile { file } => write!(
                f,
                "{} is not a regular file, and the list of members must be one; move it aside, or take another \
                 --data-dir",
                file.display()
            ),
            Self::Twice(pid) => write!(
                f,
                "pid {pid} was to be remembered twice; this is an error in Ipseity, please report it"
            ),
        }
    }
}

impl std::error::Error for MembersError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Damaged { .. } | Self::NotAFile { .. } | Self::Twice(_) => None,
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
    fn what_a_crash_left_behind_is_no_hindrance() {
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
        assert_eq!(bytes.len(), 12 + 42 + 4);
        assert_eq!(&bytes[..12], b"IPSEMEM\0\0\x01\0\x01");
        assert_eq!(bytes[12..14], [0, 1]);
        assert_eq!(bytes[14..30], (u128::MAX - 1).to_be_bytes());
        assert_eq!(bytes[30..38], (u64::MAX - 1).to_be_bytes());
        assert_eq!(bytes[38..46], (1u64 << 50).to_be_bytes());
        assert_eq!(bytes[46..54], (1u64 << 40).to_be_bytes());
        assert_eq!(bytes[54..], crc32c::crc32c(&bytes[..54]).to_be_bytes());
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
            let checksum = crc32c::crc32c(&bytes);
            bytes.extend(checksum.to_be_bytes());
            decode(&bytes)
        };
        assert_eq!(forged(|_| {}), Ok(members(3)));
        assert_eq!(forged(|b| b[9] = 2), Err(MembersFault::Format(2)));
        assert_eq!(forged(|b| b[11] = 4), Err(MembersFault::Length(142)));
        assert_eq!(forged(|b| b[0] = 0), Err(MembersFault::NoMagic));
        assert_eq!(
            forged(|b| b[12] = 4),
            Err(MembersFault::Entry),
            "no such pid"
        );
        assert_eq!(
            forged(|b| b[13] = 1),
            Err(MembersFault::Entry),
            "pid 1 twice"
        );
        assert_eq!(
            forged(|b| b[46] = 0xff),
            Err(MembersFault::Entry),
            "no such sequence"
        );

        let home = tempfile::tempdir().unwrap();
        let file = MembersFile::new(home.path());
        std::fs::write(file.path(), vec![b'x'; 1 << 20]).unwrap();
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
                "7 bytes is not its length",
                "move it aside",
            ),
            (
                MembersFault::NoMagic,
                "it is no list of members of Ipseity",
                "move it aside",
            ),
            (
                MembersFault::Checksum,
                "its checksum is wrong",
                "move it aside",
            ),
            (
                MembersFault::Format(2),
                "it has format 2, and this version knows 1",
                "start the version that wrote it",
            ),
            (
                MembersFault::Entry,
                "an entry holds what it cannot hold",
                "move it aside",
            ),
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
            "cannot open the list of members /x/members: permission denied; check the disk and who may write \
             there"
        );
        let twice = MembersError::Twice(Pid::MAX).to_string();
        assert!(
            twice.starts_with("pid 1023 was to be remembered twice"),
            "{twice}"
        );
    }
}
