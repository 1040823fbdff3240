// An aggregate policy: how many answers become one.
//
// The functions and what they take are those of wit/aggregate.wit and wit/types.wit: their
// names there with capitals in place of the dashes, `undefined` for what is absent, and
// `{tag, val}` for one of several cases.

export const aggregate = {
  /** Is this config usable? This policy has none. */
  check(config) {
    for (const key of Object.keys(JSON.parse(config))) {
      throw { tag: "invalid-config", val: `${key} is not known; this policy has no config` };
    }
  },

  /** Waits for all, and takes the longest answer; of equals the one that was asked first. */
  step(_config, situation) {
    if (situation.items.some((item) => item.state.tag === "running")) return { tag: "wait" };
    let longest;
    for (const item of situation.items) {
      if (item.state.tag !== "settled" || !item.state.val.success) continue;
      if (longest === undefined || item.state.val.size > longest.state.val.size) longest = item;
    }
    if (longest === undefined) return { tag: "give-up", val: "no agent has answered" };
    return { tag: "answer", val: { tag: "item", val: longest.id } };
  },
};
