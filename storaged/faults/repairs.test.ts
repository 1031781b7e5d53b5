import { testScenarios } from "./enumerate-test.js";
import { REPAIRS } from "./repair-scenarios.js";

testScenarios(REPAIRS);
