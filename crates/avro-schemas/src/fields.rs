//! Where the fields of a flat record lie in its Avro encoding, found without building the record.
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/#binary-encoding>.

use std::ops::Range;

use apache_avro::Schema;
use apache_avro::schema::RecordSchema;

/// The most fields that a record may have here.
const MAX_FIELDS: usize = 8;

/// The types that fields of the input records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// `["null", "string"]`.
    OptionalText,
    Double,
    Int,
}

/// The fields of a record whose schema is flat: no field is itself a record, an array or a map.
#[derive(Debug)]
pub(crate) struct Fields {
    names: Vec<String>,
    kinds: Vec<Kind>,
}

/// Where each field of a datum ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends([usize; MAX_FIELDS]);

impl Ends {
    /// The bytes of the fields from the one at position `first` up to and with the one at `last`.
    pub(crate) fn range(&self, first: usize, last: usize) -> Range<usize> {
        let start = if first == 0 { 0 } else { self.0[first - 1] };
        start..self.0[last]
    }
}

impl Fields {
    /// The fields of `schema`; none if it isn't flat.
    pub(crate) fn of(schema: &Schema) -> Option<Self> {
        let Schema::Record(RecordSchema { fields, .. }) = schema else { return None };
        if fields.len() > MAX_FIELDS {
            return None;
        }
        let kinds = fields.iter().map(|field| kind(&field.schema)).collect::<Option<_>>()?;
        Some(Self { names: fields.iter().map(|field| field.name.clone()).collect(), kinds })
    }

    /// The position of the field `name`.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| own == name)
    }

    /// Where the fields of `datum` end, if it is what a careful writer makes of this record: complete, with
    /// nothing behind it, text in UTF-8, numbers in range and in their shortest form. Of anything else nothing
    /// is said; apache-avro may still read it, or say what is wrong with it.
    pub(crate) fn check(&self, datum: &[u8]) -> Option<Ends> {
        self.walk(datum, check_text)
    }

    /// Where the fields of a datum end that was checked before.
    pub(crate) fn ends(&self, datum: &[u8]) -> Option<Ends> {
        self.walk(datum, |datum, at| text(datum, at).map(|text| text.end))
    }

    fn walk(&self, datum: &[u8], text_end: impl Fn(&[u8], usize) -> Option<usize>) -> Option<Ends> {
        let mut ends = Ends([0; MAX_FIELDS]);
        let mut at = 0;
        for (kind, end) in self.kinds.iter().zip(&mut ends.0) {
            at = match kind {
                Kind::Text => text_end(datum, at)?,
                Kind::OptionalText => match datum.get(at)? {
                    0 => at + 1,
                    2 => text_end(datum, at + 1)?,
                    _ => return None,
                },
                Kind::Double => datum.get(at..at + 8).map(|_| at + 8)?,
                Kind::Int => {
                    let (value, end) = number(datum, at)?;
                    i32::try_from(value).ok()?;
                    end
                }
            };
            *end = at;
        }
        (at == datum.len()).then_some(ends)
    }
}

fn kind(schema: &Schema) -> Option<Kind> {
    match schema {
        Schema::String => Some(Kind::Text),
        Schema::Double => Some(Kind::Double),
        Schema::Int => Some(Kind::Int),
        Schema::Union(union) if matches!(union.variants(), [Schema::Null, Schema::String]) => {
            Some(Kind::OptionalText)
        }
        _ => None,
    }
}

fn check_text(datum: &[u8], at: usize) -> Option<usize> {
    let text = text(datum, at)?;
    std::str::from_utf8(&datum[text.clone()]).ok()?;
    Some(text.end)
}

/// Where the text of a string at `at` lies, without its length.
pub(crate) fn text(datum: &[u8], at: usize) -> Option<Range<usize>> {
    let (length, start) = number(datum, at)?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= datum.len()).then_some(start..end)
}

/// The zigzag number at `at` and where it ends.
fn number(datum: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut zigzag = 0_u64;
    for (index, &byte) in datum.get(at..)?.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if index == 9 && bits > 1 {
            return None;
        }
        zigzag |= bits << (7 * index);
        if byte & 0x80 == 0 {
            let shortest = index == 0 || byte != 0;
            let value = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
            return shortest.then_some((value, at + index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::put_number;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let edges =
            [0, 1, -1, 63, 64, -64, -65, 8191, 8192, i64::from(i32::MAX), i64::MAX, i64::MIN];
        for value in edges {
            let mut bytes = vec![0xff];
            put_number(&mut bytes, value);
            assert_eq!(number(&bytes, 1), Some((value, bytes.len())), "{value}");
        }
    }

    #[test]
    fn numbers_that_are_longer_than_need_be_or_have_no_end_are_left_to_others() {
        let too_many_bits = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        let cases: [&[u8]; 5] = [&[], &[0x80], &[0x80, 0x00], &[0xff; 11], &too_many_bits];
        for bytes in cases {
            assert_eq!(number(bytes, 0), None, "{bytes:?}");
        }
    }
}
