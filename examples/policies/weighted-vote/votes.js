// Who votes for what.

/** How the vote stands: for each option its weight and the items that chose it. */
export function count(items, options, weightOf) {
  const sides = options.map((option) => ({ option, weight: 0, items: [] }));
  const votes = { sides, others: [], all: 0, running: 0, answered: 0 };
  for (const item of items) {
    const weight = weightOf(item.agent);
    votes.all += weight;
    if (item.state.tag === "running") votes.running += weight;
    if (weight === 0 || item.state.tag !== "settled" || !item.state.val.success) continue;
    votes.answered += weight;
    const option = voteIn(item.state.val.text, options);
    const side = sides.find((side) => side.option === option);
    if (side) side.weight += weight;
    (side ? side.items : votes.others).push(item);
  }
  return votes;
}

/** The option that a text chooses: the only one in the last line that names any. */
export function voteIn(text, options) {
  // The longer ones first, because one may be the beginning of another.
  const longestFirst = [...options].sort((a, b) => b.length - a.length).map(escaped);
  const named = new RegExp(`(?<![\\p{L}\\p{N}_-])(?:${longestFirst.join("|")})(?![\\p{L}\\p{N}_-])`, "giu");
  for (const line of text.split("\n").reverse()) {
    const found = new Set((line.match(named) ?? []).map((word) => word.toLowerCase()));
    if (found.size === 1) return options.find((option) => found.has(option.toLowerCase()));
    if (found.size > 1) return undefined;
  }
  return undefined;
}

function escaped(option) {
  return option.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
