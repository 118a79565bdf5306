//! TLS as all clients of this crate use it.
//!
//! Owns: which certificates are trusted and which provider does the arithmetic. Invariant: the provider is given to each
//! configuration, never installed for the process, so that an embedding program may choose another one.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::port::Problem;

/// A configuration that trusts the usual public certificates and those in `roots_pem`.
pub(crate) fn client_config(roots_pem: Option<&str>) -> Result<ClientConfig, Problem> {
    let problem = |what: String| Problem::new("bad-certificate", what);
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for certificate in CertificateDer::pem_slice_iter(roots_pem.unwrap_or_default().as_bytes()) {
        let certificate = certificate.map_err(|error| problem(format!("the extra certificates are no PEM: {error}")))?;
        roots.add(certificate).map_err(|error| problem(format!("an extra certificate cannot be used: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| problem(format!("cannot set up TLS: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
