use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn endpoint(readiness: Readiness) -> Endpoint {
    Endpoint::new(move || readiness, || vec!["a remark".to_owned()], crate::telemetry::registry())
}

#[test]
fn readiness_is_a_status_and_a_reason() {
    let ready = endpoint(Readiness::Ready).answer(&Method::GET, "/readyz");
    assert_eq!(ready.status(), StatusCode::OK);
    let no_keys = Readiness::NoKeys(KeysMissing::NotInitialised);
    for missing in [Readiness::NoCatalog, no_keys, Readiness::ShadowOver, Readiness::Draining] {
        let answer = endpoint(missing).answer(&Method::GET, "/readyz");
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{missing}");
        assert_eq!(endpoint(missing).answer(&Method::GET, "/livez").status(), StatusCode::OK, "{missing}");
    }
}

#[tokio::test]
async fn a_ready_proxy_tells_what_it_does_not_do() {
    let body = endpoint(Readiness::Ready).answer(&Method::GET, "/readyz").into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "ready\na remark\n");
    let body = endpoint(Readiness::NoCatalog).answer(&Method::GET, "/readyz").into_body().collect().await.unwrap();
    assert!(!body.to_bytes().ends_with(b"a remark\n"));
}

#[test]
fn nothing_else_is_answered() {
    assert_eq!(endpoint(Readiness::Ready).answer(&Method::GET, "/").status(), StatusCode::NOT_FOUND);
    assert_eq!(endpoint(Readiness::Ready).answer(&Method::POST, "/readyz").status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn metrics_name_the_version() {
    let body = endpoint(Readiness::Ready).answer(&Method::GET, "/metrics").into_body().collect().await.unwrap();
    let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    assert!(body.contains(&format!("candado_build{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))), "{body}");
}

#[tokio::test]
async fn the_endpoint_answers_over_a_socket_and_ends_on_the_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let endpoint = Arc::new(endpoint(Readiness::NoKeys(KeysMissing::ProviderUnavailable)));
    let served = tracker.spawn(serve(listener, endpoint, tracker.clone(), shutdown.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let reason = "not ready: no keys: the key provider does not answer\n";
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with(reason), "{answer}");
    shutdown.cancel();
    served.await.unwrap();
    tracker.close();
    tracker.wait().await;
}
