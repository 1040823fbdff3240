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
  // The longer ones first, because one may be a part of another.
  const longestFirst = [...options].sort((a, b) => b.length - a.length);
  for (const line of text.split("\n").reverse()) {
    let left = ` ${words(line)} `;
    const found = [];
    for (const option of longestFirst) {
      const without = left.replaceAll(` ${words(option)} `, " | ");
      if (without !== left) found.push(option);
      left = without;
    }
    if (found.length > 0) return found.length === 1 ? found[0] : undefined;
  }
  return undefined;
}

/** The words of a text, two blanks between them, so that no two that are looked for share one.
 * The engine that a component brings along knows no `\p{L}`: what separates words is listed. */
export function words(text) {
  return text.toLowerCase().split(/[\s!-,./:-@[-^`{-~“”‘’„…–—]+/).filter((word) => word !== "").join("  ");
}
