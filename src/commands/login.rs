//! Whom a target believes, and who vouches for it: the only place that reads the environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use nanshe_conformance::environment::World;
use nanshe_conformance::target::{
    Authentication, Authorities, Cloud, Credentials, Description, Session,
};

use crate::args::Login;
use crate::output::HarnessFailed;

/// Where `clouds.yaml` is looked for, beside the folder that one is in.
const FOLDERS: [&str; 2] = [".config/openstack", "/etc/openstack"];

/// The target that the user named, and the authorities that the command line trusts.
pub(super) fn load(login: &Login, target: &str) -> anyhow::Result<Description> {
    let mut description = Description::load(target)?;
    if let Some(file) = login.cacert.clone().or_else(|| variable("OS_CACERT")) {
        let authorities = Authorities::read(file.as_ref());
        let from = if login.cacert.is_some() {
            "--cacert"
        } else {
            "OS_CACERT"
        };
        description.trust(&authorities.context(from)?);
    }
    Ok(description)
}

/// Logs in, if the command line or the target file says so.
pub(super) async fn log_in(
    login: &Login,
    target: &Description,
    world: World,
) -> anyhow::Result<Option<Arc<Session>>> {
    let asked = target.authentication == Some(Authentication::Keystone);
    if !(asked || login.is_asked_for()) {
        return Ok(None);
    }
    let credentials = credentials(login.os_cloud.as_deref(), &variable)?;
    let credentials = Credentials {
        cacert: login.cacert.clone().or(credentials.cacert),
        ..credentials
    };
    let session = Session::login(world, credentials).await;
    let session = session.map_err(|error| HarnessFailed(error.to_string()))?;
    Ok(Some(Arc::new(session)))
}

fn credentials(
    os_cloud: Option<&str>,
    read: &dyn Fn(&str) -> Option<String>,
) -> anyhow::Result<Credentials> {
    let Some(name) = os_cloud.map(str::to_owned).or_else(|| read("OS_CLOUD")) else {
        return Ok(Credentials::of_variables(read)?);
    };
    let home = read("HOME").map(PathBuf::from).unwrap_or_default();
    let given = read("OS_CLIENT_CONFIG_FILE").map(PathBuf::from);
    let places = given.into_iter().chain([PathBuf::from("clouds.yaml")]);
    let places = places.chain(FOLDERS.map(|folder| home.join(folder).join("clouds.yaml")));
    let file = places.into_iter().find(|place| Path::is_file(place));
    let file = file.with_context(|| format!("cloud {name}: there is no clouds.yaml"))?;
    let file = file.to_string_lossy();
    let text = nanshe_conformance::document::read(&file)?;
    Ok(Credentials::of_cloud(&Cloud::find(&file, &text, &name)?)?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where variables are read"
)]
fn variable(name: &str) -> Option<String> {
    // Files that set these leave some of them empty.
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloud_is_found_in_the_file_that_a_variable_names() {
        let file = std::env::temp_dir().join(format!("nanshe-clouds-{}.yaml", std::process::id()));
        let text = "clouds:\n  mine:\n    auth:\n      auth_url: http://k\n      username: u\n      \
                    password: p\n      project_id: i\n";
        std::fs::write(&file, text).unwrap();
        let path = file.to_string_lossy().into_owned();
        let read = |name: &str| (name == "OS_CLIENT_CONFIG_FILE").then(|| path.clone());
        let found = credentials(Some("mine"), &read);
        let other = credentials(Some("yours"), &read);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(found.unwrap().url, "http://k");
        let error = other.unwrap_err().to_string();
        assert!(error.ends_with("there is no cloud `yours`"), "{error}");
    }

    #[test]
    fn without_a_cloud_the_variables_say_who_it_is() {
        let error = credentials(None, &|_| None).unwrap_err().to_string();
        assert!(error.contains("`OS_AUTH_URL` is missing"), "{error}");
    }
}
