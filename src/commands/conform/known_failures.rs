//! The known-failures file of a run: where it is, and how it is written anew.

use std::path::Path;

use anyhow::Context as _;
use nanshe_conformance::report::Report;
use nanshe_conformance::target::{Description, KnownFailures, updated};

use crate::args::Conform;
use crate::output::{Shell, check_writable, today, write_whole};

/// What a run reads of its known failures.
pub(super) struct Known {
    pub(super) list: KnownFailures,
    file: Option<String>,
}

/// Reads the file that the command line names, or else the one that the target file does.
pub(super) fn read(args: &Conform, target: Option<&Description>) -> anyhow::Result<Known> {
    let Some(file) = &args.known_failures else {
        let file = target.and_then(|target| target.known_failures_file.clone());
        anyhow::ensure!(
            file.is_some() || !args.update_known_failures,
            "--update-known-failures: there is no such file yet, name one by --known-failures FILE"
        );
        let list = target.map(|target| target.known_failures.clone());
        return Ok(Known {
            list: list.unwrap_or_default(),
            file,
        });
    };
    let list = if args.update_known_failures && !Path::new(file).exists() {
        // It is about to be written.
        check_writable(Path::new(file))?;
        KnownFailures::default()
    } else {
        KnownFailures::load(file)?
    };
    Ok(Known {
        list,
        file: Some(file.clone()),
    })
}

/// Writes the file anew after `report`, which is then judged by what it says now.
pub(super) fn update(
    known: Known,
    report: &mut Report,
    shell: &mut Shell<'_>,
) -> anyhow::Result<()> {
    let file = known
        .file
        .context("a run that is to write a file has read its name")?;
    let exists = Path::new(&file).exists();
    let text = if exists {
        std::fs::read_to_string(&file).with_context(|| format!("{file} cannot be read"))?
    } else {
        String::new()
    };
    let new = updated(&text, report);
    if new.text != text || !exists {
        write_whole(Path::new(&file), new.text.as_bytes())?;
    }
    shell.say(&format!(
        "{file}: {} added, {} removed",
        new.added.len(),
        new.removed.len()
    ));
    let list = KnownFailures::load(&file)?;
    for case in &mut report.cases {
        case.excuse(&list, &today());
    }
    Ok(())
}
