// A conversation of several calls: `dispatch_session`.

import assert from "node:assert/strict";
import { McpClient } from "../mcp-client.mjs";
import { answerOf, assertPrompt, assertReply, sessionOf } from "../asking.mjs";

export const cases = [
  ["serve: dispatch_session goes on where the session stopped, at the price of this run", async (world, api) => {
    const client = await serveZooAndAviary(world, api);
    const converse = conversation(client);

    const first = await converse({
      agent: "zoo",
      task: "Count the quokkas. [[say:There are four.]] [[usage:100000,2000]]",
      context: "It is dusk.",
      caller: "keeper",
      goal: "A census",
      timeout_seconds: 60,
    });
    assertReply(api, first, answered("There are four."));
    assertPrompt(
      api.requests[0],
      "## Goal\nA census\n\n## Dispatched by\nkeeper\n\n## Context\nIt is dusk.\n\n"
        + "## Task\nCount the quokkas. [[say:There are four.]] [[usage:100000,2000]]",
    );

    const task = "And the wombats? [[say:None.]] [[usage:100000,2000]]";
    const second = await converse({ agent: "zoo", session_id: first.session_id, task });
    // The CLI's own total is that of the whole session by now.
    assertReply(api, second, answered("None."));
    assert.equal(second.session_id, first.session_id);
    assert.equal(api.requests.length, 2);
    assertPrompt(api.requests[1], task);
    const history = spoken(api.requests[1]);
    assert.ok(history.user.some((text) => text.includes("Count the quokkas.")), "the first task");
    assert.ok(history.assistant.includes("There are four."), "the first answer");

    const third = await converse({ agent: "zoo", session_id: first.session_id, task });
    assertReply(api, third, answered("None."));
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  }],

  ["dispatch: a person goes on by hand with the command that is printed", async (world, api) => {
    await world.configure({ zoo: { directory: await world.project("it's a zoo") } });
    const task = "Count the quokkas. [[say:There are four.]]";
    const { stderr } = await world.run(world.programs.agentDispatch, ["dispatch", "zoo", task], api);
    const [, command] = /by hand: (.*)$/m.exec(stderr) ?? [];
    assert.ok(command, stderr);
    const typed = await world.run("/bin/sh", ["-c", `${command} -p 'And now? [[say:Five.]]'`], api);
    assert.equal(typed.stdout.trim(), "Five.", typed.stderr);
    assert.ok(spoken(api.requests.at(-1)).assistant.includes("There are four."), "the first answer");
  }],

  ["serve: dispatch_session without a session begins a new one each time", async (world, api) => {
    const client = await serveZooAndAviary(world, api);
    const converse = conversation(client);
    const first = await converse({ agent: "zoo", task: "Count the quokkas. [[say:Four.]]" });
    const second = await converse({ agent: "zoo", session_id: "", task: "And now? [[say:Five.]]" });

    assert.notEqual(second.session_id, first.session_id);
    assert.equal(sessionOf(api.requests[1]), second.session_id);
    const { user } = spoken(api.requests[1]);
    assert.ok(!user.some((text) => text.includes("Count the quokkas.")), "nothing of the first");
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  }],

  ["serve: dispatch_session refuses another agent's session", async (world, api) => {
    const client = await serveZooAndAviary(world, api);
    const converse = conversation(client);
    const { session_id } = await converse({ agent: "zoo", task: "Count. [[say:Four.]]" });
    const refused = await converse({ agent: "aviary", session_id, task: "Go on. [[say:Gone on.]]" });

    assert.notEqual(refused.success, true);
    assert.match(refused.error, /session/);
    assert.match(refused.error, /zoo/, "it says whose session that is");
    assert.equal(api.requests.length, 1, "it is refused before it costs anything");

    const again = await converse({ agent: "zoo", session_id, task: "Go on. [[say:Gone on.]]" });
    assert.equal(again.result, "Gone on.");
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  }],
];

async function serveZooAndAviary(world, api) {
  await world.configure({
    zoo: { directory: await world.project("zoo") },
    aviary: { directory: await world.project("aviary") },
  });
  const client = new McpClient(world.start(world.programs.agentDispatch, ["serve"], api));
  await client.initialize();
  return client;
}

const conversation = (client) => async (parameters) =>
  answerOf(await client.callTool("dispatch_session", parameters));

const answered = (result) => ({ agent: "zoo", success: true, result, num_turns: 1, cost_usd: 0.44 });

/** What each side has said in the conversation that a request carries. */
function spoken({ body }) {
  const texts = (role) => body.messages
    .filter((message) => message.role === role)
    .flatMap(({ content }) => (typeof content === "string" ? [content] : content.map(({ text }) => text ?? "")));
  return { user: texts("user"), assistant: texts("assistant") };
}
