// What the real CLI and agent-dispatch must do together.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { McpClient } from "./mcp-client.mjs";
import { failureText } from "./messages-api.mjs";

const RUN_MARK = "AGENT_DISPATCH_RUN=";
const SERVER = "agent-dispatch";

export const cases = [
  ["dispatch: the reply is the agent's, the prompt the plain task", async (world, api) => {
    await world.configure({ zoo: { directory: await world.project("zoo") } });
    const task = "Count the quokkas. [[say:There are four.]] [[usage:100000,2000]]";
    const { code, reply } = await dispatch(world, api, ["zoo", task]);

    assert.equal(code, 0);
    assert.equal(reply.agent, "zoo");
    assert.equal(reply.success, true);
    assert.equal(reply.result, "There are four.");
    assert.equal(reply.error, undefined);
    assert.equal(reply.num_turns, 1);
    assert.equal(reply.cost_usd, 0.44); // what this version of the CLI charges for these tokens
    assert.ok(reply.duration_ms > 0);
    assert.equal(api.requests.length, 1);
    assert.equal(sessionOf(api.requests[0]), reply.session_id);
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

  ["dispatch: an error of the API is the reply's error", async (world, api) => {
    await world.configure({ zoo: { directory: await world.project("zoo") } });
    const { code, reply } = await dispatch(world, api, ["zoo", "Count. [[fail:400]]"]);

    assert.equal(code, 1);
    assert.equal(reply.success, false);
    assert.equal(reply.error_type, "cli_error");
    assert.ok(reply.error.includes(failureText(400)), reply.error);
    assert.equal(sessionOf(api.requests[0]), reply.session_id);
  }],

  ["dispatch: a timeout ends the agent", async (world, api) => {
    // Long enough for the CLI to reach the API on a busy machine.
    await world.configure({ zoo: { directory: await world.project("zoo"), timeout: 4 } });
    const ending = dispatch(world, api, ["zoo", "Count. [[sleep:60000]]"]);
    await Promise.race([api.request(() => true), ending]);
    const during = await world.processes(RUN_MARK);
    const { code, reply } = await ending;

    assert.ok(during.length > 0, "the agent carries the mark of its run while it works");
    assert.equal(code, 1);
    assert.equal(reply.success, false);
    assert.equal(reply.error_type, "timeout");
    assert.equal(sessionOf(api.requests[0]), reply.session_id);
    await world.settled(RUN_MARK);
  }],

  ["serve: list_agents and dispatch over MCP", async (world, api) => {
    const directory = await world.project("zoo");
    await world.configure({ zoo: { directory, description: "All about quokkas" } });
    const client = new McpClient(world.start(world.programs.agentDispatch, ["serve"], api));

    const { serverInfo, instructions } = await client.initialize();
    assert.equal(serverInfo.name, SERVER);
    assert.ok(instructions.includes("dispatch"));
    const { tools } = await client.request("tools/list", {});
    const names = tools.map((tool) => tool.name);
    assert.ok(names.includes("list_agents") && names.includes("dispatch"), `tools: ${names}`);

    const [agent, ...others] = answerOf(await client.callTool("list_agents"));
    assert.equal(others.length, 0);
    assert.equal(agent.name, "zoo");
    assert.equal(agent.directory, directory);
    assert.equal(agent.description, "All about quokkas");

    const reply = answerOf(await client.callTool("dispatch", {
      agent: "zoo", task: "Count. [[say:Four.]]", context: "It is <dusk> & dim.",
    }));
    assert.equal(reply.success, true);
    assert.equal(reply.result, "Four.");
    assert.equal(sessionOf(api.requests[0]), reply.session_id);
    assertPrompt(api.requests[0], "Context:\nIt is <dusk> & dim.\n\nTask:\nCount. [[say:Four.]]");

    const { error } = answerOf(await client.callTool("dispatch", { agent: "nobody", task: "Hide." }));
    assert.match(error, /nobody.*zoo/s);
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  }],

  ["the CLI as MCP client calls list_agents and dispatch", async (world, api) => {
    const zoo = await world.project("zoo", "The keeper's project.");
    await world.configure({ zoo: { directory: zoo, description: "All about quokkas" } });
    const servers = join(world.folder, "servers.json");
    const server = { command: world.programs.agentDispatch, args: ["serve"] };
    await writeFile(servers, JSON.stringify({ mcpServers: { [SERVER]: server } }));

    // The CLI does not show the tools of a server to the model before it searches for them.
    const tool = (name) => `mcp__${SERVER}__${name}`;
    const inner = { agent: "zoo", task: "Count. [[say:There are four.]]" };
    const prompt = [
      use("ToolSearch", { query: `select:${tool("list_agents")},${tool("dispatch")}` }),
      use(tool("list_agents"), {}),
      use(tool("dispatch"), inner),
      "[[say:Asked the zoo.]]",
    ].join(" ");
    const { code, stdout, stderr } = await world.run(
      world.programs.claude,
      [
        "-p", "--output-format=stream-json", "--verbose",
        `--mcp-config=${servers}`, "--strict-mcp-config", `--allowedTools=${tool("*")}`,
      ],
      api,
      { cwd: await world.project("keeper"), input: prompt },
    );
    assert.equal(code, 0, stderr);
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const init = events.find((event) => event.subtype === "init");
    assert.deepEqual(init.mcp_servers.map(({ name, status }) => ({ name, status })), [
      { name: SERVER, status: "connected" },
    ]);
    assert.ok(init.tools.includes(tool("dispatch")), "the server's tools are known to the CLI");

    const [asking, last] = [api.requests.find(byPrompt(inner.task)), api.requests.at(-1)];
    const [, agents, reply] = last.toolResults.map((text) => tryParse(text));
    assert.equal((agents.result ?? agents)[0].name, "zoo");
    assert.equal(reply.success, true);
    assert.equal(reply.result, "There are four.");
    assert.equal(reply.session_id, sessionOf(asking));
    assert.notEqual(reply.session_id, sessionOf(last));
    assert.match(events.at(-1).result, /^Asked the zoo\..*There are four\./s);
  }],
];

const PARTS = ["--goal", "A census", "--caller", "keeper", "--context", "It is <dusk> & dim."];

/** Runs `agent-dispatch dispatch … --json`. */
async function dispatch(world, api, args) {
  const { code, signal, stdout, stderr } = await world.run(
    world.programs.agentDispatch, ["dispatch", ...args, "--json"], api,
  );
  const reply = tryParse(stdout);
  if (typeof reply !== "object") throw new Error(`no reply (exit ${code ?? signal}): ${stdout}${stderr}`);
  return { code, reply };
}

/** The JSON that a tool answered; as structured content it must say the same. */
function answerOf({ content, structuredContent }) {
  assert.equal(content.length, 1);
  const answer = JSON.parse(content[0].text);
  assert.deepEqual(structuredContent, Array.isArray(answer) ? { result: answer } : answer);
  return answer;
}

function assertPrompt(request, expected) {
  assert.equal(request.texts.at(-1), expected);
}

const byPrompt = (prompt) => (request) => request.texts.at(-1) === prompt;

/** The session the CLI told the API. */
const sessionOf = (request) => JSON.parse(request.body.metadata.user_id).session_id;

const use = (name, input) => `[[tool:${name}:${JSON.stringify(input)}]]`;

function tryParse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
