//! Asking the registry, again if need be.

use std::time::Duration;

use models::is_loopback;
use reqwest::Url;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{SchemaType, SrCall, SuppliedSchema};
use tracing::debug;

use super::config::RegistryConfig;
use super::error::{Failure, RegistryError};
use crate::decode::WriterSchema;
use crate::record::RecordType;
use crate::wire::SchemaId;

/// Any schema: whether it is there or not, a registry that says so can answer for rows, too.
const PROBE: SchemaId = SchemaId::new(1);

/// A connection pool to one registry. Remembers nothing: see [`SchemaCache`](crate::SchemaCache). Cheap to clone.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    config: RegistryConfig,
    nodes: Vec<Node>,
}

/// One of the addresses under which the registry answers.
#[derive(Clone, Debug)]
struct Node {
    url: String,
    settings: SrSettings,
}

/// A request that was not fulfilled.
struct Failed {
    failure: Failure,
    /// Who has answered, or all who have not.
    url: String,
    attempts: u32,
}

impl RegistryClient {
    /// A client for the registry of `config`. Asks nothing yet.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Config`] if an address or the credentials can't be used.
    pub fn new(config: &RegistryConfig) -> Result<Self, RegistryError> {
        let mut config = config.clone();
        let urls = addresses(&config.url)?;
        config.url = urls.join(",");
        let nodes =
            urls.into_iter().map(|url| Node::new(url, &config)).collect::<Result<_, _>>()?;
        Ok(Self { config, nodes })
    }

    /// The registry's addresses, separated by commas, without credentials.
    pub fn url(&self) -> &str {
        &self.config.url
    }

    /// Registers the schema of `record` as the next version of `subject`, or finds it there. Where we may not
    /// register, it is only looked up.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Refused`] if the subject's compatibility rule forbids it; the outages.
    pub async fn register(
        &self,
        subject: &str,
        record: RecordType,
    ) -> Result<SchemaId, RegistryError> {
        if !self.config.auto_register {
            return self.look_up(subject, record, "[registry] auto_register is off").await;
        }
        let asked = format!("register {} for subject {subject}", record.full_name());
        let registered = self
            .ask(&asked, self.config.retries, |settings| {
                let schema = SuppliedSchema::new(
                    Some(record.full_name().to_owned()),
                    SchemaType::Avro,
                    record.schema_json().to_owned(),
                );
                post_schema(settings, subject.to_owned(), schema)
            })
            .await;
        match registered {
            Ok(schema) => Ok(SchemaId::new(schema.id)),
            Err(Failed { failure: Failure::Forbidden { answer }, .. }) => {
                self.look_up(subject, record, &format!("we may not register it ({answer})")).await
            }
            Err(failed) => Err(failed.error(asked)),
        }
    }

    /// The id of the schema of `record` under `subject`, where we may not register it, for the reason `why`.
    async fn look_up(
        &self,
        subject: &str,
        record: RecordType,
        why: &str,
    ) -> Result<SchemaId, RegistryError> {
        let asked = format!("look up {} under subject {subject}", record.full_name());
        let body = serde_json::json!({ "schema": record.schema_json(), "schemaType": "AVRO" });
        let body = body.to_string();
        let found = self
            .ask(&asked, self.config.retries, |settings| {
                perform_sr_call(settings, SrCall::PostForVersion(subject, &body))
            })
            .await;
        match found.map(|schema| schema.id) {
            Ok(Some(id)) => Ok(SchemaId::new(id)),
            Ok(None) => {
                let answer = "it has no id".to_owned();
                Err(RegistryError::NotARegistry { asked, url: self.config.url.clone(), answer })
            }
            Err(Failed { failure: Failure::NotFound, url, .. }) => {
                Err(RegistryError::NotRegistered {
                    schema: record.full_name(),
                    subject: subject.to_owned(),
                    url,
                    why: why.to_owned(),
                })
            }
            Err(failed) => Err(failed.error(asked)),
        }
    }

    /// The schema that the registry knows as `id`. One that is no usable Avro schema is no error here, but when
    /// something is decoded with it.
    ///
    /// # Errors
    ///
    /// [`RegistryError::UnknownId`] if the registry has none; the outages.
    pub async fn schema(&self, id: SchemaId) -> Result<WriterSchema, RegistryError> {
        let unknown = || RegistryError::UnknownId { id, url: self.config.url.clone() };
        if i32::try_from(id.get()).is_err() {
            // Registries count in Java's `int`. Asked for more, some answer what looks like a wrong path.
            return Err(unknown());
        }
        let asked = format!("get schema {id}");
        let found = self
            .ask(&asked, self.config.retries, |settings| get_schema_by_id(id.get(), settings))
            .await;
        let schema = match found {
            Ok(schema) => schema,
            Err(Failed { failure: Failure::NotFound, .. }) => return Err(unknown()),
            Err(failed) => return Err(failed.error(asked)),
        };
        Ok(match schema.schema_type {
            SchemaType::Avro if schema.references.is_empty() => {
                WriterSchema::parse(id, &schema.schema)
            }
            SchemaType::Avro => WriterSchema::unusable(id, "it refers to other schemas"),
            other => WriterSchema::unusable(id, format!("its type is {other:?}")),
        })
    }

    /// Whether the registry answers, for health checks: one request, no retries.
    ///
    /// # Errors
    ///
    /// The outages.
    pub async fn reachable(&self) -> Result<(), RegistryError> {
        let probe = self.ask("probe", 0, |settings| get_schema_by_id(PROBE.get(), settings)).await;
        match probe {
            Ok(_) | Err(Failed { failure: Failure::NotFound, .. }) => Ok(()),
            Err(failed) => Err(failed.error("probe".to_owned())),
        }
    }

    /// Sends a request until there is an answer that asking again won't change, at most `retries` times more.
    /// Each time, the addresses are tried in turn until one answers.
    //
    // An `AsyncFn` would read better, but its future can't be shown to be `Send` for every lifetime, and then
    // no caller could be spawned.
    async fn ask<'c, T, F: Future<Output = Result<T, SRCError>>>(
        &'c self,
        asked: &str,
        retries: u32,
        request: impl Fn(&'c SrSettings) -> F,
    ) -> Result<T, Failed> {
        let mut attempt = 0;
        loop {
            let mut answers = Vec::new();
            let mut answered = None;
            for node in &self.nodes {
                match request(&node.settings).await.map_err(|error| Failure::of(&error)) {
                    Ok(value) => return Ok(value),
                    Err(Failure::Retry { answer }) => answers.push(answer),
                    Err(failure) => {
                        answered = Some((failure, &node.url));
                        break;
                    }
                }
            }
            let unanswered = Failure::Retry { answer: answers.join("; ") };
            let (failure, url) = answered.unwrap_or((unanswered, &self.config.url));
            match failure {
                Failure::Retry { answer } if attempt < retries => {
                    let pause = jittered(self.config.pause(attempt));
                    debug!(
                        asked,
                        url = self.config.url,
                        answer,
                        ?pause,
                        "asking the registry again"
                    );
                    tokio::time::sleep(pause).await;
                    attempt += 1;
                }
                failure => {
                    return Err(Failed { failure, url: url.clone(), attempts: attempt + 1 });
                }
            }
        }
    }
}

impl Node {
    fn new(url: String, config: &RegistryConfig) -> Result<Self, RegistryError> {
        let mut builder = SrSettings::new_builder(url.clone());
        builder.set_timeout(config.timeout);
        if Url::parse(&url).is_ok_and(|url| url.host_str().is_some_and(is_loopback)) {
            builder.no_proxy();
        }
        let credentials = config.basic_auth.as_ref().map(|secret| secret.expose().trim());
        if let Some(credentials) = credentials.filter(|text| !text.is_empty()) {
            let (user, password) = credentials.split_once(':').ok_or_else(|| {
                let why = "expected user:password (the value has no colon)".to_owned();
                RegistryError::Config { key: "basic_auth", why }
            })?;
            builder.set_basic_authorization(user, Some(password));
        }
        let settings = builder.build().map_err(|error| RegistryError::Config {
            key: "url",
            why: format!("cannot set up HTTP: {error}"),
        })?;
        Ok(Self { url, settings })
    }
}

impl Failed {
    fn error(self, asked: String) -> RegistryError {
        let Self { failure, url, attempts } = self;
        match failure {
            Failure::Retry { answer } => {
                RegistryError::Unavailable { asked, url, attempts, answer }
            }
            Failure::Forbidden { answer } | Failure::Denied { answer } => {
                RegistryError::Denied { asked, url, answer }
            }
            Failure::NotARegistry { answer } => RegistryError::NotARegistry { asked, url, answer },
            Failure::Refused { answer } => RegistryError::Refused { asked, url, answer },
            Failure::NotFound => {
                RegistryError::NotARegistry { asked, url, answer: "404 Not Found".to_owned() }
            }
        }
    }
}

/// Takes a list of addresses, separated by commas, apart.
fn addresses(urls: &str) -> Result<Vec<String>, RegistryError> {
    let parts = urls.split(',').map(str::trim);
    // Without any address, it is the empty text that is none.
    let rest =
        parts.clone().filter(|url| !url.is_empty()).map(address).collect::<Result<Vec<_>, _>>()?;
    if rest.is_empty() { Ok(vec![address("")?]) } else { Ok(rest) }
}

/// Checks an address and takes the slash off its end, which the paths bring along.
fn address(url: &str) -> Result<String, RegistryError> {
    let wrong = |why: String| RegistryError::Config { key: "url", why };
    let parsed = Url::parse(url).map_err(|error| wrong(format!("not an address: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(wrong(format!("expected http or https, not {}", parsed.scheme())));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong("credentials belong into basic_auth, not into the address".to_owned()));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong("an address with a path at most, without ? or #".to_owned()));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// Between half of `pause` and all of it, so that many clients don't come back at once.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_keep_their_path() {
        let cases = [
            ("http://localhost:8081", Some("http://localhost:8081")),
            ("http://localhost:8081/", Some("http://localhost:8081")),
            ("https://sr.example/apis/ccompat/v7/", Some("https://sr.example/apis/ccompat/v7")),
            ("localhost:8081", None),
            ("sr.example", None),
            ("ftp://sr.example", None),
            ("http://user:hunter2@sr.example", None),
            ("http://sr.example/?a=b", None),
        ];
        for (url, expected) in cases {
            let result = address(url);
            assert_eq!(result.as_deref().ok(), expected, "{url}: {result:?}");
            if let Err(error) = result {
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        }
    }

    #[test]
    fn a_list_of_addresses_is_taken_apart() {
        let list = addresses(" http://a:8081/, https://b/x ,").expect("two addresses");
        assert_eq!(list, ["http://a:8081", "https://b/x"]);
        for wrong in ["", " , ", "http://a:8081,b:8081"] {
            let error = addresses(wrong).expect_err("no address").to_string();
            assert!(error.starts_with("[registry] url: "), "{wrong}: {error}");
        }
    }

    #[test]
    fn credentials_without_a_colon_are_refused_without_showing_them() {
        let config = RegistryConfig {
            basic_auth: Some(models::secret::Secret::new("hunter2")),
            ..RegistryConfig::default()
        };
        let error = RegistryClient::new(&config).expect_err("no colon").to_string();
        assert!(error.contains("basic_auth") && !error.contains("hunter2"), "{error}");
    }
}
