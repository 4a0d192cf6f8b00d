//! `/config` and `/mode`, for all subjects or for one.

use actix_web::web::{Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{HttpAnswer, QueryOptions, Registry, answer, body, resource};
use crate::registry::error::RegistryError;
use crate::registry::level::Level;
use crate::registry::mode::Mode;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/config").get(global_level).put(set_global).delete(delete_global).end())
        .service(resource("/config/{subject}").get(level).put(set).delete(delete).end())
        .service(
            resource("/mode")
                .get(global_mode)
                .put(set_global_mode)
                .delete(delete_global_mode)
                .end(),
        )
        .service(resource("/mode/{subject}").get(mode).put(set_mode).delete(delete_mode).end());
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

/// The body that sets a mode.
#[derive(Deserialize)]
struct ModeUpdate {
    mode: String,
}

fn level_answer(level: Level) -> HttpResponse {
    answer(&json!({ "compatibilityLevel": level }))
}

fn mode_answer(mode: Mode) -> HttpResponse {
    answer(&json!({ "mode": mode }))
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

async fn global_mode(registry: Data<Registry>) -> HttpAnswer {
    Ok(mode_answer(registry.ask(|catalog| Ok(catalog.mode_in_effect(None))).await?))
}

async fn mode(request: HttpRequest, subject: Path<String>, registry: Data<Registry>) -> HttpAnswer {
    let in_effect = QueryOptions::of(&request)?.flag("defaultToGlobal");
    let mode = registry.ask(|catalog| {
        if in_effect {
            Ok(catalog.mode_in_effect(Some(&subject)))
        } else {
            catalog.own_mode(&subject)
        }
    });
    Ok(mode_answer(mode.await?))
}

async fn set_global_mode(payload: Payload, registry: Data<Registry>) -> HttpAnswer {
    update_mode(None, payload, &registry).await
}

async fn set_mode(subject: Path<String>, payload: Payload, registry: Data<Registry>) -> HttpAnswer {
    update_mode(Some(&subject), payload, &registry).await
}

async fn update_mode(subject: Option<&str>, payload: Payload, registry: &Registry) -> HttpAnswer {
    let mode = Mode::of_name(&body::<ModeUpdate>(payload).await?.mode)
        .map_err(RegistryError::InvalidMode)?;
    registry.ask(|catalog| catalog.set_mode(subject, mode)).await?;
    Ok(mode_answer(mode))
}

async fn delete_global_mode(registry: Data<Registry>) -> HttpAnswer {
    Ok(mode_answer(registry.ask(|catalog| catalog.delete_mode(None)).await?))
}

async fn delete_mode(subject: Path<String>, registry: Data<Registry>) -> HttpAnswer {
    Ok(mode_answer(registry.ask(|catalog| catalog.delete_mode(Some(&subject))).await?))
}
