//! The id of a run, as callers give it: for a reply that is kept, for a job, for a task.

/// How many hexadecimal digits it has.
pub(super) const DIGITS: usize = 32;

/// The id in what a caller gives for one: the id itself, or an agent's name, `-`, and the id.
pub(super) fn in_text(given: &str) -> Option<String> {
    let given = given.trim();
    let start = given.len().checked_sub(DIGITS)?;
    let (before, id) = given.split_at_checked(start)?;
    let is_apart = before.is_empty() || (before.len() > 1 && before.ends_with('-'));
    let is_id = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_apart && is_id).then(|| id.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_have_its_agent_before_it() {
        let digits = "0123456789abcdef0123456789ABCDEF";
        for good in [digits.to_owned(), format!(" infra-{digits}\n"), format!("a-b-{digits}")] {
            assert_eq!(in_text(&good).expect(&good), digits.to_lowercase());
        }
        let shorter = &digits[1..];
        for bad in [
            "",
            "x",
            shorter,
            &format!("g{shorter}"),
            &format!("{digits}-"),
            &format!("0{digits}"),
            &format!("infra{digits}"),
            &format!("-{digits}"),
            &format!("é{shorter}"),
            &"ü".repeat(40),
            "../../../etc/passwd",
        ] {
            assert_eq!(in_text(bad), None, "{bad}");
        }
    }
}
