//! Mail, handed to a relay that does as it is told.

use nanshe_reference::SigningKey;
use nanshe_reference::broker::ConfirmationRule;
use nanshe_reference::server::{Relay, RelaySecurity};
use nanshe_reference::wire::{MailSettings, Mailbox, Secret};

use super::*;

/// What a relay does with one connection.
#[derive(Clone, Copy)]
enum Turn {
    /// It takes the mail.
    Takes,
    /// It answers a command like this, and all others as if it would take the mail.
    Says(&'static str, &'static str),
    /// It hangs up at a command.
    HangsUp(&'static str),
    /// It falls silent at a command, and waits until it is hung up on.
    IsSilent(&'static str),
}

/// What a relay was told on one connection: the commands, and the mail.
type Session = (Vec<String>, Option<String>);

/// How long a relay that falls silent is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// The greeting is answered to nothing.
const GREETING: &str = "";

/// Has a session. `starttls`: whether the relay can do that.
async fn session(stream: impl Stream + 'static, turn: Turn, starttls: bool) -> Session {
    let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(Box::new(stream));
    let (mut commands, mut mail, mut line) = (Vec::new(), None, GREETING.to_owned());
    let mut encrypted = false;
    loop {
        let command = line.split(' ').next().unwrap().to_owned();
        let usual = match command.as_str() {
            GREETING => "220 relay",
            "EHLO" if starttls && !encrypted => "250-relay\r\n250 STARTTLS",
            "EHLO" => "250-relay\r\n250-AUTH PLAIN\r\n250 8BITMIME",
            "STARTTLS" => "220 go ahead",
            "AUTH" => "235 welcome",
            "DATA" => "354 go ahead",
            _ => "250 ok",
        };
        let said = match turn {
            Turn::Says(at, said) if at == command => said,
            Turn::HangsUp(at) if at == command => return (commands, mail),
            Turn::IsSilent(at) if at == command => {
                while stream
                    .read_line(&mut line)
                    .await
                    .is_ok_and(|count| count > 0)
                {}
                return (commands, mail);
            }
            Turn::Takes | Turn::Says(..) | Turn::HangsUp(_) | Turn::IsSilent(_) => usual,
        };
        let sent = stream.write_all(format!("{said}\r\n").as_bytes()).await;
        if sent.is_err() {
            return (commands, mail);
        }
        if command == "DATA" && said.starts_with("354") {
            let mut text = String::new();
            while !text.ends_with("\r\n.\r\n") {
                assert!(stream.read_line(&mut text).await.unwrap() > 0, "{text}");
            }
            mail = Some(text);
            // The end of the mail is a command of its own.
            ".".clone_into(&mut line);
            continue;
        }
        if command == "STARTTLS" && said.starts_with("220") {
            let Ok(secure) = acceptor().accept(stream.into_inner()).await else {
                return (commands, mail);
            };
            stream = BufReader::new(Box::new(secure));
            encrypted = true;
        }
        line.clear();
        if !stream
            .read_line(&mut line)
            .await
            .is_ok_and(|count| count > 0)
        {
            return (commands, mail);
        }
        line.truncate(line.trim_end().len());
        commands.push(line.clone());
    }
}

/// A relay that has these turns, one connection each.
async fn relay(listener: TcpListener, turns: &'static [Turn], starttls: bool) -> Vec<Session> {
    let mut sessions = Vec::new();
    for turn in turns {
        let (stream, _) = listener.accept().await.unwrap();
        sessions.push(session(stream, *turn, starttls).await);
    }
    sessions
}

fn mailing() -> Settings {
    Settings {
        mail: Some(MailSettings {
            from: Mailbox::parse("Zaqar Notifications <no-reply@openstack.org>").unwrap(),
            confirmation_url: "https://dashboard/confirm".to_owned(),
            service_url: Some("https://zaqar:8888/".to_owned()),
        }),
        ..Settings::default()
    }
}

fn through(address: SocketAddr, security: RelaySecurity) -> Outgoing {
    Outgoing {
        relay: Some(Relay {
            host: "localhost".to_owned(),
            port: address.port(),
            security,
            credentials: None,
        }),
        ..trusting()
    }
}

/// What comes of two messages to one subscriber by a relay with these turns.
async fn deliver(turns: &'static [Turn]) -> (Vec<Session>, DeliveryCounts) {
    let (listener, address) = listen().await;
    let waits = turns.iter().any(|turn| matches!(turn, Turn::IsSilent(_)));
    let usual = Options::default();
    let options = Options {
        outgoing: through(address, RelaySecurity::Plain),
        delivery: if waits { PATIENCE } else { usual.delivery },
        ..usual
    };
    let server = Running::start_with(mailing(), options).await;
    assert_eq!(server.subscribe("mailto:a@h", &json!({})).status, 201);
    server.world.post("q", 60, &[1, 2]);
    let sessions = relay(listener, turns, false).await;
    let counts = server.settled().await;
    server.stop().await;
    (sessions, counts)
}

#[test]
fn a_notification_comes_as_a_mail_with_its_json() {
    run(async {
        let (sessions, counts) = deliver(&[Turn::Takes, Turn::Takes]).await;
        let (commands, mail) = &sessions[0];
        let envelope = [
            "MAIL FROM:<no-reply@openstack.org>",
            "RCPT TO:<a@h>",
            "DATA",
        ];
        assert_eq!(commands[1..4], envelope);
        let expected = "Date: Sun, 22 Nov 2026 07:18:51 +0000\r\n\
            From: \"Zaqar Notifications\" <no-reply@openstack.org>\r\n\
            To: a@h\r\n\
            Subject: \r\n\
            Content-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: 7bit\r\n\
            \r\n\
            {\"ttl\":60,\"body\":1,\"Message_Type\":\"Notification\",\"queue_name\":\"q\"}\r\n\
            .\r\n";
        assert_eq!(mail.as_deref(), Some(expected));
        assert_eq!((counts.delivered, counts.retried), (2, 0));
    });
}

#[test]
fn the_sender_comes_from_the_options_and_the_subject_from_the_uri_or_them() {
    run(async {
        let (listener, address) = listen().await;
        let outgoing = through(address, RelaySecurity::Plain);
        let server = Running::start(mailing(), outgoing).await;
        let options = json!({"from": "Ada <ada@h>", "subject": "of the options"});
        for uri in ["mailto:a@h?Subject=of%20the%20URI", "mailto:b%2Bc@h"] {
            assert_eq!(server.subscribe(uri, &options).status, 201);
        }
        server.world.post("q", 60, &[1]);
        let turns = &[Turn::Takes, Turn::Takes];
        let mut mails: Vec<_> = relay(listener, turns, false)
            .await
            .into_iter()
            .map(|(_, mail)| mail.unwrap())
            .collect();
        mails.sort_by_key(|mail| mail.contains("To: b+c@h\r\n"));
        for (mail, subject) in mails.iter().zip(["of the URI", "of the options"]) {
            assert!(mail.contains("\r\nFrom: Ada <ada@h>\r\n"), "{mail}");
            assert!(
                mail.contains(&format!("\r\nSubject: {subject}\r\n")),
                "{mail}"
            );
        }
        assert_eq!(server.settled().await.delivered, 2);
        server.stop().await;
    });
}

#[test]
fn no_option_adds_a_line_to_a_mail() {
    let world = World::with_settings(mailing());
    let status = |subscriber: &str, options: Value| {
        let document = json!({"subscriber": subscriber, "options": options}).to_string();
        let answer = world.send("POST /v2/queues/q/subscriptions", &document);
        answer.status.as_u16()
    };
    assert_eq!(status("mailto:a@h", json!({"subject": "x"})), 201);
    for (subscriber, options) in [
        ("mailto:b@h", json!({"subject": "x\r\nBcc: c@h"})),
        ("mailto:b@h", json!({"subject": "x\nBcc: c@h"})),
        ("mailto:b@h", json!({"from": "a@h\r\nBcc: c@h"})),
        ("mailto:b@h", json!({"from": "x\r\nBcc: c@h <a@h>"})),
        ("mailto:b@h", json!({"from": "a@h, c@h"})),
        ("mailto:b@h%0D%0ABcc:c@h", json!({})),
        ("mailto:b@h%3E%20RCPT%20TO:%3Cc@h", json!({})),
        ("mailto:b@h,c@h", json!({})),
        ("mailto:b@h?subject=x%0d%0aBcc:c@h", json!({})),
    ] {
        assert_eq!(
            status(subscriber, options.clone()),
            400,
            "{subscriber} {options}"
        );
    }
}

#[test]
fn what_a_relay_cannot_do_now_is_tried_again() {
    run(async {
        for turns in [
            &[Turn::Says(GREETING, "421 later"), Turn::Takes, Turn::Takes],
            &[Turn::Says("RCPT", "451 later"), Turn::Takes, Turn::Takes],
            &[Turn::Says(".", "452 later"), Turn::Takes, Turn::Takes],
            &[Turn::HangsUp(GREETING), Turn::Takes, Turn::Takes],
            &[Turn::HangsUp("DATA"), Turn::Takes, Turn::Takes],
            // Whether it has the mail, nobody knows.
            &[Turn::HangsUp("."), Turn::Takes, Turn::Takes],
            // It wants to know who we are, which is the operator's business.
            &[
                Turn::Says("MAIL", "530 who are you"),
                Turn::Takes,
                Turn::Takes,
            ],
            // Nothing takes longer than a delivery may.
            &[Turn::IsSilent("RCPT"), Turn::Takes, Turn::Takes],
        ] {
            let (sessions, counts) = deliver(turns).await;
            assert_eq!(
                (counts.delivered, counts.retried, counts.given_up),
                (2, 1, 0)
            );
            let bodies = sessions
                .iter()
                .skip(1)
                .map(|(_, mail)| mail.clone().unwrap());
            for (mail, body) in bodies.zip(["\"body\":1", "\"body\":2"]) {
                assert!(mail.contains(body), "{mail}");
            }
        }
    });
}

#[test]
fn what_a_relay_refuses_is_given_up_and_the_next_one_sent() {
    run(async {
        for turns in [
            &[Turn::Says("MAIL", "550 no"), Turn::Takes],
            &[Turn::Says("RCPT", "550 unknown"), Turn::Takes],
            &[Turn::Says(".", "554 spam"), Turn::Takes],
        ] {
            let (sessions, counts) = deliver(turns).await;
            assert_eq!(
                (counts.delivered, counts.retried, counts.given_up),
                (1, 0, 1)
            );
            assert!(sessions[1].1.as_ref().unwrap().contains("\"body\":2"));
        }
    });
}

#[test]
fn a_relay_is_told_nothing_before_tls() {
    run(async {
        let (listener, address) = listen().await;
        let mut outgoing = through(address, RelaySecurity::StartTls);
        let credentials = ("user".to_owned(), Secret("hunter2".to_owned()));
        outgoing.relay.as_mut().unwrap().credentials = Some(credentials);
        let server = Running::start(mailing(), outgoing).await;
        assert_eq!(server.subscribe("mailto:a@h", &json!({})).status, 201);
        server.world.post("q", 60, &[1]);
        // The first one has no TLS, and hears no more than that it is greeted.
        let (stream, _) = listener.accept().await.unwrap();
        let (commands, mail) = session(stream, Turn::Takes, false).await;
        assert!(
            commands
                .iter()
                .all(|line| line.starts_with("EHLO") || line == "QUIT"),
            "{commands:?}"
        );
        assert_eq!(mail, None);
        let sessions = relay(listener, &[Turn::Takes], true).await;
        let (commands, mail) = &sessions[0];
        let words: Vec<_> = commands
            .iter()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert_eq!(words[..5], ["EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL"]);
        // RFC 4616: user and password behind a zero each, in Base64.
        assert_eq!(commands[3], "AUTH PLAIN AHVzZXIAaHVudGVyMg==");
        assert!(mail.as_ref().unwrap().contains("\"body\":1"));
        let counts = server.settled().await;
        assert_eq!((counts.delivered, counts.retried), (1, 1));
        server.stop().await;
    });
}

#[test]
fn a_subscriber_by_mail_is_asked_to_confirm_by_a_link() {
    run(async {
        let (listener, address) = listen().await;
        let mut settings = mailing();
        settings.signing_key = SigningKey::new("secret".to_owned());
        settings.limits.confirmation_rule = ConfirmationRule::Required;
        let outgoing = through(address, RelaySecurity::Plain);
        let server = Running::start(settings, outgoing).await;
        // Whoever subscribes somebody else does not choose what the request looks like.
        let options = json!({"from": "bank@h", "subject": "Your account"});
        let made = server.subscribe("mailto:a@h?subject=Urgent", &options);
        let id = crate::support::text(&made.json()["subscription_id"]);
        server.world.post("q", 60, &[1]);
        let sessions = relay(listener, &[Turn::Takes], false).await;
        let mail = sessions[0].1.clone().unwrap();
        let mail = mail.replace("=\r\n", "").replace("=3D", "=");
        let (head, text) = mail.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("From: \"Zaqar Notifications\" <no-reply@openstack.org>\r\n"));
        assert!(
            head.contains("Subject: Zaqar Notification - Subscription Confirmation\r\n"),
            "{head}"
        );
        let start = "You have chosen to subscribe to the queue: q. This queue belongs to project: \
            p. To confirm this subscription, visit this link: https://dashboard/confirm?Signature=";
        let rest = text.strip_prefix(start).unwrap_or_else(|| panic!("{text}"));
        let (signature, rest) = rest.split_at(64);
        let path = format!("%2Fv2%2Fqueues%2Fq%2Fsubscriptions%2F{id}%2Fconfirm");
        let expected = format!(
            "&Methods=PUT&Paths={path}&Project=p&Expires=2026-11-22T08%3A18%3A51\
             &Url=https%3A%2F%2Fzaqar%3A8888{path}&Queue=q\r\n.\r\n"
        );
        assert_eq!(rest, expected);
        // What the page does with it.
        let path = format!("/v2/queues/q/subscriptions/{id}/confirm");
        let headers = [
            ("client-id", crate::support::BOB),
            ("x-project-id", "p"),
            ("url-signature", signature),
            ("url-methods", "PUT"),
            ("url-paths", &path),
            ("url-expires", "2026-11-22T08:18:51"),
        ];
        let confirm = format!("PUT {path}");
        let answer = server
            .world
            .send_raw(&confirm, &headers, r#"{"confirmed":true}"#);
        assert_eq!(answer.status, 204);
        server.stop().await;
    });
}
