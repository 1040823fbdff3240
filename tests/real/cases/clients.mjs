// The official clients: the SDKs for TypeScript and Python, and the MCP Inspector's command line.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import { answerOf, use } from "../asking.mjs";
import { SERVER } from "../cli-client.mjs";

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const INSPECTOR = here("node_modules/.bin/mcp-inspector");
const TYPESCRIPT = [process.execPath, here("clients/typescript.mjs")];
const PYTHON = [here(".venv/bin/python"), here("clients/python_sdk.py")];

/** The newest protocol, without `initialize`, and the newest that begins with it. */
const NEW = { mode: "auto", protocol: "2026-07-28" };
const OLD = { mode: "legacy", protocol: "2025-11-25" };

const TOOL = "sleep 47110817";
const QUESTION = "Count. [[say:Four.]]";
const ENDLESS = `Wait. ${use("Bash", { command: TOOL })} [[say:Waited.]]`;
const SEVERAL = [{ agent: "zoo", task: QUESTION }, { agent: "zoo", task: "Count on. [[say:Five.]]" }];
const TOPIC = "What is there? [[say:Trees. **[RESOLVED]** ]]";
const INCOMPLETE = { agent: "zoo" };

export const cases = [
  ["the TypeScript SDK 2.x, 2026-07-28", (world, api) => drive(world, api, TYPESCRIPT, { version: 2, ...NEW })],
  ["the TypeScript SDK 2.x, 2025-11-25", (world, api) => drive(world, api, TYPESCRIPT, { version: 2, ...OLD })],
  ["the TypeScript SDK 1.x", (world, api) => drive(world, api, TYPESCRIPT, { version: 1, ...OLD })],
  ["the Python SDK, 2026-07-28", (world, api) => drive(world, api, PYTHON, NEW)],
  ["the Python SDK, 2025-11-25", (world, api) => drive(world, api, PYTHON, OLD)],
  ["the MCP Inspector lists and calls", async (world, api) => {
    await zoo(world);
    const { tools } = await onTheWire(world, api);
    for (const era of ["legacy", "modern"]) {
      // Strict is about schemas that some client or model does not take.
      const listed = await inspect(world, api, ["--protocol-era", era, "--method", "tools/list", "--strict"]);
      assert.deepEqual(listed, { code: 0, result: { tools } });
    }
    const call = (tool, input) => inspect(world, api, [
      "--method", "tools/call", "--tool-name", tool, "--tool-args-json", JSON.stringify(input),
    ]);
    const listed = await call("list_agents", {});
    assert.equal(listed.code, 0);
    assert.equal(answerOf(listed.result)[0].name, "zoo");
    const asked = await call("dispatch", { agent: "zoo", task: QUESTION });
    assert.equal(asked.code, 0);
    assert.equal(answerOf(asked.result).result, "Four.");
    const refused = await call("dispatch", { agent: "nobody", task: "Hide." });
    assert.match(answerOf(refused.result).error, /nobody.*zoo/s);
    const bad = await call("dispatch", INCOMPLETE);
    assert.notEqual(bad.code, 0);
    assert.equal(bad.result.isError, true);
  }],
];

async function zoo(world) {
  const directory = await world.project("zoo");
  await world.configure({ zoo: { directory, description: "All about quokkas", allowed_tools: ["Bash"] } });
}

/** Everything a client does, with one of the SDKs. */
async function drive(world, api, [program, script], { protocol, ...how }) {
  await zoo(world);
  const park = { name: "park", directory: await world.project("park"), description: "Trees" };
  const calls = [
    { name: "list_agents", arguments: {} },
    { name: "dispatch", arguments: { agent: "zoo", task: QUESTION, goal: "know" } },
    { name: "dispatch", arguments: { agent: "nobody", task: "Hide." } },
    { name: "dispatch", arguments: INCOMPLETE },
    { name: "add_agent", arguments: park },
    { name: "dispatch_parallel", arguments: { dispatches: SEVERAL, aggregate_policy: "concatenate" } },
    { name: "dispatch_parallel", arguments: { dispatches: JSON.stringify(SEVERAL) } },
    { name: "dispatch_stream", arguments: { agent: "zoo", task: QUESTION } },
    { name: "dispatch_dialogue", arguments: { requester: "zoo", responder: "park", topic: TOPIC } },
    { name: "dispatch", arguments: { agent: "zoo", task: ENDLESS }, cancel: true },
    { name: "remove_agent", arguments: { name: "park" } },
  ];
  const plan = { ...how, command: world.programs.agentDispatch, args: ["serve"], calls };
  const child = world.start(program, [script, JSON.stringify(plan)], api);
  const closed = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    assert.ok(!done, `the client ended: ${stderr}`);
    return JSON.parse(value);
  };

  const wire = await onTheWire(world, api);
  assert.deepEqual(await next(), { server: wire.serverInfo, protocol, instructions: wire.instructions });
  const { tools } = await next();
  assert.deepEqual(tools, wire.tools);

  /** What came of the next call; the tool's schema and the server agree about its arguments. */
  const outcome = async () => {
    const called = calls.shift();
    const { inputSchema } = tools.find(({ name }) => name === called.name);
    const { valid } = new AjvJsonSchemaValidator().getValidator(inputSchema)(called.arguments);
    const came = await next();
    if (came.result) assert.equal(valid, !came.result.isError, JSON.stringify({ called, came }));
    return came;
  };
  const answer = async () => answerOf((await outcome()).result);

  assert.equal((await answer())[0].name, "zoo");
  const asked = await outcome();
  assert.equal(answerOf(asked.result).result, "Four.");
  assert.ok(asked.progress.some((message) => message.includes("'zoo' works")), `${asked.progress}`);
  assert.ok(api.requests.some(({ texts }) => texts.at(-1).includes("## Goal\nknow")));
  assert.match((await answer()).error, /nobody.*zoo/s);
  assert.match((await answer()).error, /'task' is missing/);
  assert.equal((await answer()).added, "park");
  const several = await outcome();
  const { individual_results: each, aggregated } = answerOf(several.result);
  assert.deepEqual(each.map(({ result }) => result), ["Four.", "Five."]);
  assert.equal(aggregated.result, "## Agent: zoo [OK]\nFour.\n\n## Agent: zoo [OK]\nFive.");
  assert.ok(several.progress.some((message) => message.startsWith("0 of 2 done")), `${several.progress}`);
  assert.deepEqual((await answer()).map(({ result }) => result), ["Four.", "Five."]);
  const watched = await outcome();
  assert.equal(answerOf(watched.result).result, "Four.");
  assert.ok(watched.progress.includes("zoo says: Four."), `${watched.progress}`);
  const { resolved, final_answer: last, conversation } = await answer();
  assert.deepEqual({ resolved, last, turns: conversation.length }, { resolved: true, last: "Trees.", turns: 1 });

  await world.running(TOOL);
  child.stdin.write("cancel\n");
  const { error, result } = await outcome();
  assert.ok(error, `cancelled, but it came back: ${JSON.stringify(result)}`);
  // The server goes on, and the agent of the cancelled call is gone.
  assert.deepEqual(await answer(), { removed: "park" });
  await world.settled(({ program: of, text }) => of.includes("claude-code") || text.includes(TOOL));

  child.stdin.end();
  assert.deepEqual(await closed, { code: 0, signal: null }, stderr);
}

/** What the server says of itself and of its tools to a client that does nothing else. */
async function onTheWire(world, api) {
  const request = (id, method, params) => `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`;
  const hello = { protocolVersion: OLD.protocol, capabilities: {}, clientInfo: { name: "x", version: "0" } };
  const input = request(1, "initialize", hello) + request(2, "tools/list", {});
  const { stdout } = await world.run(world.programs.agentDispatch, ["serve"], api, { input });
  const answers = stdout.trim().split("\n").map((line) => JSON.parse(line));
  const [{ serverInfo, instructions }, { tools }] = [1, 2].map((of) => answers.find(({ id }) => id === of).result);
  assert.equal(serverInfo.name, SERVER);
  return { serverInfo, instructions, tools };
}

/** One run of the Inspector's command line. */
async function inspect(world, api, args) {
  const environment = Object.entries(world.environment(api)).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const { code, stdout, stderr } = await world.run(INSPECTOR, [
    "--cli", ...environment, world.programs.agentDispatch, "serve", ...args,
  ], api);
  assert.ok(stdout, `exit ${code}: ${stderr}`);
  return { code, result: JSON.parse(stdout) };
}
