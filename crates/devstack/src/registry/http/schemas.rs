//! `/schemas`: schemas by id, which readers of records ask for.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, ServiceConfig};
use serde_json::json;

use super::{HttpAnswer, QueryOptions, Registry, answer, resource};
use crate::registry::catalog::SubjectVersion;
use crate::registry::error::RegistryError;
use crate::registry::submission::AVRO;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/schemas/types").get(types).end())
        .service(resource("/schemas/ids/{id}").get(by_id).end())
        .service(resource("/schemas/ids/{id}/subjects").get(subjects_with).end())
        .service(resource("/schemas/ids/{id}/versions").get(versions_with).end())
        .service(resource("/contexts").get(contexts).end());
}

async fn types() -> HttpAnswer {
    Ok(answer(&[AVRO]))
}

/// The default context, which is the only one here.
async fn contexts() -> HttpAnswer {
    Ok(answer(&["."]))
}

async fn by_id(id: Path<String>, registry: Data<Registry>) -> HttpAnswer {
    let id = number(&id)?;
    let schema = registry.ask(|catalog| catalog.schema(id).cloned()).await?;
    let mut found = json!({ "schemaType": AVRO, "schema": schema.schema });
    if !schema.references.is_empty() {
        found["references"] = json!(schema.references);
    }
    Ok(answer(&found))
}

async fn subjects_with(
    request: HttpRequest,
    id: Path<String>,
    registry: Data<Registry>,
) -> HttpAnswer {
    let (options, versions) = find_versions(&request, &id, &registry).await?;
    let mut subjects: Vec<_> = versions.into_iter().map(|version| version.subject).collect();
    subjects.dedup();
    Ok(answer(&options.page(subjects)?))
}

async fn versions_with(
    request: HttpRequest,
    id: Path<String>,
    registry: Data<Registry>,
) -> HttpAnswer {
    let (options, versions) = find_versions(&request, &id, &registry).await?;
    Ok(answer(&options.page(versions)?))
}

/// The versions with the schema that a request names.
async fn find_versions(
    request: &HttpRequest,
    id: &str,
    registry: &Registry,
) -> Result<(QueryOptions, Vec<SubjectVersion>), RegistryError> {
    let (options, id) = (QueryOptions::of(request)?, number(id)?);
    let deleted = options.deleted();
    let versions = registry.ask(|catalog| catalog.versions_with(id, deleted)).await?;
    Ok((options, versions))
}

/// Parses an id, an `int` in Java. Anything else is an unknown path in Confluent's registry.
fn number(id: &str) -> Result<i32, RegistryError> {
    id.parse().map_err(|_| RegistryError::UnknownPath)
}
