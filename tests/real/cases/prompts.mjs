// What the agent is given: its prompt, whole and to the letter, and its own directory.

import assert from "node:assert/strict";
import { join } from "node:path";
import { McpClient } from "../mcp-client.mjs";
import { answerOf, assertPrompt, assertReply, dispatch } from "../asking.mjs";

const PARTS = ["--goal", "A census", "--caller", "keeper", "--context", "It is <dusk> & dim."];

export const cases = [
  ["dispatch: the reply is the agent's, the prompt the plain task", async (world, api) => {
    await world.configure({ zoo: { directory: await world.project("zoo") } });
    const task = "Count the quokkas. [[say:There are four.]] [[usage:100000,2000]]";
    const { code, reply } = await dispatch(world, api, ["zoo", task]);

    assert.equal(code, 0);
    assertReply(api, reply, {
      agent: "zoo",
      success: true,
      result: "There are four.",
      num_turns: 1,
      cost_usd: 0.44, // what this version of the CLI charges for these tokens
    });
    assert.equal(api.requests.length, 1);
    assertPrompt(api.requests[0], task);
  }],

  ["dispatch: goal, caller and context under the classic policy", async (world, api) => {
    await world.configure({ zoo: { directory: await world.project("zoo") } });
    const { reply } = await dispatch(world, api, ["zoo", "Count. [[say:Four.]]", ...PARTS]);

    assert.equal(reply.result, "Four.");
    assertPrompt(
      api.requests[0],
      "## Goal\nA census\n\n## Dispatched by\nkeeper\n\n## Context\nIt is <dusk> & dim.\n\n## Task\nCount. [[say:Four.]]",
    );
  }],

  ["dispatch: the same under the xml policy", async (world, api) => {
    const directory = await world.project("zoo");
    await world.configure({ zoo: { directory, policies: { prompt: "xml" } } });
    const { reply } = await dispatch(world, api, ["zoo", "Count. [[say:Four.]]", ...PARTS]);

    assert.equal(reply.result, "Four.");
    const prompt = api.requests[0].texts.at(-1);
    for (const [tag, text] of [
      ["goal", "A census"],
      ["dispatched-by", "keeper"],
      ["context", "It is <dusk> & dim."],
      ["task", "Count. [[say:Four.]]"],
    ]) {
      assert.ok(prompt.includes(`<${tag}>\n${text}\n</${tag}>`), `no <${tag}> in:\n${prompt}`);
    }
    assert.ok(prompt.indexOf("</context>") < prompt.indexOf("<task>"), "the context comes first");
    assert.ok(!prompt.includes("## "), "no heading of the classic policy");
  }],

  ["dispatch: the agent runs in its own directory and reads its CLAUDE.md", async (world, api) => {
    const directory = await world.project("aviary", "Here live only parrots.");
    await world.configure({ aviary: { directory } });
    const { reply } = await dispatch(world, api, ["aviary", "Who lives here? [[say:Parrots.]]"]);

    assert.equal(reply.success, true);
    const memory = api.requests[0].texts.find((text) => text.includes("Here live only parrots."));
    assert.ok(memory?.includes(join(directory, "CLAUDE.md")), "the API saw the project's CLAUDE.md");
  }],

  // The CLI runs `/help` itself and asks no model; with more words it would still.
  ["dispatch: a task that begins with a slash reaches the model as text", async (world, api) => {
    await world.configure({ zoo: { directory: await world.project("zoo") } });
    const task = "/help yourself to the quokkas [[say:Helped.]] [[usage:100000,2000]]";
    const { code, reply } = await dispatch(world, api, ["zoo", task]);

    assert.equal(code, 0);
    assertReply(api, reply, {
      agent: "zoo", success: true, result: "Helped.", num_turns: 1, cost_usd: 0.44,
    });
    assert.equal(api.requests[0].texts.at(-1).trim(), task);
  }],

  ["serve: a prompt of 1 MB arrives whole", async (world, api) => {
    await world.configure({ zoo: { directory: await world.project("zoo") } });
    const client = new McpClient(world.start(world.programs.agentDispatch, ["serve"], api));
    await client.initialize();
    let task = "Count the lines. [[say:Many.]] [[usage:100000,2000]]\n";
    for (let line = 1; task.length < 1_000_000; line += 1) task += `${line}: größer, “naïve”, 🦘\n`;
    task += "The end.";
    const reply = answerOf(await client.callTool("dispatch", { agent: "zoo", task }));

    assertReply(api, reply, {
      agent: "zoo", success: true, result: "Many.", num_turns: 1, cost_usd: 0.44,
    });
    const arrived = api.requests[0].texts.at(-1);
    assert.ok(arrived === task, `${arrived.length} of ${task.length} characters arrived as they were`);
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  }],
];
