// A reply that the CLI, as our client, moves out of the model's sight where it gets it whole.

import assert from "node:assert/strict";
import { tryParse, use } from "../asking.mjs";
import { asking, runAsClient, toolOf } from "../cli-client.mjs";

/** 200 KiB, no part of it like another. */
const LONG = Array.from({ length: 12_800 }, (_, line) => `quokka ${String(line).padStart(8, "0")}`).join(" ").slice(0, 200 << 10);

/** How the CLI says that it keeps an output from the model. */
const KEPT_AWAY = /persisted-output|saved to|too large|too long|exceeds/i;

export const cases = [
  ["the CLI as MCP client: of a reply of 200 KiB the model sees our preview", async (world, api) => {
    const seen = await replyInSight(world, api, {});
    assert.doesNotMatch(seen, KEPT_AWAY);
    const reply = tryParse(seen);
    assert.equal(typeof reply, "object", seen.slice(0, 500));
    assert.equal(reply.success, true);
    assert.match(reply.ref, /^[0-9a-f]{32}$/);
    assert.equal(reply.size, LONG.length);
    assert.equal(reply.truncated, true);
    assert.ok(reply.result.startsWith(LONG.slice(0, 4096)), "the first 4 KiB");
    assert.ok(reply.result.endsWith(LONG.slice(-4096)), "the last 4 KiB");
    const between = reply.result.slice(4096, -4096);
    assert.ok(between.includes(`fetch_result with ref "${reply.ref}"`), `how to get the rest: ${between}`);
  }],

  ["the CLI as MCP client: of a reply of 200 KiB with inline_limit 0 the model sees 2 KB of JSON", async (world, api) => {
    const seen = await replyInSight(world, api, { inline_limit: 0 });
    // A few lines of its own, the beginning of our answer as JSON in JSON, and nothing after it.
    assert.match(seen, /^<persisted-output>\nOutput too large \(200\.\d+KB\)\. Full output saved to: /);
    assert.match(seen, /"text": "\{\\"agent\\":\\"zoo\\",\\"success\\":true,\\"result\\":\\"quokka 00000000 quokka /);
    assert.match(seen, / quokka \d*\n\.\.\.\n<\/persisted-output>$/);
    assert.ok(seen.length < 3000, `${seen.length} characters`);
    assert.ok(!seen.includes(LONG.slice(4096, 4196)), "nothing from further on");
    assert.ok(!seen.includes("session_id"), "nor what comes after the result");
  }],
];

/** What the model gets to see of the zoo's long reply. */
async function replyInSight(world, api, settings) {
  await world.configure({ zoo: { directory: await world.project("zoo") } }, {}, settings);
  const inner = { agent: "zoo", task: `Tell. [[say:${LONG}]]` };
  const prompt = asking([use(toolOf("dispatch"), inner), "[[say:Asked the zoo.]]"]);
  const { code, stderr } = await runAsClient(world, api, prompt);
  assert.equal(code, 0, stderr);
  return api.requests.at(-1).toolResults.at(-1);
}
