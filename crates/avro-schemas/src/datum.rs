//! Records as Avro data, without a look at their schemas.
//!
//! Avro's binary form has neither names nor types: a record is its fields, one behind the other, as the schema orders
//! them. The records of [`models::records`] are declared in that order, and `tests/agreement.rs` holds them to it; so
//! what serde hands over is written as it comes. Looking each field up in the schema costs ten times as much.
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/#binary-encoding>.

use std::fmt;

use serde::ser::{self, Impossible, Serialize};

/// Appends `record` to `out`.
pub(crate) fn write(record: &impl Serialize, out: &mut Vec<u8>) -> Result<(), NotInSchemas> {
    record.serialize(&mut Datum { out })
}

/// A value of a kind that no schema here has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no schema here has {0}")]
pub(crate) struct NotInSchemas(String);

impl ser::Error for NotInSchemas {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}

/// A datum that is being written.
struct Datum<'a> {
    out: &'a mut Vec<u8>,
}

/// Appends a zigzag varint: what Avro calls `int` and `long`, the lengths of texts and arrays, and the branches of
/// unions.
#[inline]
pub(crate) fn put_number(out: &mut Vec<u8>, number: i64) {
    let mut rest = (number << 1).cast_unsigned() ^ (number >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a text.
#[inline]
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

/// The kinds of values that no schema here has: writing one is a mistake in this crate, not a row's.
macro_rules! absent {
    ($($method:ident($($argument:ty),*) $what:literal)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<(), NotInSchemas> {
            Err(NotInSchemas($what.to_owned()))
        }
    )*};
}

impl ser::Serializer for &mut Datum<'_> {
    type Ok = ();
    type Error = NotInSchemas;
    type SerializeSeq = Self;
    type SerializeStruct = Self;
    type SerializeTuple = Impossible<(), NotInSchemas>;
    type SerializeTupleStruct = Impossible<(), NotInSchemas>;
    type SerializeTupleVariant = Impossible<(), NotInSchemas>;
    type SerializeMap = Impossible<(), NotInSchemas>;
    type SerializeStructVariant = Impossible<(), NotInSchemas>;

    #[inline]
    fn serialize_i32(self, number: i32) -> Result<(), NotInSchemas> {
        put_number(self.out, number.into());
        Ok(())
    }

    #[inline]
    fn serialize_i64(self, number: i64) -> Result<(), NotInSchemas> {
        put_number(self.out, number);
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, number: f64) -> Result<(), NotInSchemas> {
        self.out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), NotInSchemas> {
        put_text(self.out, text);
        Ok(())
    }

    /// Every union is one of null, which comes first, and another type.
    #[inline]
    fn serialize_none(self) -> Result<(), NotInSchemas> {
        put_number(self.out, 0);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotInSchemas> {
        put_number(self.out, 1);
        value.serialize(self)
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, _fields: usize) -> Result<Self, NotInSchemas> {
        Ok(self)
    }

    /// An array is one block of all its items, and an empty block.
    fn serialize_seq(self, items: Option<usize>) -> Result<Self, NotInSchemas> {
        let items = items.ok_or_else(|| NotInSchemas("an array of unknown length".to_owned()))?;
        if items > 0 {
            put_number(self.out, items as i64);
        }
        Ok(self)
    }

    absent! {
        serialize_bool(bool) "a boolean"
        serialize_i8(i8) "a number of 8 bits"
        serialize_i16(i16) "a number of 16 bits"
        serialize_u8(u8) "an unsigned number"
        serialize_u16(u16) "an unsigned number"
        serialize_u32(u32) "an unsigned number"
        serialize_u64(u64) "an unsigned number"
        serialize_f32(f32) "a number of single precision"
        serialize_char(char) "a character"
        serialize_bytes(&[u8]) "bytes"
        serialize_unit() "a value without content"
        serialize_unit_struct(&'static str) "a value without content"
        serialize_unit_variant(&'static str, u32, &'static str) "an enumeration"
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), NotInSchemas> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), NotInSchemas> {
        Err(NotInSchemas("an enumeration".to_owned()))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Self::SerializeTuple, NotInSchemas> {
        Err(NotInSchemas("a tuple".to_owned()))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleStruct, NotInSchemas> {
        Err(NotInSchemas("a tuple".to_owned()))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant, NotInSchemas> {
        Err(NotInSchemas("an enumeration".to_owned()))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Self::SerializeMap, NotInSchemas> {
        Err(NotInSchemas("a map".to_owned()))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeStructVariant, NotInSchemas> {
        Err(NotInSchemas("an enumeration".to_owned()))
    }
}

impl ser::SerializeStruct for &mut Datum<'_> {
    type Ok = ();
    type Error = NotInSchemas;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), NotInSchemas> {
        value.serialize(&mut **self)
    }

    #[inline]
    fn end(self) -> Result<(), NotInSchemas> {
        Ok(())
    }
}

impl ser::SerializeSeq for &mut Datum<'_> {
    type Ok = ();
    type Error = NotInSchemas;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), NotInSchemas> {
        item.serialize(&mut **self)
    }

    fn end(self) -> Result<(), NotInSchemas> {
        put_number(self.out, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_specification_shows() {
        let cases: [(i64, &[u8]); 9] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (8192, &[0x80, 0x80, 0x01]),
            (-8193, &[0x81, 0x80, 0x01]),
            (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ];
        for (number, expected) in cases {
            let mut out = Vec::new();
            assert_eq!(write(&number, &mut out), Ok(()));
            assert_eq!(out, expected, "{number}");
        }
    }

    #[test]
    fn what_no_schema_has_is_refused() {
        let mut out = Vec::new();
        let refused = [
            write(&true, &mut out),
            write(&1_u8, &mut out),
            write(&(1, 2), &mut out),
            write(&std::collections::BTreeMap::from([("a", 1)]), &mut out),
        ];
        for refused in refused {
            assert!(refused.expect_err("refused").to_string().starts_with("no schema here has a"));
        }
    }
}
