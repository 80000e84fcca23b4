//! Beside names: what is said to beanstalkd, by a peer that expects these lines and no others.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// What is expected on one connection, and what is answered. Then the peer closes it.
type Dialogue = &'static [(&'static str, &'static str)];

fn place(project: &str, queue: &str) -> Place {
    Place {
        project: project.to_owned(),
        queue: queue.to_owned(),
    }
}

/// The tube of `place("p", "q")`.
const TUBE: &str = "q148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940.q";

const LEASE: Lease = Lease {
    ttl_secs: 60,
    grace_secs: 60,
};

const JOB: &str = "{\"body\":1,\"ttl\":300}\r\n";

/// A peer that leads these dialogues, one connection after the other is accepted, all at once. It ends
/// with the first line that it did not expect, if there is one.
async fn peer(dialogues: &'static [Dialogue]) -> (Beanstalkd, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let talk = tokio::spawn(async move {
        let mut talks = Vec::new();
        for dialogue in dialogues {
            let (stream, _) = listener.accept().await.unwrap();
            talks.push(tokio::spawn(lead(BufReader::new(stream), dialogue)));
        }
        let mut odd = Vec::new();
        for talk in talks {
            odd.extend(talk.await.unwrap());
        }
        odd
    });
    (Beanstalkd::new(&address), talk)
}

async fn lead(mut stream: BufReader<tokio::net::TcpStream>, dialogue: Dialogue) -> Option<String> {
    for (expected, answer) in dialogue {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let expected = expected.replace("TUBE", TUBE);
        if line.trim_end() != expected {
            return Some(format!("{} came, {expected} was expected", line.trim_end()));
        }
        let answer = match answer.strip_prefix("STATS ") {
            Some(stats) => statistics(stats),
            None => answer.replace("JOB", JOB),
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    None
}

/// Of a job in the tube, with this age and state.
fn statistics(age_and_state: &str) -> String {
    let (age, state) = age_and_state.split_once(' ').unwrap();
    let text = format!("---\ntube: \"{TUBE}\"\nage: {age}\nstate: {state}\n");
    format!("OK {}\r\n{text}\r\n", text.len())
}

#[test]
fn tubes_of_confusable_places_differ_and_are_legal_names() {
    let tubes = [
        tube(&place("a", "b.c")),
        tube(&place("a.b", "c")),
        tube(&place("A", "b.c")),
        tube(&place(" ü/?", &"q".repeat(64))),
    ];
    for (number, tube) in tubes.iter().enumerate() {
        assert!(tube.len() <= 200 && !tube.starts_with('-'), "{tube}");
        assert!(!tubes.iter().skip(number + 1).any(|other| other == tube));
    }
    assert_eq!(tube(&place("p", "q")), TUBE);
}

#[test]
fn only_the_spelling_that_was_given_out_names_a_job() {
    assert_eq!(job("17"), Some(17));
    for id in ["", "017", "-1", "seventeen", "99999999999999999999"] {
        assert_eq!(job(id), None, "{id}");
    }
}

/// beanstalkd lets anybody delete a ready job. So a claim whose lease ended in the meantime must not
/// even ask for it.
#[tokio::test]
async fn claim_that_lost_its_reservation_deletes_nothing() {
    const CLAIMING: Dialogue = &[
        ("watch TUBE", "WATCHING 2\r\n"),
        ("ignore default", "WATCHING 1\r\n"),
        ("reserve-with-timeout 0", "RESERVED 7 20\r\nJOB"),
        ("stats-job 7", "STATS 1 reserved"),
        ("touch 7", "NOT_FOUND\r\n"),
    ];
    const ASKING: Dialogue = &[
        ("stats-job 7", "STATS 1 ready"),
        ("peek 7", "FOUND 7 20\r\nJOB"),
    ];
    let (broker, talk) = peer(&[CLAIMING, ASKING]).await;
    let place = place("p", "q");
    let (claim, messages) = broker.claim(&place, 1, LEASE).await.unwrap().unwrap();
    assert_eq!((messages.len(), messages[0].body.clone()), (1, json!(1)));
    let deletion = broker.delete(&place, "7", Some(&claim)).await.unwrap();
    assert_eq!(deletion, Deletion::NotHeld);
    assert_eq!(talk.await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn claim_whose_connection_is_gone_is_over() {
    const CLAIMING: Dialogue = &[
        ("watch TUBE", "WATCHING 2\r\n"),
        ("ignore default", "WATCHING 1\r\n"),
        ("reserve-with-timeout 0", "RESERVED 7 20\r\nJOB"),
        ("stats-job 7", "STATS 1 reserved"),
    ];
    let (broker, talk) = peer(&[CLAIMING]).await;
    let place = place("p", "q");
    let (claim, _) = broker.claim(&place, 1, LEASE).await.unwrap().unwrap();
    assert_eq!(talk.await.unwrap(), Vec::<String>::new());
    assert_eq!(broker.read_claim(&place, &claim).await.unwrap(), None);
    assert!(!broker.renew(&place, &claim, LEASE).await.unwrap());
}

#[tokio::test]
async fn expired_job_is_removed_on_the_way_and_a_late_one_takes_its_place() {
    const POPPING: Dialogue = &[
        ("watch TUBE", "WATCHING 2\r\n"),
        ("ignore default", "WATCHING 1\r\n"),
        ("reserve-with-timeout 0", "RESERVED 7 20\r\nJOB"),
        ("stats-job 7", "STATS 300 reserved"),
        ("delete 7", "DELETED\r\n"),
        ("reserve-with-timeout 0", "RESERVED 9 20\r\nJOB"),
        ("stats-job 9", "STATS 299 reserved"),
        ("reserve-with-timeout 0", "RESERVED 8 20\r\nJOB"),
        ("stats-job 8", "STATS 299 reserved"),
        ("delete 8", "DELETED\r\n"),
        ("delete 9", "DELETED\r\n"),
    ];
    let (broker, talk) = peer(&[POPPING]).await;
    let popped = broker.pop(&place("p", "q"), 2).await.unwrap();
    let ids: Vec<&str> = popped.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids, ["8", "9"]);
    assert_eq!(talk.await.unwrap(), Vec::<String>::new());
}
