//! What other servers have said about themselves, kept across restarts. With it, a server that comes back with an
//! older state, or with none, can be told so.
//!
//! ```text
//! offset  bytes  field             all integers are big-endian
//!      0      8  magic             "IPSEMEM\0"
//!      8      2  format            3
//!     10      2  count             0 to 1024
//!     12      2  entry bytes       380, or more in a later version
//!     14         entries           pids ascend
//!    end      4  CRC-32C of all before it
//!
//! in an entry
//!      0      2  pid               0 to 1023
//!      2      2  flags             bit 0: it has said that it is over; bit 1: there is a claim;
//!                                 bit 2: there is a claim before it; the others are 0
//!      4     16  incarnation
//!     20      8  boot
//!     28      8  session
//!     36      8  sequence
//!     44      8  ceiling           sequence <= ceiling
//!     52     32  claim             incarnation 16, boot 8, session 8; 0 without a claim
//!     84     32  claim before      the same for the claim whose place the other one took
//!    116      2  address length    0 to 261; 0 for no address
//!    118    261  address           UTF-8, the rest 0
//!    379      1  0
//! ```
//!
//! A later version that has more to note of a server uses the other flags, or makes all entries longer. In
//! both cases 0 means that the field is not there, so it can read this format as it is. This version reads
//! longer entries, and refuses values other than 0 in the unknown part, because it could not keep them.
//!
//! The formats 1 and 2 are read too. An entry of format 2 ended with the sequence, and its flags were 0. Format 1 had
//! neither the entry bytes nor the flags. The highest known ceiling of such an entry is its sequence. The file is always
//! replaced whole, in format 3. It may import `files`, `actor`, `identity`, `limits` and
//! the marks of a life.

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
    limits::{ADDRESS_BYTES_MAX, REMEMBERED_MAX},
    words::LifeMarks,
};

const MAGIC: &[u8; 8] = b"IPSEMEM\0";
const FORMAT: u16 = 3;
const HEADER_BYTES: usize = 14;
/// More than a later version will need for a server.
const ENTRY_BYTES_MAX: usize = 1024;
const CHECKSUM_BYTES: usize = 4;
const FILE_BYTES_MAX: usize = HEADER_BYTES + REMEMBERED_MAX * ENTRY_BYTES_MAX + CHECKSUM_BYTES;

// The fields of an entry.
const AT_FLAGS: usize = 2;
const AT_INCARNATION: usize = 4;
const AT_BOOT: usize = 20;
const AT_SESSION: usize = 28;
const AT_SEQUENCE: usize = 36;
const AT_CEILING: usize = 44;
const AT_CLAIM: usize = 52;
const AT_CLAIM_BEFORE: usize = 84;
const AT_ADDRESS_LENGTH: usize = 116;
const AT_ADDRESS: usize = 118;
const ENTRY_BYTES: usize = 380;

const FLAG_ENDED: u16 = 1;
const FLAG_CLAIM: u16 = 2;
const FLAG_CLAIM_BEFORE: u16 = 4;
const FLAGS: u16 = FLAG_ENDED | FLAG_CLAIM | FLAG_CLAIM_BEFORE;

/// The format whose entries ended with the sequence.
const FORMAT_2: u16 = 2;
const ENTRY_BYTES_2: usize = AT_CEILING;

/// The format without flags and without the length of an entry.
const FORMAT_1: u16 = 1;
const HEADER_BYTES_1: usize = 12;
const ENTRY_BYTES_1: usize = 42;

const _: () = assert!(AT_ADDRESS + ADDRESS_BYTES_MAX <= ENTRY_BYTES);
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
    /// The file cannot be written, or `members` has two entries of one pid, or one with an address that is too long.
    pub fn save(&mut self, members: &[Remembered]) -> Result<(), MembersError> {
        let mut members = members.to_vec();
        members.sort_by_key(|member| member.pid);
        if let Some(twice) = members.windows(2).find(|two| two[0].pid == two[1].pid) {
            return Err(MembersError::Twice(twice[0].pid));
        }
        if let Some(long) = members.iter().find(|member| has_long_address(member)) {
            return Err(MembersError::LongAddress(long.pid));
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

fn has_long_address(member: &Remembered) -> bool {
    let bytes = member.address.as_ref().map_or(0, |address| address.len());
    bytes > ADDRESS_BYTES_MAX
}

/// The bytes of at most 1024 entries with ascending pids.
fn encode(members: &[Remembered]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + members.len() * ENTRY_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    BigEndian::write_u16(&mut bytes[8..], FORMAT);
    // There are no more pids than that.
    BigEndian::write_u16(&mut bytes[10..], members.len() as u16);
    BigEndian::write_u16(&mut bytes[12..], ENTRY_BYTES as u16);
    let entries = bytes[HEADER_BYTES..].chunks_exact_mut(ENTRY_BYTES);
    for (member, entry) in members.iter().zip(entries) {
        encode_entry(member, entry);
    }
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    bytes
}

/// Writes an entry over zeros.
fn encode_entry(member: &Remembered, b: &mut [u8]) {
    let mut flags = if member.ended { FLAG_ENDED } else { 0 };
    BigEndian::write_u16(b, member.pid.get());
    BigEndian::write_u128(&mut b[AT_INCARNATION..], member.incarnation);
    BigEndian::write_u64(&mut b[AT_BOOT..], member.boot);
    BigEndian::write_u64(&mut b[AT_SESSION..], member.session);
    BigEndian::write_u64(&mut b[AT_SEQUENCE..], member.sequence.get());
    // A file with a lower one would be refused when it is read.
    let ceiling = member.ceiling.max(member.sequence);
    BigEndian::write_u64(&mut b[AT_CEILING..], ceiling.get());
    for (at, flag, claim) in [
        (AT_CLAIM, FLAG_CLAIM, member.claim),
        (AT_CLAIM_BEFORE, FLAG_CLAIM_BEFORE, member.claim_before),
    ] {
        if let Some(claim) = claim {
            flags |= flag;
            let b = &mut b[at..];
            BigEndian::write_u128(b, claim.incarnation);
            BigEndian::write_u64(&mut b[16..], claim.boot);
            BigEndian::write_u64(&mut b[24..], claim.session);
        }
    }
    let address = member.address.as_deref().unwrap_or_default().as_bytes();
    BigEndian::write_u16(&mut b[AT_ADDRESS_LENGTH..], address.len() as u16);
    b[AT_ADDRESS..][..address.len()].copy_from_slice(address);
    BigEndian::write_u16(&mut b[AT_FLAGS..], flags);
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
    let format = BigEndian::read_u16(&content[8..]);
    let (header_bytes, possible) = match format {
        FORMAT_1 => (HEADER_BYTES_1, ENTRY_BYTES_1..=ENTRY_BYTES_1),
        FORMAT_2 => (HEADER_BYTES, ENTRY_BYTES_2..=ENTRY_BYTES_2),
        FORMAT => (HEADER_BYTES, ENTRY_BYTES..=ENTRY_BYTES_MAX),
        newer => return Err(MembersFault::Format(newer)),
    };
    let Some((header, entries)) = content.split_at_checked(header_bytes) else {
        return Err(wrong_length);
    };
    let count = usize::from(BigEndian::read_u16(&header[10..]));
    let entry_bytes = match format {
        FORMAT_1 => ENTRY_BYTES_1,
        _ => usize::from(BigEndian::read_u16(&header[12..])),
    };
    if !possible.contains(&entry_bytes)
        || count > REMEMBERED_MAX
        || entries.len() != count * entry_bytes
    {
        return Err(wrong_length);
    }
    let decode_entry = match format {
        FORMAT_1 => decode_entry_1,
        FORMAT_2 => decode_entry_2,
        _ => decode_entry,
    };
    let members = entries
        .chunks_exact(entry_bytes)
        .map(decode_entry)
        .collect::<Result<Vec<_>, _>>()?;
    if !members.is_sorted_by(|one, next| one.pid < next.pid) {
        return Err(MembersFault::Entry);
    }
    Ok(members)
}

/// An entry of format 1 is one of format 2 without the flags.
fn decode_entry_1(entry: &[u8]) -> Result<Remembered, MembersFault> {
    let (pid, fields) = entry.split_at(AT_FLAGS);
    decode_entry_2(&[pid, &[0, 0], fields].concat())
}

fn decode_entry_2(entry: &[u8]) -> Result<Remembered, MembersFault> {
    if BigEndian::read_u16(&entry[AT_FLAGS..]) != 0 {
        return Err(MembersFault::NewerFields);
    }
    decode_beginning(entry).ok_or(MembersFault::Entry)
}

/// An entry of this format, and of a later version if that has said no more in it.
fn decode_entry(entry: &[u8]) -> Result<Remembered, MembersFault> {
    let (entry, later) = entry.split_at(ENTRY_BYTES);
    let flags = BigEndian::read_u16(&entry[AT_FLAGS..]);
    if flags & !FLAGS != 0 || later.iter().any(|byte| *byte != 0) {
        return Err(MembersFault::NewerFields);
    }
    let member = decode_whole(entry, flags).ok_or(MembersFault::Entry)?;
    // Bytes that belong to no field are zero, as `encode_entry` leaves them.
    let mut as_written = [0; ENTRY_BYTES];
    encode_entry(&member, &mut as_written);
    match as_written == *entry {
        true => Ok(member),
        false => Err(MembersFault::Entry),
    }
}

fn decode_whole(entry: &[u8], flags: u16) -> Option<Remembered> {
    let claim = |at: usize, flag| {
        let claim = LifeMarks {
            incarnation: BigEndian::read_u128(&entry[at..]),
            boot: BigEndian::read_u64(&entry[at + 16..]),
            session: BigEndian::read_u64(&entry[at + 24..]),
        };
        (flags & flag != 0).then_some(claim)
    };
    let address_bytes = usize::from(BigEndian::read_u16(&entry[AT_ADDRESS_LENGTH..]));
    let address = entry[AT_ADDRESS..][..ADDRESS_BYTES_MAX].get(..address_bytes)?;
    let address = std::str::from_utf8(address).ok()?;
    Some(Remembered {
        ceiling: Sequence::new(BigEndian::read_u64(&entry[AT_CEILING..]))?,
        ended: flags & FLAG_ENDED != 0,
        claim: claim(AT_CLAIM, FLAG_CLAIM),
        claim_before: claim(AT_CLAIM_BEFORE, FLAG_CLAIM_BEFORE),
        address: (!address.is_empty()).then(|| address.into()),
        ..decode_beginning(entry)?
    })
}

/// What every format has, from the pid to the sequence.
fn decode_beginning(entry: &[u8]) -> Option<Remembered> {
    let pid = Pid::new(BigEndian::read_u16(entry))?;
    let sequence = Sequence::new(BigEndian::read_u64(&entry[AT_SEQUENCE..]))?;
    Some(Remembered {
        incarnation: BigEndian::read_u128(&entry[AT_INCARNATION..]),
        boot: BigEndian::read_u64(&entry[AT_BOOT..]),
        session: BigEndian::read_u64(&entry[AT_SESSION..]),
        ..Remembered::new(pid, sequence)
    })
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
    /// The entry of this pid was to be saved with an address that is too long. Nothing was.
    LongAddress(Pid),
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
                        "move it aside, and start once with --members-lost: this server's own identities do \
                         not depend on it, and it gets to know its peers again; but until it has heard from a \
                         peer, it does not notice if the directory of that peer is lost or rolled back"
                    }
                })
            }
            Self::Twice(pid) => write!(
                f,
                "the list of members has two entries of pid {pid}; this is a bug in Ipseity, please report it"
            ),
            Self::LongAddress(pid) => write!(
                f,
                "the address of pid {pid} is too long for the list of members; this is a bug in Ipseity, please \
                 report it"
            ),
        }
    }
}

impl std::error::Error for MembersError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Damaged { .. } | Self::Twice(_) | Self::LongAddress(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
