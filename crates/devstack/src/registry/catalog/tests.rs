#![allow(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::registry::level::Level;
use crate::registry::mode::Mode;
use crate::storage::Table;

/// A record whose fields have defaults, or the last of which has none.
fn record(fields: &[&str], last_default: bool) -> String {
    let fields: Vec<_> = fields
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let default = last_default || index + 1 < fields.len();
            let default = if default { r#","default":0"# } else { "" };
            format!(r#"{{"name":"{name}","type":"int"{default}}}"#)
        })
        .collect();
    format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","))
}

fn catalog() -> Catalog {
    Catalog::load(Vec::new()).unwrap()
}

impl Catalog {
    fn add(&mut self, subject: &str, schema: &str) -> Result<i32, RegistryError> {
        self.register(subject, &Submission::of(schema), Form::Plain)
    }

    fn found(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let found = self.look_up(subject, &Submission::of(schema), Form::Plain, Deleted::Hidden);
        found.map(|found| found.version)
    }
}

fn submission(json: serde_json::Value) -> Submission {
    serde_json::from_value(json).unwrap()
}

#[test]
fn one_schema_has_one_id_under_all_subjects() {
    let mut catalog = catalog();
    assert_eq!(catalog.add("a", r#""int""#), Ok(1));
    assert_eq!(catalog.add("b", r#""string""#), Ok(2));
    assert_eq!(catalog.add("b", r#" { "type" : "string" } "#), Ok(2), "registered already");
    assert_eq!(catalog.add("c", r#"{"type":"int"}"#), Ok(1), "another way to write it");
    assert_eq!(catalog.versions("b", Deleted::Hidden), Ok(vec![1]));
    let versions = catalog.versions_with(1, Deleted::Hidden).unwrap();
    let names: Vec<_> = versions.iter().map(|version| version.subject.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    assert_eq!(catalog.schema(1).unwrap().schema, r#""int""#);
    assert_eq!(catalog.schema(3), Err(RegistryError::IdNotFound(3)));
}

#[test]
fn registering_what_is_there_changes_nothing() {
    let mut catalog = catalog();
    catalog.add("s", &record(&["a"], true)).unwrap();
    catalog.add("s", &record(&["a", "b"], true)).unwrap();
    catalog.take_changes();
    assert_eq!(catalog.add("s", &record(&["a"], true)), Ok(1), "not only the latest");
    assert_eq!(catalog.add("s", " "), Ok(2), "no schema stands for the latest");
    assert_eq!(catalog.take_changes(), []);
    assert_eq!(catalog.found("s", &record(&["a", "b"], true)), Ok(2));
    assert_eq!(catalog.found("s", r#""int""#), Err(RegistryError::SchemaNotFound));
    assert_eq!(catalog.found("t", r#""int""#), Err(RegistryError::SubjectNotFound("t".into())));
}

#[test]
fn clients_that_normalize_and_clients_that_do_not_share_a_version() {
    let mut catalog = catalog();
    let normalized = |subject: &str, schema: &str, catalog: &mut Catalog| {
        catalog.register(subject, &Submission::of(schema), Form::Normalized)
    };
    let one = r#"{"type":"record","name":"R","namespace":"n","fields":[],"b":1,"a":2}"#;
    let other = r#"{"type":"record","name":"n.R","fields":[],"a":2,"b":1}"#;
    let third = r#"{"type":"record","name":"n.R","fields":[],"a":2,"b":3}"#;
    assert_eq!(catalog.add("s", one), Ok(1));
    assert_eq!(catalog.add("s", other), Ok(1));
    assert_eq!(normalized("s", one, &mut catalog), Ok(1));
    assert_eq!(catalog.found("s", other), Ok(1));
    assert_eq!(catalog.found("s", third), Err(RegistryError::SchemaNotFound));
    assert_eq!(normalized("t", one, &mut catalog), Ok(2), "another text");
    assert_eq!(normalized("u", other, &mut catalog), Ok(2));
    assert_eq!(catalog.found("t", one), Ok(1));
}

#[test]
fn an_incompatible_schema_is_refused_where_the_level_forbids_it() {
    let mut catalog = catalog();
    let (old, new) = (record(&["a"], true), record(&["a", "b"], false));
    catalog.add("s", &old).unwrap();
    let error = catalog.add("s", &new).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.code(), 409);
    let begin = "Schema being registered is incompatible with an earlier schema for subject \"s\", details: [{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', ";
    assert!(message.starts_with(begin) && message.contains("{oldSchemaVersion: 1}"), "{message}");
    let refused = catalog.compatibility("s", None, &Submission::of(&*new), Form::Plain).unwrap();
    assert!(
        message.contains(&refused.join(", ")),
        "a check says what registering says: {refused:?}"
    );

    catalog.set_level(Some("s"), Level::Forward).unwrap();
    assert_eq!(catalog.add("s", &new), Ok(2));
    catalog.set_level(None, Level::None).unwrap();
    assert_eq!(catalog.add("t", &old), Ok(1));
    assert_eq!(catalog.add("t", r#""int""#), Ok(3));
    assert_eq!(catalog.delete_level(Some("s")), Ok(Level::Forward));
    assert_eq!(catalog.add("s", r#""int""#), Ok(3), "the global level is in effect again");
}

#[test]
fn deleted_versions_are_not_checked_against() {
    let mut catalog = catalog();
    catalog.add("s", r#""int""#).unwrap();
    assert!(catalog.add("s", r#""string""#).is_err());
    catalog.delete_version("s", VersionId::Latest, false).unwrap();
    assert_eq!(catalog.add("s", r#""string""#), Ok(2));
    assert_eq!(catalog.versions("s", Deleted::Hidden), Ok(vec![2]));
    let against = Some(VersionId::Number(1));
    let checked = catalog.compatibility("s", against, &Submission::of(r#""int""#), Form::Plain);
    assert_eq!(checked, Err(RegistryError::VersionNotFound(VersionId::Number(1))));
}

#[test]
fn deleting_goes_softly_first_and_then_for_good() {
    let mut catalog = catalog();
    let (one, latest) = (VersionId::Number(1), VersionId::Latest);
    let subject = || "s".to_owned();
    assert_eq!(catalog.delete_subject("s", false), Err(RegistryError::SubjectNotFound(subject())));
    assert_eq!(
        catalog.delete_version("s", one, false),
        Err(RegistryError::SubjectNotFound(subject()))
    );
    catalog.add("s", &record(&["a"], true)).unwrap();
    catalog.add("s", &record(&["a", "b"], true)).unwrap();

    assert_eq!(
        catalog.delete_subject("s", true),
        Err(RegistryError::SubjectNotSoftDeleted(subject()))
    );
    assert_eq!(
        catalog.delete_version("s", one, true),
        Err(RegistryError::VersionNotSoftDeleted { subject: subject(), version: 1 })
    );
    assert_eq!(
        catalog.delete_version("s", VersionId::Number(3), false),
        Err(RegistryError::VersionNotFound(VersionId::Number(3)))
    );
    assert_eq!(catalog.delete_version("s", one, false), Ok(1));
    assert_eq!(
        catalog.delete_version("s", one, false),
        Err(RegistryError::VersionSoftDeleted { subject: subject(), version: one })
    );
    assert_eq!(catalog.versions("s", Deleted::Hidden), Ok(vec![2]));
    assert!(catalog.version("s", one, Deleted::Hidden).is_err());
    assert_eq!(catalog.version("s", one, Deleted::Included).unwrap().id, 1);
    assert!(catalog.schema(1).is_ok(), "records may have been written with it");

    assert_eq!(catalog.delete_version("s", latest, false), Ok(2));
    assert_eq!(catalog.subjects("", Deleted::Hidden), [""; 0]);
    assert_eq!(catalog.subjects("", Deleted::Included), ["s"]);
    assert_eq!(
        catalog.delete_version("s", latest, false),
        Err(RegistryError::VersionNotFound(latest))
    );
    assert_eq!(
        catalog.delete_subject("s", false),
        Err(RegistryError::SubjectSoftDeleted(subject()))
    );

    catalog.set_level(Some("s"), Level::Full).unwrap();
    assert_eq!(catalog.delete_version("s", one, true), Ok(1));
    assert_eq!(catalog.schema(1), Err(RegistryError::IdNotFound(1)));
    assert_eq!(catalog.delete_subject("s", true), Ok(vec![2]));
    assert_eq!(catalog.subjects("", Deleted::Included), [""; 0]);
    assert!(catalog.own_level("s").is_err(), "the subject's settings go with it");
}

#[test]
fn ids_are_never_given_out_again_but_versions_are() {
    let mut catalog = catalog();
    assert_eq!(catalog.add("s", r#""int""#), Ok(1));
    catalog.delete_subject("s", false).unwrap();
    assert_eq!(catalog.add("s", r#""int""#), Ok(1), "it is only softly deleted");
    assert_eq!(catalog.versions("s", Deleted::Included), Ok(vec![2]), "in place of version 1");
    catalog.delete_subject("s", false).unwrap();
    catalog.delete_subject("s", true).unwrap();
    assert_eq!(catalog.add("s", r#""int""#), Ok(2));
    assert_eq!(catalog.versions("s", Deleted::Included), Ok(vec![1]));
}

#[test]
fn a_read_only_subject_takes_nothing_new_but_its_mode() {
    let mut catalog = catalog();
    catalog.add("s", r#""int""#).unwrap();
    catalog.add("other", r#""string""#).unwrap();
    catalog.set_mode(Some("s"), Mode::ReadOnly).unwrap();
    let refused = RegistryError::ReadOnly(Some("s".to_owned()));
    assert_eq!(catalog.add("s", r#""string""#), Err(refused.clone()), "another subject's");
    assert_eq!(catalog.delete_subject("s", false), Err(refused.clone()));
    assert_eq!(catalog.delete_version("s", VersionId::Latest, false), Err(refused.clone()));
    assert_eq!(catalog.set_level(Some("s"), Level::None), Err(refused));
    assert_eq!(catalog.add("t", r#""int""#), Ok(1));
    catalog.set_mode(None, Mode::ReadOnly).unwrap();
    assert!(catalog.add("t", r#""long""#).is_err());
    catalog.set_mode(Some("s"), Mode::ReadWrite).unwrap();
    assert_eq!(catalog.add("s", r#""long""#), Ok(3));
    assert_eq!(catalog.delete_mode(None), Ok(Mode::ReadOnly));
    assert_eq!(catalog.add("t", r#""long""#), Ok(3));
}

#[test]
fn a_registered_schema_sent_again_to_a_read_only_registry_gets_its_id() {
    let mut catalog = catalog();
    let normalized = r#"{"type":"record","name":"n.R","fields":[],"a":2,"b":1}"#;
    catalog.add("s", &record(&["a"], true)).unwrap();
    catalog.add("t", normalized).unwrap();
    catalog.set_mode(None, Mode::ReadOnly).unwrap();
    catalog.take_changes();
    assert_eq!(catalog.add("s", &record(&["a"], true)), Ok(1));
    assert_eq!(catalog.add("s", " "), Ok(1), "no schema stands for the latest");
    let other = r#"{"type":"record","name":"R","namespace":"n","fields":[],"b":1,"a":2}"#;
    assert_eq!(catalog.add("t", other), Ok(2), "another way to write it");
    assert_eq!(catalog.add("s", &record(&["a", "b"], true)).unwrap_err().code(), 42205);
    assert_eq!(catalog.add("s", "no schema").unwrap_err().code(), 42201);
    assert_eq!(catalog.take_changes(), []);
}

#[test]
fn a_schema_may_use_the_names_of_schemas_that_it_refers_to() {
    let mut catalog = catalog();
    let point = r#"{"type":"record","name":"Point","fields":[{"name":"x","type":"int"}]}"#;
    let line = r#"{"type":"record","name":"Line","fields":[{"name":"from","type":"Point"}]}"#;
    let area = r#"{"type":"record","name":"Area","fields":[{"name":"border","type":{"type":"array","items":"Line"}}]}"#;
    let refers = |schema: &str, name: &str, subject: &str, version: i32| {
        let reference = serde_json::json!({"name": name, "subject": subject, "version": version});
        submission(serde_json::json!({"schema": schema, "references": [reference]}))
    };
    catalog.add("point", point).unwrap();
    let code = |result: Result<i32, RegistryError>| result.unwrap_err().code();
    assert_eq!(code(catalog.add("line", line)), 42201, "no reference");
    let missing = refers(line, "Point", "point", 2);
    let error = catalog.register("line", &missing, Form::Plain).unwrap_err().to_string();
    assert!(
        error.ends_with("No schema reference found for subject \"point\" and version 2"),
        "{error}"
    );
    assert_eq!(catalog.register("line", &refers(line, "Point", "point", -1), Form::Plain), Ok(2));
    assert_eq!(catalog.schema(2).unwrap().references[0].version, 1, "-1 is the latest then");
    assert_eq!(catalog.register("area", &refers(area, "Line", "line", 1), Form::Plain), Ok(3));
    assert_eq!(catalog.referenced_by("point", 1, Deleted::Hidden), [2]);

    let referenced = RegistryError::Referenced { subject: "point".to_owned(), version: 1 };
    assert_eq!(catalog.delete_subject("point", false), Err(referenced.clone()));
    assert_eq!(catalog.delete_version("point", VersionId::Latest, false), Err(referenced.clone()));
    catalog.delete_subject("area", false).unwrap();
    catalog.delete_subject("line", false).unwrap();
    assert_eq!(catalog.delete_subject("point", false), Ok(vec![1]), "by deleted ones only");
    assert_eq!(catalog.delete_subject("point", true), Err(referenced), "they may come back");
    catalog.delete_subject("area", true).unwrap();
    catalog.delete_subject("line", true).unwrap();
    assert_eq!(catalog.delete_subject("point", true), Ok(vec![1]));
}

#[test]
fn references_are_part_of_what_is_compared() {
    let mut catalog = catalog();
    let old = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}"#;
    let new = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"string"}]}"#;
    let user = r#"{"type":"record","name":"U","fields":[{"name":"p","type":"P"}]}"#;
    catalog.add("old", old).unwrap();
    catalog.add("new", new).unwrap();
    let with = |subject: &str| {
        let reference = serde_json::json!({"name": "P", "subject": subject, "version": 1});
        submission(serde_json::json!({"schema": user, "references": [reference]}))
    };
    assert_eq!(catalog.register("s", &with("old"), Form::Plain), Ok(3));
    assert_eq!(catalog.register("s", &with("new"), Form::Plain).unwrap_err().code(), 409);
    catalog.set_level(Some("s"), Level::None).unwrap();
    assert_eq!(catalog.register("s", &with("new"), Form::Plain), Ok(4), "another schema");
}

#[test]
fn what_is_not_kept_here_is_refused() {
    let mut catalog = catalog();
    let schema = r#""int""#;
    let cases = [
        (serde_json::json!({"schema": schema, "schemaType": "JSON"}), 42201, "JSON"),
        (serde_json::json!({"schema": schema, "schemaType": "PROTOBUF"}), 42201, "PROTOBUF"),
        (serde_json::json!({"schema": schema, "metadata": {"tags": {}}}), 42201, "metadata"),
        (serde_json::json!({"schema": schema, "ruleSet": {}}), 42201, "ruleSet"),
        (serde_json::json!({"schema": schema, "id": 7}), 42205, "import mode"),
        (serde_json::json!({"schema": schema, "version": 2}), 42201, "previous version"),
        (serde_json::json!({"schema": ""}), 42201, "Empty schema"),
        (serde_json::json!({}), 42201, "Empty schema"),
        (
            serde_json::json!({"schema": "\"integer\""}),
            42201,
            "Invalid schema of type AVRO, details: ",
        ),
    ];
    for (json, code, expected) in cases {
        let error = catalog.register("s", &submission(json.clone()), Form::Plain).unwrap_err();
        assert_eq!(error.code(), code, "{json}: {error}");
        assert!(error.to_string().contains(expected), "{json}: {error}");
    }
    assert_eq!(catalog.take_changes(), []);
    for name in ["", "__GLOBAL", "__EMPTY", "a\u{7}"] {
        assert_eq!(catalog.add(name, schema), Err(RegistryError::InvalidSubject(name.to_owned())));
    }
    let all = serde_json::json!({"schema": schema, "schemaType": "AVRO", "references": null,
        "id": -1, "version": 1, "metadata": null, "ruleSet": null});
    assert_eq!(catalog.register("s", &submission(all), Form::Plain), Ok(1));
}

/// Something that a client may do.
#[derive(Debug, Clone)]
enum Step {
    Register { subject: &'static str, schema: String },
    Refer { subject: &'static str, to: &'static str },
    DeleteSubject { subject: &'static str, permanent: bool },
    DeleteVersion { subject: &'static str, version: VersionId, permanent: bool },
    Level(Option<&'static str>, Option<Level>),
    Mode(Option<&'static str>, Option<Mode>),
}

fn steps() -> impl Strategy<Value = Step> {
    let subject = || prop::sample::select(vec!["a", "b", "c/d"]);
    let schema = (prop::sample::subsequence(vec!["x", "y", "z"], 0..=3), any::<bool>())
        .prop_map(|(fields, default)| record(&fields, default));
    let version = prop_oneof![Just(VersionId::Latest), (1..5_u32).prop_map(VersionId::Number),];
    let someone = || prop::option::of(subject());
    let level = prop::option::of(prop::sample::select(Level::ALL.to_vec()));
    let mode =
        prop::option::weighted(0.8, prop::sample::select(vec![Mode::ReadWrite, Mode::ReadOnly]));
    prop_oneof![
        8 => (subject(), schema).prop_map(|(subject, schema)| Step::Register { subject, schema }),
        2 => (subject(), subject()).prop_map(|(subject, to)| Step::Refer { subject, to }),
        2 => (subject(), any::<bool>())
            .prop_map(|(subject, permanent)| Step::DeleteSubject { subject, permanent }),
        4 => (subject(), version, any::<bool>())
            .prop_map(|(subject, version, permanent)| Step::DeleteVersion { subject, version, permanent }),
        1 => (someone(), level).prop_map(|(subject, level)| Step::Level(subject, level)),
        1 => (someone(), mode).prop_map(|(subject, mode)| Step::Mode(subject, mode)),
    ]
}

fn take(catalog: &mut Catalog, step: &Step) -> Result<(), RegistryError> {
    match step {
        Step::Register { subject, schema } => catalog.add(subject, schema).map(drop),
        Step::Refer { subject, to } => {
            let reference = serde_json::json!({"name": "R", "subject": to, "version": -1});
            let schema = r#"{"type":"array","items":"R"}"#;
            let json = serde_json::json!({"schema": schema, "references": [reference]});
            catalog.register(subject, &submission(json), Form::Plain).map(drop)
        }
        Step::DeleteSubject { subject, permanent } => {
            catalog.delete_subject(subject, *permanent).map(drop)
        }
        Step::DeleteVersion { subject, version, permanent } => {
            catalog.delete_version(subject, *version, *permanent).map(drop)
        }
        Step::Level(subject, Some(level)) => catalog.set_level(*subject, *level),
        Step::Level(subject, None) => catalog.delete_level(*subject).map(drop),
        Step::Mode(subject, Some(mode)) => catalog.set_mode(*subject, *mode),
        Step::Mode(subject, None) => catalog.delete_mode(*subject).map(drop),
    }
}

proptest! {
    #[test]
    fn the_changes_together_say_what_the_catalog_says(
        steps in prop::collection::vec(steps(), 1..60),
    ) {
        let mut live = catalog();
        let mut kept = BTreeMap::new();
        let mut seen: BTreeMap<i32, StoredSchema> = BTreeMap::new();
        for step in &steps {
            let result = take(&mut live, step);
            let changes = live.take_changes();
            prop_assert!(result.is_ok() || changes.is_empty(), "{step:?} failed and changed something");
            for change in changes {
                match change {
                    Change::Put { table: Table::Registry, key, json } => kept.insert(key, json),
                    Change::Delete { table: Table::Registry, key } => {
                        let removed = kept.remove(&key);
                        prop_assert!(removed.is_some(), "{key} was not there");
                        removed
                    }
                    other => panic!("not the registry's: {other:?}"),
                };
            }
            let loaded = Catalog::load(kept.clone().into_iter().collect()).unwrap();
            prop_assert_eq!(&loaded.state, &live.state, "after {:?}", step);
            for (id, schema) in live.state.schemas() {
                let before = seen.entry(id).or_insert_with(|| schema.clone());
                prop_assert_eq!(&*before, schema, "id {} is another schema now", id);
            }
            for version in live.state.subjects().values().flat_map(BTreeMap::values) {
                let stored = live.stored(version.id);
                prop_assert!(live.resolve(&stored.references, Deleted::Included).is_ok(), "{:?}", version);
            }
        }
    }
}
