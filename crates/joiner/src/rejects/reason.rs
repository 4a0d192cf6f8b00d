//! Why a row is rejected.
//!
//! A new reason is a variant of [`Reason`], or, if the join decides it, of [`join::RejectReason`].

use prometheus_client::encoding::EncodeLabelValue;

/// Why a row is rejected: the header `reason`, and the label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// It has no value.
    Tombstone,
    /// It is so large that a trip with it would not fit in one record of an output.
    TooLarge,
    /// It is not framed Avro, or does not fit its schema.
    Undecodable,
    /// The registry has no schema with the id that it carries.
    UnknownSchema,
    /// Its schema is of another kind of record.
    WrongType,
    /// Its trip_id is empty.
    EmptyTripId,
    /// A record of the repartition topic does not say where it was first read.
    NoOrigin,
    /// The join has rejected it.
    Join(join::RejectReason),
}

impl Reason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::TooLarge => "too_large",
            Self::Undecodable => "undecodable",
            Self::UnknownSchema => "unknown_schema",
            Self::WrongType => "wrong_type",
            Self::EmptyTripId => "empty_trip_id",
            Self::NoOrigin => "no_origin",
            Self::Join(reason) => reason.as_str(),
        }
    }

    /// The stage of Kafka Connect that failed (KIP-298): a converter makes a value of the bytes, a transformation
    /// changes the value.
    pub(super) const fn stage(self) -> &'static str {
        match self {
            Self::Join(_) | Self::EmptyTripId => "TRANSFORMATION",
            Self::Tombstone
            | Self::TooLarge
            | Self::Undecodable
            | Self::UnknownSchema
            | Self::WrongType
            | Self::NoOrigin => "VALUE_CONVERTER",
        }
    }
}

impl EncodeLabelValue for Reason {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder,
    ) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

/// What is wrong with a row: the reason, and a message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowFault {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl From<join::RejectReason> for RowFault {
    fn from(reason: join::RejectReason) -> Self {
        let message = match reason {
            join::RejectReason::Late => {
                "the row came too late: its trip is decided, or its window is over"
            }
            join::RejectReason::Timestamp => {
                "the row has no timestamp, one before 1970, or one further in the future than joiner.max_future"
            }
            join::RejectReason::Duplicate => "another row has taken this side of the trip",
        };
        Self { reason: Reason::Join(reason), message: message.to_owned() }
    }
}
