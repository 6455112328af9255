//! The record: what one block of the state file says, and its bytes.
//!
//! ```text
//! offset  bytes  field             all integers are big-endian
//!      0      8  magic             "IPSEITY\0"
//!      8      2  format            2
//!     10      2  pid               0 to 1023
//!     12      1  block             0 to 3: the place in the file that it was written for
//!     13      1  flags             bit 0: the server stopped cleanly; the others are 0
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
//!    352   3740  spare             0; room for the fields of later versions
//!   4092      4  CRC-32C of the 4092 bytes before it
//! ```
//!
//! Magic, format and checksum keep their places in every later format, so that only a whole block is ever reported
//! as being of "a newer format".
//!
//! Format 1 is read too: it had no session, and zeros in its place. A later version that needs more fields takes
//! them from the spare bytes and the other flags, where 0 means that the field is not there. So it can read this
//! format as it is, and needs no new one. This version refuses a whole block in which they are not 0, as it
//! refuses a newer format: it could not keep what it does not know.
//!
//! Pure: no I/O. It may import `identity`, `limits` and the cluster's name.

use std::fmt;

use byteorder::{BigEndian, ByteOrder};
use ipseity_core::{
    actor::Objected,
    identity::{Pid, Sequence},
    limits::CLUSTER_NAME_BYTES_MAX,
    words::ClusterName,
};

use crate::limits::{BLOCK_BYTES, BLOCK_COUNT};

/// The format that this build writes, and the newest that it reads.
pub const FORMAT: u16 = 2;

/// The format before the record had a session. It is read, and never written.
const FORMAT_WITHOUT_SESSION: u16 = 1;

const MAGIC: &[u8; 8] = b"IPSEITY\0";
const FLAG_CLEAN: u8 = 1;

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
const AT_SPARE: usize = 352;
const AT_CHECKSUM: usize = BLOCK_BYTES - 4;

/// The bit of the objection that says that two live servers had the pid. No sequence is so large.
const CONFLICT: u64 = 1 << 63;

const _: () = assert!(Sequence::MAX.get() + 1 < CONFLICT);
const _: () = assert!(AT_CLUSTER + CLUSTER_NAME_BYTES_MAX <= AT_OBJECTED);

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
}

impl Record {
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
        b[AT_FLAGS] = if self.clean { FLAG_CLEAN } else { 0 };
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
            FORMAT_WITHOUT_SESSION => {}
            FORMAT if b[AT_FLAGS] & !FLAG_CLEAN == 0 && is_zero(&b[AT_SPARE..AT_CHECKSUM]) => {}
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
        };
        record.check()?;
        if format == FORMAT_WITHOUT_SESSION && record.session != 0 {
            return Err(RecordError::Field("reserved bytes"));
        }
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
mod tests {
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
        assert_eq!(bytes[8..16], [0, 2, 0, 7, 1, 0, 7, 0]);
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
        assert!(bytes[352..4092].iter().all(|byte| *byte == 0));
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
        let last = Record {
            boot: u64::MAX,
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
        for record in [record(), clean, last, conflict] {
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
            ..record()
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
            ..record()
        };
        assert_eq!(read, as_written);
        assert_eq!(format_1(|_| {}).format(), 1);
        assert_eq!(
            read.encode(1).format(),
            FORMAT,
            "only the newest is written"
        );
        // Nothing stood there in format 1, so this was never written.
        for at in [13, 15, 344, 351, 352, 4091] {
            let forged = format_1(|b| b[at] |= 2);
            let fault = Record::decode(&forged, 1).unwrap_err();
            assert_eq!(fault, RecordError::Field("reserved bytes"), "byte {at}");
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
        assert_eq!(forged(|b| b[13] = 2), Err(RecordError::NewerFields));
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
        for at in [352, 4000, 4091] {
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
}
