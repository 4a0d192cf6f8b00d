//! A JSON value as Python reads it, and how it is shown in an answer.

use std::collections::HashMap;

/// A parsed JSON value. Numbers keep what Python would keep of them: integers of any size, and
/// floats that JSON itself doesn't know (`NaN`, `Infinity`).
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// An integer as decimal digits with an optional minus sign, no leading zeros.
    Int(String),
    Float(f64),
    Text(Text),
    List(Vec<Value>),
    /// The members as they came, repeated names included; [`Value::member`] knows which one counts.
    Object(Vec<(Text, Value)>),
}

/// A string. A lone surrogate can't be written in UTF-8: it is replaced and remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) lone_surrogate: bool,
}

impl Text {
    /// Appends a code point.
    pub(super) fn push(&mut self, point: u32) {
        if let Some(c) = char::from_u32(point) {
            self.text.push(c);
        } else {
            self.text.push(char::REPLACEMENT_CHARACTER);
            self.lone_surrogate = true;
        }
    }
}

impl Value {
    /// The member `name` of an object's `members`. The last one of that name counts.
    pub(super) fn member<'a>(members: &'a [(Text, Value)], name: &str) -> Option<&'a Value> {
        members.iter().rev().find(|(key, _)| key.text == name).map(|(_, value)| value)
    }

    /// Appends the value as JSON. Non-finite floats become `null`: JSON has no other word for them.
    pub(super) fn write_json(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(true) => out.push_str("true"),
            Value::Bool(false) => out.push_str("false"),
            Value::Int(digits) => out.push_str(digits),
            Value::Float(float) => match serde_json::Number::from_f64(*float) {
                Some(number) => out.push_str(&number.to_string()),
                None => out.push_str("null"),
            },
            Value::Text(text) => write_json_string(&text.text, out),
            Value::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Value::Object(members) => write_json_object(members, out),
        }
    }
}

/// Writes an object as Python's `dict` would show it: a repeated name keeps its first place and its
/// last value.
fn write_json_object(members: &[(Text, Value)], out: &mut String) {
    let mut last: HashMap<&str, &Value> =
        members.iter().map(|(key, value)| (key.text.as_str(), value)).collect();
    out.push('{');
    let mut first = true;
    for (key, _) in members {
        let Some(value) = last.remove(key.text.as_str()) else { continue };
        if !first {
            out.push(',');
        }
        first = false;
        write_json_string(&key.text, out);
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

/// Appends `text` as a JSON string.
pub(super) fn write_json_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
