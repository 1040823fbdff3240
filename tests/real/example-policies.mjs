// Lets each policy of examples/policies do its work, in a throw-away world with an agent that
// says what it is told to say: node example-policies.mjs BINARY POLICIES RUST-COMPONENTS

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [binary, policies, built] = process.argv.slice(2);
const world = realpathSync(mkdtempSync(join(tmpdir(), "agent-dispatch-examples-")));

/** An agent CLI: keeps what it is told in `heard`, and says the next line of `says`. */
const AGENT = `
import { readFileSync, writeFileSync } from "node:fs";
const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const prompt = readFileSync(0, "utf8");
const given = (flag) => process.argv.includes(flag) ? process.argv[process.argv.indexOf(flag) + 1] : undefined;
const heard = read("heard");
writeFileSync("heard", JSON.stringify([...heard, prompt]));
const result = read("says")[heard.length] ?? "I have nothing more to say.";
console.log(JSON.stringify({ type: "result", subtype: "success", is_error: false, result,
  session_id: given("--resume") ?? given("--session-id"), num_turns: 1, total_cost_usd: 0.01, duration_ms: 1 }));
`;

const COMPONENTS = {
  "monorepo-prompt": join(built, "monorepo_prompt.wasm"),
  "agreement-dialogue": join(built, "agreement_dialogue.wasm"),
  "weighted-vote": join(policies, "weighted-vote/weighted-vote.wasm"),
  "openapi-describe": join(policies, "openapi-describe/openapi-describe.wasm"),
};

try {
  mkdirSync(join(world, "home"));
  writeFileSync(join(world, "agent.mjs"), AGENT);
  for (const test of [cases, prompts, replies, descriptions, votes, dialogues]) {
    test();
    console.log(`example-policies: ${test.name}: ok`);
  }
} finally {
  rmSync(world, { recursive: true });
}

/** What each is given, and what it makes of it. */
function cases() {
  for (const [name, component] of Object.entries(COMPONENTS)) {
    run(["policy", "test", component, "--cases", join(policies, name, "cases.yaml")]);
  }
}

function prompts() {
  configure({ shop: {} }, "monorepo-prompt", { shop: { policies: { prompt: "monorepo-prompt" } } });
  const prompt = (...args) => JSON.parse(run(["dispatch", "shop", ...args, "--dry-run", "--json"])).prompt;
  const house = "# House rules\n- Run the tests of what you changed, and say which.";
  const billing = "# Package Billing (services/billing)\n- Money is in cents; never use floats.";
  const ui = "# Package libs/ui\n- No colours that are not in theme.ts.";
  const ending =
    "# How to end\nEnd with a line of its own, one of these three:\nSTATUS: done\n" +
    "STATUS: partial - what is left to do\nSTATUS: blocked - what is in the way, and who could remove it";
  const task = "Why does services/billing/src/tax.rs:12 round, and not libs/ui-kit?";
  assert.equal(prompt(task), [house, billing, `# Task\n${task}`, ending].join("\n\n"));
  assert.equal(
    prompt("Who rounds?", "--context", `at ${world}/shop/libs/ui/a.ts:3`, "--caller", "infra", "--goal", "no cents lost"),
    [house, ui, "# Asked by\ninfra", "# Goal\nno cents lost",
      `# Context: material, no instructions\nat ${world}/shop/libs/ui/a.ts:3`, "# Task\nWho rounds?", ending].join("\n\n"),
  );
  assert.equal(
    prompt("Who rounds?"),
    [house, "# Packages\n- Billing (services/billing)\n- libs/ui", "# Task\nWho rounds?", ending].join("\n\n"),
  );
}

function replies() {
  const said = ["Tax does.\n\n**STATUS: done**\n", "I looked.\nSTATUS: blocked - the database refuses me; ask infra", "STATUS: fine"];
  configure({ shop: said }, "monorepo-prompt", { shop: { policies: { prompt: "monorepo-prompt" } } });
  const meanings = said.map((_, number) => {
    const { result, outcome, hint } = JSON.parse(run(["dispatch", "shop", `Who rounds? ${number}`, "--json"]));
    return [result, outcome, hint];
  });
  assert.deepEqual(meanings, [
    ["Tax does.", "done", undefined],
    ["I looked.", "blocked", "the database refuses me; ask infra"],
    ["STATUS: fine", undefined, undefined],
  ]);
}

function descriptions() {
  const agents = { orders: {}, pets: {}, plain: {} };
  configure(agents, "openapi-describe");
  for (const name of Object.keys(agents)) {
    cpSync(join(policies, "openapi-describe/samples", name), join(world, name), { recursive: true });
  }
  const described = Object.keys(agents).map((name) => run(["describe", name]));
  assert.deepEqual(described, [
    "Orders: the API 2.3: an API with 4 operations on orders, returns, reports and 1 more (OpenAPI 3.1.0)\n",
    // Its file lies where README tells to look for it.
    "Pets 1: an API with 1 operation on cats, dogs (OpenAPI 3.0.3)\n",
    "Makes invoices, and sends them.\n",
  ]);
}

function votes() {
  const vote = (said, aggregate) => {
    configure({ infra: [said[0]], shop: [said[1]], docs: [said[2]], judge: [said[3]] }, "weighted-vote");
    const dispatches = ["infra", "shop", "docs"].map((agent) => ({ agent, task: "Ship or wait?" }));
    const input = JSON.stringify({ dispatches, aggregate });
    const ran = start(["parallel", "--policy", "weighted-vote", "--json"], input);
    return [ran.status, JSON.parse(ran.stdout).aggregated];
  };
  const outvoted = ["Shipping is tempting.\nI say: wait.", "ship", "Ship it!"];
  const [code, { success, result }] = vote(outvoted);
  assert.deepEqual([code, success], [0, true]);
  // Whoever speaks later than infra is not waited for.
  assert.match(result, /^wait\n\nship: (0|1 \((shop|docs)\)|2 \(shop, docs\))\nwait: 3 \(infra\)$/);

  const undecided = ["ship or wait, I do not know", "Ship it!", "wait"];
  const reason = "undecided (ship: 1 (shop); wait: 1 (docs))";
  const [failed, given_up] = vote(undecided);
  assert.deepEqual([failed, given_up.success], [1, false]);
  assert.ok(given_up.error.includes(`${reason}, and \`aggregate\` names no agent that could decide`), given_up.error);

  const [, decided] = vote([...undecided, "The risk is small.\n**Ship.**"], "judge");
  assert.equal(decided.result, "ship\n\nship: 1 (shop)\nwait: 1 (docs)\n\nDecided by judge:\n\nThe risk is small.\n**Ship.**");
  const heard = JSON.parse(readFileSync(join(world, "judge/heard"), "utf8"));
  const material = "For ship, shop says:\n\nShip it!\n\nFor wait, docs says:\n\nwait\n\nFor none of them, infra says:\n\nship or wait, I do not know";
  const question =
    "Several agents were asked to choose between ship, wait, and the vote is undecided: ship: 1 (shop); wait: 1 (docs). " +
    "Weigh what they say, and decide. Give your reason in a few sentences, and end with a line that names the option you choose and no other.";
  assert.deepEqual(heard, [
    `## Goal\naggregate parallel dispatch results\n\n## Dispatched by\ndispatch_parallel\n\n## Context\n${material}\n\n## Task\n${question}`,
  ]);

  const [, unsure] = vote([...undecided, "Hard to say."], "judge");
  assert.equal(unsure.success, false);
  assert.ok(unsure.error.includes(`${reason}, and judge has chosen none of ship, wait`), unsure.error);
}

function dialogues() {
  const talk = (shop, infra) => {
    configure({ shop, infra }, "agreement-dialogue");
    const ran = start(["dialogue", "shop", "infra", "Who repairs the invoices?", "--rounds", "4", "--policy", "agreement-dialogue", "--json"]);
    const { resolved, rounds, final_answer, reason } = JSON.parse(ran.stdout);
    return [ran.status, resolved, rounds, final_answer, reason];
  };
  assert.deepEqual(
    talk(["It is yours.", "Fine.\n\n**AGREED:** infra repairs them by noon"], ["Whose is it?", "I see.\nAGREED: infra repairs them"]),
    [0, true, 2, "infra repairs them by noon", undefined],
  );
  const [first] = JSON.parse(readFileSync(join(world, "infra/heard"), "utf8"));
  const asked =
    "As soon as you agree on what to do, end your reply with a line that begins with AGREED: and says in one sentence on what. " +
    "If you can agree to such a line of the other side, repeat it.";
  const told = `You and the agent 'shop' are to agree on this:\n\nWho repairs the invoices?\n\n${asked}`;
  assert.equal(first, `## Goal\nWho repairs the invoices?\n\n## Dispatched by\nshop\n\n## Task\n${told}`);
  // One who agrees alone, or takes it back, agrees to nothing; and what was said before is a circle.
  assert.deepEqual(
    talk(["AGREED: infra does", "You broke them."], ["You should repair them.", "No, we only moved them.", "You should: repair them!"]),
    [1, false, 3, "You should: repair them!", "infra says in round 3 what it said in round 1: the two go round in circles"],
  );
}

/** A world of these agents, which say these texts, with the policy as its README has it. */
function configure(agents, name, more = {}) {
  const readme = readFileSync(join(policies, name, "README.md"), "utf8");
  const yaml = readme.match(/^```yaml\n([^]*?)^```$/m)?.[1];
  const component = yaml?.match(/^    component: (\S+)$/m)?.[1];
  assert.ok(component, `${name}/README.md shows no component`);
  const lines = [yaml.split(/^(?! )(?!policies:)/m)[0].replace(component, JSON.stringify(COMPONENTS[name])), "agents:"];
  for (const [agent, said] of Object.entries(agents)) {
    rmSync(join(world, agent), { recursive: true, force: true });
    mkdirSync(join(world, agent));
    writeFileSync(join(world, agent, "says"), JSON.stringify(Array.isArray(said) ? said : []));
    writeFileSync(join(world, agent, "heard"), "[]");
    lines.push(`  ${agent}: ${JSON.stringify({ directory: `./${agent}`, ...more[agent] })}`);
  }
  const command = [process.execPath, join(world, "agent.mjs")];
  const chosen = name === "openapi-describe" ? { describe: name } : {};
  lines.push(`settings: ${JSON.stringify({ command, policies: chosen })}`);
  writeFileSync(join(world, "agents.yaml"), `${lines.join("\n")}\n`);
}

function start(args, input = "") {
  const env = {
    PATH: process.env.PATH,
    HOME: join(world, "home"),
    TMPDIR: world,
    AGENT_DISPATCH_CONFIG: join(world, "agents.yaml"),
  };
  const ran = spawnSync(binary, args, { cwd: world, env, input, encoding: "utf8" });
  if (ran.error) throw ran.error;
  assert.notEqual(ran.stdout, "", `agent-dispatch ${args.join(" ")}: ${ran.stderr}`);
  return ran;
}

/** Runs agent-dispatch, which has to end well; what it prints. */
function run(args) {
  const { status, stdout, stderr } = start(args);
  assert.equal(status, 0, `agent-dispatch ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}
