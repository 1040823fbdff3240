//! The same question is run and paid for once: answers that are given again, and runs
//! that several wait for.

use std::fs;

use serde_json::{Value, json};

use crate::support::World;
use crate::support::mcp::Client;

fn ask(client: &mut Client) -> Value {
    client.tool("dispatch", json!({"agent": "infra", "task": "look"}))
}

#[test]
fn the_same_question_gets_the_same_answer() {
    let world = World::with_agent("count ../runs\nanswer first");
    let mut client = Client::connect(&world);
    let first = ask(&mut client);
    assert!(first.get("cached").is_none() && first.get("age_seconds").is_none(), "{first}");
    world.agent("infra", "count ../runs\nanswer second");
    let again = ask(&mut client);
    assert_eq!(again["cached"], true, "{again}");
    assert!(again["age_seconds"].is_u64(), "{again}");
    let mut same = again.clone();
    same.as_object_mut().expect("a reply").retain(|key, _| key != "cached" && key != "age_seconds");
    assert_eq!(same, first);
    assert_eq!(world.runs(), 1);

    // Asked afresh it is done again, and that is the answer from then on.
    let fresh = client.tool("dispatch", json!({"agent": "infra", "task": "look", "fresh": "true"}));
    assert_eq!((&fresh["result"], fresh.get("cached")), (&json!("second"), None));
    assert_eq!(ask(&mut client)["result"], "second");
    assert_eq!(world.runs(), 2);

    // Whatever comes of it, the old answer is not given again.
    world.agent("infra", "count ../runs\nexit 3");
    let failed = client.tool("dispatch", json!({"agent": "infra", "task": "look", "fresh": true}));
    assert_eq!(failed["success"], false);
    assert_eq!(ask(&mut client)["success"], false);
    assert_eq!(world.runs(), 4);
}

#[test]
fn whatever_decides_about_the_answer_makes_it_another_question() {
    let world = World::with_agent("count ../runs\nanswer ok");
    let mut client = Client::connect(&world);
    let base = json!({"agent": "infra", "task": "look"});
    let questions = [
        ("task", json!("look again")),
        ("context", json!("a log")),
        ("caller", json!("backend")),
        ("goal", json!("peace")),
        ("timeout_seconds", json!(60)),
    ];
    client.tool("dispatch", base.clone());
    for (count, (key, value)) in questions.into_iter().enumerate() {
        let mut question = base.clone();
        question[key] = value;
        client.tool("dispatch", question);
        assert_eq!(world.runs(), count + 2, "{key}");
    }
    let yaml = world.agents_yaml(&["infra"]);
    let copied = world.path("other-program");
    fs::copy(crate::support::fake_agent(), &copied).expect("a second program");
    let program = crate::support::fake_agent().display().to_string();
    let for_infra = |line: &str| yaml.replace("settings:", &format!("    {line}\nsettings:"));
    let before = world.runs();
    let changes = [
        for_infra("model: opus"),
        for_infra("allowed_tools: [Read]"),
        for_infra("description: another"),
        for_infra("timeout: 77"),
        for_infra("strict_mcp: true"),
        for_infra("setting_sources: []"),
        for_infra("background_tasks: true"),
        for_infra("policies: {prompt: xml}"),
        format!("{yaml}  default_max_budget_usd: 9\n"),
        format!("{yaml}  policy_limits: {{timeout_ms: 60000}}\n"),
        yaml.replace(&program, &copied.display().to_string()),
    ];
    for (count, changed) in changes.iter().enumerate() {
        world.config(changed);
        client.tool("dispatch", base.clone());
        assert_eq!(world.runs(), before + count + 1, "{changed}");
    }
    // Another program at the same path is another one.
    fs::remove_file(&copied).expect("the second program");
    fs::copy(crate::support::fake_agent(), &copied).expect("a third program");
    let reply = client.tool("dispatch", base.clone());
    assert!(reply.get("cached").is_none(), "{reply}");
    // What does not reach the agent does not matter.
    world.config(&format!("{yaml}  max_concurrency: 7\n"));
    assert_eq!(client.tool("dispatch", base)["cached"], true);
}

#[test]
fn only_a_clean_answer_is_given_again() {
    let result = |more: &str| {
        format!(
            r#"out {{"type":"result","subtype":"success","is_error":false,"num_turns":1,"result":"x"{more}}}"#
        )
    };
    let cases = [
        ("a failure", "exit 3".to_owned(), ""),
        ("a denied tool", result(r#","permission_denials":[{"tool_name":"Bash"}]"#), ""),
        ("a budget that was exceeded", result(r#","total_cost_usd":3.0"#), "max_budget_usd: 2"),
        ("a result and then the timeout", format!("{}\nhang", result("")), "timeout: 1"),
        ("a policy that stood in", result(""), "policies: {prompt: broken}"),
    ];
    for (name, script, line) in cases {
        let world = World::with_agent(&format!("count ../runs\n{script}"));
        let yaml = world.agents_yaml(&["infra"]);
        let policies = "policies: {broken: {component: ./none.wasm, on_error: fallback}}\n";
        let line = if line.is_empty() { String::new() } else { format!("    {line}\n") };
        world.config(&format!(
            "{policies}{}",
            yaml.replace("settings:", &format!("{line}settings:"))
        ));
        let mut client = Client::connect(&world);
        for _ in 0..2 {
            let reply = ask(&mut client);
            assert!(reply.get("cached").is_none(), "{name}: {reply}");
        }
        assert_eq!(world.runs(), 2, "{name}");
        assert_eq!(client.tool("cache_stats", json!({}))["size"], 0, "{name}");
    }
}

#[test]
fn the_config_can_switch_it_off() {
    let world = World::with_agent("count ../runs\nanswer ok");
    let yaml = world.agents_yaml(&["infra"]);
    let mut client = Client::connect(&world);
    for (count, off) in [
        yaml.replace("settings:", "    cache: false\nsettings:"),
        format!("{yaml}  cache: {{enabled: false}}\n"),
        format!("{yaml}  cache: {{ttl: 0}}\n"),
        format!("{yaml}  cache: false\n"),
    ]
    .iter()
    .enumerate()
    {
        world.config(off);
        ask(&mut client);
        assert!(ask(&mut client).get("cached").is_none());
        assert_eq!(world.runs(), 2 * (count + 1), "{off}");
        let stats = client.tool("cache_stats", json!({}));
        assert_eq!(stats.get("enabled"), (count > 0).then_some(&json!(false)), "{stats}");
    }
    assert_eq!(client.tool("cache_clear", json!({}))["enabled"], false);
}

#[test]
fn a_client_sees_and_clears_what_is_kept() {
    let world = World::with_agent("count ../runs\nanswer ok");
    let mut client = Client::connect(&world);
    ask(&mut client);
    ask(&mut client);
    let stats = client.tool("cache_stats", json!({}));
    let expected = json!({"size": 1, "max_size": 1000, "hits": 1, "misses": 1, "evictions": 0,
        "hit_rate": 0.5, "ttl": 300});
    assert_eq!(stats, expected);
    assert_eq!(client.tool("cache_clear", json!({})), json!({"cleared": 1}));
    ask(&mut client);
    assert_eq!(world.runs(), 2);
}

#[test]
fn conversations_neither_use_nor_leave_answers() {
    let world = World::with_agent("count ../runs\nanswer ok");
    let mut client = Client::connect(&world);
    let in_session = |client: &mut Client| {
        client.tool("dispatch_session", json!({"agent": "infra", "task": "look"}))
    };
    in_session(&mut client);
    assert!(ask(&mut client).get("cached").is_none());
    assert!(in_session(&mut client).get("cached").is_none());
    assert_eq!(world.runs(), 3);
}

/// Sends dispatches with these ids and waits until each has been told that its agent
/// works.
fn send_and_see_run(client: &mut Client, ids: std::ops::RangeInclusive<u64>) {
    let count = ids.clone().count();
    for id in ids {
        client.begin(&id.to_string(), "dispatch", json!({"agent": "infra", "task": "look"}));
    }
    for _ in 0..count {
        let notice = client.receive();
        assert_eq!(notice["method"], "notifications/progress", "{notice}");
        assert_eq!(notice["params"]["message"], "'infra' works: 0 s");
    }
}

fn replies(client: &mut Client, count: usize) -> Vec<Value> {
    let text = |answer: Value| {
        let text = answer["result"]["content"][0]["text"].as_str().expect("text").to_owned();
        serde_json::from_str(&text).expect("JSON")
    };
    (0..count).map(|_| text(client.receive())).collect()
}

#[test]
fn many_who_ask_the_same_wait_for_one_run() {
    let world = World::with_agent("count ../runs\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    send_and_see_run(&mut client, 101..=164);
    fs::write(world.path("go"), "").expect("a file");
    let replies = replies(&mut client, 64);
    assert!(replies.iter().all(|reply| reply["result"] == "ok"), "{replies:#?}");
    let shared = replies.iter().filter(|reply| reply["shared"] == true).count();
    assert_eq!(shared, 63, "one of them is told that it paid");
    assert_eq!(world.runs(), 1);
    assert_eq!(ask(&mut client)["cached"], true);
}

#[test]
fn a_failure_goes_to_all_who_wait_and_is_not_kept() {
    let world = World::with_agent("count ../runs\nwait ../go\nerr no luck\nexit 3");
    let mut client = Client::connect(&world);
    send_and_see_run(&mut client, 101..=103);
    fs::write(world.path("go"), "").expect("a file");
    for reply in replies(&mut client, 3) {
        assert!(reply["error"].as_str().is_some_and(|error| error.contains("no luck")), "{reply}");
    }
    assert_eq!(world.runs(), 1);
    world.agent("infra", "count ../runs\nanswer better");
    assert_eq!(ask(&mut client)["result"], "better");
}

#[test]
fn who_leaves_a_run_leaves_it_to_the_others_and_the_last_ends_it() {
    let world = World::with_agent("count ../runs\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    send_and_see_run(&mut client, 101..=103);
    client.cancel("101");
    client.cancel("103");
    // Whoever is cancelled gets no answer; what is answered next shows that it was seen.
    client.tool("list_agents", json!({}));
    fs::write(world.path("go"), "").expect("a file");
    assert_eq!(client.receive()["id"], "102");
    assert_eq!(world.runs(), 1);

    fs::remove_file(world.path("go")).expect("the file");
    client.tool("cache_clear", json!({}));
    send_and_see_run(&mut client, 201..=202);
    client.cancel("201");
    client.cancel("202");
    world.wait_for_no_process();
    // The run that was given up is nobody's: whoever asks now has one of their own.
    fs::write(world.path("go"), "").expect("a file");
    assert_eq!(ask(&mut client).get("shared"), None);
    assert_eq!(world.runs(), 3);
}

#[test]
fn a_call_that_needs_a_shared_run_no_more_leaves_it_to_the_others() {
    let world = World::with_agent("count ../runs\nwait ../go\nanswer ok");
    world.agent("quick", "answer first");
    world.config(&world.agents_yaml(&["infra", "quick"]));
    let mut client = Client::connect(&world);
    send_and_see_run(&mut client, 101..=101);
    let item = |agent| json!({"agent": agent, "task": "look"});
    let call = json!({"dispatches": [item("infra"), item("quick")],
        "aggregate_policy": "first-success"});
    let reply = client.tool("dispatch_parallel", call);
    assert_eq!(reply["aggregated"]["result"], "first", "{reply}");
    let left = &reply["individual_results"][0];
    assert_eq!(left["error_type"], "cancelled", "{left}");
    assert!(left["error"].as_str().is_some_and(|e| e.contains("for others who asked the same")));
    fs::write(world.path("go"), "").expect("a file");
    assert_eq!(replies(&mut client, 1)[0]["result"], "ok");
    assert_eq!(world.runs(), 1);
}

#[test]
fn what_was_asked_before_the_cache_was_cleared_is_not_kept_after_it() {
    let world = World::with_agent("count ../runs\nwait ../go\nanswer ok");
    let mut client = Client::connect(&world);
    send_and_see_run(&mut client, 101..=101);
    assert_eq!(client.tool("cache_clear", json!({}))["cleared"], 0);
    fs::write(world.path("go"), "").expect("a file");
    assert_eq!(replies(&mut client, 1)[0]["result"], "ok");
    assert!(ask(&mut client).get("cached").is_none());
    assert_eq!(world.runs(), 2);
}

#[test]
fn a_limit_of_thirty_runs_thirty() {
    let world = World::with_agent("meet 30 ../here\nanswer ok");
    world.config(&format!("{}  max_concurrency: 30\n", world.agents_yaml(&["infra"])));
    let mut client = Client::connect(&world);
    for id in 101..=130 {
        let task = format!("task {id}");
        client.begin(&id.to_string(), "dispatch", json!({"agent": "infra", "task": task}));
    }
    let mut answered = 0;
    while answered < 30 {
        answered += usize::from(client.receive()["id"].is_string());
    }
}

#[test]
fn nobody_joins_a_run_that_is_being_ended() {
    let world = World::with_agent("touch-at-term ../is-being-ended");
    world.config(&world.agents_yaml(&["infra"]).replace("settings:", "    timeout: 3\nsettings:"));
    let mut client = Client::connect(&world);
    send_and_see_run(&mut client, 101..=101);
    world.wait_for("is-being-ended.ready");
    world.agent("infra", "answer better");
    // Its time is over after three seconds, and it is killed two seconds later.
    world.wait_for("is-being-ended");
    let reply = ask(&mut client);
    assert_eq!(reply["result"], "better", "{reply}");
    assert_eq!(client.finish(1)["101"]["error_type"], "timeout");
}
