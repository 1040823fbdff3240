// The server and its client: ours, and the CLI itself.

import assert from "node:assert/strict";
import { McpClient } from "../mcp-client.mjs";
import { answerOf, assertPrompt, byPrompt, sessionOf, tryParse, use } from "../asking.mjs";
import { SERVER, asking, runAsClient, toolOf } from "../cli-client.mjs";

export const cases = [
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
    const inner = { agent: "zoo", task: "Count. [[say:There are four.]]" };
    const prompt = asking([
      use(toolOf("list_agents"), {}),
      use(toolOf("dispatch"), inner),
      "[[say:Asked the zoo.]]",
    ]);
    const { code, stdout, stderr } = await runAsClient(world, api, prompt);

    assert.equal(code, 0, stderr);
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const init = events.find((event) => event.subtype === "init");
    assert.deepEqual(init.mcp_servers.map(({ name, status }) => ({ name, status })), [
      { name: SERVER, status: "connected" },
    ]);
    assert.ok(init.tools.includes(toolOf("dispatch")), "the server's tools are known to the CLI");

    const [asked, last] = [api.requests.find(byPrompt(inner.task)), api.requests.at(-1)];
    const [, agents, reply] = last.toolResults.map((text) => tryParse(text));
    assert.equal((agents.result ?? agents)[0].name, "zoo");
    assert.equal(reply.success, true);
    assert.equal(reply.result, "There are four.");
    assert.equal(reply.session_id, sessionOf(asked));
    assert.notEqual(reply.session_id, sessionOf(last));
    assert.match(events.at(-1).result, /^Asked the zoo\..*There are four\./s);
  }],
];
