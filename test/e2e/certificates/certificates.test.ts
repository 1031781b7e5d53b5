/** Certificates of an installation: made once, added, renewed, withdrawn, about to end; and older releases. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { setClock } from "../../../common/time.js";
import { issuePeer } from "../../../common/tls/issue.js";
import { loadTls } from "../../../common/tls/load.js";
import { encodeJson } from "../../../proto/data/backup.js";
import { RestoreKind } from "../../../proto/data/restore.js";
import { PROTOCOL, RpcChannel } from "../../../proto/rpc.js";
import type { JobReport } from "../../helpers/job-report.js";
import { freePortBase } from "../../helpers/ports.js";
import { endOf, Running } from "../../helpers/program.js";
import { until } from "../../helpers/running.js";
import { Scenario } from "../../helpers/scenario.js";
import { fileOp, runProgram, runTreeOps } from "../../helpers/tree-ops.js";

const DAY_MS = 86_400_000;
const OLD_FILED = fileURLToPath(new URL("./old-filed.js", import.meta.url));

describe("certificates", () => {
  let scenario: Scenario;
  let dir: string;
  let port: number;
  let filed: Running | undefined;

  before(async () => {
    scenario = await Scenario.create("certificates");
    dir = scenario.installation.dir;
    port = await freePortBase(1);
    await scenario.define([{ name: "machine" }]);
    for (const name of ["machine", "web"]) {
      await mkdir(scenario.path(name));
      await runTreeOps(scenario.path(name), [
        fileOp("file", { kind: "random", size: 30_000, seed: name }),
        fileOp("large", { kind: "random", size: 1_500_000, seed: name }),
      ]);
    }
  });
  after(async () => {
    await filed?.stop();
    await scenario?.close();
  });

  const bundle = (...parts: string[]): string => join(dir, "clients", "web1", ...parts);
  const client = (...args: string[]): Promise<string> =>
    runProgram(scenario.basalt, ["client", ...args, "-c", join(dir, "director.yaml")]);

  async function startFiled(minor?: number): Promise<Running> {
    await filed?.stop();
    const config = bundle("filed.yaml");
    filed =
      minor === undefined
        ? await Running.start(scenario.basalt, ["filed", "-c", config], port)
        : await Running.start(process.execPath, [OLD_FILED, config, String(minor)], port);
    return filed;
  }

  const refused = async (words: RegExp): Promise<JobReport> => {
    const report = await scenario.backup("web", "Incremental", "*** Backup Error ***");
    assert.match(report.report, words);
    return report;
  };

  /** Asks storaged for a restore as web1 does, with a ticket of its own making. */
  async function askStoraged(minor: number): Promise<void> {
    const tls = loadTls({
      caFile: bundle("pki", "ca.crt"),
      certFile: bundle("pki", "filed.crt"),
      keyFile: bundle("pki", "filed.key"),
    });
    const channel = new RpcChannel({
      address: "127.0.0.1",
      port: scenario.installation.portBase + 2,
      tls,
      expect: { role: "storaged", name: "t-sd" },
    });
    try {
      const stream = channel.data("StoragedData", "Restore", { signal: AbortSignal.timeout(20_000) });
      const protocol = { major: PROTOCOL.major, minor };
      const request = { protocol, client: "web1", jobUuid: "none", ticket: "none" };
      await stream.send(encodeJson(RestoreKind.request, request));
      for await (const message of stream.incoming) {
        if (message[0] !== RestoreKind.message) assert.fail("storaged serves it");
      }
    } finally {
      channel.close();
    }
  }

  async function digests(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      found.set(
        file,
        createHash("sha256")
          .update(await readFile(file))
          .digest("hex"),
      );
    }
    return found;
  }

  test("a second init changes nothing; keys are for their owner alone", async () => {
    const before = await digests();
    const again = await endOf(scenario.basalt, ["init", dir, "--name", "other", "--port-base", "9101"]);
    assert.equal(again.status, 1, again.stdout + again.stderr);
    assert.match(again.stdout + again.stderr, /already holds an installation.*nothing was changed/);
    assert.deepEqual(await digests(), before);
    for (const name of await readdir(join(dir, "pki"))) {
      if (!name.endsWith(".key")) continue;
      assert.equal((await stat(join(dir, "pki", name))).mode & 0o7777, 0o600, name);
    }
  });

  test("a client's bundle works as it is", async () => {
    const said = await client("add", "web1", "--address", "127.0.0.1", "--port", String(port), "--write");
    assert.match(said, /wrote .*client-web1\.yaml; say "reload"/);
    await scenario.define([{ name: "web", job: { Client: "web1" } }]);
    await scenario.installation.startAll();
    await startFiled();
    await scenario.backup("web", "Full");
    await scenario.restoresAs("web", scenario.path("web"), { client: "web1" });
  });

  test("filed one minor version older is served, two are not", async () => {
    await startFiled(PROTOCOL.minor - 1);
    await scenario.backup("web", "Full");
    await scenario.restoresAs("web", scenario.path("web"), { client: "web1" });
    // Its lists come in the job's own stream.
    await scenario.backup("web", "Incremental");
    await scenario.restoresAs("web", scenario.path("web"), { client: "web1" });
    await startFiled(PROTOCOL.minor - 2);
    await refused(
      /Fatal error: Client: web1 on .* refuses this director: .*speaks protocol .*; install the same release/,
    );
    await assert.rejects(
      askStoraged(PROTOCOL.minor - 2),
      /filed "web1" speaks protocol .*; install the same release/,
    );
    // Refused too, but for its ticket: of this protocol storaged takes the request.
    await assert.rejects(askStoraged(PROTOCOL.minor - 1), /ticket/);
    await startFiled();
  });

  test("another client's certificate is not this client's", async () => {
    for (const end of ["crt", "key"]) {
      await rename(bundle("pki", `filed.${end}`), bundle("pki", `own.${end}`));
      await copyFile(join(dir, "pki", `filed.${end}`), bundle("pki", `filed.${end}`));
    }
    await startFiled();
    await refused(/Fatal error: .*(web1.*t-fd|t-fd.*web1)/);
    for (const end of ["crt", "key"])
      await rename(bundle("pki", `own.${end}`), bundle("pki", `filed.${end}`));
    await startFiled();
    await scenario.backup("web", "Incremental");
  });

  test("a certificate that ends soon is warned of at the start", async () => {
    const [certPem, keyPem] = await Promise.all(
      ["ca.crt", "ca.key"].map((name) => readFile(join(dir, "pki", name), "utf8")),
    );
    // Certificates are made for 825 days: one of 805 days ago has 20 left.
    setClock(() => Date.now() - 805 * DAY_MS);
    const made = await issuePeer({ certPem: certPem!, keyPem: keyPem! }, { role: "filed", name: "web1" });
    setClock();
    for (const end of ["crt", "key"])
      await rename(bundle("pki", `filed.${end}`), bundle("pki", `own.${end}`));
    await writeFile(bundle("pki", "filed.crt"), made.certPem);
    await writeFile(bundle("pki", "filed.key"), made.keyPem, { mode: 0o600 });
    const running = await startFiled();
    // The port may answer before what was printed has come through the pipe.
    await until("the warning of filed", () =>
      /certificate of web1 expires in (19|20) days .*renew it/.test(running.log),
    );
    const test = await endOf(scenario.basalt, ["filed", "-c", bundle("filed.yaml"), "-t"]);
    assert.equal(test.status, 0);
    assert.match(test.stderr, /warning: certificate of web1 expires in/);
    await scenario.backup("web", "Incremental");
    await until("the warning of the director", () =>
      /certificate of filed "web1" expires in (19|20) days/.test(scenario.installation.log("director")),
    );
    for (const end of ["crt", "key"])
      await rename(bundle("pki", `own.${end}`), bundle("pki", `filed.${end}`));
  });

  test("a renewed certificate counts after a restart, the old one no longer", async () => {
    const old = await readFile(bundle("pki", "filed.crt"), "utf8");
    const key = await readFile(bundle("pki", "filed.key"), "utf8");
    await startFiled();
    assert.match(await client("renew", "web1", "--revoke-old"), /copy .* and restart filed there/);
    await refused(/certificate of filed "?web1"? was revoked/);
    await startFiled();
    await scenario.backup("web", "Incremental");
    await writeFile(bundle("pki", "old.crt"), old);
    await writeFile(bundle("pki", "old.key"), key, { mode: 0o600 });
  });

  test("a revoked client is refused at once, by director and storaged", async () => {
    await scenario.backup("web", "Incremental");
    assert.match(await client("revoke", "web1", "--reason", "stolen"), /revoked: web1 SHA-256/);
    await refused(/certificate of filed "?web1"? was revoked/);
    const status = await scenario.installation.console(["status client=web1"]);
    assert.match(status, /revoked/);
    await assert.rejects(askStoraged(PROTOCOL.minor), /revoked/);
    await scenario.backup("machine", "Full");
  });
});
