//! Scales: where on an axis a value lies, and which values are marked there.

use crate::number::plain;

/// A scale from one end of an axis to the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scale {
    /// Equal steps are equally far.
    Linear { min: f64, max: f64 },
    /// Equal factors are equally far. Both above zero.
    Log { min: f64, max: f64 },
    /// Quantiles, from 0 to below 1: each further nine is equally far, as HdrHistogram plots them. `decades` is the
    /// number of nines at the end.
    Quantile { decades: f64 },
}

/// A marked value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    /// From 0 to 1 along the axis.
    pub(crate) position: f64,
    pub(crate) label: String,
}

impl Scale {
    /// From zero to at least `max`.
    pub(crate) fn from_zero(max: f64) -> Self {
        Scale::Linear { min: 0.0, max: if max > 0.0 { max } else { 1.0 } }
    }

    /// The decades that hold all `values` above zero, from `floor` (a power of ten) at the lowest.
    pub(crate) fn decades(values: impl Iterator<Item = f64>, floor: f64) -> Self {
        let (least, most) = values
            .map(|value| value.max(floor))
            .fold((f64::INFINITY, floor), |(least, most), value| {
                (least.min(value), most.max(value))
            });
        let power = |value: f64, round: fn(f64) -> f64| 10_f64.powf(round(value.log10()));
        let min = power(least.min(most), f64::floor);
        let max = power(most, f64::ceil);
        Scale::Log { min, max: if max > min { max } else { min * 10.0 } }
    }

    /// Where `value` lies, from 0 to 1; the end that is nearer if it lies outside.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let position = match *self {
            Scale::Linear { min, max } => (value - min) / (max - min),
            Scale::Log { min, max } => (value.max(min) / min).log10() / (max / min).log10(),
            Scale::Quantile { decades } => -(1.0 - value).max(f64::MIN_POSITIVE).log10() / decades,
        };
        position.clamp(0.0, 1.0)
    }

    /// The values to mark, with their labels; at most about `most`.
    pub(crate) fn marks(&self, most: usize) -> Vec<Mark> {
        let mark = |value: f64, label: String| Mark { position: self.position(value), label };
        match *self {
            Scale::Linear { min, max } => {
                let step = step(max - min, most);
                let first = (min / step).ceil() as i64;
                let last = (max / step + 1e-9).floor() as i64;
                (first..=last).map(|k| k as f64 * step).map(|v| mark(v, plain(v))).collect()
            }
            Scale::Log { min, max } => {
                let decades = (max / min).log10().round() as i32;
                let first = min.log10().round() as i32;
                // Few decades leave room for marks within them.
                let within: &[f64] = if decades <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
                let powers = (0..=decades).map(|k| 10_f64.powi(first + k));
                let values = powers.flat_map(|power| within.iter().map(move |k| k * power));
                values.filter(|v| *v <= max * 1.001).map(|v| mark(v, plain(v))).collect()
            }
            Scale::Quantile { decades } => {
                let nines = (1..=decades.floor() as i32).map(|k| 1.0 - 10_f64.powi(-k));
                let percent = |q: f64| mark(q, format!("{}%", plain(q * 100.0)));
                [0.0, 0.5].into_iter().chain(nines).map(percent).collect()
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, so that `span` has at most about `most` of it.
fn step(span: f64, most: usize) -> f64 {
    let least = span / most.max(1) as f64;
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|k| k * power)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale, most: usize) -> String {
        scale.marks(most).into_iter().map(|mark| mark.label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn marks_are_round_numbers_within_the_scale() {
        let cases = [
            (Scale::from_zero(20.0), 5, "0 5 10 15 20"),
            (Scale::from_zero(7.3), 8, "0 1 2 3 4 5 6 7"),
            (Scale::from_zero(36_000.0), 4, "0 10,000 20,000 30,000"),
            (Scale::Linear { min: 3.0, max: 9.0 }, 6, "3 4 5 6 7 8 9"),
            (Scale::from_zero(0.0), 2, "0 0.5 1"),
            (Scale::decades([0.3, 480.0].into_iter(), 0.01), 9, "0.1 1 10 100 1,000"),
            (Scale::decades([0.0, 0.002].into_iter(), 0.01), 9, "0.01 0.02 0.05 0.1"),
            (Scale::decades(std::iter::empty(), 0.01), 9, "0.01 0.02 0.05 0.1"),
            (Scale::Quantile { decades: 3.2 }, 9, "0% 50% 90% 99% 99.9%"),
        ];
        for (scale, most, expected) in cases {
            assert_eq!(labels(&scale, most), expected, "{scale:?}");
        }
    }

    #[test]
    fn each_nine_is_equally_far_and_so_is_each_decade() {
        let at = |scale: &Scale, values: [f64; 3]| values.map(|value| scale.position(value));
        let near = |left: f64, right: f64| assert!((left - right).abs() < 1e-9, "{left} {right}");
        for [one, two, three] in [
            at(&Scale::Quantile { decades: 3.0 }, [0.9, 0.99, 0.999]),
            at(&Scale::Log { min: 1.0, max: 1_000.0 }, [10.0, 100.0, 1_000.0]),
            at(&Scale::Linear { min: 0.0, max: 3.0 }, [1.0, 2.0, 3.0]),
        ] {
            near(two - one, one);
            near(three, 1.0);
        }
        near(Scale::Quantile { decades: 3.0 }.position(1.0), 1.0);
        near(Scale::Log { min: 1.0, max: 10.0 }.position(0.0), 0.0);
    }
}
