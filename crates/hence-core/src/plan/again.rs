//! The keys of occurrences that are planned again after they were withdrawn.
//!
//! A task that the plan no longer had (its anchor was shifted away, a fact became unknown) was cancelled under its key, and a key is
//! given once for ever. When the plan wants the occurrence again, it gets the key with `~2`, then `~3`: the same occurrence, another task.

/// The key of the occurrence as the plan knows it: without `~2`.
pub(super) fn base_of(key: &str) -> &str {
    match key.rsplit_once('~') {
        Some((base, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => key,
    }
}

/// The key of an occurrence that was withdrawn that many times before.
pub(super) fn key_of(base: &str, withdrawn: usize) -> String {
    if withdrawn == 0 { base.to_owned() } else { format!("{base}~{}", withdrawn + 1) }
}

#[cfg(test)]
mod tests {
    //! Goal: a key and its base belong together. Method: there and back, also for the keys of follow-ups.
    use super::*;

    #[test]
    fn the_base_of_a_key_is_what_it_was_made_from() {
        for base in ["", "2026-03-01T09:00", "#2", "2026-03-01T09:00~2/2026-03-08T09:00"] {
            for withdrawn in 0..3 {
                assert_eq!(base_of(&key_of(base, withdrawn)), base);
            }
        }
        assert_eq!(key_of("2026-03-01T09:00", 1), "2026-03-01T09:00~2");
    }
}
