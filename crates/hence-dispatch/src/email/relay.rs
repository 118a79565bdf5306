//! The mail server's address.
//!
//! Owns: reading `smtps://`, `smtp+starttls://` and `smtp://` addresses, and refusing to talk in the clear over a
//! network unless the operator says so. Leaves to others: the conversation.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use url::Url;

use crate::port::Problem;
use crate::secret::Secret;
use crate::tls::client_config;

/// When the conversation becomes encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// From the first byte.
    Always,
    /// After `STARTTLS`, which the server has to offer.
    Starttls,
    /// Never.
    None,
}

/// A mail server that was checked.
#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) encryption: Encryption,
    pub(crate) login: Option<(String, Secret)>,
    pub(crate) tls: Arc<ClientConfig>,
    /// The name we give in `EHLO`.
    pub(crate) hello: String,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {:?}", self.host, self.port, self.encryption)
    }
}

impl Relay {
    pub(crate) fn parse(text: &str, login: Option<(String, Secret)>, roots_pem: Option<&str>) -> Result<Relay, Problem> {
        // The text is not repeated: somebody may have put a password into it.
        let problem = |what: &str| Problem::new("bad-mail-server", format!("the mail server's address {what}"));
        let url = Url::parse(text).map_err(|error| problem(&format!("is no URL: {error}")))?;
        let (encryption, port) = match url.scheme() {
            "smtps" => (Encryption::Always, 465),
            "smtp+starttls" => (Encryption::Starttls, 587),
            "smtp" => (Encryption::None, 25),
            _ => return Err(problem("has to start with smtps://, smtp+starttls:// or smtp://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(problem("has a user in it; give user and password apart"));
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(problem("has a path or a fragment"));
        }
        let is_clear_meant = match url.query() {
            None => false,
            Some("tls=none") if encryption == Encryption::None => true,
            Some(_) => return Err(problem("knows `?tls=none` with smtp:// only")),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| problem("has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if encryption == Encryption::None && !is_loopback(&host) {
            if !is_clear_meant {
                return Err(problem("is plain smtp:// to another machine; use smtps:// or smtp+starttls://, or add ?tls=none"));
            }
            if login.is_some() {
                return Err(problem("would send the password in the clear; use smtps:// or smtp+starttls://"));
            }
        }
        Ok(Relay {
            host,
            port: url.port().unwrap_or(port),
            encryption,
            login,
            tls: Arc::new(client_config(roots_pem)?),
            hello: "localhost".into(),
        })
    }

    pub(crate) fn saying_hello_as(mut self, name: &str) -> Relay {
        self.hello = name.to_owned();
        self
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    //! Goal: no mail goes over a network in the clear by accident. Method: a table of addresses.
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        for (text, expected) in [
            ("smtps://mail.example.com", "mail.example.com:465 Always"),
            ("smtps://mail.example.com:4650/", "mail.example.com:4650 Always"),
            ("smtp+starttls://mail.example.com", "mail.example.com:587 Starttls"),
            ("smtp://localhost", "localhost:25 None"),
            ("smtp://127.0.0.1:2525", "127.0.0.1:2525 None"),
            ("smtp://[::1]:2525", "::1:2525 None"),
            ("smtp://mail.example.com?tls=none", "mail.example.com:25 None"),
            ("smtp://mail.example.com", "refused"),
            ("smtp://127.0.0.1.example.com", "refused"),
            ("smtps://mail.example.com?tls=none", "refused"),
            ("smtp://localhost?tls=maybe", "refused"),
            ("smtps://user:word@mail.example.com", "refused"),
            ("smtps://mail.example.com/path", "refused"),
            ("smtps://", "refused"),
            ("https://mail.example.com", "refused"),
            ("mail.example.com", "refused"),
        ] {
            let got = Relay::parse(text, None, None);
            let got = got.map_or_else(|_| "refused".into(), |relay| format!("{relay:?}"));
            assert_eq!(got, expected, "{text}");
        }
        let login = Some(("ann".to_owned(), Secret::new("word")));
        assert!(Relay::parse("smtp://mail.example.com?tls=none", login.clone(), None).is_err());
        assert!(Relay::parse("smtp://localhost", login, None).is_ok());
    }
}
