//! The files that reports are written to.

use std::path::Path;

use nanshe_conformance::report::{self, Report};

use crate::args::Pages;
use crate::output::{check_writable, write_whole};

/// Refuses, before anything runs, files that could not be written afterwards.
pub(super) fn check(junit: Option<&Path>, pages: &Pages) -> anyhow::Result<()> {
    [junit, pages.markdown.as_deref(), pages.html.as_deref()]
        .into_iter()
        .flatten()
        .try_for_each(check_writable)
}

/// Writes the forms that were asked for, all reports in each.
pub(super) fn write(reports: &[Report], junit: Option<&Path>, pages: &Pages) -> anyhow::Result<()> {
    type Form = fn(&[Report]) -> String;
    let forms: [(Option<&Path>, Form); 3] = [
        (junit, report::junit),
        (pages.markdown.as_deref(), report::markdown),
        (pages.html.as_deref(), report::html),
    ];
    for (path, form) in forms {
        if let Some(path) = path {
            write_whole(path, form(reports).as_bytes())?;
        }
    }
    Ok(())
}
