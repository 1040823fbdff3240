// The CLI as the client of our server, as Claude Code is when a person works in it.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { use } from "./asking.mjs";

export const SERVER = "agent-dispatch";

/** The name under which the CLI offers a tool of our server to the model. */
export const toolOf = (name) => `mcp__${SERVER}__${name}`;

/** A prompt that has the CLI do these things with our tools. */
export function asking(directives) {
  // The CLI does not show the tools of a server to the model before it searches for them.
  const search = use("ToolSearch", { query: `select:${toolOf("list_agents")},${toolOf("dispatch")}` });
  return [search, ...directives].join(" ");
}

/** Starts the CLI with our server; its prompt goes to its stdin. */
export async function startAsClient(world, api) {
  return world.start(world.programs.claude, await options(world), api, { cwd: await world.project("keeper") });
}

/** Runs the CLI with our server to its end. */
export async function runAsClient(world, api, prompt) {
  return world.run(world.programs.claude, await options(world), api, {
    cwd: await world.project("keeper"), input: prompt,
  });
}

async function options(world) {
  const servers = join(world.folder, "servers.json");
  const server = { command: world.programs.agentDispatch, args: ["serve"] };
  await writeFile(servers, JSON.stringify({ mcpServers: { [SERVER]: server } }));
  return [
    "-p", "--output-format=stream-json", "--verbose",
    `--mcp-config=${servers}`, "--strict-mcp-config", `--allowedTools=${toolOf("*")}`,
  ];
}
