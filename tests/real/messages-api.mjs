// A scripted Messages API on loopback. No model answers here: the prompt itself says, in
// directives, what the answer is, so that every test reads in one place.
//
//   [[say:TEXT]]         answer with TEXT
//   [[tool:NAME:JSON]]   use this tool first; several are used one after the other, and the
//                        answer then quotes what each of them returned
//   [[meanwhile:TEXT]]   say TEXT together with every use of a tool
//   [[sleep:MS]]         wait before answering
//   [[fail:STATUS]]      answer with this HTTP status and an error that names it
//   [[usage:IN,OUT]]     the token counts to report
//
// Directives nest: a tool's JSON may hold the directives of the agent it dispatches to.

import { createServer } from "node:http";

/** How the API calls the errors that are more than a bad request. */
const ERROR_TYPES = {
  401: "authentication_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};

export const failureText = (status) => `the scripted API refuses with ${status}`;

export class MessagesApi {
  /** Every request for a message, oldest first. */
  requests = [];
  #watchers = new Set();
  #sleepers = new Set();
  #server = createServer((request, response) => {
    this.#answer(request, response).catch((error) => response.destroy(error));
  });

  static async start() {
    const api = new MessagesApi();
    await new Promise((resolve, reject) => {
      api.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return api;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** The first request, past or future, for which `matches` is true. */
  request(matches) {
    const seen = this.requests.find(matches);
    if (seen) return Promise.resolve(seen);
    return new Promise((resolve) => this.#watchers.add({ matches, resolve }));
  }

  async close() {
    this.#sleepers.forEach((wake) => wake());
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request, response) {
    const path = request.url.split("?")[0];
    const text = await readAll(request);
    if (request.method === "POST" && path === "/v1/messages/count_tokens") {
      return sendJson(response, 200, { input_tokens: 1 });
    }
    if (request.method !== "POST" || path !== "/v1/messages") {
      return sendJson(response, 404, errorBody("not_found_error", `nothing at ${path}`));
    }
    const seen = describe(JSON.parse(text));
    this.#record(seen);
    const script = parseScript(seen.texts.join("\n"));
    if (script.sleep) await this.#sleep(script.sleep, response);
    if (response.destroyed) return;
    if (script.fail) {
      return sendJson(response, script.fail, errorBody(ERROR_TYPES[script.fail] ?? "invalid_request_error", failureText(script.fail)));
    }
    const message = compose(seen, script);
    if (seen.body.stream) sendEvents(response, message);
    else sendJson(response, 200, message);
  }

  #record(seen) {
    this.requests.push(seen);
    for (const watcher of this.#watchers) {
      if (!watcher.matches(seen)) continue;
      this.#watchers.delete(watcher);
      watcher.resolve(seen);
    }
  }

  // Ends early when the client hangs up or the server closes, so that nothing waits for it.
  #sleep(milliseconds, response) {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#sleepers.add(wake);
      response.once("close", wake);
    });
  }
}

/** What a test wants to know about one request. */
function describe(body) {
  const blocks = body.messages
    .filter((message) => message.role === "user")
    .flatMap((message) => blocksOf(message.content));
  return {
    body,
    system: textOf(body.system),
    tools: (body.tools ?? []).map((tool) => tool.name),
    texts: blocks.filter((block) => block.type === "text").map((block) => block.text),
    toolResults: blocks.filter((block) => block.type === "tool_result").map((block) => textOf(block.content)),
  };
}

function parseScript(text) {
  const script = { tools: [] };
  for (const [name, value] of directives(text)) {
    if (name === "say") script.say = value;
    if (name === "meanwhile") script.meanwhile = value;
    if (name === "sleep") script.sleep = Number(value);
    if (name === "fail") script.fail = Number(value);
    if (name === "usage") script.usage = value.split(",").map(Number);
    if (name === "tool") {
      const colon = value.indexOf(":");
      script.tools.push({ name: value.slice(0, colon), input: JSON.parse(value.slice(colon + 1)) });
    }
  }
  return script;
}

/** The outermost `[[name:value]]` pairs of a text; a value may hold further pairs. */
function* directives(text) {
  const opening = /\[\[(say|meanwhile|tool|sleep|fail|usage):/g;
  for (let match; (match = opening.exec(text)); ) {
    const end = closing(text, opening.lastIndex);
    if (end === -1) continue;
    yield [match[1], text.slice(opening.lastIndex, end)];
    opening.lastIndex = end + 2;
  }
}

function closing(text, from) {
  let depth = 1;
  for (let at = from; at < text.length; at += 1) {
    const pair = text.slice(at, at + 2);
    if (pair !== "[[" && pair !== "]]") continue;
    depth += pair === "[[" ? 1 : -1;
    if (depth === 0) return at;
    at += 1;
  }
  return -1;
}

function compose(seen, script) {
  const next = script.tools[seen.toolResults.length];
  const content = next
    ? { type: "tool_use", id: `toolu_${seen.toolResults.length}`, name: next.name, input: next.input }
    : { type: "text", text: [script.say ?? "(no script)", ...seen.toolResults].join("\n") };
  const aside = next && script.meanwhile ? [{ type: "text", text: script.meanwhile }] : [];
  const [input_tokens, output_tokens] = script.usage ?? [10, 5];
  return {
    id: "msg_scripted",
    type: "message",
    role: "assistant",
    model: seen.body.model,
    content: [...aside, content],
    stop_reason: next ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage: { input_tokens, output_tokens },
  };
}

function sendEvents(response, message) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (type, fields) => response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
  const { stop_reason, stop_sequence, usage } = message;
  send("message_start", {
    message: { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 0 } },
  });
  message.content.forEach((block, index) => {
    const [empty, delta] = block.type === "text"
      ? [{ ...block, text: "" }, { type: "text_delta", text: block.text }]
      : [{ ...block, input: {} }, { type: "input_json_delta", partial_json: JSON.stringify(block.input) }];
    send("content_block_start", { index, content_block: empty });
    send("content_block_delta", { index, delta });
    send("content_block_stop", { index });
  });
  send("message_delta", { delta: { stop_reason, stop_sequence }, usage });
  send("message_stop", {});
  response.end();
}

function sendJson(response, status, body) {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

const errorBody = (type, message) => ({ type: "error", error: { type, message } });

const blocksOf = (content) => (typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []));

const textOf = (content) => blocksOf(content).map((block) => block.text ?? "").join("\n");

async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
