// How the cases ask an agent, and how they look at what came back.

import assert from "node:assert/strict";

/** Runs `agent-dispatch dispatch … --json`. */
export async function dispatch(world, api, args) {
  const { code, signal, stdout, stderr } = await world.run(
    world.programs.agentDispatch, ["dispatch", ...args, "--json"], api,
  );
  const reply = tryParse(stdout);
  if (typeof reply !== "object") throw new Error(`no reply (exit ${code ?? signal}): ${stdout}${stderr}`);
  return { code, reply };
}

/** A directive of the scripted API: use this tool. */
export const use = (name, input) => `[[tool:${name}:${JSON.stringify(input)}]]`;

/** The JSON that a tool answered; as structured content it must say the same. */
export function answerOf({ content, structuredContent }) {
  assert.equal(content.length, 1);
  const answer = JSON.parse(content[0].text);
  assert.deepEqual(structuredContent, Array.isArray(answer) ? { result: answer } : answer);
  return answer;
}

/**
 * The reply has these fields and no others, besides its duration and the session that the CLI
 * told the API. A regular expression stands for any text that it matches.
 */
export function assertReply(api, reply, expected) {
  const { duration_ms, session_id, ...fields } = reply;
  for (const [name, wanted] of Object.entries(expected)) {
    if (!(wanted instanceof RegExp)) continue;
    assert.match(fields[name] ?? "", wanted);
    fields[name] = wanted;
  }
  assert.deepEqual(fields, expected);
  assert.ok(duration_ms > 0, `duration_ms is ${duration_ms}`);
  assert.equal(session_id, sessionOf(api.requests.at(-1)));
}

export function assertPrompt(request, expected) {
  assert.equal(request.texts.at(-1), expected);
}

export const byPrompt = (prompt) => (request) => request.texts.at(-1) === prompt;

/** The session the CLI told the API. */
export const sessionOf = (request) => JSON.parse(request.body.metadata.user_id).session_id;

export function tryParse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
