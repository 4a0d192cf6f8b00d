//! Checks a new schema against earlier versions of its subject.

use super::level::Level;
use super::resolution::{Difference, DifferenceKind, differences};
use super::schema::AvroSchema;

/// An error contains at most this much of the old schema (`MAX_SCHEMA_SIZE_FOR_LOGGING` of Confluent's
/// `SchemaValidatorBuilder`).
const MAX_SHOWN_BYTES: usize = 10 * 1024;

/// A version that a new schema is checked against.
pub(crate) struct Earlier {
    pub(crate) version: u32,
    pub(crate) schema: AvroSchema,
}

/// Checks `new` against the `earlier` versions, latest first, as far as `level` asks for. Returns the messages of
/// Confluent's registry about the first incompatible version, or nothing. The error is that of an item of `earlier`.
pub(crate) fn check<E>(
    level: Level,
    new: &AvroSchema,
    earlier: impl Iterator<Item = Result<Earlier, E>>,
) -> Result<Vec<String>, E> {
    let count = match level {
        Level::None => 0,
        _ if level.transitive() => usize::MAX,
        _ => 1,
    };
    for earlier in earlier.take(count) {
        let Earlier { version, schema: old } = earlier?;
        let mut messages = Vec::new();
        if level.forward() {
            messages.extend(differences(&old, new).iter().map(|found| told(found, "old", "new")));
        }
        if level.backward() {
            messages.extend(differences(new, &old).iter().map(|found| told(found, "new", "old")));
        }
        if !messages.is_empty() {
            messages.push(format!("{{oldSchemaVersion: {version}}}"));
            messages.push(shown(old.text()));
            messages.push(format!("{{validateFields: 'false', compatibility: '{level}'}}"));
            return Ok(messages);
        }
    }
    Ok(Vec::new())
}

/// The text of a difference, like `toString` of Confluent's class `Difference`.
fn told(difference: &Difference, reader: &str, writer: &str) -> String {
    let Difference { kind, path, about } = difference;
    let (kind, description) = match kind {
        DifferenceKind::FixedSizeMismatch => (
            "FIXED_SIZE_MISMATCH",
            format!(
                "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} schema"
            ),
        ),
        DifferenceKind::TypeMismatch => (
            "TYPE_MISMATCH",
            format!(
                "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema"
            ),
        ),
        DifferenceKind::NameMismatch => {
            ("NAME_MISMATCH", format!("The name of the schema has changed (path '{path}')"))
        }
        DifferenceKind::MissingEnumSymbols => (
            "MISSING_ENUM_SYMBOLS",
            format!(
                "The {reader} schema is missing enum symbols '{about}' at path '{path}' in the {writer} schema"
            ),
        ),
        DifferenceKind::MissingUnionBranch => (
            "MISSING_UNION_BRANCH",
            format!(
                "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema"
            ),
        ),
        DifferenceKind::ReaderFieldMissingDefaultValue => (
            "READER_FIELD_MISSING_DEFAULT_VALUE",
            format!(
                "The field '{about}' at path '{path}' in the {reader} schema has no default value and is missing in the {writer} schema"
            ),
        ),
    };
    format!("{{errorType:'{kind}', description:'{description}', additionalInfo:'{about}'}}")
}

fn shown(text: &str) -> String {
    if text.len() <= MAX_SHOWN_BYTES {
        format!("{{oldSchema: '{text}'}}")
    } else {
        let cut = (0..=MAX_SHOWN_BYTES).rev().find(|at| text.is_char_boundary(*at));
        let shown = &text[..cut.unwrap_or_default()];
        format!("{{oldSchema: <truncated> '{shown}...'}}")
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::registry::canonical::Form;

    fn parse(text: &str) -> AvroSchema {
        AvroSchema::parse(text, &[], Form::Plain).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"n.R","fields":[{fields}]}}"#)
    }

    /// What of a change from `old` to `new` is allowed: backward, forward.
    fn allowed(old: &str, new: &str) -> (bool, bool) {
        let (old, new) = (parse(old), parse(new));
        (differences(&new, &old).is_empty(), differences(&old, &new).is_empty())
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn changes_are_judged_as_avro_for_java_judges_them() {
        let a = r#"{"name":"a","type":"int"}"#;
        let b = r#"{"name":"b","type":"int"}"#;
        let b_default = r#"{"name":"b","type":"int","default":0}"#;
        let b_null = r#"{"name":"b","type":["null","int"],"default":null}"#;
        let field = |kind: &str| record(&format!(r#"{{"name":"a","type":{kind}}}"#));
        let symbols = |name: &str, symbols: &str, default: &str| {
            format!(r#"{{"type":"enum","name":"{name}","symbols":[{symbols}]{default}}}"#)
        };
        let fixed = |size: u32| format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#);
        let ab = symbols("E", r#""A","B""#, "");
        let abc = symbols("E", r#""A","B","C""#, "");
        let decimal = |precision: u32| {
            format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision}}}"#)
        };
        // Old, new, backward, forward, why.
        let cases: Vec<(String, String, bool, bool, &str)> = vec![
            (record(a), record(a), true, true, "same"),
            (record(a), record(&format!("{a},{b}")), false, true, "field added"),
            (record(a), record(&format!("{a},{b_default}")), true, true, "with default"),
            (record(a), record(&format!("{a},{b_null}")), true, true, "with default null"),
            (record(&format!("{a},{b}")), record(a), true, false, "field removed"),
            (record(&format!("{a},{b_default}")), record(a), true, true, "with default"),
            (record(&format!("{a},{b}")), record(&format!("{b},{a}")), true, true, "order"),
            (field(r#""int""#), field(r#""long""#), true, false, "promotion"),
            (field(r#""int""#), field(r#""double""#), true, false, "promotion"),
            (field(r#""long""#), field(r#""float""#), true, false, "promotion"),
            (field(r#""float""#), field(r#""double""#), true, false, "promotion"),
            (field(r#""string""#), field(r#""bytes""#), true, true, "same bytes"),
            (field(r#""int""#), field(r#""string""#), false, false, "another type"),
            (field(r#""int""#), field(r#""boolean""#), false, false, "another type"),
            (field(r#""int""#), field(r#"["null","int"]"#), true, false, "union around it"),
            (field(r#"["null","int"]"#), field(r#"["null","int","string"]"#), true, false, "wider"),
            (field(r#"["null","int"]"#), field(r#"["int","null"]"#), true, true, "order"),
            (field(r#"["null","int"]"#), field(r#"["null","long"]"#), true, false, "promotion"),
            (field(r#"["int","long"]"#), field(r#""long""#), true, true, "all branches"),
            (field(r#"["int","string"]"#), field(r#""int""#), false, true, "a branch is lost"),
            (field(&ab), field(&abc), true, false, "symbol added"),
            (field(&abc), field(&symbols("E", r#""A","B""#, r#","default":"A""#)), true, true, "default"),
            (field(&ab), field(&symbols("E2", r#""A","B""#, "")), false, false, "renamed enum"),
            (
                field(&ab),
                field(&symbols("E2", r#""A","B""#, r#","aliases":["n.E"]"#)),
                true,
                false,
                "renamed enum with alias",
            ),
            (field(&fixed(4)), field(&fixed(5)), false, false, "fixed size"),
            (
                field(r#"{"type":"array","items":"int"}"#),
                field(r#"{"type":"array","items":"long"}"#),
                true,
                false,
                "items",
            ),
            (
                field(r#"{"type":"map","values":"int"}"#),
                field(r#"{"type":"map","values":"string"}"#),
                false,
                false,
                "values",
            ),
            (
                record(a),
                r#"{"type":"record","name":"n.Q","fields":[{"name":"a","type":"int"}]}"#.to_owned(),
                false,
                false,
                "renamed",
            ),
            (
                record(a),
                r#"{"type":"record","name":"n.Q","aliases":["R"],"fields":[{"name":"a","type":"int"}]}"#
                    .to_owned(),
                true,
                false,
                "renamed with alias",
            ),
            (
                record(a),
                r#"{"type":"record","name":"m.R","fields":[{"name":"a","type":"int"}]}"#.to_owned(),
                true,
                true,
                "another namespace",
            ),
            (
                record(a),
                record(r#"{"name":"z","aliases":["a"],"type":"int"}"#),
                true,
                false,
                "field renamed with alias",
            ),
            (record(a), record(r#"{"name":"z","type":"int"}"#), false, false, "field renamed"),
            (field(&decimal(4)), field(&decimal(9)), true, true, "logical types don't count"),
            (
                field(r#"{"type":"int","logicalType":"date"}"#),
                field(r#"{"type":"long","logicalType":"timestamp-millis"}"#),
                true,
                false,
                "logical types don't count",
            ),
        ];
        for (old, new, backward, forward, why) in cases {
            assert_eq!(allowed(&old, &new), (backward, forward), "{why}: {old} -> {new}");
        }
    }

    #[test]
    fn names_stand_for_what_they_define_wherever_they_are_defined() {
        let point = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}"#;
        let wide = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"long"}]}"#;
        let old = record(&format!(r#"{{"name":"a","type":{point}}},{{"name":"b","type":"P"}}"#));
        let swapped =
            record(&format!(r#"{{"name":"b","type":{point}}},{{"name":"a","type":"P"}}"#));
        assert_eq!(allowed(&old, &swapped), (true, true));
        // `a` is gone and with it the place where both schemas define P: `b` must still be compared.
        let moved = record(&format!(
            r#"{{"name":"c","type":["null",{wide}],"default":null}},{{"name":"b","type":"P"}}"#
        ));
        assert_eq!(allowed(&old, &moved), (true, false));
    }

    #[test]
    fn recursive_schemas_are_compared_to_their_end() {
        let list = |head: &str| {
            record(&format!(
                r#"{{"name":"next","type":["null","n.R"]}},{{"name":"head","type":"{head}"}}"#
            ))
        };
        assert_eq!(allowed(&list("int"), &list("int")), (true, true));
        assert_eq!(allowed(&list("int"), &list("long")), (true, false));
        assert_eq!(allowed(&list("int"), &list("string")), (false, false));
    }

    #[test]
    fn types_within_types_end_in_an_answer_and_not_on_the_stack() {
        // T0 holds T1 holds T2 ..., defined innermost first, in branches that the other schema doesn't have.
        let mut types = vec![r#"{"type":"record","name":"T0","fields":[]}"#.to_owned()];
        for depth in 1..3000 {
            types.push(format!(
                r#"{{"type":"record","name":"T{depth}","fields":[{{"name":"f","type":"T{}"}}]}}"#,
                depth - 1
            ));
        }
        let deep = |field: &str| {
            record(&format!(
                r#"{{"name":"{field}","type":["null",{}],"default":null}},{{"name":"top","type":"T2999"}}"#,
                types.join(",")
            ))
        };
        assert_eq!(allowed(&deep("one"), &deep("other")), (false, false));
    }

    #[test]
    fn a_level_says_who_must_read_whom_and_how_far_back() {
        // 1: a. 2: b added with default. 3: b without default. Reading 3 with 1 works, reading 1 with 3 doesn't.
        let one = record(r#"{"name":"a","type":"int"}"#);
        let two = record(r#"{"name":"a","type":"int"},{"name":"b","type":"int","default":0}"#);
        let three = record(r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#);
        let four = record(r#"{"name":"b","type":"int"}"#);
        let verdict = |level, new: &str, earlier: &[&str]| {
            let earlier = earlier.iter().enumerate().rev().map(|(index, text)| {
                Ok::<_, Infallible>(Earlier { version: index as u32 + 1, schema: parse(text) })
            });
            check(level, &parse(new), earlier).is_ok_and(|messages| messages.is_empty())
        };
        // For NONE, then each other level in the order of `Level::ALL`.
        let cases = [
            (&three, vec![&*one, &*two], [true, true, false, true, true, true, false]),
            (&three, vec![&*one], [true, false, false, true, true, false, false]),
            (&one, vec![&*three], [true, true, true, false, false, false, false]),
            (&four, vec![&*one, &*two], [true, true, false, false, false, false, false]),
            (&two, vec![&*one, &*two], [true; 7]),
            (&three, vec![], [true; 7]),
        ];
        for (new, earlier, expected) in cases {
            let verdicts = Level::ALL.map(|level| verdict(level, new, &earlier));
            assert_eq!(verdicts, expected, "{earlier:?} -> {new}");
        }
    }

    #[test]
    fn differences_are_told_as_confluent_tells_them() {
        let old = record(r#"{"name":"a","type":"int"}"#);
        let new = record(r#"{"name":"a","type":"string"},{"name":"b","type":"int"}"#);
        let earlier = [Ok::<_, Infallible>(Earlier { version: 7, schema: parse(&old) })];
        let old = parse(&old);
        let messages = check(Level::Backward, &parse(&new), earlier.into_iter());
        let expected = [
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the new schema does not match with the old schema', additionalInfo:'reader type: STRING not compatible with writer type: INT'}".to_owned(),
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}".to_owned(),
            "{oldSchemaVersion: 7}".to_owned(),
            format!("{{oldSchema: '{}'}}", old.text()),
            "{validateFields: 'false', compatibility: 'BACKWARD'}".to_owned(),
        ];
        assert_eq!(messages.as_deref(), Ok(expected.as_slice()));
    }
}
