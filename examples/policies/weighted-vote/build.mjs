// Makes the component weighted-vote.wasm of policy.js and votes.js.

import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const { component } = await componentize({
  sourcePath: "policy.js",
  witPath: "../../../wit/0.1.0",
  worldName: "aggregate-policy",
  // A policy has no use for them, and may not import what some of them need.
  disableFeatures: ["clocks", "fetch-event", "http", "random", "stdio"],
});
await writeFile("weighted-vote.wasm", component);
