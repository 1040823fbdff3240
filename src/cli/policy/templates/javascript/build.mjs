// Makes the component {{name}}.wasm of policy.js. `agent-dispatch policy build` runs this.

import { rename, writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const { component } = await componentize({
  sourcePath: "policy.js",
  witPath: "wit",
  worldName: "{{kind}}-policy",
  // A policy has no use for them, and may not import what some of them need.
  disableFeatures: ["clocks", "fetch-event", "http", "random", "stdio"],
});
// Renamed into place, so that whoever follows the file never sees half of it.
await writeFile("{{name}}.wasm.next", component);
await rename("{{name}}.wasm.next", "{{name}}.wasm");
