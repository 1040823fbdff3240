// Drives a server with the official TypeScript SDK. Its argument is a plan in JSON: the
// server's command line, and calls, each of which may be cancelled at its first progress
// notification that holds a word. What came of it goes to standard output, a line of JSON each:
// who the server is, its tools, then each call. It ends the session when its input ends.

import { createInterface } from "node:readline";

const { version, command, args, calls } = JSON.parse(process.argv[2]);
const { Client, Transport } = await sdk(version);
const tell = (line) => console.log(JSON.stringify(line));

const client = new Client({ name: "real-cli-tests", version: "0" });
// Its own default passes on little more than PATH and HOME.
await client.connect(new Transport({ command, args, env: process.env, stderr: "ignore" }));
tell({ server: client.getServerVersion(), instructions: client.getInstructions() });
tell({ tools: (await client.listTools()).tools });
for (const { name, arguments: input, cancel } of calls) {
  const progress = [];
  const aborted = new AbortController();
  const onprogress = ({ message }) => {
    progress.push(message);
    if (cancel && message.includes(cancel)) aborted.abort("no longer wanted");
  };
  const options = { onprogress, signal: aborted.signal, timeout: 50_000 };
  const call = version === 1
    ? client.callTool({ name, arguments: input }, undefined, options)
    : client.callTool({ name, arguments: input }, options);
  tell(await call.then((result) => ({ result, progress }), (error) => ({ error: String(error), progress })));
}
for await (const _ of createInterface({ input: process.stdin }));
await client.close();

async function sdk(version) {
  if (version === 1) {
    const [{ Client }, { StdioClientTransport }] = await Promise.all([
      import("@modelcontextprotocol/sdk/client/index.js"),
      import("@modelcontextprotocol/sdk/client/stdio.js"),
    ]);
    return { Client, Transport: StdioClientTransport };
  }
  const [{ Client }, { StdioClientTransport }] = await Promise.all([
    import("@modelcontextprotocol/client"),
    import("@modelcontextprotocol/client/stdio"),
  ]);
  return { Client, Transport: StdioClientTransport };
}
