/** Several volumes, several drives: limits and spanning, drives over one directory, a changer made of files. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe } from "node:test";
import { stringify } from "yaml";
import { REPOSITORY } from "../../helpers/root.js";
import { Scenario } from "../../helpers/scenario.js";
import { limitTests } from "./limits.js";
import { robotTests } from "./robot.js";
import { virtualTests } from "./virtual.js";

/** Devices beside the installation's own. */
function deviceConfig(dir: string): object {
  const drives = (name: string, where: (index: number) => string, more: object) =>
    [0, 1].map((index) => ({
      ...{ Name: `${name}-${index}`, MediaType: name, ArchiveDevice: where(index), DriveIndex: index },
      ...{ Autochanger: true, LabelMedia: true, ...more },
    }));
  const device = [
    ...drives("Virtual", () => join(dir, "virtual"), { MaximumConcurrentJobs: 1 }),
    ...drives("Robot", (index) => join(dir, "robot", `drive${index}`), {}),
  ];
  const changer = [
    { Name: "Virtual", Device: ["Virtual-0", "Virtual-1"], ChangerCommand: "", ChangerDevice: "/dev/null" },
    {
      ...{ Name: "Robot", Device: "Robot-0, Robot-1", ChangerDevice: join(dir, "robot", "changer.conf") },
      ChangerCommand: `${join(REPOSITORY, "conf", "disk-changer")} %c %o %S %a %d`,
    },
  ];
  return { Device: device, Autochanger: changer };
}

describe("drives and volumes", () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.create("changers", { keepConsole: true });
    const { installation } = scenario;
    const { dir } = installation;
    for (const room of ["virtual", "robot"]) await mkdir(join(dir, room));
    await writeFile(join(dir, "robot", "changer.conf"), "maxslot=4\nmaxdrive=2\n");
    await writeFile(join(dir, "robot", "barcodes"), "4:Code-4\n");
    const { Device, Autochanger } = deviceConfig(dir) as { Device: object[]; Autochanger: object[] };
    await installation.editConfig("storaged", (text) => {
      const items = stringify(Device).replace(/^/gm, "  ").trimEnd();
      return `${text.trimEnd()}\n${items}\n${stringify({ Autochanger })}`;
    });
    const port = installation.portBase + 2;
    const Storage = ["Virtual", "Robot"].map((Name) => ({
      ...{ Name, Address: "127.0.0.1", Port: port, Device: Name, MediaType: Name, Autochanger: true },
    }));
    await installation.writeResources("storage-changers", {
      Storage,
      Counter: [{ Name: "Tape", Minimum: 7, Maximum: 8 }],
    });
  });

  after(() => scenario?.close());

  limitTests(() => scenario);
  virtualTests(() => scenario);
  robotTests(() => scenario);
});
