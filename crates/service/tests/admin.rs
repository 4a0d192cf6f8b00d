//! The three routes, over HTTP.

use service::{Context, admin};

#[actix_web::test]
async fn health_and_metrics_tell_the_state_of_the_service() {
    let ctx = Context::new("sample");
    let listener = admin::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = actix_web::rt::spawn(admin::serve(listener, ctx.clone()));

    let get = async |path: &str| {
        let answer = reqwest::get(format!("{base}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let text = |status: u16, text: &str| (status, text.to_owned());

    assert_eq!(get("/health/live").await, text(200, r#"{"status":"live"}"#));
    assert_eq!(get("/health/ready").await, text(503, r#"{"status":"starting","checks":{}}"#));

    ctx.health.set("kafka", Ok(()));
    ctx.health.set("registry", Err("connection refused".to_owned()));
    let failing =
        r#"{"status":"not ready","checks":{"kafka":"ok","registry":"connection refused"}}"#;
    assert_eq!(get("/health/ready").await, text(503, failing));

    ctx.health.set("registry", Ok(()));
    let ready = r#"{"status":"ready","checks":{"kafka":"ok","registry":"ok"}}"#;
    assert_eq!(get("/health/ready").await, text(200, ready));

    let (status, metrics) = get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains(r#"tripstream_build_info{service="sample""#), "{metrics}");
    let build = metrics.lines().find(|line| line.starts_with("tripstream_build_info{")).unwrap();
    for label in ["version", "commit", "rustc", "profile"] {
        let empty = format!("{label}=\"\"");
        assert!(build.contains(&format!("{label}=\"")) && !build.contains(&empty), "{build}");
    }

    ctx.shutdown.trigger();
    assert_eq!(get("/health/ready").await.0, 503);
    assert_eq!(get("/health/live").await.0, 200);
    server.abort();
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = admin::bind(addr).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {addr}: ")), "{error}");
}
