// What the policy reads of its config.

import { words } from "./votes.js";

const EXAMPLE = '{"options": ["ship", "wait"], "weights": {"infra": 3}, "default_weight": 1}';

/** The options, and what an agent's vote weighs. Throws what is wrong with the config. */
export function settings(config) {
  const { options, weights = {}, default_weight: otherwise = 1, ...unknown } = JSON.parse(config) ?? {};
  for (const key of Object.keys(unknown)) throw wrong(`\`${key}\` is not known`);
  const isText = (option) => typeof option === "string" && words(option) !== "";
  if (!Array.isArray(options) || !options.every(isText)) throw wrong("`options` has to be a list of words");
  const distinct = new Set(options.map(words));
  if (options.length < 2 || distinct.size < options.length) throw wrong("`options` has to have two or more, each another");
  if (weights === null || typeof weights !== "object" || Array.isArray(weights)) {
    throw wrong("`weights` has to have a number for each agent's name");
  }
  for (const [name, weight] of [...Object.entries(weights), ["default_weight", otherwise]]) {
    // Whole numbers, so that no sum is rounded.
    if (!Number.isSafeInteger(weight) || weight < 0) throw wrong(`the weight of ${name} has to be a whole number from 0`);
  }
  return { options, weightOf: (agent) => (Object.hasOwn(weights, agent) ? weights[agent] : otherwise) };
}

function wrong(problem) {
  return { tag: "invalid-config", val: `${problem}; a config looks like this: ${EXAMPLE}` };
}
