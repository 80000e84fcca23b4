//! TLS to subscribers, Keystone and mail relays: which authorities are trusted. Certificates are
//! verified always.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Authorities that an operator trusts beside the well-known ones.
#[derive(Default)]
pub(super) struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads a PEM file.
    pub(super) fn read(file: &Path) -> io::Result<Self> {
        let failed = |error: String| {
            let message = format!("cannot read authorities from {}: {error}", file.display());
            io::Error::new(io::ErrorKind::InvalidInput, message)
        };
        let text = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let certificates = certificates.map_err(|error| failed(error.to_string()))?;
        if certificates.is_empty() {
            return Err(failed("it has no certificates".to_owned()));
        }
        Ok(Self(certificates))
    }

    /// As they are encoded.
    pub(super) fn encoded(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|certificate| certificate.as_ref())
    }

    /// What makes connections that these authorities, or the well-known ones, vouch for.
    pub(super) fn connector(&self) -> io::Result<TlsConnector> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let mut roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        for certificate in &self.0 {
            roots.add(certificate.clone()).map_err(invalid)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}
