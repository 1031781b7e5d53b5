import { testScenarios } from "./enumerate-test.js";
import { RETENTION } from "./retention-scenarios.js";

testScenarios(RETENTION);
