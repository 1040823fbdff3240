// The aggregate policy `weighted-vote`: the agents vote on options, and some count for more.
//
// The functions and what they take are those of wit/0.1.0/aggregate.wit: their names there with
// capitals in place of the dashes, `undefined` for what is absent, and `{tag, val}` for one of
// several cases.

import { settings } from "./settings.js";
import { count, voteIn } from "./votes.js";

/** What is written on the question to the aggregator, to know it again. */
const DECIDES = "decides";

export const aggregate = {
  check(config) {
    settings(config);
  },

  step(config, situation) {
    const { options, weightOf } = settings(config);
    const asked = situation.items.find((item) => item.tag === DECIDES);
    const votes = count(situation.items.filter((item) => item !== asked), options, weightOf);
    if (votes.all === 0) return giveUp("no agent of this call has a weight above 0");
    if (asked) return decided(asked, votes, options);

    const [first, second] = [...votes.sides].sort((a, b) => b.weight - a.weight);
    // Nothing that is still to come can change it.
    if (first.weight > second.weight + votes.running) return answer(first.option, votes);
    if (votes.running > 0) return { tag: "wait" };
    if (votes.answered === 0) return giveUp("no agent with a weight has answered");
    return ask(situation.aggregator, votes, options);
  },
};

/** Undecided: the aggregator reads what all sides say, and decides. */
function ask(aggregator, votes, options) {
  if (aggregator === undefined) {
    return giveUp(`undecided (${tally(votes).join("; ")}), and \`aggregate\` names no agent that could decide`);
  }
  const context = [];
  const groups = [...votes.sides.map((side) => [`For ${side.option}`, side.items]), ["For none of them", votes.others]];
  for (const [heading, items] of groups) {
    for (const { id, agent, state } of items) {
      const gap = context.length > 0 ? "\n\n" : "";
      context.push({ tag: "text", val: `${gap}${heading}, ${agent} says:\n\n` });
      // Named and not copied, so that all of it is read, also where it was cut here.
      context.push({ tag: "reply", val: { reply: id, start: 0n, end: state.val.size } });
    }
  }
  const task =
    `Several agents were asked to choose between ${options.join(", ")}, and the vote is undecided: ` +
    `${tally(votes).join("; ")}. Weigh what they say, and decide. ` +
    "Give your reason in a few sentences, and end with a line that names the option you choose and no other.";
  return { tag: "ask", val: [{ agent: aggregator, task, context, answerFormat: "text", tag: DECIDES }] };
}

/** What the aggregator has decided. It is asked once and not again. */
function decided({ id, agent, state }, votes, options) {
  if (state.tag === "running") return { tag: "wait" };
  const undecided = `undecided (${tally(votes).join("; ")})`;
  if (state.tag !== "settled" || !state.val.success) return giveUp(`${undecided}, and ${agent} has not answered`);
  const option = voteIn(state.val.text, options);
  if (option === undefined) return giveUp(`${undecided}, and ${agent} has chosen none of ${options.join(", ")}`);
  return answer(option, votes, [
    { tag: "text", val: `\n\nDecided by ${agent}:\n\n` },
    { tag: "reply", val: { reply: id, start: 0n, end: state.val.size } },
  ]);
}

function answer(option, votes, more = []) {
  const text = `${option}\n\n${tally(votes).join("\n")}`;
  return { tag: "answer", val: { tag: "text", val: [{ tag: "text", val: text }, ...more] } };
}

/** How the votes stand, a line for each option. */
function tally({ sides }) {
  return sides.map(({ option, weight, items }) => {
    const agents = items.map((item) => item.agent).join(", ");
    return `${option}: ${weight}${agents && ` (${agents})`}`;
  });
}

function giveUp(reason) {
  return { tag: "give-up", val: reason };
}
