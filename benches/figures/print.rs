//! Timing and printing.

use std::time::{Duration, Instant};

/// How long something takes.
pub(crate) fn time<T>(body: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    let result = body();
    let elapsed = begin.elapsed();
    // Ending what was started is not part of the figure.
    drop(result);
    elapsed
}

/// In milliseconds.
pub(crate) fn median(mut samples: Vec<Duration>) -> f64 {
    samples.sort();
    samples[samples.len() / 2].as_secs_f64() * 1000.0
}

/// Prints a figure and its floor, medians both.
pub(crate) fn row(name: &str, measured: Vec<Duration>, floor: Option<Vec<Duration>>) {
    let measured = median(measured);
    match floor.map(median) {
        Some(floor) => {
            let over = format!("{:.3} ({:.2}×)", measured - floor, measured / floor);
            println!("{name:58} {measured:12.3} {floor:12.3} {over:>16}");
        }
        None => println!("{name:58} {measured:12.3}"),
    }
}

/// Prints a figure that has no floor.
pub(crate) fn figure(name: &str, value: f64) {
    println!("{name:58} {value:12.2}");
}
