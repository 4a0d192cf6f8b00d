//! `/openapi.json`, `/docs` and `/redoc`, as FastAPI has them; Swagger UI is built in, nothing comes from elsewhere.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_ENCODING, ContentEncoding, LOCATION};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use serde_json::Value;
use service::admin::readable;

use crate::paths::PATHS;
use crate::{json, refusal};

/// Written by hand, in the form that FastAPI generates; a test keeps it true to the records and commands.
const OPENAPI: &str = include_str!("openapi.json");
const MAX_TRIPS: &str = "/components/schemas/GenerateTrips/properties/number_of_trips/maximum";

const PAGE: &str = r##"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tripstream producer API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, tryItOutEnabled: true });
</script>
</body>
</html>
"##;

/// The document, rendered once.
#[derive(Debug, Clone)]
struct OpenApi(Bytes);

/// What the document depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Documented {
    /// The most trips of a request.
    pub(crate) max_trips: u32,
    /// Whether the endpoints ask for a token.
    pub(crate) with_token: bool,
}

/// The OpenAPI document of such an API.
fn openapi(Documented { max_trips, with_token }: Documented) -> Value {
    let mut document: Value = serde_json::from_str(OPENAPI).expect("openapi.json is JSON");
    *document.pointer_mut(MAX_TRIPS).expect("openapi.json has the limit") = max_trips.into();
    if !with_token {
        remove_token(&mut document);
    }
    document
}

/// Takes out what is said of tokens.
fn remove_token(document: &mut Value) {
    let mut remove = |parent: &str, name: &str| {
        let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.and_then(|parent| parent.shift_remove(name)).expect("openapi.json has it");
    };
    remove("/components", "securitySchemes");
    remove("/components/responses", "Unauthorized");
    for path in PATHS {
        let operation = format!("/paths/{}/post", path.replace('/', "~1"));
        remove(&operation, "security");
        remove(&format!("{operation}/responses"), "401");
    }
}

/// The paths that this module answers, besides the files of Swagger UI.
pub(crate) const DOC_PATHS: [&str; 3] = ["/openapi.json", "/docs", "/redoc"];

/// Mounts `/openapi.json`, `/docs`, what the page needs, and `/redoc`.
pub(crate) fn configure(routes: &mut ServiceConfig, documented: Documented) {
    let document = OpenApi(openapi(documented).to_string().into());
    let [openapi, docs, redoc] = DOC_PATHS;
    routes
        .app_data(Data::new(document))
        .service(readable(openapi, document_route))
        .service(readable(docs, page))
        .service(readable(redoc, other_page))
        .service(readable("/docs/{file}", file));
}

async fn document_route(document: Data<OpenApi>) -> HttpResponse {
    json::answer(&mut HttpResponse::Ok(), document.0.clone())
}

async fn page() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(PAGE)
}

/// FastAPI has a second page here, by ReDoc. The first says the same.
async fn other_page() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, "/docs")).finish()
}

/// A file of Swagger UI.
async fn file(name: web::Path<String>) -> HttpResponse {
    let config = Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    let Ok(Some(file)) = utoipa_swagger_ui::serve(&name, config) else {
        return refusal::not_found();
    };
    let mut response = HttpResponse::Ok();
    if file.gzpipped {
        response.insert_header((CONTENT_ENCODING, ContentEncoding::Gzip));
    }
    response.content_type(file.content_type).body(file.bytes.into_owned())
}

#[cfg(test)]
mod tests {
    use models::records::{CompleteTrip, DriverEarning, Rider, Trip};
    use serde_json::json;

    use super::*;

    const DOCUMENTED: Documented = Documented { max_trips: 7, with_token: true };

    fn names(object: &Value) -> Vec<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_document_has_the_fields_of_the_records_in_their_order() {
        let document = openapi(DOCUMENTED);
        let trip = json!(Trip::default());
        for (schema, record) in [
            ("Trip", trip.clone()),
            ("DriverEarning", json!(DriverEarning::default())),
            ("Rider", json!(Rider::default())),
            ("CompleteTrip", json!(CompleteTrip::default())),
        ] {
            let schema = &document["components"]["schemas"][schema];
            assert_eq!(names(&schema["properties"]), names(&record));
        }
        let commands = [
            ("GenerateTrip", json!(models::commands::GenerateTrip::default())),
            ("GenerateDriverEarning", json!(models::commands::GenerateDriverEarning::default())),
            ("GenerateRider", json!(models::commands::GenerateRider::default())),
            ("GenerateTrips", json!(models::commands::GenerateTrips { number_of_trips: 1 })),
        ];
        for (schema, command) in commands {
            let schema = &document["components"]["schemas"][schema];
            assert_eq!(names(&schema["properties"]), names(&command));
        }
        assert_eq!(document.pointer(MAX_TRIPS), Some(&json!(7)));
    }

    #[test]
    fn the_document_describes_the_paths_that_are_served() {
        let document = openapi(DOCUMENTED);
        assert_eq!(names(&document["paths"]), PATHS);
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        for with_token in [true, false] {
            let document = openapi(Documented { with_token, ..DOCUMENTED });
            let text = document.to_string();
            let references: Vec<_> = text.split("\"$ref\":\"#").skip(1).collect();
            assert!(references.len() > 10);
            for rest in references {
                let pointer = rest.split('"').next().unwrap();
                assert!(document.pointer(pointer).is_some(), "{pointer}");
            }
        }
    }

    #[test]
    fn who_may_send_a_body_is_told_what_becomes_of_a_slow_or_a_large_one() {
        let document = openapi(DOCUMENTED);
        for path in PATHS {
            let operation = &document["paths"][path]["post"];
            let has_body = operation.get("requestBody").is_some();
            for status in ["408", "413"] {
                let answer = operation["responses"].get(status);
                assert_eq!(answer.is_some(), has_body, "{path} {status}");
            }
        }
    }

    #[test]
    fn tokens_are_documented_only_if_there_is_one() {
        let open = openapi(Documented { with_token: false, ..DOCUMENTED }).to_string();
        for word in ["HTTPBearer", "security", "401", "WWW-Authenticate"] {
            assert!(openapi(DOCUMENTED).to_string().contains(word), "{word}");
            assert!(!open.contains(word), "{word}");
        }
    }

    #[actix_web::test]
    async fn the_page_finds_all_its_files() {
        for name in PAGE.split("/docs/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let response = file(web::Path::from(name.to_owned())).await;
            assert!(response.status().is_success(), "{name}");
        }
    }
}
