//! The keys of occurrences that come more than once: planned again after they were withdrawn, or run again by a person.
//!
//! A task that the plan no longer had (its anchor was shifted away, a fact became unknown) was cancelled under its key, and a key is
//! given once for ever. When the plan wants the occurrence again, it gets the key with `~2`, then `~3`: the same occurrence, another task.
//! What a person has run again after it ended gets the key with `#2`, then `#3`.

/// The key of the occurrence as the plan knows it: without `~2` and `#2`.
pub fn base_of(key: &str) -> &str {
    let mut base = key;
    while let Some((before, _)) = numbered(base, '#').or_else(|| numbered(base, '~')) {
        base = before;
    }
    base
}

/// The key of an occurrence that was withdrawn that many times before.
pub(super) fn key_of(base: &str, withdrawn: usize) -> String {
    if withdrawn == 0 { base.to_owned() } else { format!("{base}~{}", withdrawn + 1) }
}

/// The first key after all of `known` under which the occurrence of that key is run again.
pub(crate) fn next_run<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> String {
    let base = base_of(key);
    let of_it = known.filter(|known| base_of(known) == base);
    let newest = of_it.filter_map(|known| Some(numbered(known, '#')?.1)).max();
    format!("{base}#{}", newest.unwrap_or(1).saturating_add(1))
}

/// Whether a person has had the occurrence `base` run again under this key.
pub(super) fn is_run_again(key: &str, base: &str) -> bool {
    numbered(key, '#').is_some() && base_of(key) == base
}

/// What stands before the last `mark`, and the number after it.
fn numbered(key: &str, mark: char) -> Option<(&str, u32)> {
    let (base, number) = key.rsplit_once(mark)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((base, number.parse().ok().filter(|_| is_number)?))
}

#[cfg(test)]
mod tests {
    //! Goal: a key and its base belong together. Method: there and back, also for the keys of follow-ups.
    use super::*;

    #[test]
    fn the_base_of_a_key_is_what_it_was_made_from() {
        for base in ["", "2026-03-01T09:00", "2026-03-01T09:00~2/2026-03-08T09:00"] {
            for withdrawn in 0..3 {
                let key = key_of(base, withdrawn);
                assert_eq!(base_of(&key), base);
                assert_eq!(base_of(&next_run(&key, [].into_iter())), base);
            }
        }
        assert_eq!(key_of("2026-03-01T09:00", 1), "2026-03-01T09:00~2");
    }

    #[test]
    fn no_key_is_given_twice_to_what_is_run_again() {
        assert_eq!(next_run("", ["", "2026-03-01T09:00#7"].into_iter()), "#2");
        assert_eq!(next_run("~2", ["", "~2", "#2", "#3"].into_iter()), "#4");
        assert_eq!(next_run("a#2", ["a", "a#2", "b#9"].into_iter()), "a#3");
        assert!(is_run_again("a#2", "a") && !is_run_again("a#2", "") && !is_run_again("a~2", "a"));
    }
}
