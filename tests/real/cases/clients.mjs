// The official clients: the SDKs for TypeScript and Python, and the MCP Inspector's command line.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { answerOf, use } from "../asking.mjs";
import { SERVER } from "../cli-client.mjs";

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const typescript = (version) => [process.execPath, [here("clients/typescript.mjs")], { version }];
const PYTHON = [here(".venv/bin/python"), [here("clients/python_sdk.py")], {}];
const INSPECTOR = here("node_modules/.bin/mcp-inspector");

const TOOL = "sleep 47110817";
const QUESTION = "Count. [[say:Four.]]";
const ENDLESS = `Wait. ${use("Bash", { command: TOOL })} [[say:Waited.]]`;

export const cases = [
  ["the TypeScript SDK lists, calls, hears progress and cancels", (world, api) => drive(world, api, ...typescript(2))],
  ["the TypeScript SDK of the 1.x line does too", (world, api) => drive(world, api, ...typescript(1))],
  ["the Python SDK does too", (world, api) => drive(world, api, ...PYTHON)],
  ["the MCP Inspector lists and calls", async (world, api) => {
    await zoo(world);
    const { tools } = await inspect(world, api, "tools/list");
    assert.deepEqual(tools.map(({ name }) => name), await toolsOf(world, api));
    const listed = await inspect(world, api, "tools/call", "list_agents");
    assert.equal(answerOf(listed)[0].name, "zoo");
    const asked = await inspect(world, api, "tools/call", "dispatch", { agent: "zoo", task: QUESTION });
    assert.equal(answerOf(asked).result, "Four.");
    const refused = await inspect(world, api, "tools/call", "dispatch", { agent: "nobody", task: "Hide." });
    assert.match(answerOf(refused).error, /nobody.*zoo/s);
  }],
];

async function zoo(world) {
  const directory = await world.project("zoo");
  await world.configure({ zoo: { directory, description: "All about quokkas", allowed_tools: ["Bash"] } });
}

/** Everything a client does, with one of the SDKs. */
async function drive(world, api, program, args, more) {
  await zoo(world);
  const other = await world.project("park");
  const calls = [
    ["list_agents", {}],
    ["dispatch", { agent: "zoo", task: QUESTION, goal: "know" }],
    ["dispatch", { agent: "nobody", task: "Hide." }],
    ["dispatch", { agent: "zoo" }],
    ["add_agent", { name: "park", directory: other, description: "Trees" }],
    ["dispatch", { agent: "zoo", task: ENDLESS }, "works"],
    ["remove_agent", { name: "park" }],
  ].map(([name, input, cancel]) => ({ name, arguments: input, ...(cancel && { cancel }) }));
  const plan = { ...more, command: world.programs.agentDispatch, args: ["serve"], calls };
  const child = world.start(program, [...args, JSON.stringify(plan)], api);
  const closed = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    assert.ok(!done, `the client ended: ${stderr}`);
    return JSON.parse(value);
  };

  const { server, instructions } = await next();
  assert.equal(server?.name ?? SERVER, SERVER);
  assert.ok(instructions.includes("list_agents"));
  const { tools } = await next();
  assert.deepEqual(tools.map(({ name }) => name), await toolsOf(world, api));
  for (const { name, inputSchema, annotations } of tools) {
    assert.equal(inputSchema.type, "object", name);
    assert.equal(typeof annotations.readOnlyHint, "boolean", name);
  }

  assert.equal(answerOf((await next()).result)[0].name, "zoo");
  const asked = await next();
  assert.equal(answerOf(asked.result).result, "Four.");
  assert.ok(asked.progress.some((message) => message.includes("'zoo' works")), `${asked.progress}`);
  assert.ok(api.requests.some(({ texts }) => texts.at(-1).includes("## Goal\nknow")));
  assert.match(answerOf((await next()).result).error, /nobody.*zoo/s);
  const bad = (await next()).result;
  assert.equal(bad.isError, true);
  assert.match(bad.content[0].text, /'task' is missing/);
  assert.equal(answerOf((await next()).result).added, "park");

  const { error, result } = await next();
  assert.ok(error, `cancelled, but it came back: ${JSON.stringify(result)}`);
  // The server goes on, and the agent of the cancelled call is gone.
  assert.deepEqual(answerOf((await next()).result), { removed: "park" });
  await world.settled(({ program: of, text }) => of.includes("claude-code") || text.includes(TOOL));
  child.stdin.end();
  assert.deepEqual(await closed, { code: 0, signal: null }, stderr);
}

/** What `tools/list` answers to a client that does nothing else. */
async function toolsOf(world, api) {
  const request = (id, method, params) => `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`;
  const hello = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x", version: "0" } };
  const input = request(1, "initialize", hello) + request(2, "tools/list", {});
  const { stdout } = await world.run(world.programs.agentDispatch, ["serve"], api, { input });
  const answers = stdout.trim().split("\n").map((line) => JSON.parse(line));
  return answers.find(({ id }) => id === 2).result.tools.map(({ name }) => name);
}

/** One call of the Inspector's command line. */
async function inspect(world, api, method, tool, input = {}) {
  const environment = Object.entries(world.environment(api)).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
  const args = Object.entries(input).flatMap(([name, value]) => ["--tool-arg", `${name}=${value}`]);
  const { code, stdout, stderr } = await world.run(INSPECTOR, [
    "--cli", ...environment, world.programs.agentDispatch, "serve",
    "--method", method, ...(tool ? ["--tool-name", tool] : []), ...args,
  ], api);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}
