//! Hence in programs of one's own: three of them in `src/bin/`, each run by the tests. `docs/guide/embedding.md` walks through them.
//!
//! `small` is the shortest that does something, `adhoc` has tasks without a definition, `web` is an axum application whose rows and tasks
//! are committed together. Nothing stands here.
