//! From a request's bytes to the fields of a command, with every error collected on the way.

use std::ops::RangeInclusive;

use super::json::{self, JsonError};
use super::value::{Text, Value};
use super::{FieldError, Problem, Rejection, encoding, lax};

/// The members of a JSON object body, and what was wrong with those that were asked for so far.
#[derive(Debug)]
pub(crate) struct Fields {
    members: Vec<(Text, Value)>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads a body as FastAPI does for one model parameter: JSON only if the content type says so.
    ///
    /// # Errors
    ///
    /// [`Rejection`] if the body is absent, unreadable, no JSON, or no JSON object.
    pub(crate) fn from_body(content_type: Option<&str>, body: &[u8]) -> Result<Self, Rejection> {
        if body.is_empty() {
            return Err(Rejection::whole_body(Problem::Missing, Value::Null));
        }
        let value = if content_type.is_some_and(says_json) {
            parse(body)?
        } else {
            let text = String::from_utf8_lossy(body).into_owned();
            Value::Text(Text { text, lone_surrogate: false })
        };
        match value {
            Value::Object(members) => Ok(Self { members, errors: Vec::new() }),
            other => Err(Rejection::whole_body(Problem::ModelAttributesType, other)),
        }
    }

    /// A string, absent or `null`.
    pub(crate) fn optional_string(&mut self, name: &'static str) -> Option<String> {
        self.optional(name, lax::string)
    }

    /// A number, absent or `null`.
    pub(crate) fn optional_float(&mut self, name: &'static str) -> Option<f64> {
        self.optional(name, lax::float)
    }

    /// An integer within the range of an Avro `int`, absent or `null`.
    pub(crate) fn optional_i32(&mut self, name: &'static str) -> Option<i32> {
        let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
        let value = self.optional(name, |value| lax::integer(value, &range))?;
        i32::try_from(value).ok()
    }

    /// An integer within `range` that must be there. Its value is of no meaning if
    /// [`Fields::finish`] has errors to tell.
    pub(crate) fn required_integer(
        &mut self,
        name: &'static str,
        range: &RangeInclusive<i64>,
    ) -> i64 {
        let outcome = match Value::member(&self.members, name) {
            Some(value) => lax::integer(value, range).map_err(|problem| (problem, value.clone())),
            None => Err((Problem::Missing, Value::Object(self.members.clone()))),
        };
        self.keep(name, outcome).unwrap_or_default()
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`Rejection::Invalid`] with all errors, in the order in which the fields were asked for.
    pub(crate) fn finish(self) -> Result<(), Rejection> {
        if self.errors.is_empty() { Ok(()) } else { Err(Rejection::Invalid(self.errors)) }
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        convert: impl Fn(&Value) -> Result<T, Problem>,
    ) -> Option<T> {
        let value = match Value::member(&self.members, name) {
            None | Some(Value::Null) => return None,
            Some(value) => value,
        };
        let outcome = convert(value).map_err(|problem| (problem, value.clone()));
        self.keep(name, outcome)
    }

    fn keep<T>(&mut self, name: &'static str, outcome: Result<T, (Problem, Value)>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err((problem, input)) => {
                self.errors.push(FieldError { problem, field: Some(name), input });
                None
            }
        }
    }
}

fn parse(body: &[u8]) -> Result<Value, Rejection> {
    let text = encoding::code_points(body).map_err(|_| Rejection::Unreadable)?;
    json::parse(&text).map_err(|error| match error {
        JsonError::Overflow => Rejection::Unreadable,
        JsonError::Syntax { message, offset } => Rejection::whole_body(
            Problem::JsonInvalid { message, offset },
            Value::Object(Vec::new()),
        ),
    })
}

/// Whether a `Content-Type` means JSON: `application/json`, or `application/` with a `+json` suffix.
/// Read as Python's `email.message` reads it: parameters and case don't count, a value that has
/// not exactly one slash is no type at all.
fn says_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_lowercase();
    media_type.strip_prefix("application/").is_some_and(|subtype| {
        subtype == "json" || subtype.ends_with("+json") && !subtype.contains('/')
    })
}
