import { BACKUPS } from "./backup-scenarios.js";
import { testScenarios } from "./enumerate-test.js";

testScenarios(BACKUPS);
