//! An identity for sqlx: BIGINT, in every database that has it. It fits, because bit 63 is 0.

use sqlx_core::{
    database::Database,
    decode::Decode,
    encode::{Encode, IsNull},
    error::BoxDynError,
    types::Type,
};

use super::Identity;

impl<DB: Database> Type<DB> for Identity
where
    i64: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        i64::type_info()
    }

    fn compatible(info: &DB::TypeInfo) -> bool {
        i64::compatible(info)
    }
}

impl<'q, DB: Database> Encode<'q, DB> for Identity
where
    i64: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer<'q>) -> Result<IsNull, BoxDynError> {
        i64::try_from(self.get())?.encode(buffer)
    }
}

impl<'r, DB: Database> Decode<'r, DB> for Identity
where
    i64: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Identity, BoxDynError> {
        let value = u64::try_from(i64::decode(value)?)?;
        Identity::from_u64(value).ok_or_else(|| "an identity is at most 2^63 - 1".into())
    }
}

#[cfg(test)]
mod tests {
    use sqlx_core::{
        any::{Any, AnyArgumentBuffer, AnyTypeInfo, AnyValue, AnyValueKind},
        value::Value as _,
    };

    use super::*;

    fn value(number: i64) -> AnyValue {
        AnyValue {
            kind: AnyValueKind::BigInt(number),
        }
    }

    #[test]
    fn it_is_a_bigint_both_ways() {
        let last = Identity::from_u64(i64::MAX as u64).unwrap();
        let mut buffer = AnyArgumentBuffer(Vec::new());
        let encoded = Encode::<Any>::encode_by_ref(&last, &mut buffer).unwrap();
        assert!(matches!(encoded, IsNull::No));
        assert!(matches!(buffer.0[..], [AnyValueKind::BigInt(i64::MAX)]));
        let read: Identity = Decode::<Any>::decode(value(i64::MAX).as_ref()).unwrap();
        assert_eq!(read, last);
        let info: AnyTypeInfo = <Identity as Type<Any>>::type_info();
        assert_eq!(info, <i64 as Type<Any>>::type_info());
        assert!(<Identity as Type<Any>>::compatible(&info));
    }

    #[test]
    fn a_number_below_0_is_none() {
        let read: Result<Identity, BoxDynError> = Decode::<Any>::decode(value(-1).as_ref());
        assert!(read.is_err());
    }
}
