//! The address of a database: what of it is ours, what is the driver's, and how the way there is secured.
//!
//! Off the machine itself the server must show a certificate for its name, unless the address says `sslmode=disable`. Every weaker mode
//! that libpq knows (`allow`, `prefer`, `require`, `verify-ca`) means `verify-full` here.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, ErrorKind};
use crate::limits::invalid;

/// The port where the address names none.
const PORT: u16 = 5432;

/// An address that was read.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: Option<MakeRustlsConnect>,
    /// Whether the address says that a pooler in transaction mode stands in between; else that is found out.
    pub(super) is_pooled: Option<bool>,
}

/// The parameters of an address that are ours.
#[derive(Default)]
struct Ours {
    ssl_mode: Option<String>,
    ssl_root: Option<PathBuf>,
    pooler: Option<String>,
}

impl Address {
    /// Reads `postgres://user@host/database?…`.
    pub(super) fn read(url: &str) -> Result<Self, Error> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(invalid("the address of a PostgreSQL store begins with `postgres://`"));
        }
        let (rest, ours) = take_ours(url)?;
        let mut config = config_of(&rest)?;
        let is_pooled = match ours.pooler.as_deref() {
            None | Some("auto") => None,
            Some("transaction") => Some(true),
            Some("none") => Some(false),
            Some(other) => return Err(invalid(format!("`pooler={other}` is not known: it is auto, transaction or none"))),
        };
        let has_tls = match ours.ssl_mode.as_deref() {
            Some("disable") => false,
            None => !is_on_this_machine(&config),
            Some("allow" | "prefer" | "require" | "verify-ca" | "verify-full") => true,
            Some(other) => return Err(invalid(format!("`sslmode={other}` is not known"))),
        };
        config.ssl_mode(if has_tls { SslMode::Require } else { SslMode::Disable });
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let tls = if has_tls { Some(connector(ours.ssl_root)?) } else { None };
        Ok(Self { config, tls, is_pooled })
    }

    /// As [`place_of`].
    pub(super) fn place(&self) -> String {
        place_in(&self.config)
    }
}

/// Where the address of a database leads, as it may be shown: without user and password, `db.example.com:6432/app`.
/// # Errors
/// [`ErrorKind::Invalid`]: it is no address of a PostgreSQL database; the error does not quote it.
pub fn place_of(url: &str) -> Result<String, Error> {
    let (rest, _) = take_ours(url)?;
    Ok(place_in(&config_of(&rest)?))
}

/// The driver's error can quote the address, and so the password; it is not passed on.
fn config_of(address: &str) -> Result<tokio_postgres::Config, Error> {
    address.parse().map_err(|_| invalid("the address of the PostgreSQL store cannot be read"))
}

fn place_in(config: &tokio_postgres::Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| match host {
        Host::Tcp(name) => match ports.get(index).or(ports.first()) {
            Some(port) if *port != PORT => format!("{name}:{port}"),
            _ => name.clone(),
        },
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    format!("{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

/// Takes the parameters that only we know out of an address.
fn take_ours(url: &str) -> Result<(String, Ours), Error> {
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), Ours::default())) };
    let mut ours = Ours::default();
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", mode)) => ours.ssl_mode = Some(mode.to_owned()),
            Some(("sslrootcert", path)) if !path.contains('%') => ours.ssl_root = Some(PathBuf::from(path)),
            Some(("sslrootcert", _)) => return Err(invalid("the path in `sslrootcert` must be written without `%`")),
            Some(("pooler", pooler)) => ours.pooler = Some(pooler.to_owned()),
            _ => rest.push(pair),
        }
    }
    let query = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    Ok((format!("{base}{query}"), ours))
}

fn is_on_this_machine(config: &tokio_postgres::Config) -> bool {
    let is_near = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    };
    config.get_hostaddrs().iter().all(IpAddr::is_loopback) && config.get_hosts().iter().all(is_near)
}

/// Encryption with the roots of that file, or those of the web.
fn connector(roots_file: Option<PathBuf>) -> Result<MakeRustlsConnect, Error> {
    let mut roots = rustls::RootCertStore::empty();
    match roots_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let cannot = || format!("the certificates in {} cannot be read", path.display());
            let read = |error| Error::new(ErrorKind::Invalid, cannot()).caused_by(error);
            for certificate in CertificateDer::pem_file_iter(&path).map_err(read)? {
                let certificate = certificate.map_err(read)?;
                roots.add(certificate).map_err(|error| Error::new(ErrorKind::Invalid, cannot()).caused_by(error))?;
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Error::new(ErrorKind::Unavailable, "TLS cannot be set up").caused_by(error))?;
    Ok(MakeRustlsConnect::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    //! Goal: the way to a server is secured unless somebody asks for less. Method: addresses, and what is made of them.
    use super::*;

    fn check(url: &str) -> Result<(bool, Option<bool>), String> {
        let address = Address::read(url).map_err(|error| error.to_string())?;
        assert_eq!(address.tls.is_some(), address.config.get_ssl_mode() == SslMode::Require);
        Ok((address.tls.is_some(), address.is_pooled))
    }

    #[test]
    fn only_the_own_machine_is_reached_without_encryption() {
        for near in ["localhost", "127.0.0.1", "[::1]", "%2Fvar%2Frun"] {
            assert_eq!(check(&format!("postgres://hence@{near}/hence")), Ok((false, None)), "{near}");
        }
        for far in ["db.example.com", "10.0.0.7", "localhost,10.0.0.7", "localhost.example.com"] {
            assert_eq!(check(&format!("postgres://hence@{far}/hence")), Ok((true, None)), "{far}");
        }
        assert_eq!(check("postgresql://hence@db.example.com/hence?sslmode=disable"), Ok((false, None)));
        for mode in ["allow", "prefer", "require", "verify-ca", "verify-full"] {
            assert_eq!(check(&format!("postgres://hence@localhost/hence?sslmode={mode}")), Ok((true, None)), "{mode}");
        }
    }

    #[test]
    fn our_parameters_are_taken_out_and_the_others_kept() {
        let address = Address::read("postgres://a:b@localhost:6432/d?pooler=transaction&application_name=x&sslmode=disable");
        let address = address.map_err(|error| error.to_string()).unwrap();
        assert_eq!((address.is_pooled, address.config.get_application_name()), (Some(true), Some("x")));
        assert_eq!(address.place(), "localhost:6432/d");
    }

    #[test]
    fn a_wrong_address_is_refused_without_its_password() {
        for url in ["mysql://x", "postgres://u:secret@host:port/d", "postgres://h/d?sslmode=none", "postgres://h/d?pooler=on"] {
            let error = check(url).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
