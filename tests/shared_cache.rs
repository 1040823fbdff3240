//! Answers and runs that all servers and commands share, where the config wants that.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::mcp::{Client, Streams};
use crate::support::{BINARY, World, until};

const SERVERS: usize = 15;

/// A world whose agent follows this script and whose servers share its answers.
fn sharing(script: &str) -> World {
    let world = World::with_agent(script);
    configure(&world, "shared: true");
    world
}

/// Writes the config with this in `settings.cache`.
fn configure(world: &World, cache: &str) {
    world.config(&format!("{}  cache: {{{cache}}}\n", world.agents_yaml(&["infra"])));
}

fn ask(client: &mut Client) -> Value {
    ask_about(client, "look")
}

/// Asks each in turn.
fn ask_each(clients: &mut [Client]) -> Vec<Value> {
    clients.iter_mut().map(ask).collect()
}

fn ask_about(client: &mut Client, task: &str) -> Value {
    written(client, json!({"agent": "infra", "task": task}))
}

fn ask_afresh(client: &mut Client) -> Value {
    written(client, json!({"agent": "infra", "task": "look", "fresh": true}))
}

/// The reply, once it is there for others too: it goes out before it is written, and what
/// this server asks the store then comes after that.
fn written(client: &mut Client, question: Value) -> Value {
    let reply = client.tool("dispatch", question);
    client.tool("cache_stats", json!({}));
    reply
}

fn state(world: &World) -> PathBuf {
    world.path("home/.local/state/agent-dispatch")
}

fn store(world: &World) -> Connection {
    Connection::open(state(world).join("store.sqlite")).expect("the store")
}

/// So many servers.
fn servers(world: &World, count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::connect(world)).collect()
}

/// Asks without waiting for the answer, until it is told that the agent works.
fn begin(client: &mut Client) {
    client.begin("asked", "dispatch", json!({"agent": "infra", "task": "look"}));
    let notice = client.receive();
    assert_eq!(notice["params"]["message"], "'infra' works: 0 s", "{notice}");
}

fn finish(client: &mut Client) -> Value {
    client.finish(1).remove("asked").expect("its answer")
}

fn let_go(world: &World) {
    fs::write(world.path("go"), "").expect("a file");
}

/// Waits until so many runs have begun.
#[track_caller]
fn wait_for_runs(world: &World, count: usize) {
    until(|| world.runs() == count, || format!("{} runs", world.runs()));
}

/// Waits until nobody answers anything any more, and nothing is left of it.
#[track_caller]
fn wait_for_no_flight(world: &World) {
    let files = || fs::read_dir(state(world).join("flights")).expect("the folder").count();
    until(|| files() == 0, || format!("{} files", files()));
}

#[test]
fn an_answer_is_given_by_every_server_and_command_also_after_a_restart() {
    let world = sharing("count ../runs\nanswer first");
    let mut one = Client::connect(&world);
    let first = ask(&mut one);
    assert!(first.get("cached").is_none() && first.get("shared").is_none(), "{first}");
    let is_hit = |reply: &Value| {
        assert_eq!((&reply["cached"], reply.get("shared")), (&json!(true), None), "{reply}");
        assert!(reply["age_seconds"].is_u64(), "{reply}");
        let mut same = reply.clone();
        let added = ["cached", "age_seconds"];
        same.as_object_mut().expect("a reply").retain(|key, _| !added.contains(&key.as_str()));
        assert_eq!(same, first);
    };
    is_hit(&ask(&mut one));
    is_hit(&ask(&mut Client::connect(&world)));
    let ran = world.run(&["dispatch", "infra", "look", "--json"]);
    is_hit(&ran.json());
    // Also there the conversation can go on.
    let ran = world.run(&["dispatch", "infra", "look"]);
    assert!(ran.stderr.contains(first["session_id"].as_str().expect("a session")), "{ran:?}");
    assert!(one.close().success());
    is_hit(&ask(&mut Client::connect(&world)));
    assert_eq!(world.runs(), 1);

    // From a command to a server.
    let ran = world.run(&["dispatch", "infra", "look again", "--json"]);
    assert_eq!(ran.json().get("cached"), None);
    assert_eq!(ask_about(&mut Client::connect(&world), "look again")["cached"], true);
    assert_eq!(world.runs(), 2);
    wait_for_no_flight(&world);
}

#[test]
fn nothing_is_shared_unless_the_config_wants_it() {
    let world = World::with_agent("count ../runs\nanswer ok");
    for (count, off) in
        ["", "shared: false", "enabled: false, shared: true", "ttl: 0, shared: true"]
            .into_iter()
            .enumerate()
    {
        configure(&world, off);
        for mut client in servers(&world, 2) {
            assert_eq!(ask(&mut client).get("cached"), None, "{off}");
        }
        assert_eq!(world.runs(), 2 * (count + 1), "{off}");
        assert!(!state(&world).join("flights").exists(), "{off}");
    }
    let answers: i64 = store(&world)
        .query_row("SELECT count(*) FROM answer", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(answers, 0);
}

#[test]
fn an_agent_has_its_own_say_in_it() {
    let world = World::with_agent("count ../runs\nanswer ok");
    let yaml = world.agents_yaml(&["infra"]);
    let with = |agent: &str, all: &str| {
        let agent = format!("    cache: {agent}\nsettings:");
        world.config(&format!("{}  cache: {{{all}}}\n", yaml.replace("settings:", &agent)));
        let before = world.runs();
        ask_each(&mut servers(&world, 2));
        world.runs() - before
    };
    assert_eq!(with("{shared: false}", "shared: true"), 2);
    assert_eq!(with("false", "shared: true"), 2);
    assert_eq!(with("{shared: true}", ""), 1);
    // Who does not share does not get it either.
    assert_eq!(with("{}", ""), 2);
}

#[test]
fn an_answer_from_another_time_is_none() {
    let world = sharing("count ../runs\nanswer ok");
    let mut clients = servers(&world, 2);
    ask(&mut clients[0]);
    for (count, sign) in ['-', '+'].into_iter().enumerate() {
        let sql = format!("UPDATE answer SET kept_ms = kept_ms {sign} 301000");
        assert_eq!(store(&world).execute(&sql, []).expect("another time"), 1);
        assert_eq!(clients[0].tool("cache_stats", json!({}))["size"], 0);
        let replies = ask_each(&mut clients);
        assert_eq!((replies[0].get("cached"), &replies[1]["cached"]), (None, &json!(true)));
        assert_eq!(world.runs(), count + 2);
    }
}

#[test]
fn no_more_are_kept_than_the_config_allows() {
    let world = sharing("count ../runs\nanswer ok");
    configure(&world, "shared: true, max_size: 2");
    let mut clients = servers(&world, 2);
    for task in ["one", "two", "three"] {
        ask_about(&mut clients[0], task);
    }
    let stats = clients[1].tool("cache_stats", json!({}));
    let expected = json!({"size": 2, "max_size": 2, "hits": 0, "misses": 0, "evictions": 0,
        "hit_rate": 0.0, "ttl": 300, "shared": true});
    assert_eq!(stats, expected);
    assert_eq!(ask_about(&mut clients[1], "three")["cached"], true);
    assert_eq!(ask_about(&mut clients[1], "two")["cached"], true);
    assert_eq!(ask_about(&mut clients[1], "one").get("cached"), None);
    assert_eq!(clients[1].tool("cache_stats", json!({}))["hits"], 2);
    assert_eq!(world.runs(), 4);
}

#[test]
fn what_is_asked_afresh_is_the_answer_of_all_from_then_on() {
    let world = sharing("count ../runs\nanswer first");
    let mut clients = servers(&world, 2);
    assert_eq!(ask_each(&mut clients)[1]["cached"], true);
    world.agent("infra", "count ../runs\nanswer second");
    let fresh = ask_afresh(&mut clients[1]);
    assert_eq!((&fresh["result"], fresh.get("cached")), (&json!("second"), None));
    for reply in ask_each(&mut clients) {
        assert_eq!((&reply["result"], &reply["cached"]), (&json!("second"), &json!(true)));
    }
    // Whatever comes of it, the old answer is not given again.
    world.agent("infra", "count ../runs\nexit 3");
    assert_eq!(ask_afresh(&mut clients[0])["success"], false);
    for reply in ask_each(&mut clients) {
        assert_eq!(reply["success"], false);
    }
    assert_eq!(world.runs(), 5);
}

#[test]
fn who_asks_afresh_waits_for_nobody_and_has_the_last_word() {
    let world = sharing("count ../runs\nwait ../go\nanswer old");
    let mut clients = servers(&world, 2);
    begin(&mut clients[0]);
    wait_for_runs(&world, 1);
    world.agent("infra", "count ../runs\nanswer new");
    assert_eq!(ask_afresh(&mut clients[1])["result"], "new");
    let_go(&world);
    assert_eq!(finish(&mut clients[0])["result"], "old");
    wait_for_no_flight(&world);
    for reply in ask_each(&mut clients) {
        assert_eq!((&reply["result"], &reply["cached"]), (&json!("new"), &json!(true)));
    }
}

#[test]
fn what_one_server_forgets_is_forgotten_for_all() {
    let world = sharing("count ../runs\nanswer ok");
    let mut clients = servers(&world, 2);
    ask(&mut clients[0]);
    ask_about(&mut clients[1], "more");
    assert_eq!(clients[1].tool("cache_clear", json!({})), json!({"cleared": 2}));
    assert_eq!(clients[0].tool("cache_stats", json!({}))["size"], 0);
    assert_eq!(ask(&mut clients[0]).get("cached"), None);
    assert_eq!(world.runs(), 3);

    // What was asked before is not kept after, and still goes to those who wait for it.
    world.agent("infra", "count ../runs\nwait ../go\nanswer ok");
    clients[0].tool("cache_clear", json!({}));
    clients.iter_mut().for_each(begin);
    let mut third = Client::connect(&world);
    assert_eq!(third.tool("cache_clear", json!({})), json!({"cleared": 0}));
    let_go(&world);
    let replies: Vec<Value> = clients.iter_mut().map(finish).collect();
    assert_eq!(replies.iter().filter(|reply| reply["shared"] == true).count(), 1, "{replies:#?}");
    assert_eq!(world.runs(), 4);
    assert_eq!(ask(&mut third).get("cached"), None);
    assert_eq!(world.runs(), 5);
}

#[test]
fn fifteen_servers_that_are_asked_the_same_run_it_once() {
    let world = sharing("count ../runs\nwait ../go\nanswer ok");
    let mut clients = servers(&world, SERVERS);
    clients.iter_mut().for_each(begin);
    // Of those in one server only one waits for the others.
    clients[0].begin("too", "dispatch", json!({"agent": "infra", "task": "look"}));
    clients[0].receive();
    let_go(&world);
    let mut replies: Vec<Value> = clients[1..].iter_mut().map(finish).collect();
    replies.extend(clients[0].finish(2).into_values());
    assert!(replies.iter().all(|reply| reply["result"] == "ok"), "{replies:#?}");
    let shared = replies.iter().filter(|reply| reply["shared"] == true).count();
    assert_eq!(shared, SERVERS, "one of them is told that it paid");
    assert_eq!(world.runs(), 1);
    wait_for_no_flight(&world);
    assert!(ask_each(&mut clients).iter().all(|reply| reply["cached"] == true));
    let figures = |key: &str| world.run(&["stats", "--json"]).json()["total"][key].clone();
    let expected = json!([2 * SERVERS + 1, SERVERS, SERVERS, 1]);
    let counted = || ["dispatches", "shared", "cached_hits", "ok"].map(figures);
    until(|| json!(counted()) == expected, || format!("{:?}", counted()));
}

#[test]
fn a_failure_goes_to_all_who_wait_and_is_not_kept() {
    let world = sharing("count ../runs\nwait ../go\nerr no luck\nexit 3");
    let mut clients = servers(&world, 4);
    clients.iter_mut().for_each(begin);
    let_go(&world);
    for reply in clients.iter_mut().map(finish) {
        assert!(reply["error"].as_str().is_some_and(|error| error.contains("no luck")), "{reply}");
    }
    assert_eq!(world.runs(), 1);
    assert_eq!(clients[0].tool("cache_stats", json!({}))["size"], 0);
    world.agent("infra", "count ../runs\nanswer better");
    let replies = ask_each(&mut clients);
    assert!(replies.iter().all(|reply| reply["result"] == "better"), "{replies:#?}");
    assert_eq!(world.runs(), 2);
}

/// Ends the one who answers a question for four; one of the others does so then.
fn another_takes_over(end: impl FnOnce(&mut Client)) {
    let world = sharing("count ../runs\nwait ../go\nanswer ok");
    let mut clients = servers(&world, 4);
    clients.iter_mut().for_each(begin);
    end(&mut clients[0]);
    wait_for_runs(&world, 2);
    let_go(&world);
    let replies: Vec<Value> = clients[1..].iter_mut().map(finish).collect();
    assert!(replies.iter().all(|reply| reply["result"] == "ok"), "{replies:#?}");
    let shared = replies.iter().filter(|reply| reply["shared"] == true).count();
    assert_eq!(shared, 2, "one of them is told that it paid: {replies:#?}");
    assert_eq!(world.runs(), 2);
    wait_for_no_flight(&world);
    world.wait_for_no_process();
}

#[test]
fn where_the_server_that_answers_is_killed_another_takes_over() {
    another_takes_over(|client| client.signal(Signal::KILL));
}

#[test]
fn where_the_one_who_asked_first_leaves_another_takes_over() {
    another_takes_over(|client| client.cancel("asked"));
}

#[test]
fn where_the_server_that_answers_is_ended_another_takes_over() {
    another_takes_over(Client::close_input);
}

#[test]
fn who_waits_for_another_server_can_leave() {
    let world = sharing("count ../runs\nwait ../go\nanswer ok");
    let mut clients = servers(&world, 3);
    clients.iter_mut().for_each(begin);
    clients[1].cancel("asked");
    // Whoever is cancelled gets no answer; what is answered next shows that it was seen.
    clients[1].tool("list_agents", json!({}));
    let_go(&world);
    assert_eq!(finish(&mut clients[0])["result"], "ok");
    assert_eq!(finish(&mut clients[2])["shared"], true);
    assert_eq!(ask(&mut clients[1])["cached"], true);
    assert_eq!(world.runs(), 1);
}

/// A stopped server answers nobody, and is not waited for longer than the run may take.
#[test]
fn a_server_that_was_stopped_holds_up_the_others_only_for_so_long() {
    let world = World::with_agent("count ../runs\nwait ../go\nanswer ok");
    let yaml = world.agents_yaml(&["infra"]).replace("settings:", "    timeout: 2\nsettings:");
    world.config(&format!("{yaml}  cache: {{shared: true}}\n"));
    let mut clients = servers(&world, 2);
    begin(&mut clients[0]);
    clients[0].signal(Signal::STOP);
    begin(&mut clients[1]);
    let_go(&world);
    let reply = finish(&mut clients[1]);
    assert_eq!((&reply["result"], reply.get("shared")), (&json!("ok"), None), "{reply}");
    assert_eq!(world.runs(), 2);
    clients[0].signal(Signal::CONT);
    assert!(finish(&mut clients[0])["result"].is_string());
}

#[test]
fn an_agent_that_asks_the_same_again_waits_for_nobody() {
    let world = World::new();
    world.agent_with_turns("infra", &["run sh ../nested\nanswer outer", "answer inner"]);
    let yaml = world.agents_yaml(&["infra"]);
    // Otherwise a variable that is set for the agent makes it another question too.
    let yaml = yaml.replace("settings:", "    background_tasks: true\nsettings:");
    world.config(&format!("{yaml}  cache: {{shared: true}}\n"));
    // The chain is part of the question.
    let nested = |command: &str| {
        let script = format!("{command} {BINARY} dispatch infra look --json > ../nested.json");
        fs::write(world.path("nested"), script).expect("a script");
        let mut client = Client::connect(&world);
        assert_eq!(ask(&mut client)["result"], "outer");
        let written = fs::read_to_string(world.path("nested.json")).expect("an inner answer");
        serde_json::from_str::<Value>(&written).expect("JSON")
    };
    assert_eq!(nested("exec")["result"], "inner");
    assert_eq!(world.turns("infra"), 2);

    // Who hides it waits for itself, and is told so.
    fs::remove_file(world.path("infra/prompt-1")).expect("a turn again");
    Client::connect(&world).tool("cache_clear", json!({}));
    let reply = nested("exec env -u AGENT_DISPATCH_DEPTH -u AGENT_DISPATCH_CHAIN");
    assert_eq!(reply["error_type"], "recursion", "{reply}");
}

/// Asks twice within this server: it works, and is said once that there is no store.
#[track_caller]
fn works_without(mut client: Client, world: &World, what: &str) {
    let before = world.runs();
    let first = ask_about(&mut client, what);
    assert_eq!((&first["result"], first.get("shared")), (&json!("ok"), None), "{first}");
    let said = first["store_error"].as_str().unwrap_or_else(|| panic!("nothing is said: {first}"));
    assert!(said.contains("answers are not shared with other servers"), "{said}");
    assert!(said.contains(what), "{said}");
    // There is still the cache of this one server.
    let again = ask_about(&mut client, what);
    assert_eq!((&again["result"], again.get("store_error")), (&json!("ok"), None), "{again}");
    assert_eq!(ask_about(&mut client, what)["cached"], true);
    assert!(world.runs() <= before + 2, "{}", world.runs());
}

#[test]
fn without_a_working_store_each_server_is_alone() {
    let world = sharing("count ../runs\nanswer ok");
    fs::create_dir_all(state(&world)).expect("a folder");
    let file = state(&world).join("store.sqlite");
    fs::write(&file, "this is no database\n".repeat(1000)).expect("a file");
    works_without(Client::connect(&world), &world, "is damaged or no database");
    let mut client = Client::connect(&world);
    assert_eq!(client.tool("cache_stats", json!({}))["shared"], false);
    let error = client.tool("cache_clear", json!({}))["error"].to_string();
    assert!(error.contains("cannot be forgotten") && error.contains("move it away"), "{error}");

    fs::remove_file(&file).expect("it is gone");
    fs::create_dir(&file).expect("a folder in its place");
    works_without(Client::connect(&world), &world, "cannot be used");
}

/// A server in this world, started by way of a shell.
fn serve(world: &World, before: &str) -> Client {
    let mut command = world.command_of("sh");
    let script = format!(r#"{before}; exec "$0" serve"#);
    command.arg("-c").arg(script).arg(BINARY);
    let mut client = Client::spawn(&mut command, Streams::Sockets);
    client.initialize();
    client
}

#[test]
fn a_folder_where_nothing_can_be_made_leaves_each_server_alone() {
    let world = sharing("count ../runs\nanswer ok");
    works_without(serve(&world, "export XDG_STATE_HOME=/proc/self"), &world, "cannot be used");
}

/// No file of the server's may become larger than it is: for SQLite the disk is full.
#[test]
fn a_full_disk_leaves_a_server_alone() {
    // Nor may any of its agent's.
    let world = sharing("answer ok");
    assert_eq!(world.run(&["dispatch", "infra", "x"]).code, Some(0));
    works_without(serve(&world, r#"trap "" XFSZ; ulimit -f 0"#), &world, "cannot be used");
}

#[test]
fn a_locked_store_keeps_no_reply_back_and_the_answer_follows() {
    let world = sharing("count ../runs\nanswer ok");
    let mut clients = servers(&world, 2);
    ask_about(&mut clients[0], "something");
    let ended = || world.run(&["stats", "--json"]).json()["total"]["ok"] == 1;
    until(ended, || "no record".to_owned());
    let other = store(&world);
    other.execute_batch("BEGIN IMMEDIATE").expect("its lock");
    let reply = ask(&mut clients[0]);
    assert!(reply["success"] == true && reply.get("store_error").is_none(), "{reply}");
    other.execute_batch("COMMIT").expect("its lock");
    let size = |client: &mut Client| client.tool("cache_stats", json!({}))["size"].clone();
    until(|| size(&mut clients[1]) == 2, || "it does not follow".to_owned());
    assert_eq!(ask(&mut clients[1])["cached"], true);
    assert_eq!(world.runs(), 2);
}
