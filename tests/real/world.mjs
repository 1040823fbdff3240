// The throw-away world the programs under test live in: a home, a temporary folder, projects
// and an agents.yaml below one folder, an environment that inherits PATH and nothing else,
// and an account of every process that was started in it.

import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

/** How long processes that were told to end may take (milliseconds). */
const ENDING = 5_000;

/** How long an agent may take to start its tools (milliseconds). */
const STARTING = 30_000;

export class World {
  #started = new Set();
  #stopped = false;

  static async create(programs) {
    const world = new World();
    // The real path, because a process sees its working directory without symbolic links.
    world.folder = await realpath(await mkdtemp(join(tmpdir(), "agent-dispatch-real-")));
    world.home = join(world.folder, "home");
    world.temporary = join(world.folder, "tmp");
    world.config = join(world.folder, "agents.yaml");
    world.programs = programs;
    await mkdir(world.home);
    await mkdir(world.temporary);
    return world;
  }

  environment(api) {
    return {
      PATH: process.env.PATH,
      HOME: this.home,
      TMPDIR: this.temporary,
      AGENT_DISPATCH_CONFIG: this.config,
      ANTHROPIC_BASE_URL: api.url,
      ANTHROPIC_API_KEY: "dummy",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      DISABLE_AUTOUPDATER: "1",
      CLAUDE_CODE_MAX_RETRIES: "1",
    };
  }

  /** A project directory of that name with this CLAUDE.md. */
  async project(name, memory = "") {
    const directory = join(this.folder, "projects", name);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, "CLAUDE.md"), memory);
    return directory;
  }

  /** Writes agents.yaml; JSON is YAML too. */
  async configure(agents, policies = {}, more = {}) {
    const settings = { command: [this.programs.claude], ...more };
    await writeFile(this.config, JSON.stringify({ policies, agents, settings }));
  }

  start(program, args, api, { cwd = this.folder } = {}) {
    if (this.#stopped) throw new Error("interrupted");
    // A group of its own, so that what it starts can be ended together with it.
    const child = spawn(program, args, { cwd, env: this.environment(api), detached: true });
    this.#started.add(child);
    child.once("close", () => this.#started.delete(child));
    return child;
  }

  /** Runs a program to its end, `input` on its stdin. */
  run(program, args, api, { cwd, input = "" } = {}) {
    return new Promise((resolve, reject) => {
      const child = this.start(program, args, api, { cwd });
      const output = { stdout: "", stderr: "" };
      for (const name of ["stdout", "stderr"]) {
        child[name].setEncoding("utf8").on("data", (text) => (output[name] += text));
      }
      child.once("error", reject);
      child.once("close", (code, signal) => resolve({ code, signal, ...output }));
      child.stdin.on("error", () => {}); // a program need not read its stdin
      child.stdin.end(input);
    });
  }

  /**
   * The processes of this world that are `which`: those whose environment names its home, and
   * those that have no home and work in its folder, as after `env -i`. A zombie has neither.
   */
  async processes(which = () => true) {
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
    const found = await Promise.all(pids.map((pid) => this.#process(Number(pid))));
    return found.filter((one) => one && which(one));
  }

  async #process(pid) {
    const look = (get, file) => get(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const [environment, directory, program, commandLine] = await Promise.all([
      look(readFile, "environ"), look(readlink, "cwd"), look(readlink, "exe"), look(readFile, "cmdline"),
    ]);
    const variables = environment.split("\0");
    const homeless = !variables.some((variable) => variable.startsWith("HOME="));
    const here = `${directory}/`.startsWith(`${this.folder}/`);
    if (!variables.includes(`HOME=${this.home}`) && !(homeless && here)) return undefined;
    return { pid, variables, program, text: `${pid} ${commandLine.replaceAll("\0", " ").slice(0, 120)}` };
  }

  /** Tells agents, and what they started, from the processes of agent-dispatch itself. */
  isAgent = ({ program }) => program !== this.programs.agentDispatch;

  /** Waits until a process of this world runs whose command line holds this text. */
  async running(text) {
    const end = Date.now() + STARTING;
    while ((await this.processes((one) => one.text.includes(text))).length === 0) {
      if (this.#stopped || Date.now() > end) throw new Error(`no process runs \`${text}\``);
      await pause(20); // the start of somebody else's child is no event we could wait for
    }
  }

  /** Waits until no process of this world that is `which` is left; what remains is an error. */
  async settled(which, within = ENDING) {
    const end = Date.now() + within;
    for (;;) {
      const left = await this.processes(which);
      if (left.length === 0) return;
      if (Date.now() > end) throw new Error(`still running: ${left.map((one) => one.text).join("; ")}`);
      await pause(20); // the end of somebody else's child is no event we could wait for
    }
  }

  /** Ends whatever is left of this world. */
  async end() {
    for (const child of this.#started) signal(-child.pid);
    for (const { pid } of await this.processes()) signal(pid);
    await this.settled();
  }

  /** Ends everything and lets nothing more be started. */
  stop() {
    this.#stopped = true;
    return this.end();
  }

  async remove() {
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function signal(pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}
