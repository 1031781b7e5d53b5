import { testScenarios } from "./enumerate-test.js";
import { INCOMPLETE } from "./incomplete-scenarios.js";

testScenarios(INCOMPLETE);
