//! References, and what is fetched by them.

use serde_json::{Value, json};

use super::{LIMIT, LINE, answer, fetch_all, keys, lines, question, says_lines, text};
use crate::support::World;
use crate::support::mcp::Client;

fn by_reference(task: &str, more: Value) -> Value {
    let mut call = json!({"agent": "infra", "task": task, "return_ref": true});
    call.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    call
}

#[test]
fn a_reference_has_the_python_tools_keys_and_a_beginning() {
    let world = World::with_agent(&says_lines(100));
    let whole = lines(100);
    let mut client = Client::connect(&world);
    let chars = |count| whole.chars().take(count).collect::<String>();
    let cases = [
        (json!({}), 500),
        (json!({"summary_chars": 0}), 0),
        (json!({"summary_chars": 7}), 7),
        (json!({"summary_chars": "9"}), 9),
        (json!({"summary_chars": -5}), 0),
        (json!({"summary_chars": null, "return_ref": "true"}), 500),
        (json!({"summary_chars": 1_000_000}), whole.chars().count()),
    ];
    let mut known = None;
    for (number, (more, count)) in cases.into_iter().enumerate() {
        let reply = client.tool("dispatch", by_reference("look", more));
        let (summary, reference) = (text(&reply, "summary"), text(&reply, "ref").to_owned());
        assert_eq!((summary, &reply["summary_chars"]), (&*chars(count), &json!(count)));
        assert_eq!((&reply["size"], reply.get("result")), (&json!(whole.len()), None));
        let all = [
            "ref",
            "agent",
            "success",
            "size",
            "summary_chars",
            "summary",
            "session_id",
            "cost_usd",
            "duration_ms",
            "num_turns",
            "cached",
            "age_seconds",
        ];
        // A reply that is given again is the same reply.
        let cached = number > 0;
        assert_eq!(keys(&reply), all[..if cached { 12 } else { 10 }]);
        assert_eq!(*known.get_or_insert(reference.clone()), reference);
        let fetched = client.tool("fetch_result", json!({"ref": reference}));
        assert_eq!(text(&fetched, "result"), whole);
        let own =
            ["agent", "success", "result", "session_id", "cost_usd", "duration_ms", "num_turns"];
        assert_eq!(keys(&fetched), own);
    }
}

#[test]
fn a_summary_that_is_asked_for_is_at_most_100000_characters() {
    let world = World::with_agent(&says_lines(20_000));
    let mut client = Client::connect(&world);
    let call = by_reference("look", json!({"summary_chars": 200_000}));
    let reply = client.tool("dispatch", call);
    assert_eq!(reply["summary_chars"], 100_000);
    assert_eq!(text(&reply, "summary").chars().count(), 100_000);
}

#[test]
fn a_failure_is_kept_as_well_and_what_never_ran_is_itself() {
    let world = World::with_agent("err it went wrong\nexit 3");
    let mut client = Client::connect(&world);
    let failed = client.tool("dispatch", by_reference("look", json!({})));
    assert_eq!((&failed["success"], &failed["error_type"]), (&json!(false), &json!("cli_error")));
    let fetched = client.tool("fetch_result", json!({"ref": text(&failed, "ref")}));
    assert_eq!((&fetched["error"], &fetched["success"]), (&failed["error"], &json!(false)));

    std::fs::remove_dir_all(world.path("infra")).expect("its directory");
    let refused = client.tool("dispatch", by_reference("look", json!({})));
    assert_eq!((&refused["error_type"], &refused["result"]), (&json!("not_found"), &json!("")));
    assert_eq!((refused.get("ref"), refused.get("summary")), (None, None));
    let unknown = json!({"agent": "nobody", "task": "x", "return_ref": true});
    assert!(client.tool("dispatch", unknown)["error"].is_string());
}

#[test]
fn pages_put_together_are_the_whole_in_another_server_too() {
    let world = World::with_agent(&says_lines(5000));
    let whole = lines(5000);
    let reply = Client::connect(&world).tool("dispatch", question("look"));
    let reference = text(&reply, "ref");
    let mut client = Client::connect(&world);
    for max_chars in [0, 4999, 30_000, 1_000_000] {
        assert_eq!(fetch_all(&mut client, reference, max_chars), whole, "{max_chars}");
    }
    let total = whole.chars().count();
    let mut fetch = |more: Value| {
        let mut call = json!({"ref": reference});
        call.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        client.tool("fetch_result", call)
    };
    let page = fetch(json!({"offset": "6", "max_chars": 9.0}));
    let expected: String = LINE.chars().cycle().skip(6).take(9).collect();
    assert_eq!(text(&page, "result"), expected);
    assert_eq!((&page["full_size"], &page["next_offset"]), (&json!(total), &json!(15)));
    assert_eq!(&keys(&page)[7..], ["truncated", "full_size", "next_offset"]);
    assert_eq!(page["cost_usd"], reply["cost_usd"]);
    // As many as the caller wants, where it says how many.
    let page = fetch(json!({"max_chars": total - 1}));
    assert!(text(&page, "result").len() > LIMIT);
    assert_eq!((&page["truncated"], &page["next_offset"]), (&json!(true), &json!(total - 1)));
    let last = fetch(json!({"offset": total - 1}));
    assert_eq!((text(&last, "result"), last.get("truncated")), ("\n", None));
    assert_eq!((&last["full_size"], last.get("next_offset")), (&json!(total), None));
    for offset in [total, total + 1_000_000] {
        let beyond = fetch(json!({"offset": offset}));
        assert_eq!((text(&beyond, "result"), beyond.get("truncated")), ("", None));
        assert_eq!(beyond["full_size"], total);
    }
}

#[test]
fn a_text_that_is_longer_as_json_fits_all_the_same() {
    let world = World::with_agent(r#"repeat 20000 \u0001\"\\\t"#);
    let mut client = Client::connect(&world);
    let (reply, _) = answer(&mut client, "dispatch", question("look"));
    assert_eq!(fetch_all(&mut client, text(&reply, "ref"), 0), "\u{1}\"\\\t".repeat(20_000));
}

#[test]
fn a_reference_is_understood_with_its_agent_and_in_capitals() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    let reply = client.tool("dispatch", by_reference("look", json!({})));
    let reference = text(&reply, "ref");
    assert!(reference.len() == 32 && reference.bytes().all(|digit| digit.is_ascii_hexdigit()));
    for written in [
        format!("infra-{reference}"),
        format!(" {reference}\n"),
        reference.to_uppercase(),
        format!("some-agent-{reference}"),
    ] {
        assert_eq!(client.tool("fetch_result", json!({"ref": written}))["result"], "hello");
    }
}

#[test]
fn what_is_no_reference_or_unknown_is_refused() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    let unknown = "0123456789abcdef0123456789abcdef";
    let mut refused = |reference: &str, what: &str| {
        let answer = client.tool("fetch_result", json!({"ref": reference}));
        let error = text(&answer, "error");
        assert!(error.contains(what) && error.contains(reference), "{error}");
        assert!(answer["hint"].is_string(), "{answer}");
    };
    refused(unknown, "no reply is kept");
    for bad in ["x", "infra", "infra-1234", "../../etc/passwd", &unknown[1..]] {
        refused(bad, "is no ref");
    }
    assert!(!super::store(&world).exists(), "looking makes no store");
    let missing = client.call("fetch_result", json!({}));
    assert_eq!(missing["isError"], true, "{missing}");
    for wrong in [json!({"ref": unknown, "offset": "x"}), json!({"ref": unknown, "max_chars": 1.5})]
    {
        assert_eq!(client.call("fetch_result", wrong)["isError"], true);
    }
}
