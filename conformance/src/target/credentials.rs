//! What proves to Keystone who somebody is: the usual `OS_*` variables, or an entry of `clouds.yaml`.

use std::fmt;

use super::clouds::Cloud;

/// Who logs in, where, and for which project.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Keystone's URL, with or without `/v3`.
    pub url: String,
    /// Who it is.
    pub identity: Identity,
    /// The project; an application credential belongs to one already.
    pub project: Option<Named>,
    /// A PEM file of authorities that vouch for Keystone, beside the well-known ones.
    pub cacert: Option<String>,
}

/// How somebody proves who they are.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// By a password.
    Password {
        /// The user.
        user: Named,
        /// The password.
        password: String,
    },
    /// By an application credential.
    ApplicationCredential {
        /// The credential, and whose it is.
        user: Named,
        /// Its secret.
        secret: String,
    },
}

/// Something that has an identifier, or else a name within a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Its identifier.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// The user whose credential it is.
    pub owner: String,
    /// The domain's identifier.
    pub domain_id: Option<String>,
    /// The domain's name; empty: `Default`.
    pub domain_name: String,
}

impl fmt::Debug for Credentials {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("url", &self.url)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: `{key}` is missing, needed {why}")]
pub struct CredentialsError {
    origin: String,
    key: &'static str,
    why: &'static str,
}

impl Credentials {
    /// From `OS_*` variables, which `read` reads.
    ///
    /// # Errors
    ///
    /// If one is missing.
    pub fn of_variables(read: impl Fn(&str) -> Option<String>) -> Result<Self, CredentialsError> {
        let read = |key: &str| read(key).filter(|value| !value.is_empty());
        Self::of(&read, "the environment", |key| {
            KEYS.iter()
                .find(|(name, _)| *name == key)
                .map_or(key, |(_, variable)| variable)
        })
    }

    /// From an entry of `clouds.yaml`.
    ///
    /// # Errors
    ///
    /// If a key is missing.
    pub fn of_cloud(cloud: &Cloud) -> Result<Self, CredentialsError> {
        let read = |key: &str| {
            cloud
                .get(key)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
        };
        Self::of(&read, cloud.place(), |key| key)
    }

    fn of(
        read: &dyn Fn(&str) -> Option<String>,
        origin: &str,
        word: impl Fn(&'static str) -> &'static str,
    ) -> Result<Self, CredentialsError> {
        let get = |key| read(word(key));
        let need = |key, why| {
            get(key).ok_or_else(|| CredentialsError {
                origin: origin.to_owned(),
                key: word(key),
                why,
            })
        };
        let url = need("auth_url", "to know where Keystone is")?;
        let named = |id, name: &'static str, domain: (&'static str, &'static str)| Named {
            id: get(id),
            name: get(name).unwrap_or_default(),
            owner: get("username").unwrap_or_default(),
            domain_id: get(domain.0),
            domain_name: get(domain.1).unwrap_or_default(),
        };
        let user_domain = ("user_domain_id", "user_domain_name");
        let by_credential = get("application_credential_secret").is_some()
            || get("auth_type").is_some_and(|kind| kind.contains("applicationcredential"));
        if by_credential {
            let secret = need(
                "application_credential_secret",
                "with an application credential",
            )?;
            let user = named(
                "application_credential_id",
                "application_credential_name",
                user_domain,
            );
            if user.id.is_none() && (user.name.is_empty() || user.owner.is_empty()) {
                need(
                    "application_credential_id",
                    "with an application credential, or else its name and the user's",
                )?;
            }
            let identity = Identity::ApplicationCredential { user, secret };
            return Ok(Self {
                url,
                identity,
                project: None,
                cacert: get("cacert"),
            });
        }
        let password = need("password", "to log in, or else an application credential")?;
        let user = named("user_id", "username", user_domain);
        if user.id.is_none() && user.name.is_empty() {
            need("username", "with a password")?;
        }
        let project = named(
            "project_id",
            "project_name",
            ("project_domain_id", "project_domain_name"),
        );
        if project.id.is_none() && project.name.is_empty() {
            need(
                "project_name",
                "with a password: queues belong to a project",
            )?;
        }
        Ok(Self {
            url,
            identity: Identity::Password { user, password },
            project: Some(project),
            cacert: get("cacert"),
        })
    }
}

/// Keys of `clouds.yaml`, and the variable for each.
const KEYS: [(&str, &str); 16] = [
    ("cacert", "OS_CACERT"),
    ("auth_url", "OS_AUTH_URL"),
    ("auth_type", "OS_AUTH_TYPE"),
    ("username", "OS_USERNAME"),
    ("user_id", "OS_USER_ID"),
    ("password", "OS_PASSWORD"),
    ("user_domain_id", "OS_USER_DOMAIN_ID"),
    ("user_domain_name", "OS_USER_DOMAIN_NAME"),
    ("project_id", "OS_PROJECT_ID"),
    ("project_name", "OS_PROJECT_NAME"),
    ("project_domain_id", "OS_PROJECT_DOMAIN_ID"),
    ("project_domain_name", "OS_PROJECT_DOMAIN_NAME"),
    ("application_credential_id", "OS_APPLICATION_CREDENTIAL_ID"),
    (
        "application_credential_name",
        "OS_APPLICATION_CREDENTIAL_NAME",
    ),
    (
        "application_credential_secret",
        "OS_APPLICATION_CREDENTIAL_SECRET",
    ),
    ("cloud", "OS_CLOUD"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Credentials, String> {
        let read = |key: &str| {
            let found = variables.iter().find(|(name, _)| *name == key);
            found.map(|(_, value)| (*value).to_owned())
        };
        Credentials::of_variables(read).map_err(|error| error.to_string())
    }

    const USER: [(&str, &str); 4] = [
        ("OS_AUTH_URL", "http://k/v3"),
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "secret"),
        ("OS_PROJECT_NAME", "p"),
    ];

    #[test]
    fn password_or_application_credential_come_from_the_usual_variables() {
        let credentials = of(&USER).unwrap();
        assert!(
            matches!(&credentials.identity, Identity::Password { user, .. } if user.name == "u")
        );
        assert_eq!(credentials.project.unwrap().name, "p");
        let application = [
            ("OS_AUTH_URL", "http://k"),
            ("OS_AUTH_TYPE", "v3applicationcredential"),
            ("OS_APPLICATION_CREDENTIAL_ID", "i"),
            ("OS_APPLICATION_CREDENTIAL_SECRET", "secret"),
        ];
        let credentials = of(&application).unwrap();
        let Identity::ApplicationCredential { user, secret } = &credentials.identity else {
            panic!("not by an application credential");
        };
        assert_eq!((user.id.as_deref(), secret.as_str()), (Some("i"), "secret"));
        assert_eq!(credentials.project, None);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            of(&[]).unwrap_err(),
            "the environment: `OS_AUTH_URL` is missing, needed to know where Keystone is"
        );
        assert_eq!(
            of(&USER[..3]).unwrap_err(),
            "the environment: `OS_PROJECT_NAME` is missing, needed with a password: queues belong \
             to a project"
        );
        assert!(
            of(&[USER[0], ("OS_PASSWORD", "")])
                .unwrap_err()
                .contains("OS_PASSWORD")
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", of(&USER).unwrap()).contains("secret"));
    }
}
