//! Standard Webhooks signatures, version 1 (HMAC-SHA256).
//!
//! Owns: reading a `whsec_` secret and signing an id, an instant and a body with one or more of them, so that a secret
//! can be changed while receivers still know the old one. Leaves to others: headers, clocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::port::Problem;
use crate::secret::Secret;

/// Fewest and most bytes of a signing key, as Standard Webhooks asks.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Signs with every live secret of a target.
#[derive(Clone)]
pub(crate) struct Signer {
    macs: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// Reads the secrets; no secrets means no signature.
    pub(crate) fn new(secrets: &[Secret]) -> Result<Signer, Problem> {
        let macs = secrets.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Signer { macs })
    }

    /// The `webhook-signature` header: one signature for each secret, with spaces between; `None` without secrets.
    pub(crate) fn sign(&self, id: &str, sent_at_seconds: i64, body: &[u8]) -> Option<String> {
        let signed: Vec<String> = self
            .macs
            .iter()
            .map(|mac| {
                let mut mac = mac.clone();
                mac.update(format!("{id}.{sent_at_seconds}.").as_bytes());
                mac.update(body);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            })
            .collect();
        (!signed.is_empty()).then(|| signed.join(" "))
    }
}

fn key(secret: &Secret) -> Result<Hmac<Sha256>, Problem> {
    let problem = |what: String| Problem::new("bad-secret", what);
    let text = secret.reveal().trim();
    let encoded = text.strip_prefix("whsec_").ok_or_else(|| problem("a signing secret has to start with `whsec_`".into()))?;
    let key = STANDARD.decode(encoded).map_err(|_| problem("a signing secret has to be base64 after `whsec_`".into()))?;
    if !KEY_BYTES.contains(&key.len()) {
        return Err(problem(format!(
            "a signing secret has to have {} to {} bytes, this one has {}",
            KEY_BYTES.start(),
            KEY_BYTES.end(),
            key.len()
        )));
    }
    Hmac::new_from_slice(&key).map_err(|_| problem("a signing secret cannot be used".into()))
}

#[cfg(test)]
mod tests {
    //! Goal: others can check what we sign. Method: the `standardwebhooks` crate as the other side, and a known value.
    use super::*;

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn signature_is_the_one_of_the_specification() {
        let signer = Signer::new(&[Secret::new(OLD)]).unwrap();
        assert_eq!(
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#).unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn both_live_secrets_verify_the_same_message() {
        let signer = Signer::new(&[Secret::new(OLD), Secret::new(NEW)]).unwrap();
        let header = signer.sign("task_1", 5, b"{}").unwrap();
        let foreign: Vec<String> =
            [OLD, NEW].map(|secret| standardwebhooks::Webhook::new(secret).unwrap().sign("task_1", 5, b"{}").unwrap()).to_vec();
        assert_eq!(header, foreign.join(" "));
    }

    #[test]
    fn bad_secrets_are_refused_without_showing_them() {
        for (secret, expected) in [
            ("hunter2", "a signing secret has to start with `whsec_`"),
            ("whsec_%%%hunter2", "a signing secret has to be base64 after `whsec_`"),
            ("whsec_AAECAwQ=", "a signing secret has to have 24 to 64 bytes, this one has 5"),
        ] {
            let problem = Signer::new(&[Secret::new(secret)]).err().unwrap();
            assert_eq!(problem.message(), expected);
        }
        assert!(Signer::new(&[]).unwrap().sign("a", 1, b"").is_none());
    }
}
