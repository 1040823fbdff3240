// A policy of one's own, from `policy new` to an agent, as README.md of the project leads:
// each kind in each language, with the languages' own tools.

import assert from "node:assert/strict";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assertPrompt, dispatch } from "../asking.mjs";

const HERE = dirname(dirname(fileURLToPath(import.meta.url)));

/** Rust compiles its crates, and each component has to be compiled (milliseconds). */
const DEADLINE = 15 * 60_000;

const KINDS = ["prompt", "describe", "aggregate", "dialogue"];

export const cases = [
  ["policy: in Rust, each kind from new to an agent", eachKind("rust", async () => {}), DEADLINE],
  ["policy: in JavaScript, each kind from new to an agent", eachKind("javascript", async (project) => {
    // What `npm install` would get, at the same version.
    const wanted = JSON.parse(await readFile(join(project, "package.json"), "utf8")).devDependencies;
    const here = JSON.parse(await readFile(join(HERE, "package.json"), "utf8")).dependencies;
    for (const [name, version] of Object.entries(wanted)) assert.equal(here[name], version);
    await symlink(join(HERE, "node_modules"), join(project, "node_modules"));
  }), DEADLINE],
  ["policy: in Python, each kind from new to an agent", eachKind("python", async (project) => {
    const wanted = (await readFile(join(project, "requirements.txt"), "utf8")).trim();
    const here = await readFile(join(HERE, "requirements.txt"), "utf8");
    assert.ok(here.split("\n").some((line) => line.startsWith(`${wanted} `)), wanted);
    await symlink(join(HERE, ".venv"), join(project, ".venv"));
  }), DEADLINE],
];

/** Makes, builds, checks, tests and uses a policy of each kind. */
function eachKind(language, install) {
  return async (world, api) => {
    for (const kind of KINDS) {
      const name = `${language}-${kind}`;
      const project = join(world.folder, name);
      await run(world, api, ["new", name, "--kind", kind, "--lang", language]);
      await install(project);
      const built = await run(world, api, ["build"], project);
      assert.match(built, /agent-dispatch can use it/);
      const { kinds, problems } = JSON.parse(await run(world, api, ["check", `${name}.wasm`, "--json"], project));
      assert.deepEqual([kinds, problems], [[{ kind, version: "0.1.0" }], []]);
      assert.match(await run(world, api, ["test"], project), /^all \d are as expected$/m);
      const policies = { [name]: { component: join(project, `${name}.wasm`) } };
      await USES[kind](world, api, name, policies);
    }
  };
}

/** Rust's tools look for themselves in the home of the one who has installed them. */
const RUST = {
  CARGO_HOME: process.env.CARGO_HOME ?? join(homedir(), ".cargo"),
  RUSTUP_HOME: process.env.RUSTUP_HOME ?? join(homedir(), ".rustup"),
};

/** Runs `agent-dispatch policy …`; what it prints. */
async function run(world, api, args, cwd) {
  const rust = { ...RUST, CARGO_TARGET_DIR: join(world.folder, "target") };
  const variables = Object.entries(rust).map(([name, value]) => `${name}=${value}`);
  const command = [...variables, world.programs.agentDispatch, "policy", ...args];
  const { code, stdout, stderr } = await world.run("/usr/bin/env", command, api, { cwd });
  assert.equal(code, 0, `policy ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

const USES = {
  async prompt(world, api, name, policies) {
    const directory = await world.project("zoo");
    await world.configure({ zoo: { directory, policies: { prompt: name } } }, policies);
    const { code, reply } = await dispatch(world, api, ["zoo", "Count. [[say:I looked.\nBLOCKED: it is dark]]", "--goal", "a census"]);
    assert.equal(code, 0);
    assert.deepEqual([reply.outcome, reply.hint], ["blocked", "it is dark"]);
    assertPrompt(
      api.requests.at(-1),
      "# Task\nCount. [[say:I looked.\nBLOCKED: it is dark]]\n\n# What it is for\na census\n\nAnswer in one paragraph. Where you cannot go on, end with a line that begins with BLOCKED: and says why.",
    );
  },

  async describe(world, api, name, policies) {
    const directory = await world.project("zoo");
    await writeFile(join(directory, "README.md"), "# Zoo\n\nHere live\nquokkas.\n\nMore.\n");
    await world.configure({ zoo: { directory, policies: { describe: name } } }, policies);
    const { code, stdout, stderr } = await world.run(world.programs.agentDispatch, ["describe", "zoo"], api);
    assert.deepEqual([code, stdout], [0, "Here live quokkas.\n"], stderr);
  },

  async aggregate(world, api, name, policies) {
    const directory = await world.project("zoo");
    await world.configure({ zoo: { directory } }, policies);
    const input = JSON.stringify(["Four.", "Four, and a small one.", "Two."].map((said) => ({ agent: "zoo", task: `Count. [[say:${said}]]` })));
    const { code, stdout, stderr } = await world.run(world.programs.agentDispatch, ["parallel", "--policy", name, "--json"], api, { input });
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).aggregated.result, "Four, and a small one.");
  },

  async dialogue(world, api, name, policies) {
    const [web, infra] = await Promise.all(["web", "infra"].map((agent) => world.project(agent)));
    await world.configure({ web: { directory: web }, infra: { directory: infra } }, policies);
    // What the first says holds what the second says.
    const topic = "Why is it slow? [[say:Is there a cache? [[say:Then add one.\nAGREED]]]]";
    const { code, stdout, stderr } = await world.run(world.programs.agentDispatch, ["dialogue", "web", "infra", topic, "--policy", name, "--json"], api);
    assert.equal(code, 0, stdout + stderr);
    const { resolved, final_answer, rounds } = JSON.parse(stdout);
    assert.deepEqual([resolved, final_answer.trim(), rounds], [true, "Then add one.", 1]);
  },
};
