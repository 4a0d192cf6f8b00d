use tokio::time::timeout;

use super::*;

const PATH: &str = "/api/generate-multiple-trips";
const LIMIT: Duration = Duration::from_secs(20);

/// An API that gives the body back, and is broken if there is none.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let echo = async |request: Request<Incoming>| {
        let body = request.into_body().collect().await?.to_bytes();
        if body.is_empty() {
            Err(Cause::from("broken"))
        } else {
            Ok(Response::new(Full::new(body)))
        }
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = TokioIo::new(stream);
            tokio::spawn(http1::Builder::new().serve_connection(stream, service_fn(echo)));
        }
    });
    address
}

async fn proxy() -> Proxy {
    Proxy::start(echo().await).await.expect("it listens")
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(LIMIT).build().expect("a client")
}

async fn ask(
    client: &reqwest::Client,
    proxy: &Proxy,
    trips: u32,
) -> reqwest::Result<(u16, String)> {
    let request = client.post(format!("{}{PATH}", proxy.url()));
    let response = request.body(format!("{{\"number_of_trips\":{trips}}}")).send().await?;
    Ok((response.status().as_u16(), response.text().await?))
}

#[tokio::test]
async fn requests_are_handed_on_or_answered_as_told() {
    let (proxy, client) = (proxy().await, client());
    for (behaviour, status, body) in [
        (Behaviour::Undisturbed, 200, "{\"number_of_trips\":3}"),
        (Behaviour::Answers(503), 503, "{\"detail\":\"an injected 503\"}"),
        (Behaviour::Answers(500), 500, "{\"detail\":\"an injected 500\"}"),
        (Behaviour::Undisturbed, 200, "{\"number_of_trips\":3}"),
    ] {
        proxy.set(behaviour);
        let answer = ask(&client, &proxy, 3).await.expect("an answer");
        assert_eq!(answer, (status, body.to_owned()), "{behaviour:?}");
    }
    assert_eq!(proxy.most_at_once(), 1);
}

#[tokio::test]
async fn connections_are_refused_open_ones_closed_and_taken_again_later() {
    let (proxy, client) = (proxy().await, client());
    ask(&client, &proxy, 3).await.expect("an answer");
    proxy.set(Behaviour::Refused);
    // The port closes a moment after the word; the connection that was open doesn't count.
    let refused = async {
        loop {
            match ask(&client, &proxy, 3).await {
                Err(error) if error.is_connect() => break,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(LIMIT, refused).await.expect("it refuses");
    proxy.set(Behaviour::Undisturbed);
    let back = async { while ask(&client, &proxy, 3).await.is_err() {} };
    timeout(LIMIT, back).await.expect("it is back");
}

#[tokio::test]
async fn a_delayed_answer_comes_no_sooner_than_told() {
    let (proxy, client) = (proxy().await, client());
    let delay = Duration::from_millis(120);
    proxy.set(Behaviour::Delayed(delay));
    let before = Instant::now();
    let answers = tokio::join!(ask(&client, &proxy, 1), ask(&client, &proxy, 2));
    assert!(answers.0.is_ok() && answers.1.is_ok());
    assert!(before.elapsed() >= delay);
    assert_eq!(proxy.most_at_once(), 2, "both were under way at once");
}

#[tokio::test]
async fn a_limited_api_serves_one_request_after_the_other() {
    let (proxy, client) = (proxy().await, client());
    proxy.set(Behaviour::Limited { trips_per_s: 50 });
    let before = Instant::now();
    let answers = tokio::join!(ask(&client, &proxy, 4), ask(&client, &proxy, 6));
    assert!(answers.0.is_ok() && answers.1.is_ok());
    assert!(before.elapsed() >= Duration::from_millis(200), "10 trips at 50 a second");
}

#[tokio::test]
async fn without_an_answer_from_the_api_the_connection_breaks() {
    let (proxy, client) = (proxy().await, client());
    let request = client.post(format!("{}{PATH}", proxy.url()));
    let error = request.send().await.expect_err("the API breaks the connection");
    assert!(error.is_request() && !error.is_connect(), "{error:?}");
    let long = client.post(format!("{}{PATH}", proxy.url())).body("x".repeat(BODY_LIMIT + 1));
    assert!(long.send().await.is_err(), "no scheduler asks like that");
    assert_eq!(ask(&client, &proxy, 3).await.expect("an answer").0, 200);
}
