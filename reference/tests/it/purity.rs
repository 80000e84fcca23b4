//! The core contains no I/O, no clock and no hash-ordered collection: read off its sources.

use std::path::{Path, PathBuf};

const FORBIDDEN: [&str; 9] = [
    "std::net",
    "std::fs",
    "tokio",
    "std::time",
    "HashMap",
    "HashSet",
    "std::thread",
    "async fn",
    "Mutex",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn the_broker_and_the_wire_do_not_reach_outside() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = sources(&root.join("broker"));
    files.extend(sources(&root.join("wire")));
    files.extend([root.join("broker.rs"), root.join("wire.rs")]);
    assert!(
        files.len() > 20,
        "the sources are where they are looked for"
    );
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for forbidden in FORBIDDEN {
            assert!(
                !text.contains(forbidden),
                "{} mentions {forbidden}",
                file.display()
            );
        }
    }
}

#[test]
fn the_broker_does_not_know_the_wire_and_the_service_knows_no_runtime() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&root.join("broker")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for forbidden in ["crate::wire", "crate::service", "http::"] {
            assert!(
                !text.contains(forbidden),
                "{} mentions {forbidden}",
                file.display()
            );
        }
    }
    let service = std::fs::read_to_string(root.join("service.rs")).unwrap();
    for forbidden in ["tokio", "std::time", "hyper", "crate::server"] {
        assert!(
            !service.contains(forbidden),
            "the service mentions {forbidden}"
        );
    }
}
