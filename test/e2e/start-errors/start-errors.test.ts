/** What keeps a daemon from starting or a job from running is one clear line; what can be reloaded is. */
import { describe } from "node:test";
import { configTests } from "./config.js";
import { diskTests } from "./disk-full.js";
import { refusedTests } from "./refused.js";

describe("start errors", () => {
  refusedTests();
  configTests();
  diskTests();
});
