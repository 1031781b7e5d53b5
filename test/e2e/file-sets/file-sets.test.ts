/** FileSets as Bacula's users have them: lists of files of every kind, and what Options make of names and files. */
import { after, before, describe } from "node:test";
import { Scenario } from "../../helpers/scenario.js";
import { listTests } from "./lists.js";
import { optionTests } from "./options.js";

describe("file sets", () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.create("file-sets", { keepConsole: true });
    await scenario.installation.startAll();
  });

  after(() => scenario?.close());

  listTests(() => scenario);
  optionTests(() => scenario);
});
