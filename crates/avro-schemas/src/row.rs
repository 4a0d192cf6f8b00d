//! Rows of the inputs as the bytes that they are: what a join needs to know of a row is its trip, and the rest only
//! has to be right.

use std::borrow::Cow;
use std::sync::LazyLock;

use models::Side;
use models::records::{DriverEarning, Rider, Trip};

use crate::decode::{DecodeError, WriterSchema};
use crate::encode::Encoder;
use crate::fields::{Ends, Fields, text};
use crate::record::{Record, RecordType};
use crate::wire::{HEADER_BYTES, SchemaId};

/// A row that was checked to the last byte, in the encoding of our own schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRow<'v> {
    /// Its trip. May be empty.
    pub trip_id: Cow<'v, str>,
    /// The Avro datum, without the frame; borrowed if the row was written with our schema.
    pub datum: Cow<'v, [u8]>,
}

/// The record that rows of `side` are.
pub const fn record_of(side: Side) -> RecordType {
    match side {
        Side::Trip => RecordType::Trip,
        Side::Driver => RecordType::DriverEarning,
        Side::Rider => RecordType::Rider,
    }
}

/// How the rows of a side are laid out.
pub(crate) struct Layout {
    pub(crate) fields: Fields,
    trip_id: usize,
}

static LAYOUTS: LazyLock<[Layout; 3]> = LazyLock::new(|| {
    Side::ALL.map(|side| {
        let fields =
            Fields::of(record_of(side).codec().schema).expect("the input schemas are flat");
        let trip_id = fields.position("trip_id").expect("every input has a trip_id");
        Layout { fields, trip_id }
    })
});

impl Layout {
    pub(crate) fn of(side: Side) -> &'static Self {
        &LAYOUTS[side.index()]
    }

    fn trip_id<'d>(&self, datum: &'d [u8], ends: &Ends) -> &'d str {
        let start = ends.range(self.trip_id, self.trip_id).start;
        let text = text(datum, start).map(|range| std::str::from_utf8(&datum[range]));
        text.expect("checked").expect("checked")
    }
}

impl WriterSchema {
    /// Reads `datum`, all of it, as a row of `side`. Accepts and refuses exactly what [`decode`](Self::decode)
    /// does, but a row that was written with our own schema stays where it is.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn row<'v>(&self, side: Side, datum: &'v [u8]) -> Result<EncodedRow<'v>, DecodeError> {
        if self.is_own(record_of(side)) {
            let layout = Layout::of(side);
            if let Some(ends) = layout.fields.check(datum) {
                let trip_id = Cow::Borrowed(layout.trip_id(datum, &ends));
                return Ok(EncodedRow { trip_id, datum: Cow::Borrowed(datum) });
            }
        }
        match side {
            Side::Trip => self.encode_again(datum, |trip: &mut Trip| &mut trip.trip_id),
            Side::Driver => {
                self.encode_again(datum, |driver: &mut DriverEarning| &mut driver.trip_id)
            }
            Side::Rider => self.encode_again(datum, |rider: &mut Rider| &mut rider.trip_id),
        }
    }

    /// Reads a row with apache-avro and writes it with our schema.
    fn encode_again<T: Record>(
        &self,
        datum: &[u8],
        trip_id: impl FnOnce(&mut T) -> &mut String,
    ) -> Result<EncodedRow<'static>, DecodeError> {
        let mut record = self.decode::<T>(datum)?;
        let mut value = Vec::new();
        let encoded = Encoder::new(SchemaId::new(0)).encode(&record, &mut value);
        encoded.expect("a record fits its schema");
        value.drain(..HEADER_BYTES);
        let trip_id = std::mem::take(trip_id(&mut record));
        Ok(EncodedRow { trip_id: Cow::Owned(trip_id), datum: Cow::Owned(value) })
    }
}
