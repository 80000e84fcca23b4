//! TLS to targets and to Keystone. Certificates are verified always; which authorities are trusted
//! beside the well-known ones, the user says.

use std::path::Path;
use std::sync::Arc;

use crate::environment::Stream;

/// Authorities that are trusted beside the well-known ones, in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities(Arc<[u8]>);

/// Why a file of authorities was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}, expected certificates in PEM")]
pub struct AuthoritiesError {
    file: String,
    why: String,
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authorities({} bytes)", self.0.len())
    }
}

impl Authorities {
    /// Reads a PEM file.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or holds no certificate that could vouch for another.
    pub fn read(file: &Path) -> Result<Self, AuthoritiesError> {
        let refuse = |why: String| AuthoritiesError {
            file: file.display().to_string(),
            why,
        };
        let text = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
        let authorities = Self(text.into());
        if connector::certificates(&authorities.0)
            .map_err(&refuse)?
            .is_empty()
        {
            return Err(refuse("it has none".to_owned()));
        }
        Connector::new(&authorities).map_err(refuse)?;
        Ok(authorities)
    }

    /// These and others.
    pub(super) fn and(&self, others: &Self) -> Self {
        Self([&*self.0, b"\n", &*others.0].concat().into())
    }
}

pub(super) use self::connector::Connector;

/// What puts TLS on a connection, where there is TLS.
#[cfg(feature = "http")]
mod connector {
    use hyper_util::rt::TokioIo;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::{Arc, Authorities, Stream};

    pub(crate) struct Connector(TlsConnector);

    pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let certificates = CertificateDer::pem_slice_iter(pem);
        certificates
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())
    }

    impl Connector {
        /// One that trusts these authorities and the well-known ones.
        pub(crate) fn new(authorities: &Authorities) -> Result<Self, String> {
            let mut roots = RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            };
            for certificate in certificates(&authorities.0)? {
                roots.add(certificate).map_err(|error| error.to_string())?;
            }
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Ok(Self(TlsConnector::from(Arc::new(config))))
        }

        /// Shakes hands with `host`.
        pub(crate) async fn secure(
            &self,
            host: &str,
            stream: Box<dyn Stream>,
        ) -> Result<Box<dyn Stream>, String> {
            let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
            let secured = self.0.connect(name, TokioIo::new(stream)).await;
            let secured = secured.map_err(|error| error.to_string())?;
            Ok(Box::new(TokioIo::new(secured)))
        }
    }
}

/// Nothing does.
#[cfg(not(feature = "http"))]
mod connector {
    use super::{Authorities, Stream};

    const MISSING: &str = "this build has no TLS";

    pub(crate) struct Connector;

    pub(super) fn certificates(_: &[u8]) -> Result<Vec<()>, String> {
        Err(MISSING.to_owned())
    }

    impl Connector {
        pub(crate) fn new(_: &Authorities) -> Result<Self, String> {
            Ok(Self)
        }

        pub(crate) async fn secure(
            &self,
            _: &str,
            _: Box<dyn Stream>,
        ) -> Result<Box<dyn Stream>, String> {
            Err(MISSING.to_owned())
        }
    }
}
