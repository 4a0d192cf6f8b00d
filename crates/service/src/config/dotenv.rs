//! The grammar of a `.env` file: that of python-dotenv 1.2 (`load_dotenv`), with which the course's programs read it.
//!
//! A file is a sequence of `NAME=VALUE`, `export NAME=VALUE`, names alone, comments and blank lines. Values are
//! unquoted (up to the end of the line or a `#` behind white space), or in single or double quotes (over several
//! lines, with backslash escapes). `${NAME}` and `${NAME:-default}` expand in every value, quoted or not; a `$`
//! without braces is a `$`. A statement that python-dotenv can't read is passed over, and so it is here.

use std::collections::BTreeMap;

/// What a `.env` file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EnvFile {
    /// Names and values, by name. A name that stands there more than once has its last value; one without `=` has
    /// none and is left out.
    pub(super) variables: BTreeMap<String, String>,
    /// The lines, from 1, at which statements begin that can't be read.
    pub(super) unreadable: Vec<usize>,
}

/// Reads the text of a file. `${NAME}` means a variable of `environment`, else one that the file has set above.
pub(super) fn parse(text: &str, environment: &[(String, String)]) -> EnvFile {
    // Python reads text files with universal newlines.
    let text =
        text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut values: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut unreadable = Vec::new();
    let mut reader = Reader { rest: &text };
    while !reader.rest.is_empty() {
        reader.skip(is_space);
        let start = text.len() - reader.rest.len();
        match reader.statement() {
            Ok(Statement::Nothing) => {}
            Ok(Statement::Name(name)) => {
                values.insert(name.to_owned(), None);
            }
            Ok(Statement::Assignment(name, value)) => {
                let value = expand(&value, |name| look_up(name, environment, &values));
                values.insert(name.to_owned(), Some(value));
            }
            Err(Unreadable) => {
                unreadable.push(1 + text[..start].matches('\n').count());
                reader.skip(|char| char != '\n');
                reader.take("\n");
            }
        }
    }
    let set = values.into_iter().filter_map(|(name, value)| Some((name, value?)));
    EnvFile { variables: set.collect(), unreadable }
}

/// The value of `name`, if it is known. A name without a value is known and empty.
fn look_up(
    name: &str,
    environment: &[(String, String)],
    above: &BTreeMap<String, Option<String>>,
) -> Option<String> {
    let outside =
        environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    outside.or_else(|| above.get(name).map(|value| value.clone().unwrap_or_default()))
}

enum Statement<'t> {
    /// A comment, or the end of the file.
    Nothing,
    /// A name without `=`.
    Name(&'t str),
    Assignment(&'t str, String),
}

/// The statement can't be read; the reader stands where that was found.
struct Unreadable;

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// Reads a statement and the end of its line. Stands at its first character.
    fn statement(&mut self) -> Result<Statement<'t>, Unreadable> {
        if self.rest.is_empty() {
            return Ok(Statement::Nothing);
        }
        self.export();
        let name = match self.rest.chars().next() {
            Some('#') => None,
            Some('\'') => Some(self.quoted_name()?),
            _ => Some(self.name()?),
        };
        self.skip(is_blank);
        let is_assignment = self.take("=");
        let value = if is_assignment { self.value()? } else { String::new() };
        self.end_of_line()?;
        Ok(match name {
            None => Statement::Nothing,
            Some(name) if is_assignment => Statement::Assignment(name, value),
            Some(name) => Statement::Name(name),
        })
    }

    /// Skips `export` if white space follows it.
    fn export(&mut self) {
        if let Some(rest) = self.rest.strip_prefix("export")
            && rest.starts_with(is_blank)
        {
            self.rest = rest.trim_start_matches(is_blank);
        }
    }

    fn name(&mut self) -> Result<&'t str, Unreadable> {
        let name = self.skip(|char| char != '=' && char != '#' && !is_space(char));
        if name.is_empty() { Err(Unreadable) } else { Ok(name) }
    }

    fn quoted_name(&mut self) -> Result<&'t str, Unreadable> {
        let (name, rest) = self.rest[1..].split_once('\'').ok_or(Unreadable)?;
        if name.is_empty() {
            return Err(Unreadable);
        }
        self.rest = rest;
        Ok(name)
    }

    /// Reads what stands behind `=`.
    fn value(&mut self) -> Result<String, Unreadable> {
        let blank = self.skip(is_blank);
        match self.rest.chars().next() {
            None | Some('\n') => Ok(String::new()),
            Some('#') if !blank.is_empty() => Ok(String::new()),
            Some('\'') => self.quoted_value('\'', |escaped| match escaped {
                '\\' | '\'' => Some(escaped),
                _ => None,
            }),
            Some('"') => self.quoted_value('"', |escaped| match escaped {
                '\\' | '\'' | '"' => Some(escaped),
                'a' => Some('\u{7}'),
                'b' => Some('\u{8}'),
                'f' => Some('\u{c}'),
                'n' => Some('\n'),
                'r' => Some('\r'),
                't' => Some('\t'),
                'v' => Some('\u{b}'),
                _ => None,
            }),
            Some(_) => Ok(unquoted(self.skip(|char| char != '\n')).to_owned()),
        }
    }

    /// Reads up to the closing quote. A backslash belongs to the character behind it; where `decode` knows none for
    /// the two, both stay.
    fn quoted_value(
        &mut self,
        quote: char,
        decode: impl Fn(char) -> Option<char>,
    ) -> Result<String, Unreadable> {
        let mut value = String::new();
        let mut chars = self.rest.chars();
        chars.next();
        loop {
            match chars.next().ok_or(Unreadable)? {
                '\\' => {
                    let escaped = chars.next().ok_or(Unreadable)?;
                    match decode(escaped) {
                        Some(char) => value.push(char),
                        None => value.extend(['\\', escaped]),
                    }
                }
                char if char == quote => break,
                char => value.push(char),
            }
        }
        self.rest = chars.as_str();
        Ok(value)
    }

    /// Reads a comment, if there is one, and the end of the line.
    fn end_of_line(&mut self) -> Result<(), Unreadable> {
        self.skip(is_blank);
        if self.rest.starts_with('#') {
            self.skip(|char| char != '\n');
        }
        if self.take("\n") || self.rest.is_empty() { Ok(()) } else { Err(Unreadable) }
    }

    /// Reads the characters that `wanted` holds of.
    fn skip(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|char| !wanted(char)).unwrap_or(self.rest.len());
        let (read, rest) = self.rest.split_at(end);
        self.rest = rest;
        read
    }

    /// Reads `text` if it stands here.
    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// Python's `\s`.
fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

/// White space within a line.
fn is_blank(char: char) -> bool {
    is_space(char) && char != '\n'
}

/// An unquoted value without its comment, which begins with a `#` behind white space.
fn unquoted(line: &str) -> &str {
    let starts_comment = |(at, _): &(usize, &str)| line[..*at].ends_with(is_space);
    let end = line.match_indices('#').find(starts_comment).map_or(line.len(), |(at, _)| at);
    line[..end].trim_end_matches(is_space)
}

/// Replaces `${NAME}` by the variable's value, or nothing, and `${NAME:-default}` by the value, or the default.
fn expand(value: &str, look_up: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        expanded.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        if let Some((name, default, after)) = variable(inner) {
            expanded.push_str(&look_up(name).unwrap_or_else(|| default.to_owned()));
            rest = after;
        } else {
            expanded.push_str("${");
            rest = inner;
        }
    }
    expanded.push_str(rest);
    expanded
}

/// The name, the default and what follows the closing brace, of what stands behind `${`.
fn variable(inner: &str) -> Option<(&str, &str, &str)> {
    let end = inner.find(['}', ':'])?;
    let (name, rest) = inner.split_at(end);
    if let Some(after) = rest.strip_prefix('}') {
        return Some((name, "", after));
    }
    let (default, after) = rest.strip_prefix(":-")?.split_once('}')?;
    Some((name, default, after))
}

#[cfg(test)]
mod tests;
