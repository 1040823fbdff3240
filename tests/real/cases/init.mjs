// `init` and the CLI's own list of MCP servers.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { SERVER } from "../cli-client.mjs";

export const cases = [
  ["init registers the server with the CLI, once, and replaces another only when forced", async (world, api) => {
    await world.configure({});
    const ours = world.programs.agentDispatch;
    const first = await init(world, api);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^Registered with Claude Code/m);
    const passedOn = { AGENT_DISPATCH_CONFIG: world.config };
    assert.deepEqual(await registered(world), { type: "stdio", command: ours, args: ["serve"], env: passedOn });
    assert.match(await get(world, api), new RegExp(`User config.*${ours}.*${world.config}`, "s"));

    const again = await init(world, api);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /registered already/);

    const other = { type: "stdio", command: "/opt/python/bin/agent-dispatch", args: ["serve"] };
    await claude(world, api, ["remove", SERVER, "--scope", "user"]);
    await claude(world, api, ["add-json", SERVER, JSON.stringify(other), "--scope", "user"]);
    const refused = await init(world, api);
    assert.equal(refused.code, 1);
    for (const part of [other.command, ours, "init --force"]) assert.ok(refused.stderr.includes(part), refused.stderr);
    assert.deepEqual(await registered(world), other);

    const forced = await init(world, api, ["--force"]);
    assert.equal(forced.code, 0, forced.stderr);
    assert.equal((await registered(world)).command, ours);
    const doctor = await withClaude(world, api, ["doctor", "--json"]);
    const checks = JSON.parse(doctor.stdout).checks;
    const ill = checks.filter(({ status, section }) => status === "fail" || (section === "Claude Code" && status !== "ok"));
    assert.deepEqual(ill, []);
    assert.ok(checks.some(({ message }) => /\(Claude Code\)$/.test(message)), doctor.stdout);
  }],
];

const init = (world, api, args = []) => withClaude(world, api, ["init", ...args]);

/** Runs agent-dispatch where `claude` is on PATH. */
function withClaude(world, api, args) {
  const path = `${dirname(world.programs.claude)}:${process.env.PATH}`;
  return world.run("/usr/bin/env", [`PATH=${path}`, world.programs.agentDispatch, ...args], api);
}

async function claude(world, api, args) {
  const { code, stdout, stderr } = await world.run(world.programs.claude, ["mcp", ...args], api);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** What the CLI says of it; it starts the server for that. */
const get = (world, api) => claude(world, api, ["get", SERVER]);

async function registered(world) {
  const all = JSON.parse(await readFile(join(world.home, ".claude.json"), "utf8"));
  return all.mcpServers?.[SERVER];
}
