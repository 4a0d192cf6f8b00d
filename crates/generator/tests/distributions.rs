//! The distributions of the contract, over 100,000 trips. Tolerances are five standard errors, so that a right
//! generator fails one seed in a million, and the seed is fixed.

use chrono::{DateTime, Utc};
use generator::Generator;
use models::records::CompleteTrip;

const TRIPS: u64 = 100_000;
const SIGMAS: f64 = 5.0;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_348_800, 0).expect("a time of this century")
}

fn trips() -> impl Iterator<Item = CompleteTrip> {
    let generator = Generator::new(20_261_122);
    (0..TRIPS).map(move |index| generator.complete_trip(index, noon()))
}

fn number(text: &str, unit: &str) -> f64 {
    text.strip_suffix(unit)
        .and_then(|number| number.parse::<u32>().ok())
        .map_or_else(|| panic!("{text:?} is no number of{unit}"), f64::from)
}

fn miles(rows: &CompleteTrip) -> f64 {
    number(&rows.trip_data.mileage, " miles")
}

fn minutes(rows: &CompleteTrip) -> f64 {
    number(&rows.trip_data.duration, " minutes")
}

fn estimate(rows: &CompleteTrip) -> f64 {
    number(&rows.rider_data.duration_estimate, " minutes")
}

/// The mean of `values`, whose distribution has the mean and standard deviation given.
fn check_mean(what: &str, values: &[f64], mean: f64, deviation: f64) {
    let count = values.len() as f64;
    let found = values.iter().sum::<f64>() / count;
    let tolerance = SIGMAS * deviation / count.sqrt();
    assert!(
        (found - mean).abs() < tolerance,
        "mean of {what}: {found}, expected {mean} +- {tolerance}"
    );
}

/// The share of `values` that fulfil something which has the probability given.
fn check_share(what: &str, hits: usize, of: usize, probability: f64) {
    let of = of as f64;
    let found = hits as f64 / of;
    let tolerance = SIGMAS * (probability * (1.0 - probability) / of).sqrt();
    assert!(
        (found - probability).abs() < tolerance,
        "share of {what}: {found}, expected {probability} +- {tolerance}"
    );
}

/// The expected figures are those of the mixture 0.1 uniform(15, 65) + 0.3 normal(10, 5) + 0.6 log-normal(2, 0.7)
/// clamped to [1, 65], integrated numerically.
#[test]
fn mileage_is_the_contract_s_mixture() {
    let values: Vec<f64> = trips().map(|rows| miles(&rows)).collect();
    check_mean("mileage", &values, 12.6772, 11.9765);
    assert!(values.iter().all(|miles| (1.0..=65.0).contains(miles)));
    // Printed in whole miles, so that a share below k + 1/2 is the distribution function there.
    let shares = [
        (1, 0.0202),
        (3, 0.1148),
        (5, 0.2572),
        (9, 0.5222),
        (14, 0.7441),
        (26, 0.9024),
        (42, 0.9513),
        (60, 0.9902),
    ];
    for (whole, probability) in shares {
        let hits = values.iter().filter(|miles| **miles <= f64::from(whole)).count();
        check_share(&format!("at most {whole} miles"), hits, values.len(), probability);
    }
}

#[test]
fn a_mile_takes_one_to_two_and_a_half_minutes() {
    let values: Vec<f64> = trips().map(|rows| minutes(&rows)).collect();
    check_mean("duration", &values, 22.1851, 22.2778);
    for rows in trips() {
        let (miles, minutes) = (miles(&rows), minutes(&rows));
        // Both are rounded to whole ones.
        assert!(
            minutes >= (miles - 0.5) * 1.0 - 0.5 && minutes <= (miles + 0.5) * 2.5 + 0.5,
            "{rows:?}"
        );
    }
}

#[test]
fn the_rows_of_a_trip_tell_one_story() {
    for rows in trips() {
        let CompleteTrip { trip_id, trip_data, driver_earning_data, rider_data } = &rows;
        assert_eq!(
            [&trip_data.trip_id, &driver_earning_data.trip_id, &rider_data.trip_id],
            [trip_id; 3]
        );
        assert_eq!(trip_data.driver_id, driver_earning_data.driver_id);
        let time = |text: &Option<String>| {
            DateTime::parse_from_rfc3339(text.as_deref().expect("set")).expect("ISO-8601")
        };
        assert_eq!(time(&trip_data.completion_time), noon());
        let taken = noon().signed_duration_since(time(&trip_data.start_time));
        assert!((taken.as_seconds_f64() - minutes(&rows) * 60.0).abs() < 1e-9, "{rows:?}");
        let earned = miles(&rows) * 2.0 * 0.8 + minutes(&rows) * 0.5 * 0.2;
        assert!((driver_earning_data.earnings_from_trip - earned).abs() < 1e-9, "{rows:?}");
    }
}

/// The estimate is the actual minutes, 15..=60, and an error that rounds to -5..=5, the ends half as likely: the
/// mean of the former 37.5, its variance (46^2 - 1) / 12; of the latter 0 and 8.5.
#[test]
fn riders_are_told_15_to_60_minutes_give_or_take_5() {
    let values: Vec<f64> = trips().map(|rows| estimate(&rows)).collect();
    check_mean("estimate", &values, 37.5, (2115.0_f64 / 12.0 + 8.5).sqrt());
    assert!(values.iter().all(|minutes| (10.0..=65.0).contains(minutes)));
    // The sum of the two distributions at its ends and in its middle.
    for (at, probability) in
        [(10, 0.05 / 46.0), (11, 0.15 / 46.0), (37, 1.0 / 46.0), (65, 0.05 / 46.0)]
    {
        let hits = values.iter().filter(|minutes| (**minutes - f64::from(at)).abs() < 0.5).count();
        check_share(&format!("estimate {at}"), hits, values.len(), probability);
    }
}

#[test]
fn a_longer_ride_is_a_longer_ride_for_the_rider() {
    let mut rides: Vec<(f64, f64)> =
        trips().map(|rows| (minutes(&rows), estimate(&rows))).collect();
    rides.sort_by(|a, b| a.0.total_cmp(&b.0));
    let means: Vec<f64> = rides
        .chunks(rides.len() / 10)
        .map(|tenth| tenth.iter().map(|(_, estimate)| estimate).sum::<f64>() / tenth.len() as f64)
        .collect();
    // A tenth of all rides is 4.6 minutes of the riders' 46.
    assert!(means.windows(2).all(|pair| pair[1] - pair[0] > 3.5), "{means:?}");
}

#[test]
fn fares_are_half_a_dollar_a_minute_give_or_take_one() {
    let mut noise = Vec::new();
    for rows in trips() {
        let rider = &rows.rider_data;
        let error = rider.initial_fare_estimate - estimate(&rows) * 0.5;
        assert!(error.abs() <= 1.0 + 1e-9, "{rows:?}");
        noise.push(error);
        // The actual minutes are within 5 of the estimate.
        let error = rider.final_adjusted_fare - estimate(&rows) * 0.5;
        assert!(error.abs() <= 3.5 + 1e-9, "{rows:?}");
        for fare in [rider.initial_fare_estimate, rider.final_adjusted_fare] {
            assert!(
                ((fare * 100.0).round() - fare * 100.0).abs() < 1e-6,
                "{fare} is not to the cent"
            );
        }
    }
    check_mean("noise of the fare", &noise, 0.0, (1.0_f64 / 3.0).sqrt());
    let finals: Vec<f64> = trips().map(|rows| rows.rider_data.final_adjusted_fare).collect();
    check_mean("final fare", &finals, 18.75, (2115.0_f64 / 48.0 + 1.0 / 3.0).sqrt());
}

/// An error of -5..=5 rounds to no delay in 11 of 20 cases (0 to 5 too long), to a delay of 1 to 4 in 2 of 20
/// each, to 5 in 1 of 20.
#[test]
fn payments_and_ratings_have_the_contract_s_shares() {
    let riders: Vec<_> = trips().map(|rows| rows.rider_data).collect();
    let share = |what: &str, probability: f64, hit: &dyn Fn(&models::records::Rider) -> bool| {
        check_share(
            what,
            riders.iter().filter(|rider| hit(rider)).count(),
            riders.len(),
            probability,
        );
    };
    share("Completed", 0.99, &|rider| rider.payment_status == "Completed");
    share("Refunded", 0.01, &|rider| rider.payment_status == "Refunded");
    for (rating, probability) in [(5, 0.275), (4, 0.275 + 0.1), (3, 0.1), (2, 0.1), (1, 0.15)] {
        share(&format!("rating {rating}"), probability, &|rider| rider.rating_to_driver == rating);
    }
}

#[test]
fn single_rows_stay_within_their_ranges_and_reach_the_ends() {
    let generator = Generator::new(1);
    let mut seen = [(f64::MAX, f64::MIN); 7];
    for index in 0..TRIPS {
        let (trip, driver, rider) = (
            generator.trip(index, noon()),
            generator.driver_earning(index),
            generator.rider(index),
        );
        assert_eq!(rider.payment_status, "Completed");
        let values = [
            number(&trip.duration, " minutes"),
            number(&trip.mileage, " miles"),
            driver.earnings_from_trip,
            number(&rider.duration_estimate, " minutes"),
            rider.initial_fare_estimate,
            rider.final_adjusted_fare,
            f64::from(rider.rating_to_driver),
        ];
        for (range, value) in seen.iter_mut().zip(values) {
            *range = (range.0.min(value), range.1.max(value));
        }
    }
    let whole = [0, 1, 3, 6].map(|field| seen[field]);
    assert_eq!(whole, [(15.0, 60.0), (5.0, 50.0), (15.0, 60.0), (1.0, 5.0)]);
    // The chance that 100,000 draws miss the outermost 1 % is nil.
    for (field, low, high) in [(2, 100.0, 999.99), (4, 10.0, 99.99), (5, 10.0, 99.99)] {
        let (least, most) = seen[field];
        assert!((low..low * 1.1).contains(&least), "{field}: {least}");
        assert!(most <= high && most > high * 0.99, "{field}: {most}");
    }
}

#[test]
fn addresses_are_of_two_lines_in_us_style() {
    for rows in trips().take(10_000) {
        for address in [&rows.trip_data.pickup_location, &rows.trip_data.destination_location] {
            let (street, city) = address.split_once('\n').expect("two lines");
            let (number, name) = street.split_once(' ').expect("a number and a street");
            assert!((100..=99_999).contains(&number.parse().unwrap_or(0)), "{address}");
            assert!(name.split(' ').count() >= 2 && !name.contains('\n'), "{address}");
            let (city, rest) = city.split_once(", ").expect("a city and a state");
            let (state, postcode) = rest.split_once(' ').expect("a state and a postcode");
            assert!(city.starts_with(char::is_uppercase), "{address}");
            assert!(state.len() == 2 && state.bytes().all(|b| b.is_ascii_uppercase()), "{address}");
            assert!(
                postcode.len() == 5 && postcode.bytes().all(|b| b.is_ascii_digit()),
                "{address}"
            );
        }
    }
}
