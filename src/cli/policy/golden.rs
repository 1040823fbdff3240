//! Writing into a file of cases what is expected from now on. Nothing of it changes but the
//! lines of those `expect`: comments, order and layout stay.

use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};

use super::cases::{self, Case};
use super::lines;

/// The text with other expectations: the number of a case and what it expects. An error
/// says which case is written in a way that cannot be changed in place.
pub(super) fn rewrite(
    text: &str,
    file: &Path,
    wanted: &[(usize, Value)],
) -> Result<String, String> {
    let before = cases::parse(text, file).map_err(|refusal| refusal.message)?;
    let mut rewritten = text.to_owned();
    // From the end, so that what comes before stays where it is.
    let mut wanted: Vec<&(usize, Value)> = wanted.iter().collect();
    wanted.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
    for (number, value) in &wanted {
        let name = &before[*number].name;
        let cannot = || {
            format!(
                "case '{name}' is not written in lines that can be changed one by one; write its expect yourself:\n{}",
                lines(value)
            )
        };
        let place = place(text, *number).ok_or_else(cannot)?;
        let written = written(value, place.column);
        let written = if place.is_new {
            let line_ends = text[..place.range.start].ends_with('\n');
            let indent = " ".repeat(place.column);
            format!("{}{indent}{written}", if line_ends { "" } else { "\n" })
        } else {
            written
        };
        rewritten.replace_range(place.range, &written);
        let mut meant: Vec<Case> = before.clone();
        for (done, value) in wanted.iter().filter(|(done, _)| done >= number) {
            meant[*done].expect = Some(value.clone());
        }
        // Judged by the reader and not by the writer.
        let is_as_meant = cases::parse(&rewritten, file).is_ok_and(|after| after == meant);
        if !is_as_meant {
            return Err(cannot());
        }
    }
    Ok(rewritten)
}

/// `expect` and its value, from the column of its key on.
fn written(value: &Value, column: usize) -> String {
    let block = lines(&json!({"expect": value}));
    let indent = " ".repeat(column);
    let mut written = String::new();
    for (number, line) in block.lines().enumerate() {
        if number > 0 && !line.is_empty() {
            written.push_str(&indent);
        }
        written.push_str(line);
        written.push('\n');
    }
    written
}

/// Where the `expect` of a case stands, or where it could.
struct Place {
    range: Range<usize>,
    column: usize,
    is_new: bool,
}

/// A line with its place in the text.
#[derive(Clone, Copy)]
struct Line<'t> {
    start: usize,
    text: &'t str,
}

impl Line<'_> {
    fn end(self) -> usize {
        self.start + self.text.len()
    }

    fn indent(self) -> usize {
        self.text.len() - self.text.trim_start_matches(' ').len()
    }

    /// Does it belong to what a key at this column holds? A comment does where it is further
    /// in, because there it is part of a text.
    fn is_below(self, column: usize) -> bool {
        !self.text.trim().is_empty() && self.indent() > column
    }
}

fn place(text: &str, number: usize) -> Option<Place> {
    let mut start = 0;
    let lines = text.split_inclusive('\n').map(|line| {
        let line = Line { start, text: line };
        start = line.end();
        line
    });
    let lines: Vec<Line<'_>> = lines.collect();
    let is_item = |line: &&Line<'_>| line.text.trim_start().starts_with("- ");
    let dash = lines.iter().find(is_item)?.indent();
    let items: Vec<usize> = (0..lines.len())
        .filter(|at| is_item(&&lines[*at]) && lines[*at].indent() == dash)
        .collect();
    let first = *items.get(number)?;
    let after = items.get(number + 1).copied().unwrap_or(lines.len());
    let head = &lines[first].text[dash + 1..];
    let column = dash + 1 + (head.len() - head.trim_start_matches(' ').len());
    if head.trim_start().starts_with(['{', '#', '&', '!', '-']) {
        return None;
    }
    let of_case = &lines[first..after];
    let key = of_case.iter().enumerate().position(|(at, line)| {
        let text = if at == 0 {
            &line.text[column..]
        } else {
            line.text.get(column..).unwrap_or_default()
        };
        (at == 0 || line.indent() == column) && text.starts_with("expect:")
    });
    let Some(key) = key else {
        // After the last line that belongs to the case.
        let last = of_case.iter().rposition(|line| {
            line.is_below(column)
                || (line.indent() == column
                    && !line.text.trim().is_empty()
                    && !line.text.trim().starts_with('#'))
        });
        let end = of_case[last.unwrap_or_default()].end();
        return Some(Place { range: end..end, column, is_new: true });
    };
    let below = &of_case[key + 1..];
    let is_over = |line: &Line<'_>| !line.text.trim().is_empty() && !line.is_below(column);
    let below = &below[..below.iter().position(is_over).unwrap_or(below.len())];
    let last = below.iter().rposition(|line| line.is_below(column));
    let end = last.map_or(of_case[key].end(), |last| below[last].end());
    Some(Place { range: of_case[key].start + column..end, column, is_new: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str, wanted: &[(usize, Value)]) -> Result<String, String> {
        rewrite(text, Path::new("cases.yaml"), wanted)
    }

    const CASES: &str = "\
# All of them.
- name: one   # the first
  input: {task: Why?}
  expect:
    user: |-
      # Task
      Why?

# Before the second.
- name: two
  expect: wait
  input:
    task: |
      Which?
      # not a comment

- input: {task: x}
  name: three
  # the last words
";

    #[test]
    fn only_the_lines_of_what_is_expected_change() {
        let text = json!({"user": "\n# Other\n\nwords", "system": "be brief"});
        let wanted = [(0, text), (1, json!({"give_up": "no"})), (2, json!("wait"))];
        let after = rewritten(CASES, &wanted).expect("rewritten");
        let expected = "\
# All of them.
- name: one   # the first
  input: {task: Why?}
  expect:
    user: |2-

      # Other

      words
    system: be brief

# Before the second.
- name: two
  expect:
    give_up: no
  input:
    task: |
      Which?
      # not a comment

- input: {task: x}
  name: three
  expect: wait
  # the last words
";
        assert_eq!(after.replace("give_up: 'no'", "give_up: no"), expected);
    }

    #[test]
    fn what_cannot_be_changed_in_place_is_told() {
        let error = rewritten("- {name: one, expect: wait}\n", &[(0, json!({"item": 1}))]);
        let error = error.expect_err("refused");
        assert!(error.contains("case 'one'") && error.contains("item: 1"), "{error}");
    }
}
