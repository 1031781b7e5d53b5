/** Daemons that cannot start: status not 0, one line that names what is wrong, no stack. */
import assert from "node:assert/strict";
import { chmod, chown, copyFile, cp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { asRoot } from "../../../common/test-needs.js";
import { DAEMONS, type Daemon, Installation } from "../../helpers/installation.js";
import { endOf } from "../../helpers/program.js";
import { Scenario } from "../../helpers/scenario.js";

const PORT_OFFSET: Record<Daemon, number> = { director: 0, filed: 1, storaged: 2 };

export function refusedTests(): void {
  describe("a daemon that cannot start says why", () => {
    let scenario: Scenario;
    let dir: string;

    before(async () => {
      scenario = await Scenario.create("refused");
      dir = scenario.installation.dir;
    });
    after(() => scenario?.close());

    /** Starts a daemon that has to end at once with one line on stderr. */
    async function refused(daemon: Daemon, words: RegExp, config = dir): Promise<void> {
      const ended = await endOf(scenario.basalt, [daemon, "-c", join(config, `${daemon}.yaml`)]);
      const told = `${daemon} ended with ${ended.status}:\n${ended.stdout}${ended.stderr}`;
      assert.equal(ended.status, 1, told);
      assert.match(ended.stderr, words, told);
      assert.doesNotMatch(ended.stderr, /^\s+at |internal error/m, told);
      assert.equal(ended.stderr.trimEnd().split("\n").length, 1, told);
    }

    const occupy = (port: number): Promise<Server> =>
      new Promise((resolve, reject) => {
        const server = createServer();
        server.once("error", reject);
        server.listen(port, "127.0.0.1", () => resolve(server));
      });

    test("the port is taken", async () => {
      for (const daemon of DAEMONS) {
        const port = scenario.installation.portBase + PORT_OFFSET[daemon];
        const server = await occupy(port);
        try {
          await refused(daemon, new RegExp(`127\\.0\\.0\\.1:${port}\\b.*taken by another program`));
        } finally {
          await new Promise((resolve) => server.close(resolve));
        }
      }
    });

    test("the key may be read by others", async () => {
      for (const daemon of DAEMONS) {
        const key = join(dir, "pki", `${daemon}.key`);
        await chmod(key, 0o644);
        await refused(daemon, new RegExp(`private key ${key} has mode 0644.*chmod 600`));
        await chmod(key, 0o600);
      }
    });

    test("the key belongs to somebody else", async (t) => {
      if (!asRoot(t)) return;
      const key = join(dir, "pki", "storaged.key");
      await chown(key, 4242, 4242);
      await refused("storaged", new RegExp(`${key} belongs to uid 4242`));
      await chown(key, 0, 0);
    });

    test("a key or the CA's certificate is missing", async () => {
      for (const daemon of DAEMONS) {
        for (const name of [`${daemon}.key`, "ca.crt"]) {
          const file = join(dir, "pki", name);
          await rename(file, `${file}.away`);
          await refused(daemon, new RegExp(`cannot read .*${file}`));
          await rename(`${file}.away`, file);
        }
      }
    });

    test("the certificate comes from another CA", async () => {
      const other = await Installation.create(scenario.path("other"), { name: "t" });
      for (const daemon of DAEMONS) {
        const file = (from: string, end: string): string => join(from, "pki", `${daemon}.${end}`);
        for (const end of ["crt", "key"]) {
          await copyFile(file(dir, end), `${file(dir, end)}.away`);
          await copyFile(file(other.dir, end), file(dir, end));
        }
        await refused(daemon, new RegExp(`${file(dir, "crt")} is not signed by the CA`));
        await copyFile(`${file(dir, "crt")}.away`, file(dir, "crt"));
        await refused(daemon, new RegExp(`key ${file(dir, "key")} does not belong to certificate`));
        for (const end of ["crt", "key"]) await rename(`${file(dir, end)}.away`, file(dir, end));
      }
    });

    test("the working directory cannot be used", async () => {
      for (const daemon of DAEMONS) {
        const work = join(dir, "var", daemon);
        await rm(work, { recursive: true });
        await writeFile(work, "in the way");
        await refused(
          daemon,
          new RegExp(`working directory.*${work}|${work}.*(EEXIST|ENOTDIR|not a directory)`),
        );
        await rm(work);
      }
    });

    // filed keeps nothing in its own; its port says that it runs.
    test("a second one on the same working directory", async () => {
      const { installation } = scenario;
      await installation.startAll();
      try {
        const second = scenario.path("second");
        await cp(dir, second, { recursive: true, filter: (source) => !source.includes("/storage/") });
        for (const daemon of ["director", "storaged"] as const) {
          const port = installation.portBase + PORT_OFFSET[daemon];
          const moved = Installation.open(second, { portBase: 1 });
          await moved.editConfig(daemon, (text) =>
            text
              .replace(`Port: ${port}`, `Port: ${port + 40}`)
              .replace(/WorkingDirectory: .*/, `WorkingDirectory: ${join(dir, "var", daemon)}`),
          );
          await refused(
            daemon,
            new RegExp(`process ${installation.pid(daemon)}\\b.*works in ${join(dir, "var", daemon)}`),
            second,
          );
        }
      } finally {
        await installation.stop();
      }
    });
  });
}
