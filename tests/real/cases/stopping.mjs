// Runs that are ended from here, most of them in the middle of a tool: whatever they started
// ends with them.

import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { McpClient } from "../mcp-client.mjs";
import { answerOf, assertReply, dispatch, use } from "../asking.mjs";
import { asking, startAsClient, toolOf } from "../cli-client.mjs";

const RUN_MARK = "AGENT_DISPATCH_RUN=";

// Two processes that no one else starts: the tool's own, and one that left its session, its
// parent and its environment.
const TOOL = "sleep 47110815";
const DAEMON = "sleep 47110816";
const COMMAND = `(setsid env -i ${DAEMON} &) ; ${TOOL}`;
/** The same with a daemon that does not listen to SIGTERM. */
const STUBBORN_COMMAND = `(setsid env -i sh -c 'trap "" TERM; ${DAEMON}; :' &) ; ${TOOL}`;

/** Nobody waits longer than this for the end of agents whose server was killed (milliseconds). */
const ORPHANS = 2_000;

const askFor = (command) => `Wait. ${use("Bash", { command })} [[say:Waited.]]`;

export const cases = [
  ["dispatch: a timeout ends the agent", async (world, api) => {
    // Long enough for the CLI to reach the API on a busy machine.
    await world.configure({ zoo: { directory: await world.project("zoo"), timeout: 4 } });
    const ending = dispatch(world, api, ["zoo", "Count. [[sleep:60000]]"]);
    await Promise.race([api.request(() => true), ending]);
    const during = await world.processes(isMarked);
    const { code, reply } = await ending;

    assert.ok(during.length > 0, "the agent carries the mark of its run while it works");
    assert.equal(code, 1);
    assertReply(api, reply, timedOut(4));
    assert.deepEqual(await texts(world), []);
  }],

  ["dispatch: a timeout ends the agent's tool and its stubborn daemon", async (world, api) => {
    const directory = await world.project("zoo");
    await world.configure({ zoo: { directory, timeout: 6, allowed_tools: ["Bash"] } });
    const ending = dispatch(world, api, ["zoo", askFor(STUBBORN_COMMAND)]);
    await inTheTool(world, ending);
    const { code, reply } = await ending;

    assert.equal(code, 1);
    assertReply(api, reply, timedOut(6));
    assert.deepEqual(await texts(world), []);
  }],

  ["serve: a cancelled call ends its agent in the middle of a tool, and the server goes on", async (world, api) => {
    const { client, call } = await callInTheTool(world, api);
    let answered = false;
    call.answer.finally(() => (answered = true)).catch(() => {});
    client.cancel(call.id);
    await world.settled(world.isAgent);

    const task = "Count. [[say:Four.]] [[usage:100000,2000]]";
    const reply = answerOf(await client.callTool("dispatch", { agent: "zoo", task }));
    assertReply(api, reply, {
      agent: "zoo", success: true, result: "Four.", num_turns: 1, cost_usd: 0.44,
    });
    assert.ok(!answered, "a cancelled call is not answered");
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  }],

  ["serve: killed in the middle of a tool, it leaves nothing behind", async (world, api) => {
    const { client } = await callInTheTool(world, api);
    client.child.kill("SIGKILL");
    await world.settled(world.isAgent, ORPHANS);

    assert.deepEqual(await client.ended, { code: null, signal: "SIGKILL" });
    await world.settled();
  }],

  ["serve: ended as Claude Code ends a server, in the middle of a tool", async (world, api) => {
    const { client } = await callInTheTool(world, api);
    client.child.kill("SIGINT");
    await pause(100); // what Claude Code waits
    client.child.kill("SIGTERM");

    assert.deepEqual(await client.ended, { code: 0, signal: null });
    await world.settled();
  }],

  ["serve: its client goes away in the middle of a tool", async (world, api) => {
    const { client } = await callInTheTool(world, api);
    assert.deepEqual(await client.close(), { code: 0, signal: null });
    await world.settled();
  }],

  ...["SIGTERM", "SIGKILL"].map((signal) => [
    `the CLI as MCP client gets ${signal} in the middle of a tool of the agent it asked`,
    async (world, api) => {
      await configureZoo(world);
      const client = await startAsClient(world, api);
      const ended = new Promise((resolve) => client.once("close", resolve));
      client.stdout.resume();
      client.stdin.end(asking([
        use(toolOf("dispatch"), { agent: "zoo", task: askFor(COMMAND) }), "[[say:Asked.]]",
      ]));
      await inTheTool(world, ended);
      client.kill(signal);
      await ended;
      await world.settled();
    },
  ]),
];

const isMarked = ({ variables }) => variables.some((variable) => variable.startsWith(RUN_MARK));

const texts = async (world) => (await world.processes()).map((one) => one.text);

async function configureZoo(world) {
  const directory = await world.project("zoo");
  await world.configure({ zoo: { directory, allowed_tools: ["Bash"] } });
}

/** A server whose agent is in the middle of a tool. */
async function callInTheTool(world, api) {
  await configureZoo(world);
  const client = new McpClient(world.start(world.programs.agentDispatch, ["serve"], api));
  await client.initialize();
  const call = client.beginTool("dispatch", { agent: "zoo", task: askFor(COMMAND) });
  await inTheTool(world, call.answer);
  return { client, call };
}

/** Waits until the tool and its daemon run; a run that ends before that is an error. */
async function inTheTool(world, ending) {
  const early = ending.then((end) => {
    throw new Error(`it ended before its tool ran: ${JSON.stringify(end)}`);
  });
  await Promise.race([Promise.all([world.running(TOOL), world.running(DAEMON)]), early]);
}

const timedOut = (seconds) => ({
  agent: "zoo",
  success: false,
  result: "",
  error: `the agent had not finished after ${seconds} s and was ended`,
  error_type: "timeout",
  hint: /`timeout`/,
});
