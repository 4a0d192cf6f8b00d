//! How pydantic, in its lax mode, makes strings, integers and floats of JSON values.

use std::ops::RangeInclusive;

use super::Problem;
use super::value::{Text, Value};

/// The longest integer that pydantic reads from a string, in digits.
const MAX_INT_DIGITS: usize = 4300;

/// Only strings are strings, and they must be Unicode text.
pub(super) fn string(value: &Value) -> Result<String, Problem> {
    match value {
        Value::Text(Text { text, lone_surrogate: false }) => Ok(text.clone()),
        Value::Text(_) => Err(Problem::StringUnicode),
        _ => Err(Problem::StringType),
    }
}

/// Integers, booleans, whole floats, and strings that hold an integer; within `range`.
pub(super) fn integer(value: &Value, range: &RangeInclusive<i64>) -> Result<i64, Problem> {
    let digits = match value {
        Value::Bool(bool) => return in_range(i64::from(*bool), range),
        Value::Float(float) => return in_range(whole(*float)?, range),
        Value::Int(digits) => digits.clone(),
        Value::Text(Text { text, lone_surrogate: false }) => integer_in_text(text)?,
        Value::Text(_) => return Err(Problem::StringUnicode),
        Value::Null | Value::List(_) | Value::Object(_) => return Err(Problem::IntType),
    };
    let clamped =
        digits.parse().unwrap_or(if digits.starts_with('-') { i64::MIN } else { i64::MAX });
    in_range(clamped, range)
}

/// Floats, integers, booleans, and strings that hold a number. `NaN` and infinities are floats.
pub(super) fn float(value: &Value) -> Result<f64, Problem> {
    match value {
        Value::Bool(bool) => Ok(f64::from(u8::from(*bool))),
        Value::Float(float) => Ok(*float),
        // Python can't convert an integer beyond the largest float; no error type of its own.
        Value::Int(digits) => {
            digits.parse().ok().filter(|float: &f64| float.is_finite()).ok_or(Problem::FloatType)
        }
        Value::Text(Text { text, lone_surrogate: false }) => float_in_text(text),
        Value::Text(_) => Err(Problem::StringUnicode),
        Value::Null | Value::List(_) | Value::Object(_) => Err(Problem::FloatType),
    }
}

fn in_range(value: i64, range: &RangeInclusive<i64>) -> Result<i64, Problem> {
    if value < *range.start() {
        Err(Problem::GreaterThanEqual(*range.start()))
    } else if value > *range.end() {
        Err(Problem::LessThanEqual(*range.end()))
    } else {
        Ok(value)
    }
}

fn whole(float: f64) -> Result<i64, Problem> {
    if !float.is_finite() {
        return Err(Problem::FiniteNumber);
    }
    if float.fract() != 0.0 {
        return Err(Problem::IntFromFloat);
    }
    if float <= i64::MIN as f64 || float >= i64::MAX as f64 {
        return Err(Problem::IntParsingSize);
    }
    Ok(float as i64)
}

/// The integer in a string: digits and a minus sign, without `+`, leading zeros and underscores.
fn integer_in_text(text: &str) -> Result<String, Problem> {
    let digits = clean_integer(text).ok_or(Problem::IntParsing)?;
    if digits.len() > MAX_INT_DIGITS {
        return Err(Problem::IntParsingSize);
    }
    match digits.strip_prefix('-').unwrap_or(&digits).as_bytes() {
        [b'0'] => Ok(digits),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => Ok(digits),
        _ => Err(Problem::IntParsing),
    }
}

fn clean_integer(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let whole = match unsigned.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && is_zeros(fraction) => whole,
        _ => unsigned,
    };
    without_underscores(&format!("{sign}{}", without_leading_zeros(whole)?))
}

fn is_zeros(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'0')
}

/// Leading zeros may have underscores between them, of which pydantic takes no further notice.
fn without_leading_zeros(text: &str) -> Option<&str> {
    match text.bytes().next()? {
        b'0' => {}
        b'1'..=b'9' => return Some(text),
        _ => return None,
    }
    let rest = text.trim_start_matches(['0', '_']);
    match rest.bytes().next() {
        // Nothing but zeros: the last character stands for all, and fails if it is an underscore.
        None => Some(&text[text.len() - 1..]),
        // The minus sign is no slip: pydantic reads "0-3" as -3.
        Some(b'1'..=b'9' | b'-') => Some(rest),
        Some(_) => None,
    }
}

/// Single underscores between characters are dropped; others make the text no number.
fn without_underscores(text: &str) -> Option<String> {
    let misplaced = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!misplaced).then(|| text.replace('_', ""))
}

/// White space around a number is fine, underscores in it are fine, but not both at once.
fn float_in_text(text: &str) -> Result<f64, Problem> {
    let plain = text.trim().parse().ok();
    let number = plain.or_else(|| without_underscores(text)?.parse().ok());
    number.ok_or(Problem::FloatParsing)
}
