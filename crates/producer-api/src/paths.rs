//! The paths of the five endpoints.

/// In the order of the contract: single records first, then complete trips.
pub(crate) const PATHS: [&str; 5] = [
    "/api/generate-trip",
    "/api/generate-driver-earning",
    "/api/generate-rider",
    "/api/generate-complete-trip",
    "/api/generate-multiple-trips",
];
