//! A JSON parser that accepts, refuses and complains as Python's `json` module does.
//!
//! The rules are those of CPython 3.11's scanner (`Modules/_json.c`): `NaN` and `Infinity` are
//! values, control characters in strings are errors, and every error has the offset, counted in
//! characters, that Python reports. Clients of the original service have seen these offsets.

use super::value::{Text, Value};

/// How deep lists and objects may nest. Python gives up between 950 and 990 levels, depending on
/// how much of its stack is in use.
const MAX_DEPTH: usize = 950;
/// The longest integer that Python converts (`sys.int_info.default_max_str_digits`), in digits.
const MAX_INT_DIGITS: usize = 4300;

/// Why a text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonError {
    /// Bad syntax, in Python's words, at an offset in characters.
    Syntax { message: &'static str, offset: usize },
    /// Too deep, or an integer too long: Python raises something that is no JSON error.
    Overflow,
}

/// Parses a whole document.
pub(super) fn parse(text: &[u32]) -> Result<Value, JsonError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.skip_whitespace();
    let value = parser.value()?;
    parser.skip_whitespace();
    if parser.at < text.len() {
        return Err(syntax("Extra data", parser.at));
    }
    Ok(value)
}

const fn syntax(message: &'static str, offset: usize) -> JsonError {
    JsonError::Syntax { message, offset }
}

struct Parser<'a> {
    text: &'a [u32],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    /// The character at the current position, if it is ASCII; 0 stands for all others and the end.
    fn peek(&self) -> u8 {
        self.ascii(self.at)
    }

    fn ascii(&self, at: usize) -> u8 {
        self.text.get(at).and_then(|&point| u8::try_from(point).ok()).unwrap_or(0)
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Goes past `word` if it comes next.
    fn take(&mut self, word: &str) -> bool {
        let found = word.bytes().enumerate().all(|(i, byte)| self.ascii(self.at + i) == byte);
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            b'"' => self.string().map(Value::Text),
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::list),
            _ => self.scalar(),
        }
    }

    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<Value, JsonError>,
    ) -> Result<Value, JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::Overflow);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_whitespace();
        let value = inner(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        let mut members = Vec::new();
        if self.take("}") {
            return Ok(Value::Object(members));
        }
        loop {
            if self.peek() != b'"' {
                return Err(syntax("Expecting property name enclosed in double quotes", self.at));
            }
            let name = self.string()?;
            self.skip_whitespace();
            if !self.take(":") {
                return Err(syntax("Expecting ':' delimiter", self.at));
            }
            self.skip_whitespace();
            members.push((name, self.value()?));
            if self.end_of_item("}")? {
                return Ok(Value::Object(members));
            }
        }
    }

    fn list(&mut self) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        if self.take("]") {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.end_of_item("]")? {
                return Ok(Value::List(items));
            }
        }
    }

    /// Reads what follows an item: true for `close`, false for a comma.
    fn end_of_item(&mut self, close: &str) -> Result<bool, JsonError> {
        self.skip_whitespace();
        if self.take(close) {
            return Ok(true);
        }
        if !self.take(",") {
            return Err(syntax("Expecting ',' delimiter", self.at));
        }
        self.skip_whitespace();
        Ok(false)
    }

    fn scalar(&mut self) -> Result<Value, JsonError> {
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        for (word, value) in words {
            if self.take(word) {
                return Ok(value);
            }
        }
        self.number()
    }

    fn digits(&self, mut at: usize) -> usize {
        while self.ascii(at).is_ascii_digit() {
            at += 1;
        }
        at
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let first = start + usize::from(self.peek() == b'-');
        let mut end = match self.ascii(first) {
            b'0' => first + 1,
            b'1'..=b'9' => self.digits(first),
            _ => return Err(syntax("Expecting value", start)),
        };
        let integer_digits = end - first;
        let mut is_float = false;
        if self.ascii(end) == b'.' && self.ascii(end + 1).is_ascii_digit() {
            is_float = true;
            end = self.digits(end + 1);
        }
        if matches!(self.ascii(end), b'e' | b'E') {
            let exponent = end + 1 + usize::from(matches!(self.ascii(end + 1), b'+' | b'-'));
            let exponent_end = self.digits(exponent);
            if exponent_end > exponent {
                is_float = true;
                end = exponent_end;
            }
        }
        let literal: String = (start..end).map(|at| char::from(self.ascii(at))).collect();
        self.at = end;
        if is_float {
            // Any literal of this form is one that Rust reads too, rounding as Python does.
            return literal.parse().map(Value::Float).map_err(|_| syntax("Expecting value", start));
        }
        if integer_digits > MAX_INT_DIGITS {
            return Err(JsonError::Overflow);
        }
        Ok(Value::Int(if literal == "-0" { "0".to_owned() } else { literal }))
    }

    /// Reads a string; the current position is its opening quote.
    fn string(&mut self) -> Result<Text, JsonError> {
        let start = self.at;
        self.at += 1;
        let mut text = Text::default();
        loop {
            let Some(&point) = self.text.get(self.at) else {
                return Err(syntax("Unterminated string starting at", start));
            };
            match point {
                0x22 => {
                    self.at += 1;
                    return Ok(text);
                }
                0x5C => {
                    let point = self.escape(start)?;
                    text.push(point);
                }
                0..=0x1F => return Err(syntax("Invalid control character at", self.at)),
                _ => {
                    text.push(point);
                    self.at += 1;
                }
            }
        }
    }

    /// Reads an escape of the string that starts at `start`; the current position is the backslash.
    fn escape(&mut self, start: usize) -> Result<u32, JsonError> {
        let backslash = self.at;
        if backslash + 1 == self.text.len() {
            return Err(syntax("Unterminated string starting at", start));
        }
        self.at += 2;
        let c = match self.ascii(backslash + 1) {
            c @ (b'"' | b'\\' | b'/') => c,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(syntax("Invalid \\escape", backslash)),
        };
        Ok(u32::from(c))
    }

    /// Reads the digits of a `\u` escape, and its second half if it is the first of a pair.
    fn unicode_escape(&mut self) -> Result<u32, JsonError> {
        const INVALID: &str = "Invalid \\uXXXX escape";
        let digits = self.at;
        // CPython wants one more character behind the digits: the string can't end with them.
        if digits + 4 >= self.text.len() {
            return Err(syntax(INVALID, digits - 1));
        }
        let high = self.hex4(digits).ok_or(syntax(INVALID, digits - 1))?;
        self.at = digits + 4;
        let second = digits + 6;
        let is_pair_so_far = (0xD800..=0xDBFF).contains(&high)
            && second + 4 < self.text.len()
            && self.ascii(self.at) == b'\\'
            && self.ascii(self.at + 1) == b'u';
        if !is_pair_so_far {
            return Ok(high);
        }
        let low = self.hex4(second).ok_or(syntax(INVALID, second - 1))?;
        if !(0xDC00..=0xDFFF).contains(&low) {
            return Ok(high);
        }
        self.at = second + 4;
        Ok(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        (at..at + 4)
            .try_fold(0, |value, at| Some(value * 16 + char::from(self.ascii(at)).to_digit(16)?))
    }
}
