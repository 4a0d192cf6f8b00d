//! `/subjects` and `/compatibility`: the schemas of subjects, and compatibility checks.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload, ServiceConfig};
use serde_json::json;

use super::{HttpAnswer, QueryOptions, Registry, answer, body, resource};
use crate::registry::catalog::{Catalog, Deleted, SubjectSchema};
use crate::registry::error::RegistryError;
use crate::registry::submission::Submission;
use crate::registry::version_id::VersionId;

/// The prefix of the subjects of all contexts in Confluent's registry. Here is only one context.
const ALL_CONTEXTS: &str = ":*:";

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/subjects").get(list).end())
        .service(resource("/subjects/{subject}").post(look_up).delete(delete_subject).end())
        .service(resource("/subjects/{subject}/versions").get(versions).post(register).end())
        .service(
            resource("/subjects/{subject}/versions/{version}")
                .get(version)
                .delete(delete_version)
                .end(),
        )
        .service(resource("/subjects/{subject}/versions/{version}/schema").get(text).end())
        .service(
            resource("/subjects/{subject}/versions/{version}/referencedby")
                .get(referenced_by)
                .end(),
        )
        .service(resource("/compatibility/subjects/{subject}/versions").post(check_all).end())
        .service(
            resource("/compatibility/subjects/{subject}/versions/{version}").post(check_one).end(),
        );
}

async fn list(request: HttpRequest, registry: Data<Registry>) -> HttpAnswer {
    let options = QueryOptions::of(&request)?;
    let prefix = options.text("subjectPrefix");
    let prefix = prefix.strip_prefix(ALL_CONTEXTS).unwrap_or(prefix);
    let subjects = registry.ask(|catalog| Ok(catalog.subjects(prefix, options.deleted()))).await?;
    Ok(answer(&options.page(subjects)?))
}

async fn look_up(
    request: HttpRequest,
    subject: Path<String>,
    payload: Payload,
    registry: Data<Registry>,
) -> HttpAnswer {
    let options = QueryOptions::of(&request)?;
    let submission: Submission = body(payload).await?;
    let deleted = options.deleted();
    let found =
        registry.ask(|catalog| catalog.look_up(&subject, &submission, options.form(), deleted));
    Ok(answer(&found.await?))
}

async fn register(
    request: HttpRequest,
    subject: Path<String>,
    payload: Payload,
    registry: Data<Registry>,
) -> HttpAnswer {
    let form = QueryOptions::of(&request)?.form();
    let submission: Submission = body(payload).await?;
    let id = registry.ask(|catalog| catalog.register(&subject, &submission, form)).await?;
    Ok(answer(&json!({ "id": id })))
}

async fn delete_subject(
    request: HttpRequest,
    subject: Path<String>,
    registry: Data<Registry>,
) -> HttpAnswer {
    let permanent = QueryOptions::of(&request)?.flag("permanent");
    Ok(answer(&registry.ask(|catalog| catalog.delete_subject(&subject, permanent)).await?))
}

async fn versions(
    request: HttpRequest,
    subject: Path<String>,
    registry: Data<Registry>,
) -> HttpAnswer {
    let options = QueryOptions::of(&request)?;
    let versions = registry.ask(|catalog| catalog.versions(&subject, options.deleted())).await?;
    Ok(answer(&options.page(versions)?))
}

async fn version(
    request: HttpRequest,
    path: Path<(String, String)>,
    registry: Data<Registry>,
) -> HttpAnswer {
    let deleted = QueryOptions::of(&request)?.deleted();
    Ok(answer(&registry.ask(|catalog| find(catalog, &path, deleted)).await?))
}

async fn text(
    request: HttpRequest,
    path: Path<(String, String)>,
    registry: Data<Registry>,
) -> HttpAnswer {
    let deleted = QueryOptions::of(&request)?.deleted();
    let found = registry.ask(|catalog| find(catalog, &path, deleted)).await?;
    Ok(super::text(found.schema))
}

async fn referenced_by(path: Path<(String, String)>, registry: Data<Registry>) -> HttpAnswer {
    let ids = registry.ask(|catalog| {
        let found = find(catalog, &path, Deleted::Included)?;
        Ok(catalog.referenced_by(&found.subject, found.version, Deleted::Hidden))
    });
    Ok(answer(&ids.await?))
}

fn find(
    catalog: &Catalog,
    (subject, version): &(String, String),
    deleted: Deleted,
) -> Result<SubjectSchema, RegistryError> {
    catalog.version(subject, version.parse()?, deleted)
}

async fn delete_version(
    request: HttpRequest,
    path: Path<(String, String)>,
    registry: Data<Registry>,
) -> HttpAnswer {
    let permanent = QueryOptions::of(&request)?.flag("permanent");
    let (subject, version) = path.into_inner();
    let version = version.parse()?;
    let deleted = registry.ask(|catalog| catalog.delete_version(&subject, version, permanent));
    Ok(answer(&deleted.await?))
}

async fn check_all(
    request: HttpRequest,
    subject: Path<String>,
    payload: Payload,
    registry: Data<Registry>,
) -> HttpAnswer {
    check(&request, &subject, None, payload, &registry).await
}

async fn check_one(
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
    registry: Data<Registry>,
) -> HttpAnswer {
    let (subject, version) = path.into_inner();
    check(&request, &subject, Some(version.parse()?), payload, &registry).await
}

async fn check(
    request: &HttpRequest,
    subject: &str,
    against: Option<VersionId>,
    payload: Payload,
    registry: &Registry,
) -> HttpAnswer {
    let options = QueryOptions::of(request)?;
    let verbose = options.flag("verbose");
    let submission: Submission = body(payload).await?;
    let checked = registry
        .ask(|catalog| catalog.compatibility(subject, against, &submission, options.form()));
    let messages = match checked.await {
        Err(RegistryError::InvalidSchema(why)) if verbose => vec![why],
        checked => checked?,
    };
    let mut verdict = json!({ "is_compatible": messages.is_empty() });
    if verbose {
        verdict["messages"] = messages.into();
    }
    Ok(answer(&verdict))
}
