//! What the worst expressions cost: time and memory for each attack of the corpus, and the worst of all.
//!
//! `cargo run --release -p hence-core --example hostile [ROUNDS]`. Time is the median of the rounds for reading and binding, and for
//! evaluating; memory is the most that was allocated at once, as the allocator counts it. The limits themselves are tests
//! (`tests/it/hostile.rs`); the promise is 1 ms and 1 MB.

// It is run by hand and talks to the terminal.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "../tests/it/hostile_corpus.rs"]
mod hostile_corpus;

use std::time::{Duration, Instant};

use hence_core::expression::{Context, Expression, Names};
use hostile_corpus::{context, corpus, doubling_lets, names};

/// What one attack costs.
struct Cost {
    name: String,
    load: Duration,
    evaluate: Duration,
    bytes: u64,
    steps: usize,
    fate: String,
}

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(50);
    let (names, context) = (names(), context());
    let mut costs: Vec<Cost> =
        corpus().iter().map(|attack| measured(&attack.name, &attack.source, (&names, &context), rounds)).collect();
    for first in ["b", "s == s", "s.contains('y') == false", "t.getHours('Europe/Oslo') >= 0"] {
        let (names, last) = doubling_lets(40, first);
        costs.push(measured(&format!("lets of lets of `{first}`"), &last, (&names, &context), rounds));
    }
    costs.sort_by_key(|cost| std::cmp::Reverse(cost.load.max(cost.evaluate)));
    println!("{:>9} {:>9} {:>9} {:>6}  attack: fate", "load us", "eval us", "bytes", "steps");
    for cost in costs.iter().take(25) {
        let (load, evaluate) = (cost.load.as_nanos() as f64 / 1e3, cost.evaluate.as_nanos() as f64 / 1e3);
        println!("{load:>9.1} {evaluate:>9.1} {:>9} {:>6}  {}: {}", cost.bytes, cost.steps, cost.name, cost.fate);
    }
    let worst = |of: fn(&Cost) -> f64| costs.iter().map(of).fold(0.0, f64::max);
    println!(
        "worst of {} attacks, {rounds} rounds: {:.3} ms to load, {:.3} ms to evaluate, {:.0} kB at once, {:.0} steps",
        costs.len(),
        worst(|cost| cost.load.as_nanos() as f64 / 1e6),
        worst(|cost| cost.evaluate.as_nanos() as f64 / 1e6),
        worst(|cost| cost.bytes as f64 / 1e3),
        worst(|cost| cost.steps as f64),
    );
}

fn measured(name: &str, source: &str, (names, context): (&Names, &Context), rounds: usize) -> Cost {
    let load = || {
        let mut expression = Expression::parse(source).map_err(|error| error.to_string())?;
        match expression.bind(names) {
            Ok(_) => Ok(expression),
            Err(errors) => Err(errors.first().map(ToString::to_string).unwrap_or_default()),
        }
    };
    let load_time = median(rounds, || drop(load()));
    let mut bytes = allocation_counter::measure(|| drop(load())).bytes_max;
    let (mut evaluate_time, mut steps) = (Duration::ZERO, 0);
    let fate = match load() {
        Err(problem) => format!("refused, {problem}"),
        Ok(expression) => {
            evaluate_time = median(rounds, || drop(expression.evaluate(context)));
            bytes = bytes.max(allocation_counter::measure(|| drop(expression.evaluate(context))).bytes_max);
            steps = expression.cost(context).steps;
            expression.evaluate(context).map_or_else(|error| format!("failed, {error}"), |_| "a value".to_owned())
        }
    };
    let fate = fate.chars().take(70).collect();
    Cost { name: name.to_owned(), load: load_time, evaluate: evaluate_time, bytes, steps, fate }
}

fn median(rounds: usize, work: impl Fn()) -> Duration {
    let mut times: Vec<Duration> = (0..rounds.max(1))
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}
