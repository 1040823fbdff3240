// Runs the cases one after the other, each against a scripted API of its own, and says how
// they ended. Usage: node suite.mjs AGENT_DISPATCH CLAUDE [PART_OF_A_NAME]

import * as clients from "./cases/clients.mjs";
import * as endings from "./cases/endings.mjs";
import * as forms from "./cases/forms.mjs";
import * as init from "./cases/init.mjs";
import * as large from "./cases/large.mjs";
import * as mcp from "./cases/mcp.mjs";
import * as policies from "./cases/policies.mjs";
import * as prompts from "./cases/prompts.mjs";
import * as session from "./cases/session.mjs";
import * as stopping from "./cases/stopping.mjs";
import { MessagesApi } from "./messages-api.mjs";
import { World } from "./world.mjs";

/** No case takes a quarter of this, even where every core is busy (milliseconds); one that
 * builds something may say that it takes longer. */
const DEADLINE = 60_000;

const [agentDispatch, claude, wanted = ""] = process.argv.slice(2);
const cases = [prompts, endings, stopping, session, forms, large, mcp, init, clients, policies]
  .flatMap((theme) => theme.cases)
  .filter(([name]) => name.includes(wanted));
const world = await World.create({ agentDispatch, claude });
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => world.stop()); // the cases that are left fail, and all is cleaned up
}

let passed = 0;
let failed = 0;
try {
  for (const [name, run, deadline = DEADLINE] of cases) {
    const started = Date.now();
    const problem = await attempt(run, deadline);
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    console.log(`${problem ? "FAILED" : "ok"}  ${name} (${seconds} s)`);
    if (problem) console.log(problem.replaceAll(/^/gm, "        "));
    if (problem) failed += 1;
    else passed += 1;
  }
} finally {
  await world.remove();
}
console.log(`real: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Runs one case; the text of what went wrong, if anything did. */
async function attempt(run, deadline) {
  const api = await MessagesApi.start();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${deadline / 1000} s`)), deadline);
  });
  try {
    await Promise.race([run(world, api), late]);
    await world.settled(); // no case may leave a process behind
    return undefined;
  } catch (error) {
    return error.stack;
  } finally {
    clearTimeout(timer);
    await world.end();
    await api.close();
  }
}
