//! The record: what one block of the state file says, and its bytes.
//!
//! ```text
//! offset  bytes  field             all integers are big-endian
//!      0      8  magic             "IPSEITY\0"
//!      8      2  format            2
//!     10      2  pid               0 to 1023
//!     12      1  block             0 to 3: the place in the file that it was written for
//!     13      1  flags             bit 0: the server stopped cleanly; bit 1: the file `members` was saved;
//!                                  bit 2, instead of bit 1: it was saved and lost; the others are 0
//!     14      1  cluster length    1 to 255
//!     15      1  0
//!     16     16  incarnation
//!     32      8  boot
//!     40      8  generation
//!     48      8  sequence          noted when this was written
//!     56      8  ceiling           sequence <= ceiling; equal after a clean stop
//!     64      8  reach             ceiling <= reach; the next generation's ceiling is at most this
//!     72      8  recovered         an operator's word: the start was no lower than this; 0 for none
//!     80    255  cluster           UTF-8, the rest 0
//!    335      1  0
//!    336      8  objected          1 more than the sequence up to which a peer objected; 0 for none;
//!                                  the highest bit is set when two live servers had the pid
//!    344      8  session           of the process that wrote this; 0 where none has yet
//!    352    768  lives             the last starts, 32 times boot 8, session 8 and the highest ceiling 8; the newest
//!                                  is the last one that is not 0, and has the boot and the session of this record
//!   1120   2972  spare             0; room for the fields of later versions
//!   4092      4  CRC-32C of the 4092 bytes before it
//! ```
//!
//! Magic, format and checksum keep their places in every later format, so that only a whole block is ever reported
//! as being of "a newer format".
//!
//! Format 1 is read too: it had no session, and zeros in its place. A later version that needs more fields takes
//! them from the spare bytes and the other flags, where 0 means that the field is not there. So it can read this
//! format as it is, and needs no new one. This version refuses a whole block in which they are not 0, as it
//! refuses a newer format: it could not keep what it does not know. That has happened once: the flags for the file
//! `members` and the lives came later, and older records of format 2 have zeros there.
//!
//! Pure: no I/O. It may import `identity`, `limits` and the cluster's name.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};
use ipseity_core::{
    actor::{Life, Objected},
    identity::{Pid, Sequence},
    limits::CLUSTER_NAME_BYTES_MAX,
    words::ClusterName,
};

use crate::limits::{BLOCK_BYTES, BLOCK_COUNT, LIVES_REMEMBERED_MAX};

/// The format that this build writes, and the newest that it reads.
pub const FORMAT: u16 = 2;

/// The format before the record had a session. It is read, and never written.
const FORMAT_WITHOUT_SESSION: u16 = 1;

const MAGIC: &[u8; 8] = b"IPSEITY\0";
const FLAG_CLEAN: u8 = 1;
const FLAG_MEMBERS_SAVED: u8 = 2;
const FLAG_MEMBERS_LOST: u8 = 4;
const FLAGS: u8 = FLAG_CLEAN | FLAG_MEMBERS_SAVED | FLAG_MEMBERS_LOST;

const AT_FORMAT: usize = 8;
const AT_PID: usize = 10;
const AT_BLOCK: usize = 12;
const AT_FLAGS: usize = 13;
const AT_CLUSTER_LENGTH: usize = 14;
const AT_INCARNATION: usize = 16;
const AT_BOOT: usize = 32;
const AT_GENERATION: usize = 40;
const AT_SEQUENCE: usize = 48;
const AT_CEILING: usize = 56;
const AT_REACH: usize = 64;
const AT_RECOVERED: usize = 72;
const AT_CLUSTER: usize = 80;
const AT_OBJECTED: usize = 336;
const AT_SESSION: usize = 344;
const AT_LIVES: usize = 352;
const AT_SPARE: usize = AT_LIVES + LIVES_REMEMBERED_MAX * LIFE_BYTES;
const AT_CHECKSUM: usize = BLOCK_BYTES - 4;

/// A life: its boot, its session and its ceiling.
const LIFE_BYTES: usize = 24;

/// The bit of the objection that says that two live servers had the pid. No sequence is so large.
const CONFLICT: u64 = 1 << 63;

const _: () = assert!(Sequence::MAX.get() + 1 < CONFLICT);
const _: () = assert!(AT_CLUSTER + CLUSTER_NAME_BYTES_MAX <= AT_OBJECTED);
const _: () = assert!(AT_SPARE == 1120, "the number in the table above");

/// One block of the state file, aligned as `O_DIRECT` requires it.
#[derive(Clone, PartialEq, Eq)]
#[repr(align(4096))]
pub struct Block(pub [u8; BLOCK_BYTES]);

impl Block {
    /// A block of zeros.
    pub const ZERO: Block = Block([0; BLOCK_BYTES]);

    /// The format of the record in it. The block must be whole.
    pub fn format(&self) -> u16 {
        BigEndian::read_u16(&self.0[AT_FORMAT..])
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({:02x?}..)", &self.0[..AT_CLUSTER])
    }
}

/// What a server has promised with one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The cluster that the directory belongs to.
    pub cluster: ClusterName,
    /// The pid that the directory belongs to.
    pub pid: Pid,
    /// The random value made with the directory.
    pub incarnation: u128,
    /// How many times the directory has been started; 0 before the first.
    pub boot: u64,
    /// The session of the process that wrote this; 0 before the first start, and in a record of format 1. Two
    /// processes that start at once from the same record write the same boot and generation, and only this
    /// tells them apart.
    pub session: u64,
    /// Counts the records ever written, from 0. It never wraps.
    pub generation: u64,
    /// The highest sequence handed out or absorbed when this was written. It is for people, to say how many may have
    /// been skipped, and never allows anything.
    pub sequence: Sequence,
    /// Nothing above this was handed out before the next generation was durable.
    pub ceiling: Sequence,
    /// The ceiling of the next generation is at most this.
    pub reach: Sequence,
    /// The highest sequence above which an operator has told this directory to begin, because a lost or rolled-back
    /// directory may have handed out identities up to it. Zero if that never happened. Peers that remember such a
    /// directory are answered with it.
    pub recovered: Sequence,
    /// A peer has objected to this directory: another one may have handed out identities up to that sequence. Nothing
    /// is handed out before an operator's word is at least that high.
    pub objected: Option<Objected>,
    /// The server stopped with exactly `sequence`, which is then `ceiling` too.
    pub clean: bool,
    /// The last starts of the directory, the newest last; it is the one that wrote this. Starts that failed after they had
    /// begun to write are among them. A clean stop lowers `ceiling`, but not the one that is noted here, which a peer may
    /// remember. Empty before the first start, and in a record of an older version.
    pub lives: Vec<Life>,
    /// What is known of the file `members`.
    pub members: MembersMark,
}

/// What a state directory knows of the file `members` beside its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersMark {
    /// It was never saved, or an operator has given up what was in it.
    Never,
    /// It was saved, so it has to be there.
    Saved,
    /// It was saved, and a start has not found it. That stays until an operator has said that it will not come back: a
    /// file that was saved since then does not hold what the lost one held.
    Lost,
}

impl MembersMark {
    /// What a start notes: whether the file `is_there`, and whether it is `given_up`, which is an operator's word that
    /// what was lost will not come back.
    pub fn at_start(self, is_there: bool, given_up: bool) -> MembersMark {
        let is_whole = match self {
            MembersMark::Never => true,
            MembersMark::Saved => is_there,
            MembersMark::Lost => false,
        };
        match (is_whole || given_up, is_there) {
            (false, _) => MembersMark::Lost,
            (true, true) => MembersMark::Saved,
            (true, false) => MembersMark::Never,
        }
    }

    const fn flag(self) -> u8 {
        match self {
            MembersMark::Never => 0,
            MembersMark::Saved => FLAG_MEMBERS_SAVED,
            MembersMark::Lost => FLAG_MEMBERS_LOST,
        }
    }

    fn of_flags(flags: u8) -> Option<MembersMark> {
        let mark = flags & !FLAG_CLEAN;
        [MembersMark::Never, MembersMark::Saved, MembersMark::Lost]
            .into_iter()
            .find(|known| known.flag() == mark)
    }
}

impl Record {
    /// The start that wrote this.
    pub fn life(&self) -> Life {
        let noted = self.lives.last().map(|life| life.ceiling);
        Life {
            boot: self.boot,
            session: self.session,
            ceiling: noted.unwrap_or_default().max(self.ceiling),
        }
    }

    /// Notes the ceiling with the start that has it.
    pub(super) fn note_ceiling(&mut self) {
        if let Some(life) = self.lives.last_mut() {
            life.ceiling = life.ceiling.max(self.ceiling);
        }
    }

    /// The bytes of this record for the block `block`, 0 to 3.
    pub fn encode(&self, block: u32) -> Block {
        self.encode_as(FORMAT, block)
    }

    fn encode_as(&self, format: u16, block: u32) -> Block {
        let cluster = self.cluster.as_str().as_bytes();
        let mut bytes = Block::ZERO;
        let b = &mut bytes.0;
        b[..MAGIC.len()].copy_from_slice(MAGIC);
        BigEndian::write_u16(&mut b[AT_FORMAT..], format);
        BigEndian::write_u16(&mut b[AT_PID..], self.pid.get());
        // Both fit a byte: there are four blocks, and `ClusterName` holds at most 255 bytes.
        b[AT_BLOCK] = block as u8;
        b[AT_CLUSTER_LENGTH] = cluster.len() as u8;
        b[AT_FLAGS] = self.members.flag() | if self.clean { FLAG_CLEAN } else { 0 };
        BigEndian::write_u128(&mut b[AT_INCARNATION..], self.incarnation);
        BigEndian::write_u64(&mut b[AT_BOOT..], self.boot);
        BigEndian::write_u64(&mut b[AT_GENERATION..], self.generation);
        BigEndian::write_u64(&mut b[AT_SEQUENCE..], self.sequence.get());
        BigEndian::write_u64(&mut b[AT_CEILING..], self.ceiling.get());
        BigEndian::write_u64(&mut b[AT_REACH..], self.reach.get());
        BigEndian::write_u64(&mut b[AT_RECOVERED..], self.recovered.get());
        BigEndian::write_u64(&mut b[AT_OBJECTED..], encode_objected(self.objected));
        BigEndian::write_u64(&mut b[AT_SESSION..], self.session);
        b[AT_CLUSTER..][..cluster.len()].copy_from_slice(cluster);
        encode_lives(&self.lives, &mut b[AT_LIVES..AT_SPARE]);
        seal(&mut bytes);
        bytes
    }

    /// Reads the record in the block `block`, 0 to 3. Everything is checked: bytes that this build would not have
    /// written are an error.
    pub fn decode(bytes: &Block, block: u32) -> Result<Record, RecordError> {
        let b = &bytes.0;
        if *bytes == Block::ZERO {
            return Err(RecordError::Blank);
        }
        if !b.starts_with(MAGIC) {
            return Err(RecordError::NoMagic);
        }
        let stored = BigEndian::read_u32(&b[AT_CHECKSUM..]);
        let computed = crc32c::crc32c(&b[..AT_CHECKSUM]);
        // bug NoChecksum instead: if stored != computed && !BUG {
        if stored != computed {
            return Err(RecordError::Checksum { stored, computed });
        }
        let format = bytes.format();
        match format {
            FORMAT_WITHOUT_SESSION
                if b[AT_FLAGS] & !FLAG_CLEAN == 0 && is_zero(&b[AT_SESSION..AT_CHECKSUM]) => {}
            FORMAT_WITHOUT_SESSION => return Err(RecordError::Field("reserved bytes")),
            FORMAT if b[AT_FLAGS] & !FLAGS == 0 && is_zero(&b[AT_SPARE..AT_CHECKSUM]) => {}
            FORMAT => return Err(RecordError::NewerFields),
            0 => return Err(RecordError::Field("format")),
            newer => return Err(RecordError::NewerFormat(newer)),
        }
        if u32::from(b[AT_BLOCK]) != block {
            return Err(RecordError::Misplaced(b[AT_BLOCK]));
        }
        let record = Record {
            cluster: decode_cluster(b)?,
            pid: Pid::new(BigEndian::read_u16(&b[AT_PID..])).ok_or(RecordError::Field("pid"))?,
            incarnation: BigEndian::read_u128(&b[AT_INCARNATION..]),
            boot: BigEndian::read_u64(&b[AT_BOOT..]),
            session: BigEndian::read_u64(&b[AT_SESSION..]),
            generation: BigEndian::read_u64(&b[AT_GENERATION..]),
            sequence: decode_sequence(b, AT_SEQUENCE, "sequence")?,
            ceiling: decode_sequence(b, AT_CEILING, "ceiling")?,
            reach: decode_sequence(b, AT_REACH, "reach")?,
            recovered: decode_sequence(b, AT_RECOVERED, "recovered")?,
            objected: decode_objected(BigEndian::read_u64(&b[AT_OBJECTED..]))?,
            clean: b[AT_FLAGS] & FLAG_CLEAN != 0,
            lives: decode_lives(&b[AT_LIVES..AT_SPARE])?,
            members: MembersMark::of_flags(b[AT_FLAGS]).ok_or(RecordError::Field("flags"))?,
        };
        record.check()?;
        // Bytes that belong to no field are zero, as `encode` leaves them.
        // bug NoChecksum instead: if record.encode_as(format, block) != *bytes && !BUG {
        if record.encode_as(format, block) != *bytes {
            return Err(RecordError::Field("reserved bytes"));
        }
        Ok(record)
    }

    fn check(&self) -> Result<(), RecordError> {
        let is_exact = self.sequence == self.ceiling;
        // bug CleanFlagKept: let is_exact = is_exact || BUG;
        if self.sequence > self.ceiling || (self.clean && !is_exact) {
            return Err(RecordError::Field("ceiling"));
        }
        if self.ceiling > self.reach {
            return Err(RecordError::Field("reach"));
        }
        let is_newest = |last: &Life| *last == self.life();
        let is_ascending = self.lives.is_sorted_by(|one, next| one.boot < next.boot);
        if !is_ascending || !self.lives.last().is_none_or(is_newest) {
            return Err(RecordError::Field("lives"));
        }
        Ok(())
    }
}

fn decode_cluster(b: &[u8; BLOCK_BYTES]) -> Result<ClusterName, RecordError> {
    let length = usize::from(b[AT_CLUSTER_LENGTH]);
    std::str::from_utf8(&b[AT_CLUSTER..][..length])
        .ok()
        .and_then(|name| name.parse().ok())
        .ok_or(RecordError::Field("cluster"))
}

fn encode_objected(objected: Option<Objected>) -> u64 {
    let Some(objected) = objected else { return 0 };
    let conflict = if objected.is_conflict { CONFLICT } else { 0 };
    conflict | (objected.sequence.get() + 1)
}

fn decode_objected(objected: u64) -> Result<Option<Objected>, RecordError> {
    if objected == 0 {
        return Ok(None);
    }
    let sequence = (objected & !CONFLICT)
        .checked_sub(1)
        .and_then(Sequence::new)
        .ok_or(RecordError::Field("objected"))?;
    Ok(Some(Objected {
        sequence,
        is_conflict: objected & CONFLICT != 0,
    }))
}

/// Writes at most [`LIVES_REMEMBERED_MAX`] lives.
fn encode_lives(lives: &[Life], b: &mut [u8]) {
    debug_assert!(lives.len() <= LIVES_REMEMBERED_MAX);
    for (life, b) in lives.iter().zip(b.chunks_exact_mut(LIFE_BYTES)) {
        BigEndian::write_u64(b, life.boot);
        BigEndian::write_u64(&mut b[8..], life.session);
        BigEndian::write_u64(&mut b[16..], life.ceiling.get());
    }
}

/// Reads up to the first entry whose boot is 0, which no start has.
fn decode_lives(b: &[u8]) -> Result<Vec<Life>, RecordError> {
    b.chunks_exact(LIFE_BYTES)
        .take_while(|b| BigEndian::read_u64(b) != 0)
        .map(|b| {
            Ok(Life {
                boot: BigEndian::read_u64(b),
                session: BigEndian::read_u64(&b[8..]),
                ceiling: Sequence::new(BigEndian::read_u64(&b[16..]))
                    .ok_or(RecordError::Field("lives"))?,
            })
        })
        .collect()
}

fn decode_sequence(
    b: &[u8; BLOCK_BYTES],
    at: usize,
    name: &'static str,
) -> Result<Sequence, RecordError> {
    Sequence::new(BigEndian::read_u64(&b[at..])).ok_or(RecordError::Field(name))
}

fn is_zero(bytes: &[u8]) -> bool {
    *bytes == Block::ZERO.0[..bytes.len()]
}

fn seal(bytes: &mut Block) {
    let checksum = crc32c::crc32c(&bytes.0[..AT_CHECKSUM]);
    BigEndian::write_u32(&mut bytes.0[AT_CHECKSUM..], checksum);
}

const _: () = assert!(BLOCK_COUNT <= u8::MAX as u32);

/// Why a block holds no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// It is all zeros.
    Blank,
    /// It does not begin like a record.
    NoMagic,
    /// The bytes are not those that were written: torn, rotten or edited.
    Checksum {
        /// The checksum in the block.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
    /// It is whole, and has this format, which is newer than this build knows.
    NewerFormat(u16),
    /// It is whole, has the format that this build writes, and has fields that only a newer build knows.
    NewerFields,
    /// It was written for the block of this number.
    Misplaced(u8),
    /// The checksum is right, but the field of this name is invalid: no Ipseity wrote this.
    Field(&'static str),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank"),
            Self::NoMagic => f.write_str("not a record of Ipseity"),
            Self::Checksum { stored, computed } => write!(
                f,
                "damaged: the checksum is {stored:08x} and should be {computed:08x}"
            ),
            Self::NewerFormat(format) => {
                write!(f, "of format {format}; this build reads up to {FORMAT}")
            }
            Self::NewerFields => f.write_str("with fields that this build does not know"),
            Self::Misplaced(block) => write!(f, "a copy of block {block} in the wrong place"),
            Self::Field(name) => write!(f, "invalid in the field {name}"),
        }
    }
}

impl std::error::Error for RecordError {}

#[cfg(test)]
mod tests;
