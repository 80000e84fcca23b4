//! Webhooks over TLS.

use super::*;

/// Takes connections and speaks TLS on each; the requests that it got.
async fn answer_over_tls(listener: TcpListener, count: usize) -> Vec<String> {
    let mut requests = Vec::new();
    for _ in 0..count {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor().accept(stream).await.unwrap();
        let (text, mut stream) = request(stream).await;
        requests.push(text);
        stream.write_all(empty(204).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }
    requests
}

#[test]
fn a_webhook_goes_over_tls_to_whom_an_authority_vouches_for() {
    run(async {
        let server = Running::start(Settings::default(), trusting()).await;
        let (listener, address) = listen().await;
        let got = tokio::spawn(answer_over_tls(listener, 2));
        // The certificate is for the address and for the name.
        for host in ["127.0.0.1", "localhost"] {
            let uri = format!("https://{host}:{}/hook?a=b", address.port());
            assert_eq!(server.subscribe(&uri, &json!({})).status, 201);
        }
        server.world.post("q", 60, &[7]);
        for request in got.await.unwrap() {
            assert!(
                request.starts_with("POST /hook?a=b HTTP/1.1\r\n"),
                "{request}"
            );
            assert!(request.ends_with(
                r#"{"ttl":60,"body":7,"Message_Type":"Notification","queue_name":"q"}"#
            ));
        }
        let counts = server.settled().await;
        assert_eq!((counts.delivered, counts.retried), (2, 0));
        server.stop().await;
    });
}

/// That nothing but handshakes arrives at this listener while all immediate retries are made.
async fn hears_nothing(listener: TcpListener, host: &str, outgoing: Outgoing) {
    let server = Running::start(Settings::default(), outgoing).await;
    let port = listener.local_addr().unwrap().port();
    let uri = format!("https://{host}:{port}");
    assert_eq!(server.subscribe(&uri, &json!({})).status, 201);
    server.world.post("q", 60, &[1]);
    for _ in 0..4 {
        let (stream, _) = listener.accept().await.unwrap();
        // In TLS 1.3 the server hears that it was refused only behind the handshake.
        if let Ok(mut stream) = acceptor().accept(stream).await {
            let mut bytes = Vec::new();
            assert!(stream.read_to_end(&mut bytes).await.is_err(), "{host}");
            assert!(bytes.is_empty(), "something was sent to {host}");
        }
    }
    let counts = server.until(|counts| counts.retried == 3).await;
    assert_eq!((counts.delivered, counts.pending()), (0, 1));
    server.stop().await;
}

#[test]
fn nothing_is_sent_to_whom_no_authority_vouches_for() {
    run(async {
        let (listener, _) = listen().await;
        hears_nothing(listener, "localhost", Outgoing::default()).await;
    });
}

/// All of 127.0.0.0/8 is this host on Linux, and the certificate is for another address of it.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_sent_to_whom_the_certificate_is_not_for() {
    run(async {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        hears_nothing(listener, "127.0.0.2", trusting()).await;
    });
}

#[test]
fn a_server_without_the_authorities_it_was_told_of_does_not_start() {
    run(async {
        for (name, reason) in [
            ("absent.pem", "No such file"),
            ("README.md", "no certificates"),
        ] {
            let outgoing = Outgoing {
                authorities_file: Some(fixture(name)),
                ..Outgoing::default()
            };
            let server = Running::start(Settings::default(), outgoing).await;
            let error = server.ended.await.unwrap().unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
    });
}
