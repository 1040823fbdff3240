//! The policy `classic`: plain headings, nothing trimmed.

use super::types::Request;
use super::{CLASSIC, prompt, request, shared, with_context};

#[test]
fn a_task_alone_is_the_prompt() {
    assert_eq!(prompt(&CLASSIC, &request("  Why?\n")), "  Why?\n");
}

#[test]
fn a_context_stands_before_the_task() {
    let request = with_context(" Why?\n", "\nlog line \n");
    assert_eq!(prompt(&CLASSIC, &request), "Context:\n\nlog line \n\n\nTask:\n Why?\n");
}

#[test]
fn with_goal_and_caller_there_are_four_headings() {
    let request = Request {
        goal: Some("ship it ".into()),
        caller: Some("web".into()),
        ..with_context("Why?", " log\n")
    };
    assert_eq!(
        prompt(&CLASSIC, &request),
        "## Goal\nship it \n\n## Dispatched by\nweb\n\n## Context\n log\n\n\n## Task\nWhy?"
    );
}

#[test]
fn an_absent_part_has_no_heading() {
    let goal = Request { goal: Some("ship".into()), ..request("Why?") };
    assert_eq!(prompt(&CLASSIC, &goal), "## Goal\nship\n\n## Task\nWhy?");
    let caller = Request { caller: Some("web".into()), ..with_context("Why?", "log") };
    assert_eq!(
        prompt(&CLASSIC, &caller),
        "## Dispatched by\nweb\n\n## Context\nlog\n\n## Task\nWhy?"
    );
}

#[test]
fn an_empty_text_is_an_absent_one() {
    let empty = Request {
        context: Some(String::new()),
        caller: Some(String::new()),
        goal: Some(String::new()),
        shared_context: Some(shared("")),
        ..request("Why?")
    };
    assert_eq!(prompt(&CLASSIC, &empty), "Why?");
    let blank = Request { goal: Some(" ".into()), ..request("Why?") };
    assert_eq!(prompt(&CLASSIC, &blank), "## Goal\n \n\n## Task\nWhy?");
}

#[test]
fn what_a_group_shares_leads_the_context() {
    let both = Request {
        shared_context: Some(shared("\u{1c}\n prices in cents \n")),
        ..with_context("Why?", " log\n")
    };
    assert_eq!(
        prompt(&CLASSIC, &both),
        "Context:\nShared context (group 'shop'):\nprices in cents\n\nlog\n\nTask:\nWhy?"
    );
    let alone = Request { shared_context: Some(shared("cents")), ..request("Why?") };
    assert_eq!(
        prompt(&CLASSIC, &alone),
        "Context:\nShared context (group 'shop'):\ncents\n\nTask:\nWhy?"
    );
    let blank = Request { shared_context: Some(shared(" \n")), ..with_context("Why?", " log\n") };
    assert_eq!(prompt(&CLASSIC, &blank), "Context:\n log\n\n\nTask:\nWhy?");
}

#[test]
fn a_wish_for_json_ends_the_prompt() {
    let json = Request { answer_format: "json".into(), ..request("Why?") };
    let prompt_json = prompt(&CLASSIC, &json);
    let sentence = prompt_json.strip_prefix("Why?\n\n## Response format\n").unwrap();
    assert!(sentence.contains("JSON") && !sentence.contains('\n'), "{sentence}");
    let unknown = Request { answer_format: "yaml".into(), ..request("Why?") };
    assert_eq!(prompt(&CLASSIC, &unknown), "Why?");
}
