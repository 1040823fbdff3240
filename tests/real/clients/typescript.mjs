// Drives a server with the official TypeScript SDK. Its argument is a plan in JSON: the
// server's command line, whether to ask for the newest protocol ("auto") or to begin with
// `initialize` ("legacy"), and calls, each of which may be one that is cancelled when a line
// comes in. What came of it goes to standard output, a line of JSON each: who the server is,
// its tools, then each call. It ends the session when its input ends.

import { createInterface } from "node:readline";

const { version, mode, command, args, calls } = JSON.parse(process.argv[2]);
const { Client, Transport } = await sdk(version);
const tell = (line) => console.log(JSON.stringify(line));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const client = new Client({ name: "real-cli-tests", version: "0" }, { versionNegotiation: { mode } });
// Its own default passes on little more than PATH and HOME.
const transport = new Transport({ command, args, env: process.env, stderr: "ignore" });
let protocol; // in the 1.x line nobody but the transport is told
transport.setProtocolVersion = (agreed) => (protocol = agreed);
await client.connect(transport);
tell({
  server: client.getServerVersion(),
  protocol: client.getNegotiatedProtocolVersion?.() ?? protocol,
  instructions: client.getInstructions(),
});
tell({ tools: (await client.listTools()).tools });
for (const { name, arguments: input, cancel } of calls) {
  const progress = [];
  const aborted = new AbortController();
  if (cancel) lines.next().then(() => aborted.abort("no longer wanted"));
  const options = {
    onprogress: ({ message }) => progress.push(message), signal: aborted.signal, timeout: 50_000,
  };
  const call = version === 1
    ? client.callTool({ name, arguments: input }, undefined, options)
    : client.callTool({ name, arguments: input }, options);
  tell(await call.then((result) => ({ result, progress }), (error) => ({ error: String(error), progress })));
}
await lines.next();
await client.close();

async function sdk(version) {
  const [{ Client }, { StdioClientTransport }] = await Promise.all(version === 1
    ? [import("@modelcontextprotocol/sdk/client/index.js"), import("@modelcontextprotocol/sdk/client/stdio.js")]
    : [import("@modelcontextprotocol/client"), import("@modelcontextprotocol/client/stdio")]);
  return { Client, Transport: StdioClientTransport };
}
