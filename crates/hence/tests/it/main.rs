//! Goal: client and engine do together what the definition says. Method: real handlers over the memory store on a virtual clock that
//! is advanced; every test waits for the clock to arrive, none for time.

#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

mod trial;
