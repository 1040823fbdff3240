// A dispatch that is watched, and a dialogue of two.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { McpClient } from "../mcp-client.mjs";
import { answerOf, assertPrompt, sessionOf, use } from "../asking.mjs";

export const cases = [
  ["serve: dispatch_stream tells what the agent says and does while it works", async (world, api) => {
    const directory = await world.project("zoo");
    await world.configure({ zoo: { directory, allowed_tools: ["Bash"] } });
    const client = await connect(world, api);
    // Each goes on only when somebody has heard what it waits for.
    const waits = (file, word) => use("Bash", { command: `until test -e ${file}; do sleep 0.05; done; echo ${word}` });
    const task = `Look. ${waits("first", "One.")} ${waits("second", "Two.")} [[meanwhile:Let me see.]] [[say:Done.]]`;
    const heard = listener();
    const call = client.watchTool("dispatch_stream", { agent: "zoo", task }, heard.hear);

    await heard.line((line) => line.startsWith("zoo uses Bash: until test -e first"), call.answer);
    assert.ok(heard.lines.includes("zoo says: Let me see."), heard.lines.join("\n"));
    await writeFile(join(directory, "first"), "");
    await heard.line((line) => line === "zoo Bash returned: One.", call.answer);
    await heard.line((line) => line.startsWith("zoo uses Bash: until test -e second"), call.answer);
    await writeFile(join(directory, "second"), "");

    const reply = answerOf(await call.answer);
    assert.equal(reply.success, true, JSON.stringify(reply));
    assert.equal(reply.result, "Done.\nOne.\nTwo.");
    assert.equal(reply.session_id, sessionOf(api.requests.at(-1)));
    assert.deepEqual(heard.lines.slice(-2), ["zoo Bash returned: Two.", "zoo says: Done. One. Two."]);
    assert.deepEqual(heard.numbers, [...heard.numbers].sort((one, other) => one - other));
    assert.equal(new Set(heard.numbers).size, heard.numbers.length, "the numbers rise");
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  }],

  ["serve: dispatch_dialogue has two agents talk, each in its own session, until it is resolved", async (world, api) => {
    await world.configure({
      web: { directory: await world.project("web") },
      infra: { directory: await world.project("infra"), policies: { prompt: "xml" } },
    });
    const client = await connect(world, api);
    // What each says holds what the other one says next.
    const last = "Then add one. **[RESOLVED]** ";
    const second = `There is none. [[say:${last}]]`;
    const first = `Is there a cache? [[say:${second}]]`;
    const topic = `Why is it slow? [[usage:100000,2000]] [[say:${first}]]`;
    const heard = listener();
    const call = client.watchTool("dispatch_dialogue", { requester: "web", responder: "infra", topic }, heard.hear);
    const reply = answerOf(await call.answer);

    assert.equal(reply.resolved, true, JSON.stringify(reply));
    assert.equal(reply.final_answer, "Then add one.");
    assert.equal(reply.rounds, 2);
    // The CLI's own total of the last turn is that of its whole session.
    assert.deepEqual(reply.conversation.map((turn) => turn.cost_usd), [0.44, 0.44, 0.44]);
    assert.equal(reply.total_cost_usd, 1.32);
    const turns = reply.conversation.map(({ agent, role, round, message }) => [agent, role, round, message.trim()]);
    assert.deepEqual(turns, [
      ["infra", "responder", 1, first],
      ["web", "requester", 1, second],
      ["infra", "responder", 2, last.trim()],
    ]);

    const [infra, web] = reply.conversation.map((turn) => turn.session_id);
    assert.notEqual(infra, web);
    assert.deepEqual(reply.conversation.map((turn) => turn.session_id), [infra, web, infra]);
    assert.deepEqual(api.requests.map(sessionOf), [infra, web, infra]);
    assert.equal(said(api.requests[1]).length, 0, "the requester has said nothing before");
    assert.deepEqual(said(api.requests[2]), [first], "the responder remembers what it has said");
    const ending = "Reply to it. When your answer is complete and no question is open, end your reply with [RESOLVED].";
    assertPrompt(
      api.requests[1],
      `## Goal\n${topic}\n\n## Dispatched by\ninfra\n\n## Task\nTopic:\n${topic}\n\nThe agent 'infra' says:\n\n${first}\n\n${ending}`,
    );
    assertPrompt(
      api.requests[2],
      `<goal>\n${topic}\n</goal>\n\n<dispatched-by>\nweb\n</dispatched-by>\n\n<task>\nThe agent 'web' says:\n\n${second}\n\n${ending}\n</task>`,
    );
    for (const [turn, agent] of ["infra", "web", "infra"].entries()) {
      const told = (line) => line.startsWith(`turn ${turn + 1}: '${agent}' says: `);
      assert.equal(heard.lines.filter(told).length, 1, heard.lines.join("\n"));
    }
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  }],
];

async function connect(world, api) {
  const client = new McpClient(world.start(world.programs.agentDispatch, ["serve"], api));
  await client.initialize();
  return client;
}

/** Keeps what is told of a call's progress. */
function listener() {
  const [lines, numbers, watchers] = [[], [], new Set()];
  return {
    lines,
    numbers,
    hear({ progress, message }) {
      lines.push(message);
      numbers.push(progress);
      for (const watch of watchers) watch(message);
    },
    /** Waits for such a line; a call that ends before it is an error. */
    line(matches, answer) {
      if (lines.some(matches)) return Promise.resolve();
      const line = new Promise((resolve) => watchers.add((message) => matches(message) && resolve()));
      const early = answer.then((end) => {
        throw new Error(`it ended before that was told: ${JSON.stringify(end)}; told: ${lines.join("; ")}`);
      });
      return Promise.race([line, early]);
    },
  };
}

/** What the model has said so far in the conversation that a request carries. */
const said = ({ body }) => body.messages
  .filter(({ role }) => role === "assistant")
  .flatMap(({ content }) => (typeof content === "string" ? [content] : content.map(({ text }) => text ?? "")));
