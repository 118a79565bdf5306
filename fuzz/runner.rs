//! The fuzzing of what users write: each target reads any bytes, and must neither panic nor break what it promises.
//!
//! A target is a function of bytes, as cargo-fuzz has it, and stands in the tests of the crate that owns the reader. Here is what feeds it, on
//! the stable compiler: everything in `fuzz/corpus/<target>/`, as it is and cut, changed, joined, for as long as it was given. A run is bounded
//! by real time (`HENCE_FUZZ_SECONDS`, 2 by default) and begins with a seed (`HENCE_FUZZ_SEED`, 1 by default). What breaks a target is written
//! beside the tests and named; put it into the corpus with its mending, so that it is tried first for ever.

#![allow(clippy::print_stdout)] // the seed, for whoever looks

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest input.
const INPUT_BYTES_MAX: usize = 8192;
/// The most changes of one input.
const CHANGES_MAX: usize = 6;

/// Feeds the target; `scratch` is where a breaking input is kept.
pub(crate) fn hunt(name: &str, scratch: &str, target: impl Fn(&[u8])) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "fuzz/corpus/{name} has inputs");
    let number = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("HENCE_FUZZ_SEED").unwrap_or(1);
    let time = Duration::from_secs(number("HENCE_FUZZ_SECONDS").unwrap_or(2));
    let try_one = |input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            let kept = Path::new(scratch).join(format!("fuzz-{name}-{seed}"));
            std::fs::write(&kept, input).expect("the folder of the tests can be written");
            let text = panic.downcast_ref::<String>().map_or("", String::as_str);
            panic!("seed {seed}: {name} breaks on {}: {text}\n{}", kept.display(), String::from_utf8_lossy(input));
        }
    };
    corpus.iter().for_each(|input| try_one(input));
    let mut dice = fastrand::Rng::with_seed(seed);
    let words = words(&corpus);
    let began = Instant::now();
    let mut tried = corpus.len();
    while began.elapsed() < time {
        let mut input = pick(&mut dice, &corpus).clone();
        for _ in 0..dice.usize(1..=CHANGES_MAX) {
            change(&mut dice, &mut input, (&corpus, &words));
        }
        input.truncate(INPUT_BYTES_MAX);
        try_one(&input);
        tried += 1;
    }
    println!("{name}: {tried} inputs, seed {seed}");
}

/// The inputs of a target, by name.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the corpus can be listed").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("the corpus can be read")).collect()
}

/// What the corpus is made of: words, numbers and signs.
fn words(corpus: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = corpus
        .iter()
        .flat_map(|input| input.chunk_by(|a, b| a.is_ascii_alphanumeric() == b.is_ascii_alphanumeric()))
        .map(<[u8]>::to_vec)
        .collect();
    words.extend(
        [
            "\u{0}",
            "\u{fffd}",
            "\u{202e}",
            "🙂",
            "\r\n",
            "9223372036854775807",
            "-1",
            "1e309",
            "((((((((",
            "[[[[",
            "\"",
            "\\u0000",
        ]
        .map(|word| word.as_bytes().to_vec()),
    );
    words.sort();
    words.dedup();
    words
}

fn pick<'a, T>(dice: &mut fastrand::Rng, of: &'a [T]) -> &'a T {
    &of[dice.usize(..of.len())]
}

/// A part of the input: from, to.
fn part(dice: &mut fastrand::Rng, length: usize) -> std::ops::Range<usize> {
    let from = dice.usize(..=length);
    from..(from + dice.usize(..=16)).min(length)
}

fn change(dice: &mut fastrand::Rng, input: &mut Vec<u8>, (corpus, words): (&[Vec<u8>], &[Vec<u8>])) {
    let at = part(dice, input.len());
    match dice.u8(..7) {
        0 if at.start < input.len() => input[at.start] = dice.u8(..),
        1 if at.start < input.len() => input[at.start] ^= 1 << dice.u8(..8),
        2 => drop(input.drain(at)),
        3 => drop(input.splice(at, pick(dice, words).iter().copied())),
        4 => drop(input.splice(at.start..at.start, pick(dice, words).iter().copied())),
        5 => {
            let times = 1 << dice.usize(..7);
            let again = input[at.clone()].repeat(times);
            drop(input.splice(at.end..at.end, again));
        }
        _ => {
            let other = pick(dice, corpus);
            let from = dice.usize(..=other.len());
            input.truncate(at.start);
            input.extend_from_slice(&other[from..]);
        }
    }
}
