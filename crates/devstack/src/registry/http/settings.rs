//! `/config` for all subjects or for one, and `/mode`, which can only be read.

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{HttpAnswer, QueryOptions, Registry, answer, body, resource};
use crate::registry::error::RegistryError;
use crate::registry::level::Level;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/config").get(global_level).put(set_global).delete(delete_global).end())
        .service(resource("/config/{subject}").get(level).put(set).delete(delete).end())
        .service(resource("/mode").get(global_mode).end())
        .service(resource("/mode/{subject}").get(mode).end());
}

/// The body that sets a level. Java clients send all settings of Confluent's registry, most of them null.
#[derive(Deserialize)]
struct LevelUpdate {
    compatibility: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl LevelUpdate {
    fn level(&self) -> Result<Level, RegistryError> {
        let asked = |(_, value): &(_, &Value)| !matches!(value, Value::Null | Value::Bool(false));
        if let Some((setting, _)) = self.others.iter().find(asked) {
            return Err(RegistryError::UnsupportedSetting(setting.clone()));
        }
        let level = self.compatibility.as_deref().and_then(Level::of_name);
        level.ok_or(RegistryError::InvalidLevel)
    }
}

fn level_answer(level: Level) -> HttpResponse {
    answer(&json!({ "compatibilityLevel": level }))
}

async fn global_level(registry: Data<Registry>) -> HttpAnswer {
    Ok(level_answer(registry.ask(|catalog| Ok(catalog.level_in_effect(None))).await?))
}

async fn level(
    request: HttpRequest,
    subject: Path<String>,
    registry: Data<Registry>,
) -> HttpAnswer {
    let in_effect = QueryOptions::of(&request)?.flag("defaultToGlobal");
    let level = registry.ask(|catalog| {
        if in_effect {
            Ok(catalog.level_in_effect(Some(&subject)))
        } else {
            catalog.own_level(&subject)
        }
    });
    Ok(level_answer(level.await?))
}

async fn set_global(payload: Payload, registry: Data<Registry>) -> HttpAnswer {
    update_level(None, payload, &registry).await
}

async fn set(subject: Path<String>, payload: Payload, registry: Data<Registry>) -> HttpAnswer {
    update_level(Some(&subject), payload, &registry).await
}

async fn update_level(subject: Option<&str>, payload: Payload, registry: &Registry) -> HttpAnswer {
    let level = body::<LevelUpdate>(payload).await?.level()?;
    registry.ask(|catalog| catalog.set_level(subject, level)).await?;
    Ok(answer(&json!({ "compatibility": level })))
}

async fn delete_global(registry: Data<Registry>) -> HttpAnswer {
    Ok(level_answer(registry.ask(|catalog| catalog.delete_level(None)).await?))
}

async fn delete(subject: Path<String>, registry: Data<Registry>) -> HttpAnswer {
    Ok(level_answer(registry.ask(|catalog| catalog.delete_level(Some(&subject))).await?))
}

/// The mode of every subject. The other modes of Confluent's registry protect schemas in production.
fn read_write() -> HttpResponse {
    answer(&json!({ "mode": "READWRITE" }))
}

async fn global_mode() -> HttpAnswer {
    Ok(read_write())
}

/// No subject has a mode of its own.
async fn mode(request: HttpRequest, subject: Path<String>) -> HttpAnswer {
    if QueryOptions::of(&request)?.flag("defaultToGlobal") {
        Ok(read_write())
    } else {
        Err(RegistryError::ModeNotConfigured(subject.into_inner()))
    }
}
