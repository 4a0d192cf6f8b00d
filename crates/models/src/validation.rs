//! Request bodies checked as FastAPI with pydantic checks them, and refused in the same words.
//!
//! Clients of the original service read these answers, so acceptance, status, error types, messages
//! and offsets follow FastAPI 0.165 and pydantic 2.14. `tests/data/fastapi_bodies.json` holds what
//! they answered to some hundred bodies; where they fail with a status 500 (a value that they can't
//! print), this module answers 422 and prints `null` or U+FFFD.

mod body;
mod encoding;
mod json;
mod lax;
mod value;

pub(crate) use body::Fields;
use value::{Value, write_json_string};

/// A body that was not accepted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// Not text, nested too deep, or with an absurdly long integer: nothing more can be said of it.
    #[error("the body can't be parsed")]
    Unreadable,
    /// Everything that is wrong with the body, at least one thing.
    #[error("the body has {} error(s)", .0.len())]
    Invalid(Vec<FieldError>),
}

/// One thing that is wrong with a body.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    problem: Problem,
    /// The field, or `None` if it is the body as a whole.
    field: Option<&'static str>,
    /// What was found there.
    input: Value,
}

/// What can be wrong, by pydantic's names.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Problem {
    FiniteNumber,
    FloatParsing,
    FloatType,
    GreaterThanEqual(i64),
    IntFromFloat,
    IntParsing,
    IntParsingSize,
    IntType,
    JsonInvalid { message: &'static str, offset: usize },
    LessThanEqual(i64),
    Missing,
    ModelAttributesType,
    StringType,
    StringUnicode,
}

impl Rejection {
    fn whole_body(problem: Problem, input: Value) -> Self {
        Self::Invalid(vec![FieldError { problem, field: None, input }])
    }

    /// The HTTP status that says this: 400 or 422.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Unreadable => 400,
            Self::Invalid(_) => 422,
        }
    }

    /// The answer's JSON body: `{"detail": ...}`.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"detail\":");
        match self {
            Self::Unreadable => out.push_str("\"There was an error parsing the body\""),
            Self::Invalid(errors) => {
                out.push('[');
                for (i, error) in errors.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    error.write_json(&mut out);
                }
                out.push(']');
            }
        }
        out.push('}');
        out
    }
}

impl FieldError {
    /// The field's name; `None` if the error is about the body as a whole.
    pub const fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// The error's type by pydantic's name, such as `int_parsing`.
    pub const fn kind(&self) -> &'static str {
        self.problem.kind()
    }

    fn write_json(&self, out: &mut String) {
        out.push_str("{\"type\":");
        write_json_string(self.problem.kind(), out);
        out.push_str(",\"loc\":[\"body\"");
        if let Some(field) = self.field {
            out.push(',');
            write_json_string(field, out);
        }
        if let Problem::JsonInvalid { offset, .. } = self.problem {
            out.push(',');
            out.push_str(&offset.to_string());
        }
        out.push_str("],\"msg\":");
        write_json_string(&self.problem.message(), out);
        out.push_str(",\"input\":");
        self.input.write_json(out);
        match self.problem {
            Problem::GreaterThanEqual(limit) => write_context("ge", &limit.to_string(), out),
            Problem::LessThanEqual(limit) => write_context("le", &limit.to_string(), out),
            Problem::JsonInvalid { message, .. } => {
                let mut quoted = String::new();
                write_json_string(message, &mut quoted);
                write_context("error", &quoted, out);
            }
            _ => {}
        }
        out.push('}');
    }
}

/// Appends the member `ctx`: what the message was made of.
fn write_context(name: &str, json: &str, out: &mut String) {
    out.push_str(",\"ctx\":{");
    write_json_string(name, out);
    out.push(':');
    out.push_str(json);
    out.push('}');
}

impl Problem {
    const fn kind(self) -> &'static str {
        match self {
            Self::FiniteNumber => "finite_number",
            Self::FloatParsing => "float_parsing",
            Self::FloatType => "float_type",
            Self::GreaterThanEqual(_) => "greater_than_equal",
            Self::IntFromFloat => "int_from_float",
            Self::IntParsing => "int_parsing",
            Self::IntParsingSize => "int_parsing_size",
            Self::IntType => "int_type",
            Self::JsonInvalid { .. } => "json_invalid",
            Self::LessThanEqual(_) => "less_than_equal",
            Self::Missing => "missing",
            Self::ModelAttributesType => "model_attributes_type",
            Self::StringType => "string_type",
            Self::StringUnicode => "string_unicode",
        }
    }

    fn message(self) -> String {
        let words = match self {
            Self::GreaterThanEqual(limit) => {
                return format!("Input should be greater than or equal to {limit}");
            }
            Self::LessThanEqual(limit) => {
                return format!("Input should be less than or equal to {limit}");
            }
            Self::FiniteNumber => "Input should be a finite number",
            Self::FloatParsing => {
                "Input should be a valid number, unable to parse string as a number"
            }
            Self::FloatType => "Input should be a valid number",
            Self::IntFromFloat => {
                "Input should be a valid integer, got a number with a fractional part"
            }
            Self::IntParsing => {
                "Input should be a valid integer, unable to parse string as an integer"
            }
            Self::IntParsingSize => {
                "Unable to parse input string as an integer, exceeded maximum size"
            }
            Self::IntType => "Input should be a valid integer",
            Self::JsonInvalid { .. } => "JSON decode error",
            Self::Missing => "Field required",
            Self::ModelAttributesType => {
                "Input should be a valid dictionary or object to extract fields from"
            }
            Self::StringType => "Input should be a valid string",
            Self::StringUnicode => {
                "Input should be a valid string, unable to parse raw data as a unicode string"
            }
        };
        words.to_owned()
    }
}
