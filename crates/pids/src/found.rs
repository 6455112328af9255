//! What a claim and an import stand on: the key `meta`, which the first of them makes.

use ipseity_etcd::{Header, Op, Txn};

use crate::{
    breach::{Breach, same_etcd},
    layout::{Layout, Meta, Value},
    survey::{Entry, Seen, Survey},
    tenure::is_absent,
};
use ipseity_core::identity::Sequence;

/// What a read has found of it.
pub(crate) enum Ground {
    /// It is there.
    There(Seen<Meta>),
    /// Nothing is there of the cluster at all. This would be there, and the transaction makes it, if nobody else has
    /// meanwhile; then it is read again.
    Make(Meta, Txn),
}

/// Looks for what the cluster has in common.
///
/// # Errors
/// It is missing and should be there, cannot be read, or belongs to another etcd.
pub(crate) fn ground(
    layout: &Layout,
    survey: &Survey,
    random: &mut dyn FnMut() -> u64,
) -> Result<Ground, Breach> {
    match &survey.meta {
        Entry::Seen(seen) => {
            same_etcd(&seen.value, &survey.header)?;
            Ok(Ground::There(seen.clone()))
        }
        Entry::Unreadable(what) => Err(Breach::MetaUnreadable(what.clone())),
        Entry::Absent if survey.pids.is_empty() => {
            let meta = new(survey.header, random);
            Ok(Ground::Make(meta, make(layout, &meta)))
        }
        Entry::Absent => Err(Breach::MetaMissing),
    }
}

fn new(header: Header, random: &mut dyn FnMut() -> u64) -> Meta {
    Meta {
        id: random_128(random),
        epoch: 1,
        etcd: header.cluster_id,
        above: Sequence::ZERO,
    }
}

fn make(layout: &Layout, meta: &Meta) -> Txn {
    Txn {
        compare: vec![is_absent(layout.meta())],
        then: vec![Op::Put {
            key: layout.meta(),
            value: meta.text(),
            lease: None,
        }],
        otherwise: Vec::new(),
    }
}

/// 128 random bits.
pub(crate) fn random_128(random: &mut dyn FnMut() -> u64) -> u128 {
    u128::from(random()) << 64 | u128::from(random())
}
