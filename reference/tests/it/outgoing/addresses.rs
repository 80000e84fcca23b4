//! Where notifications may go.

use nanshe_reference::wire::{AddressRule, Network};

use super::*;

fn denying(denied: &[&str], allowed: &[&str]) -> Settings {
    let networks = |texts: &[&str]| {
        let parse = |text: &&str| Network::parse(text).unwrap();
        texts.iter().map(parse).collect()
    };
    Settings {
        address_rule: AddressRule {
            denied: networks(denied),
            allowed: networks(allowed),
        },
        ..Settings::default()
    }
}

#[test]
fn a_name_that_stands_for_a_denied_address_is_given_up_and_never_connected_to() {
    run(async {
        let settings = denying(&["127.0.0.0/8", "::1"], &[]);
        let server = Running::start(settings, Outgoing::default()).await;
        let (listener, address) = listen().await;
        let uri = |host: &str| format!("http://{host}:{}", address.port());
        let refused = server.subscribe(&uri("127.0.0.1"), &json!({}));
        assert_eq!(refused.status, 400);
        let description = "this service does not send to the address of the subscriber";
        assert_eq!(refused.json()["description"], description);
        // Written otherwise, it is a name, and looked up.
        for host in ["localhost", "2130706433"] {
            assert_eq!(server.subscribe(&uri(host), &json!({})).status, 201);
        }
        server.world.post("q", 60, &[1, 2]);
        let counts = server.settled().await;
        assert_eq!((counts.given_up, counts.retried), (4, 0));
        let connection = tokio::time::timeout(Duration::ZERO, listener.accept());
        assert!(connection.await.is_err(), "it was connected to");
        server.stop().await;
    });
}

#[test]
fn what_is_allowed_within_a_denied_network_is_sent() {
    run(async {
        let settings = denying(&["127.0.0.0/8"], &["127.0.0.1"]);
        let server = Running::start(settings, Outgoing::default()).await;
        let (listener, address) = listen().await;
        assert_eq!(
            server
                .subscribe(&format!("http://{address}"), &json!({}))
                .status,
            201
        );
        assert_eq!(server.subscribe("http://127.0.0.2", &json!({})).status, 400);
        server.world.post("q", 60, &[1]);
        assert_eq!(answer(listener, &[&empty(200)]).await.len(), 1);
        assert_eq!(server.settled().await.delivered, 1);
        server.stop().await;
    });
}
