// How a run of the agent can end by itself, and what its caller is told then.

import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { failureText } from "../messages-api.mjs";
import { assertReply, dispatch, use } from "../asking.mjs";

/** What an agent says whose API refuses. */
const refused = (status, fields) => ({
  agent: "zoo",
  success: false,
  result: "",
  num_turns: 1,
  cost_usd: 0,
  error: new RegExp(`${status}.*${failureText(status)}`),
  ...fields,
});

export const cases = [
  ...[
    [400, { error_type: "cli_error" }],
    [401, { error_type: "cli_error", hint: /log in with \/login/ }],
    [429, { error_type: "usage_limit", hint: /until the limit is reset/ }],
    [529, { error_type: "cli_error" }],
  ].map(([status, fields]) => [
    `dispatch: status ${status} of the API is the reply's error`,
    async (world, api) => {
      await world.configure({ zoo: { directory: await world.project("zoo") } });
      const { code, reply } = await dispatch(world, api, ["zoo", `Count. [[fail:${status}]]`]);

      assert.equal(code, 1);
      assertReply(api, reply, refused(status, fields));
    },
  ]),

  ["dispatch: a model that does not exist is named", async (world, api) => {
    const directory = await world.project("zoo");
    await world.configure({ zoo: { directory, model: "claude-quokka-1" } });
    const { code, reply } = await dispatch(world, api, ["zoo", "Count. [[fail:404]]"]);

    assert.equal(code, 1);
    assert.equal(api.requests[0].body.model, "claude-quokka-1");
    assertReply(api, reply, refused(404, {
      error: /the selected model \(claude-quokka-1\)/, error_type: "cli_error", hint: /`model`/,
    }));
  }],

  ["dispatch: a budget stops the agent, and what it said by then comes back", async (world, api) => {
    const directory = await world.project("zoo");
    await world.configure({
      zoo: { directory, max_budget_usd: 0.5, allowed_tools: ["Bash"] },
    });
    const look = use("Bash", { command: "echo quokka" });
    const { code, reply } = await dispatch(world, api, [
      "zoo", `Count. ${look} ${look} [[meanwhile:So far one.]] [[say:Two.]] [[usage:100000,2000]]`,
    ]);

    assert.equal(code, 1);
    assert.equal(api.requests.length, 2, "the third call would have brought the answer");
    assertReply(api, reply, {
      agent: "zoo",
      success: false,
      result: "So far one.",
      num_turns: 2,
      cost_usd: 0.88,
      error: "Reached maximum budget ($0.5)",
      error_type: "budget",
      hint: /`max_budget_usd`/,
      budget_exceeded: true,
    });
  }],

  ["dispatch: an answer that broke the budget is not lost", async (world, api) => {
    const directory = await world.project("zoo");
    await world.configure({ zoo: { directory, max_budget_usd: 0.1 } });
    const task = "Count. [[say:There are four.]] [[usage:100000,2000]]";
    const { code, reply } = await dispatch(world, api, ["zoo", task]);

    assert.equal(code, 1);
    assertReply(api, reply, {
      agent: "zoo",
      success: false,
      result: "There are four.",
      num_turns: 1,
      cost_usd: 0.44,
      error: "Reached maximum budget ($0.1)",
      error_type: "budget",
      hint: /`max_budget_usd`/,
      budget_exceeded: true,
    });
  }],

  ["dispatch: a tool that was denied is named, and allowed as the hint says", async (world, api) => {
    const directory = await world.project("zoo");
    const made = join(directory, "made");
    const task = `Count. ${use("Bash", { command: `touch ${made}` })} [[say:Tried.]] [[usage:100000,2000]]`;
    await world.configure({ zoo: { directory } });
    const denied = await dispatch(world, api, ["zoo", task]);

    assert.equal(denied.code, 0);
    assertReply(api, denied.reply, {
      agent: "zoo",
      success: true,
      result: /^Tried\.\n/,
      num_turns: 2,
      cost_usd: 0.88,
      denied_tools: ["Bash"],
      hint: /not allowed to use Bash: .*`allowed_tools`/,
    });
    await assert.rejects(access(made), { code: "ENOENT" });

    await world.configure({ zoo: { directory, allowed_tools: ["Bash"] } });
    const allowed = await dispatch(world, api, ["zoo", task]);
    assert.equal(allowed.code, 0);
    assertReply(api, allowed.reply, {
      agent: "zoo", success: true, result: /^Tried\./, num_turns: 2, cost_usd: 0.88,
    });
    await access(made);
  }],
];
