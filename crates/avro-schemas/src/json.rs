//! Values as JSON, for people to look at.

use apache_avro::types::Value;
use serde_json::{Number, Value as Json};

/// `value` as JSON. A number that JSON has no form for is a text: `"NaN"`, `"Infinity"`, `"-Infinity"`.
pub(crate) fn of(value: Value) -> Result<Json, apache_avro::Error> {
    Ok(match value {
        Value::Float(number) => float(number.into()),
        Value::Double(number) => float(number),
        Value::Union(_, value) => of(*value)?,
        Value::Array(items) => Json::Array(items.into_iter().map(of).collect::<Result<_, _>>()?),
        Value::Map(items) => object(items)?,
        Value::Record(fields) => object(fields)?,
        other => Json::try_from(other)?,
    })
}

fn object(values: impl IntoIterator<Item = (String, Value)>) -> Result<Json, apache_avro::Error> {
    let values = values.into_iter().map(|(name, value)| Ok((name, of(value)?)));
    values.collect::<Result<_, _>>().map(Json::Object)
}

fn float(number: f64) -> Json {
    match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}
