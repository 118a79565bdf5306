//! Goal: the batch way does the same as Hence, day by day, and it is counted what each loses or doubles when it is killed.
//! Method: the real application twice, real mails, real webhooks, the real engine; one virtual clock for both.

#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

mod gate;
mod world;

mod behind;
mod cost;
mod crash;
mod differential;
mod jobs;
