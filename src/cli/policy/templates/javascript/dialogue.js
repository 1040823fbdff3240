// A dialogue policy: who speaks next, and when a dialogue is over.
//
// The functions and what they take are those of wit/dialogue.wit and wit/types.wit: their
// names there with capitals in place of the dashes, `undefined` for what is absent, and
// `{tag, val}` for one of several cases.

/** The last line of a message that ends the dialogue, where the config names no other. */
const WORD = "AGREED";

export const dialogue = {
  /** Is this config usable? `word` is all that it may have. */
  check(config) {
    for (const [key, value] of Object.entries(JSON.parse(config))) {
      if (key !== "word") refuse(`${key} is not known; there is only word`);
      if (typeof value !== "string" || value.trim() === "") refuse("word has to be a text");
    }
  },

  /** Each is told what the other one said, until one agrees. */
  step(config, situation) {
    const word = JSON.parse(config).word ?? WORD;
    const ending = `\n\nOnce you agree and nothing is open, end with a line that is just ${word}.`;
    const { topic, turns } = situation;
    const last = turns.at(-1);
    if (last === undefined) return speak("responder", [words(`Let us settle this: ${topic}${ending}`)]);
    const said = last.reply.text.trimEnd();
    // Bytes and not characters, counted from the end: the beginning may have been cut.
    if (said.split("\n").at(-1) === word) {
      const removed = size(last.reply.text) - size(said) + size(word);
      return { tag: "resolved", val: [quote(turns.length - 1, last.reply.size - BigInt(removed))] };
    }
    const to = last.side === "responder" ? "requester" : "responder";
    const opening = turns.length === 1 ? `Let us settle this: ${topic}\n\n` : "";
    return speak(to, [words(`${opening}The other side says:\n\n`), quote(turns.length - 1, last.reply.size), words(ending)]);
  },
};

const size = (text) => new TextEncoder().encode(text).length;

const speak = (to, message) => ({ tag: "speak", val: { to, message, tag: "" } });

const words = (text) => ({ tag: "text", val: text });

/** What a turn's reply says up to this byte, whole even where this policy saw only parts. */
const quote = (reply, end) => ({ tag: "reply", val: { reply, start: 0n, end } });

/** Ends the call with an error that is for the person who wrote the config. */
function refuse(problem) {
  throw { tag: "invalid-config", val: problem };
}
