//! Targets that are reached by `https`: whom the client believes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use nanshe_conformance::environment::{TokioEnvironment, World};
use nanshe_conformance::suite::{Options, Selection, preflight, run};
use nanshe_conformance::target::{
    Authorities, Client, Credentials, Description, Endpoint, Identity, Named, NotAnswered, Session,
};
use nanshe_reference::server::SystemClock;
use nanshe_reference::{Limits, Service};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../reference/tests/fixtures/tls").join(name)
}

fn authorities() -> Authorities {
    Authorities::read(&fixture("authority.pem")).unwrap()
}

/// The reference behind TLS, certified as `localhost` and 127.0.0.1, at `host`. Returns its port.
async fn serve(host: &str) -> u16 {
    let certificate = CertificateDer::from_pem_file(fixture("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = Service::new(Limits::default(), 1, Arc::new(SystemClock::new()));
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, service) = (acceptor.clone(), service.clone());
            drop(tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let service = hyper_util::service::TowerToHyperService::new(service);
                    let served = http1::Builder::new();
                    drop(served.serve_connection(TokioIo::new(stream), service).await);
                }
            }));
        }
    }));
    port
}

fn world() -> World {
    Arc::new(TokioEnvironment::new())
}

async fn ask(endpoint: Endpoint) -> Result<u16, NotAnswered> {
    let client = Client::new(world(), endpoint, Duration::from_secs(10), 1);
    let request = http::Request::get("/").body(bytes::Bytes::new());
    let answer = client.send(request.unwrap()).await;
    answer.map(|answer| answer.status.as_u16())
}

#[tokio::test]
async fn suite_runs_over_tls_with_the_authorities_of_the_user() {
    let url = format!("https://localhost:{}", serve("127.0.0.1").await);
    let mut target = Description::load(&url).unwrap();
    target.trust(&authorities());
    let endpoint = target.endpoint.clone().unwrap();
    preflight(world(), &target, &endpoint).await.unwrap();
    let selection = Selection {
        only: vec!["messages".to_owned()],
        wait_secs_max: Some(0),
        ..Selection::default()
    };
    let selected = selection.select().unwrap();
    let reached = (&target, endpoint);
    let report = run(world(), reached, &selected, &Options::default(), |_| {}).await;
    report.assert_valid();
    assert!(selected.cases.len() > 20);
}

#[tokio::test]
async fn whom_nobody_vouches_for_is_sent_nothing() {
    let port = serve("127.0.0.1").await;
    let parse = |url: String| Endpoint::parse(&url).unwrap();
    let trusted = parse(format!("https://127.0.0.1:{port}")).trusting(&authorities());
    assert_eq!(ask(trusted).await, Ok(300));
    // By an authority that is not well known; under a name that is not the certificate's; without TLS.
    let unknown = parse(format!("https://localhost:{port}"));
    let other = serve("127.0.0.2").await;
    let misnamed = parse(format!("https://127.0.0.2:{other}")).trusting(&authorities());
    for (endpoint, why) in [(unknown, "UnknownIssuer"), (misnamed, "not valid for name")] {
        let error = ask(endpoint).await.unwrap_err();
        let NotAnswered::NotSent(text) = &error else {
            panic!("{error:?}");
        };
        assert!(text.starts_with("no TLS: ") && text.contains(why), "{text}");
    }
    assert!(
        ask(parse(format!("http://localhost:{port}")))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn keystone_is_believed_by_the_same_rule() {
    let credentials = |cacert| Credentials {
        url: String::new(),
        identity: Identity::Password {
            user: Named::default(),
            password: "p".to_owned(),
        },
        project: None,
        cacert,
    };
    let port = serve("127.0.0.1").await;
    let login = async |cacert: Option<PathBuf>| {
        let cacert = cacert.map(|file| file.to_string_lossy().into_owned());
        let credentials = Credentials {
            url: format!("https://localhost:{port}"),
            ..credentials(cacert)
        };
        let error = Session::login(world(), credentials).await.unwrap_err();
        error.to_string()
    };
    let error = login(None).await;
    assert!(error.contains("UnknownIssuer"), "{error}");
    // It is believed, and turns out to be no Keystone.
    let error = login(Some(fixture("authority.pem"))).await;
    assert!(!error.contains("TLS") && error.contains("404"), "{error}");
    let error = login(Some(fixture("README.md"))).await;
    assert!(error.contains("expected certificates in PEM"), "{error}");
}
