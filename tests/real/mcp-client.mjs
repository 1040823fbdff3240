// A small MCP client over stdio. Node gives a child sockets for its three streams, as it does
// when Claude Code starts a server.

import { createInterface } from "node:readline";

export class McpClient {
  #next = 1;
  #listening = new Map();
  #waiting = new Map();
  #stderr = "";

  constructor(child) {
    this.child = child;
    child.stderr.setEncoding("utf8").on("data", (text) => (this.#stderr += text));
    child.stdin.on("error", () => {}); // its end is reported below
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => resolve({ error }));
      child.once("close", (code, signal) => resolve({ code, signal }));
    });
    this.ended.then((how) => {
      const error = new Error(`the server ended (${JSON.stringify(how)}): ${this.#stderr}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    createInterface({ input: child.stdout }).on("line", (line) => this.#receive(JSON.parse(line)));
  }

  async initialize() {
    const result = await this.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "real-cli-tests", version: "0" },
    });
    this.#send({ method: "notifications/initialized" });
    return result;
  }

  request(method, params) {
    return this.#begin(method, params).answer;
  }

  callTool(name, args = {}) {
    return this.beginTool(name, args).answer;
  }

  /** Calls a tool; its answer is still to come, and `id` is what cancels the call. */
  beginTool(name, args) {
    return this.#begin("tools/call", { name, arguments: args });
  }

  /** The same, and hears meanwhile what is told of its progress. */
  watchTool(name, args, hear) {
    const id = this.#next;
    this.#listening.set(id, hear);
    return this.#begin("tools/call", { name, arguments: args, _meta: { progressToken: id } });
  }

  cancel(id) {
    this.#send({ method: "notifications/cancelled", params: { requestId: id, reason: "enough" } });
  }

  /** Ends the server as a client does, by closing its stdin. */
  close() {
    this.child.stdin.end();
    return this.ended;
  }

  #begin(method, params) {
    const id = this.#next++;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ id, method, params });
    });
    answer.catch(() => {}); // who does not wait for it any more does not mind its failure
    return { id, answer };
  }

  #send(message) {
    this.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  #receive({ id, method, params, result, error }) {
    if (method === "notifications/progress") this.#listening.get(params.progressToken)?.(params);
    const waiting = this.#waiting.get(id);
    if (!waiting) return; // a notification
    this.#waiting.delete(id);
    if (error) waiting.reject(new Error(`${error.code}: ${error.message}`));
    else waiting.resolve(result);
  }
}
