//! What this back end says to Hence, as a port: who carries the words there is not its business.
//!
//! Owns the trait and the two values that cross it. `hence demo` fills it with the Rust client, the program `chat` with
//! the `hence` command line; tests write down what was said.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

/// Number of an account; to Hence it is the entity `account/NUMBER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub i64);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Tells Hence what happened. Whatever is not answered `Ok` is told again later, so the same may be told twice.
#[async_trait]
pub trait HenceCalls: Send + Sync {
    /// The account's trial begins: enrol `account/ID` in the timeline `trial`, with the instant `created_at`.
    ///
    /// `facts` is a JSON object of fact groups: `{"account": {"email": …, "timezone": …, "paid_at": …, "status": …}}`.
    ///
    /// # Errors
    /// Hence did not take it, or nobody knows whether it did; it is told again later.
    async fn enrol(&self, account_id: AccountId, created_at: Timestamp, facts: Value) -> anyhow::Result<()>;

    /// Something happened to the account at `at`: `account.paid`, `account.closed`, `trial.extended` (data `{"days": n}`),
    /// `account.timezone_changed`. `facts` as in [`HenceCalls::enrol`].
    ///
    /// # Errors
    /// Hence did not take it, or nobody knows whether it did; it is told again later.
    async fn event(&self, account_id: AccountId, name: &str, at: Timestamp, data: Value, facts: Value) -> anyhow::Result<()>;
}
