//! What a client can ask for: the bodies of the producer API's requests.
//!
//! Each command reads itself from the raw bytes of a request and its `Content-Type`. A field that
//! is absent or `null` is `None`; unknown fields are ignored.

use serde::Serialize;

use crate::validation::{Fields, Rejection};

/// Make one trip row: `POST /api/generate-trip`. What is not given is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GenerateTrip {
    /// See [`crate::records::Trip::trip_id`].
    pub trip_id: Option<String>,
    /// See [`crate::records::Trip::driver_id`].
    pub driver_id: Option<String>,
    /// See [`crate::records::Trip::duration`].
    pub duration: Option<String>,
    /// See [`crate::records::Trip::mileage`].
    pub mileage: Option<String>,
    /// See [`crate::records::Trip::pickup_location`].
    pub pickup_location: Option<String>,
    /// See [`crate::records::Trip::destination_location`].
    pub destination_location: Option<String>,
}

/// Make one driver row: `POST /api/generate-driver-earning`. What is not given is drawn.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct GenerateDriverEarning {
    /// See [`crate::records::DriverEarning::driver_id`].
    pub driver_id: Option<String>,
    /// See [`crate::records::DriverEarning::trip_id`].
    pub trip_id: Option<String>,
    /// See [`crate::records::DriverEarning::earnings_from_trip`]. May be NaN or infinite.
    pub earnings_from_trip: Option<f64>,
}

/// Make one rider row: `POST /api/generate-rider`. What is not given is drawn.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct GenerateRider {
    /// See [`crate::records::Rider::rider_id`].
    pub rider_id: Option<String>,
    /// See [`crate::records::Rider::trip_id`].
    pub trip_id: Option<String>,
    /// See [`crate::records::Rider::duration_estimate`].
    pub duration_estimate: Option<String>,
    /// See [`crate::records::Rider::initial_fare_estimate`]. May be NaN or infinite.
    pub initial_fare_estimate: Option<f64>,
    /// See [`crate::records::Rider::final_adjusted_fare`]. May be NaN or infinite.
    pub final_adjusted_fare: Option<f64>,
    /// See [`crate::records::Rider::payment_status`].
    pub payment_status: Option<String>,
    /// See [`crate::records::Rider::rating_to_driver`].
    pub rating_to_driver: Option<i32>,
}

/// Make that many complete trips: `POST /api/generate-multiple-trips`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GenerateTrips {
    /// How many, from 0 to the limit that [`GenerateTrips::from_body`] was given.
    pub number_of_trips: u32,
}

impl GenerateTrip {
    /// Reads the command from a request.
    ///
    /// # Errors
    ///
    /// [`Rejection`] with every field that is wrong.
    pub fn from_body(content_type: Option<&str>, body: &[u8]) -> Result<Self, Rejection> {
        let mut fields = Fields::from_body(content_type, body)?;
        let command = Self {
            trip_id: fields.optional_string("trip_id"),
            driver_id: fields.optional_string("driver_id"),
            duration: fields.optional_string("duration"),
            mileage: fields.optional_string("mileage"),
            pickup_location: fields.optional_string("pickup_location"),
            destination_location: fields.optional_string("destination_location"),
        };
        fields.finish().map(|()| command)
    }
}

impl GenerateDriverEarning {
    /// Reads the command from a request.
    ///
    /// # Errors
    ///
    /// [`Rejection`] with every field that is wrong.
    pub fn from_body(content_type: Option<&str>, body: &[u8]) -> Result<Self, Rejection> {
        let mut fields = Fields::from_body(content_type, body)?;
        let command = Self {
            driver_id: fields.optional_string("driver_id"),
            trip_id: fields.optional_string("trip_id"),
            earnings_from_trip: fields.optional_float("earnings_from_trip"),
        };
        fields.finish().map(|()| command)
    }
}

impl GenerateRider {
    /// Reads the command from a request.
    ///
    /// # Errors
    ///
    /// [`Rejection`] with every field that is wrong.
    pub fn from_body(content_type: Option<&str>, body: &[u8]) -> Result<Self, Rejection> {
        let mut fields = Fields::from_body(content_type, body)?;
        let command = Self {
            rider_id: fields.optional_string("rider_id"),
            trip_id: fields.optional_string("trip_id"),
            duration_estimate: fields.optional_string("duration_estimate"),
            initial_fare_estimate: fields.optional_float("initial_fare_estimate"),
            final_adjusted_fare: fields.optional_float("final_adjusted_fare"),
            payment_status: fields.optional_string("payment_status"),
            rating_to_driver: fields.optional_i32("rating_to_driver"),
        };
        fields.finish().map(|()| command)
    }
}

impl GenerateTrips {
    /// Reads the command from a request; `max_trips` is the largest number that is allowed.
    ///
    /// # Errors
    ///
    /// [`Rejection`] if the number is missing, no integer, or out of its range.
    ///
    /// ```
    /// use models::commands::GenerateTrips;
    ///
    /// let json = Some("application/json");
    /// let trips = GenerateTrips::from_body(json, br#"{"number_of_trips": "30"}"#, 100)?;
    /// assert_eq!(trips.number_of_trips, 30);
    /// let refused = GenerateTrips::from_body(json, b"{}", 100).unwrap_err();
    /// assert_eq!(refused.status(), 422);
    /// # Ok::<(), models::validation::Rejection>(())
    /// ```
    pub fn from_body(
        content_type: Option<&str>,
        body: &[u8],
        max_trips: u32,
    ) -> Result<Self, Rejection> {
        let mut fields = Fields::from_body(content_type, body)?;
        let number = fields.required_integer("number_of_trips", &(0..=i64::from(max_trips)));
        fields.finish()?;
        Ok(Self { number_of_trips: u32::try_from(number).unwrap_or(max_trips) })
    }
}
