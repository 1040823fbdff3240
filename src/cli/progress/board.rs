//! How far a call's dispatches are, in lines.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::agent::ErrorType;
use crate::cli::terminal::{BAD, BOLD, FAINT, GOOD};
use crate::dispatch::{Heard, News, Reply, summary};
use crate::one_line::one_line;

/// How much of an agent's name and of its answer is told, in characters.
const NAME: usize = 40;
const ANSWER: usize = 300;

/// What a command waits for.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Form {
    /// One agent.
    One,
    /// So many dispatches at once; what comes on top is the policy's.
    Several(usize),
    /// Two agents who take turns.
    Turns,
}

/// What is known of the dispatches of one call.
pub(super) struct Board {
    form: Form,
    /// There are lines that change in place.
    is_live: bool,
    all: usize,
    done: usize,
    cost: Option<f64>,
    working: BTreeMap<usize, Working>,
    /// What is to be written, once and for good.
    lines: Vec<String>,
}

struct Working {
    name: String,
    since: Instant,
    /// What it did last.
    last: String,
}

impl Board {
    pub(super) fn new(form: Form, is_live: bool) -> Self {
        let all = if let Form::Several(asked) = form { asked } else { 0 };
        let (working, lines) = (BTreeMap::new(), Vec::new());
        Self { form, is_live, all, done: 0, cost: None, working, lines }
    }

    pub(super) fn hear(&mut self, Heard { number, agent, news }: Heard<'_>, now: Instant) {
        match news {
            News::Waiting => self.all = self.all.max(number + 1),
            News::Running => {
                let name = self.name(number, agent);
                if !self.is_live {
                    self.lines.push(format!("{name} works"));
                }
                self.working.insert(number, Working { name, since: now, last: String::new() });
            }
            News::Event(event) => {
                if self.is_live
                    && let Some(working) = self.working.get_mut(&number)
                    && let Some(line) = summary(event)
                {
                    working.last = line;
                }
            }
            News::Ended(reply) => self.ended(number, agent, reply, now),
        }
    }

    fn ended(&mut self, number: usize, agent: &str, reply: &Reply, now: Instant) {
        let working = self.working.remove(&number);
        self.done += 1;
        // What was asked once is paid for once, whoever else gets the answer.
        let cost = reply.cost_usd.filter(|_| !reply.cached && !reply.shared);
        if let Some(cost) = cost {
            self.cost = Some(self.cost.unwrap_or_default() + cost);
        }
        // Of a single dispatch that never began to work the command says the same.
        if working.is_none() && matches!(self.form, Form::One) {
            return;
        }
        let name = self.name(number, agent);
        let (style, ended) = ending(reply);
        let mut parts = vec![format!("{name} {style}{ended}{style:#}")];
        parts.extend(working.map(|working| shown_time(now - working.since)));
        parts.extend(cost.map(shown_cost));
        if reply.cached || reply.shared {
            parts.push("as to another who asked the same".to_owned());
        }
        if let Form::Several(_) = self.form {
            parts.push(format!("{} of {} done", self.done, self.all));
        }
        let mut line = parts.join(", ");
        if matches!(self.form, Form::Turns) && !reply.result.trim().is_empty() {
            line = format!("{line}: {}", one_line(reply.result.trim(), ANSWER));
        }
        self.lines.push(line);
    }

    fn name(&self, number: usize, agent: &str) -> String {
        let agent = one_line(agent, NAME);
        match self.form {
            Form::One => format!("{BOLD}{agent}{BOLD:#}"),
            Form::Several(asked) if number < asked => format!("{BOLD}{agent}{BOLD:#}"),
            Form::Several(_) => format!("{BOLD}{agent}{BOLD:#}, for the policy,"),
            Form::Turns => format!("turn {}: {BOLD}{agent}{BOLD:#}", number + 1),
        }
    }

    pub(super) fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }

    /// What is to be written for good.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// What changes in place: those that work, as far as there is room for so many lines,
    /// and how far the whole is.
    pub(super) fn rows(&self, now: Instant, room: usize) -> Vec<String> {
        let total = matches!(self.form, Form::Several(_)) && self.done < self.all;
        let room = room.saturating_sub(usize::from(total));
        let row = |working: &Working| {
            let Working { name, since, last } = working;
            format!("{name} {FAINT}{} s{FAINT:#} {last}", (now - *since).as_secs())
        };
        let mut rows: Vec<_> = self.working.values().take(room).map(row).collect();
        if total {
            let (done, all, work) = (self.done, self.all, self.working.len());
            let cost = self.cost.map(|cost| format!(", {}", shown_cost(cost)));
            rows.push(format!("{done} of {all} done, {work} work{}", cost.unwrap_or_default()));
        }
        rows
    }
}

fn ending(reply: &Reply) -> (clap::builder::styling::Style, String) {
    match reply.error_type {
        None => (GOOD, "has answered".to_owned()),
        Some(ErrorType::Cancelled) => (BAD, "was ended".to_owned()),
        Some(error_type) => (BAD, format!("has failed ({error_type})")),
    }
}

/// A span of time, as people say it.
pub(in crate::cli) fn shown_time(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// An amount of money; of small ones what there is of them.
pub(in crate::cli) fn shown_cost(usd: f64) -> String {
    if usd > 0.0 && usd < 0.01 { format!("${usd:.4}") } else { format!("${usd:.2}") }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::agent::RunEvent;

    fn shown(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| strip_str(line).to_string()).collect()
    }

    #[test]
    fn those_that_work_are_shown_as_far_as_there_is_room() {
        let start = Instant::now();
        let mut board = Board::new(Form::Several(100), true);
        for number in 0..50 {
            board.hear(Heard { number, agent: "infra", news: News::Running }, start);
        }
        let event = RunEvent::Text { text: "a\u{1b}[2Jb".into() };
        board.hear(Heard { number: 0, agent: "infra", news: News::Event(&event) }, start);
        assert!(!board.has_lines(), "where lines change in place none says that one begins");
        let rows = board.rows(start + Duration::from_secs(75), 3);
        let expected = ["infra 75 s says: a\\u{1b}[2Jb", "infra 75 s ", "0 of 100 done, 50 work"];
        assert_eq!(shown(&rows), expected);
    }

    #[test]
    fn a_plain_line_says_that_one_begins_and_none_what_it_does() {
        let start = Instant::now();
        let mut board = Board::new(Form::Turns, false);
        let event = RunEvent::Text { text: "hello".into() };
        for news in [News::Waiting, News::Running, News::Event(&event)] {
            board.hear(Heard { number: 1, agent: "in\nfra", news }, start);
        }
        assert_eq!(shown(&board.take_lines()), ["turn 2: in fra works"]);
        assert!(!board.has_lines());
    }

    #[test]
    fn time_and_money_are_short() {
        let times = [0.04, 12.34, 75.9].map(|seconds| shown_time(Duration::from_secs_f64(seconds)));
        assert_eq!(times, ["0.0 s", "12.3 s", "1 min 15 s"]);
        assert_eq!(
            [0.0, 0.0008, 0.25, 12.0].map(shown_cost),
            ["$0.00", "$0.0008", "$0.25", "$12.00"]
        );
    }
}
