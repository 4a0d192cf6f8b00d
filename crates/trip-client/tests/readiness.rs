//! Waiting for an API that starts: what is waited for, what is not, and what ends it.

mod fake_api;

use std::time::Duration;

use fake_api::{FakeApi, OK, refused_url, until, within};
use service::Context;
use trip_client::{ClientConfig, TripClient};

fn client(url: &str) -> TripClient {
    let config = ClientConfig { url: url.to_owned(), ..ClientConfig::default() };
    TripClient::new(&config).expect("a valid configuration")
}

#[tokio::test]
async fn a_503_is_waited_for_and_any_other_answer_means_ready() {
    // (503 so many times, the answer that follows)
    for (refusals, status) in [(2, 200), (0, 200), (0, 404), (0, 401), (0, 302), (0, 500)] {
        let api = FakeApi::start(|_| OK);
        api.be_ready_by(move |asked| if asked < refusals { 503 } else { status });
        within("the wait", client(&api.url).until_ready(&Context::new("test"))).await;
        assert_eq!(api.readiness_asked(), refusals + 1, "{status}");
        assert_eq!(api.requests(), 0, "{status}");
    }
}

#[tokio::test]
async fn what_is_missing_shows_in_the_health_meanwhile_and_shutdown_ends_the_wait() {
    let api = FakeApi::start(|_| OK);
    api.be_ready_by(|_| 503);
    let ctx = Context::new("test");
    let stop = async {
        until("what is missing shows", || {
            ctx.health.checks().get("api").is_some_and(|check| {
                check.as_ref().is_err_and(|reason| {
                    reason.starts_with("the API is not ready yet (503): ")
                        && reason.contains("Connection refused")
                })
            })
        })
        .await;
        ctx.shutdown.trigger();
    };
    let client = client(&api.url);
    tokio::join!(within("the wait", client.until_ready(&ctx)), stop);
    assert!(!ctx.health.is_ready());
}

#[tokio::test]
async fn an_api_below_a_path_is_asked_below_it() {
    let api = FakeApi::start(|_| OK);
    api.be_ready_by(|_| 503);
    // Nobody answers 503 there.
    let client = client(&format!("{}/elsewhere", api.url));
    within("the wait", client.until_ready(&Context::new("test"))).await;
    assert_eq!(api.readiness_asked(), 0);
}

#[tokio::test]
async fn an_api_that_is_not_there_or_says_nothing_is_not_waited_for() {
    // Connections come about there, and nobody reads what they bring.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent = format!("http://{}", listener.local_addr().expect("bound"));
    for url in [refused_url(), silent] {
        let config = ClientConfig {
            url: url.clone(),
            timeout: Duration::from_millis(100),
            ..ClientConfig::default()
        };
        let client = TripClient::new(&config).expect("a valid configuration");
        let ctx = Context::new("test");
        within("the wait", client.until_ready(&ctx)).await;
        assert!(!ctx.health.is_ready(), "{url}");
    }
}
