//! What is said of those who take part in sending: authorities, a mail relay, Keystone.
//!
//! Kept as the file has it, because what is left out of one table may make the rest of it idle.

use crate::server::{Outgoing, Relay, RelaySecurity};
use crate::wire::keystone::Trustee;
use crate::wire::{MailSettings, Mailbox, Secret, TrustRule};

/// RFC 6409: where mail is submitted.
const SUBMISSION_PORT: u16 = 587;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Correspondents {
    pub(super) authorities_file: String,
    pub(super) relay: String,
    pub(super) relay_port: u16,
    pub(super) relay_security: RelaySecurity,
    pub(super) relay_username: String,
    pub(super) relay_password: Secret,
    pub(super) mail_from: Mailbox,
    pub(super) confirmation_url: String,
    pub(super) service_url: String,
    pub(super) auth_url: String,
    pub(super) keystone_username: String,
    pub(super) keystone_password: Secret,
    pub(super) user_domain_name: String,
}

impl Default for Correspondents {
    fn default() -> Self {
        Self {
            authorities_file: String::new(),
            relay: String::new(),
            relay_port: SUBMISSION_PORT,
            relay_security: RelaySecurity::default(),
            relay_username: String::new(),
            relay_password: Secret::default(),
            mail_from: Mailbox {
                name: Some("Zaqar Notifications".to_owned()),
                address: "no-reply@openstack.org".to_owned(),
            },
            confirmation_url: String::new(),
            service_url: String::new(),
            auth_url: String::new(),
            keystone_username: String::new(),
            keystone_password: Secret::default(),
            user_domain_name: "Default".to_owned(),
        }
    }
}

impl Correspondents {
    /// What mail is made of, if there is a relay.
    pub(super) fn mail(&self) -> Option<MailSettings> {
        let given = !self.relay.is_empty();
        given.then(|| MailSettings {
            from: self.mail_from.clone(),
            confirmation_url: self.confirmation_url.clone(),
            service_url: Some(self.service_url.clone()).filter(|url| !url.is_empty()),
        })
    }

    /// Whether there are tokens for trusts.
    pub(super) fn trust_rule(&self) -> TrustRule {
        match self.auth_url.is_empty() {
            true => TrustRule::Refused,
            false => TrustRule::Accepted,
        }
    }

    pub(super) fn outgoing(&self) -> Outgoing {
        let given = |text: &String| !text.is_empty();
        let credentials = || (self.relay_username.clone(), self.relay_password.clone());
        Outgoing {
            authorities_file: given(&self.authorities_file)
                .then(|| (&self.authorities_file).into()),
            relay: given(&self.relay).then(|| Relay {
                host: self.relay.clone(),
                port: self.relay_port,
                security: self.relay_security,
                credentials: given(&self.relay_username).then(credentials),
            }),
            trustee: Trustee::url(&self.auth_url).map(|auth_url| Trustee {
                auth_url,
                username: self.keystone_username.clone(),
                password: self.keystone_password.clone(),
                user_domain_name: self.user_domain_name.clone(),
            }),
        }
    }

    /// What does not go together, and at which key. `asks`: whether subscribers have to confirm.
    pub(super) fn fault(&self, asks: bool) -> Option<(&'static str, &'static str)> {
        let mails = !self.relay.is_empty();
        if mails && asks && self.confirmation_url.is_empty() {
            return Some((
                "mail.relay",
                "needs `mail.confirmation_url`, for subscribers have to confirm",
            ));
        }
        let plain = self.relay_security == RelaySecurity::Plain;
        if mails && plain && !self.relay_username.is_empty() {
            return Some((
                "mail.username",
                "needs `mail.security`, for a password is not sent in the clear",
            ));
        }
        if !self.auth_url.is_empty() && self.keystone_username.is_empty() {
            return Some(("keystone.auth_url", "needs `keystone.username`"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::server::RelaySecurity;
    use crate::wire::TrustRule;

    #[test]
    fn without_a_relay_and_keystone_there_is_neither_mail_nor_trust() {
        let idle = "[mail]\nusername = \"u\"\nsecurity = \"none\"\n[keystone]\nusername = \"u\"\n";
        let config = Config::parse("f", idle).unwrap();
        assert_eq!(config.settings.mail, None);
        assert_eq!(config.settings.trust_rule, TrustRule::Refused);
        assert_eq!(config.options, Config::default().options);
    }

    #[test]
    fn a_relay_and_keystone_are_what_the_file_says() {
        let text = "[subscriptions]\nauthorities_file = \"ca.pem\"\n\
            [mail]\nrelay = \"r\"\nsecurity = \"tls\"\nport = 465\nusername = \"u\"\n\
            password = \"secret\"\nfrom = \"a@h\"\n\
            [keystone]\nauth_url = \"https://k/v3\"\nusername = \"zaqar\"\npassword = \"secret\"\n";
        let config = Config::parse("f", text).unwrap();
        assert_eq!(Config::parse("f", &config.to_toml()).unwrap(), config);
        assert_eq!(config.settings.trust_rule, TrustRule::Accepted);
        assert_eq!(config.settings.mail.as_ref().unwrap().from.address, "a@h");
        let outgoing = &config.options.outgoing;
        assert_eq!(outgoing.authorities_file, Some("ca.pem".into()));
        let relay = outgoing.relay.as_ref().unwrap();
        assert_eq!((relay.host.as_str(), relay.port), ("r", 465));
        assert_eq!(relay.security, RelaySecurity::Tls);
        assert_eq!(relay.credentials.as_ref().unwrap().0, "u");
        let trustee = outgoing.trustee.as_ref().unwrap();
        assert_eq!(trustee.user_domain_name, "Default");
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (text, expected) in [
            (
                "[sharing]\nsigning_key = \"k\"\n[subscriptions]\nconfirmation_required = true\n\
                 [mail]\nrelay = \"r\"\n",
                "f:6: `mail.relay`: needs `mail.confirmation_url`, for subscribers have to confirm",
            ),
            (
                "[mail]\nrelay = \"r\"\nsecurity = \"none\"\nusername = \"u\"\n",
                "f:4: `mail.username`: needs `mail.security`, for a password is not sent in the \
                 clear",
            ),
        ] {
            let error = Config::parse("f", text).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (text, start) in [
            (
                "[subscriptions]\ndenied_networks = [\"10.0.0.1/8\"]\n",
                "nanshe.toml:2: `subscriptions.denied_networks`: is not an array of networks",
            ),
            (
                "[mail]\nsecurity = \"ssl\"\n",
                "nanshe.toml:2: `mail.security`: is not \"starttls\", \"tls\" or \"none\"",
            ),
            (
                "[mail]\nfrom = \"a\"\n",
                "nanshe.toml:2: `mail.from`: is not an address",
            ),
            (
                "[keystone]\nauth_url = \"k\"\n",
                "nanshe.toml:2: `keystone.auth_url`: is not a URL",
            ),
            (
                "[keystone]\nauth_url = \"http://k\"\n",
                "nanshe.toml:2: `keystone.auth_url`: needs `keystone.username`",
            ),
        ] {
            let message = Config::parse("nanshe.toml", text).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
    }
}
