//! The trial of the chat example once more, as three nightly jobs over the application's own tables, without Hence.
//!
//! It is here to be compared with: written as one would write it with care, so that what remains of its troubles are those of
//! the way and not of the writer. Each job selects who is due, leaves out whom it has dealt with, acts, and marks that; it may
//! be run at any time and as often as one likes. Owns the tables `trial_mail` and `trial_end`.
//!
//! | job | does | its memory |
//! |---|---|---|
//! | [`Jobs::remind`] | mails five days before the end, on a working day | `trial_mail` |
//! | [`Jobs::expire`] | switches off at the end, and tells the customer | `trial_end`, `trial_mail` |
//! | [`Jobs::look`] | two days later mails those whose site still loads the script | `trial_end.looked_at`, `trial_mail` |
//!
//! Days are days where the customer lives, and an account's night is over at three o'clock there: run the program each hour and
//! every customer is dealt with once a night. A night that was missed is caught up with by the next run, within the limits that
//! the definition of the Hence way has too.

mod days;
mod memory;
mod post;

mod jobs;

pub use jobs::{InDoubt, Jobs, Report};
pub use post::Post;
