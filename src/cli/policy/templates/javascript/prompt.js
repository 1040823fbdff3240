// A prompt policy: how a request reads, and what its reply means.
//
// The functions and what they take are those of wit/prompt.wit and wit/types.wit: their
// names there with capitals in place of the dashes, `undefined` for what is absent, and
// `{tag, val}` for one of several cases.

/** What the agent is told at the end where the config says nothing else. */
const CLOSING = "Answer in one paragraph. Where you cannot go on, end with a line that begins with BLOCKED: and says why.";

export const prompt = {
  /** Is this config usable? `closing` is all that it may have. */
  check(config) {
    const settings = JSON.parse(config);
    for (const [key, value] of Object.entries(settings)) {
      if (key !== "closing") refuse(`${key} is not known; there is only closing`);
      if (typeof value !== "string") refuse("closing has to be a text");
    }
  },

  /** The request in the house's words. */
  render(config, request) {
    const parts = [`# Task\n${request.task}`];
    if (request.context) parts.push(`# Context\n${request.context}`);
    if (request.goal) parts.push(`# What it is for\n${request.goal}`);
    parts.push(JSON.parse(config).closing ?? CLOSING);
    return { user: parts.join("\n\n"), system: undefined };
  },

  /** Says `blocked` where the last line of the reply does; the text stays as it is. */
  interpret(_config, _request, reply) {
    const last = reply.text.trim().split("\n").at(-1);
    const why = last.startsWith("BLOCKED:") ? last.slice("BLOCKED:".length).trim() : undefined;
    return {
      edit: { tag: "keep" },
      outcome: why === undefined ? undefined : "blocked",
      hint: why,
      parsed: undefined,
    };
  },
};

/** Ends the call with an error that is for the person who wrote the config. */
function refuse(problem) {
  throw { tag: "invalid-config", val: problem };
}
