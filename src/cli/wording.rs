//! Times and amounts as people read them.

/// How long something took.
pub(super) fn took(milliseconds: u64) -> String {
    let (seconds, tenths) = (milliseconds / 1000, milliseconds % 1000 / 100);
    match seconds {
        0..60 => format!("{seconds}.{tenths} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How long ago something was.
pub(super) fn ago(milliseconds: i64) -> String {
    let minutes = milliseconds.max(0) / 60_000;
    match minutes {
        0 => "just now".to_owned(),
        1..60 => format!("{minutes} min ago"),
        60..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

/// An amount of money.
pub(super) fn dollars(amount: f64) -> String {
    format!("${amount:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (milliseconds, text) in [
            (0, "0.0 s"),
            (59_999, "59.9 s"),
            (61_000, "1 min 1 s"),
            (3_600_000, "1 h 0 min"),
            (90_000_000, "25 h 0 min"),
        ] {
            assert_eq!(took(milliseconds), text);
        }
        for (milliseconds, text) in [
            (-5, "just now"),
            (60_000, "1 min ago"),
            (7_200_000, "2 h ago"),
            (259_200_000, "3 days ago"),
        ] {
            assert_eq!(ago(milliseconds), text);
        }
    }
}
