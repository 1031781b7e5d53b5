/** Consoles at the director's door: who comes in, and what is written down of it. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../common/log.js";
import { NAMED_CONSOLE_HOST } from "../common/tls/identity.js";
import { type Issued, issueCa, issuePeer } from "../common/tls/issue.js";
import type { ConsoleOutput__Output } from "../proto/generated/basalt/v1/ConsoleOutput.js";
import { RpcChannel, RpcServer, type RpcTls } from "../proto/rpc.js";
import { addDirectorService } from "./service.js";
import { startBench } from "./testing.js";

const CONSOLES = `
Console:
  - {Name: night, CommandACL: "time, messages", JobACL: "*all*"}
`;

async function openDoor() {
  const bench = await startBench("  - {Name: web1, JobDefs: D}\n");
  const audit = join(bench.directory, "audit.log");
  const file = join(bench.directory, "director.yaml");
  const destinations = `Catalog: all, Append: {"${audit}": audit}}`;
  writeFileSync(file, readFileSync(file, "utf8").replace("Catalog: all}", destinations) + CONSOLES);
  assert.deepEqual(await bench.director.reload(), { ok: true, errors: [] });
  const ca = await issueCa("door");
  const tls = ({ certPem, keyPem }: Issued): RpcTls => ({
    ca: Buffer.from(ca.certPem),
    cert: Buffer.from(certPem),
    key: Buffer.from(keyPem),
  });
  const server = new RpcServer({
    tls: tls(await issuePeer(ca, { role: "director", name: "dir" })),
    isRevoked: () => false,
  });
  const log = createLog("test", { level: "silent" });
  addDirectorService(server, { director: bench.director, version: "1", log, onPeer: () => undefined });
  const port = await server.listen("127.0.0.1", 0);
  const channels: RpcChannel[] = [];
  return {
    audit: () => readFileSync(audit, "utf8"),
    /** What a console of this name is answered to a line. */
    async say(name: string, line: string, hosts: string[] = []): Promise<string> {
      const own = tls(await issuePeer(ca, { role: "console", name, hosts }));
      const channel = new RpcChannel({ address: "127.0.0.1", port, tls: own, expect: { role: "director" } });
      channels.push(channel);
      const call = channel.duplex<object, ConsoleOutput__Output>("Director", "Session");
      let text = "";
      call.send({ line });
      for await (const output of call.incoming) {
        text += output.text ?? "";
        if (output.ready === true) break;
      }
      call.cancel();
      return text;
    },
    async close(): Promise<void> {
      for (const channel of channels) channel.close();
      await server.close(0);
      await bench.close();
    },
  };
}

test("named consoles need a resource; every command is audited with name and address", async () => {
  const door = await openDoor();
  try {
    assert.match(await door.say("night", "time", [NAMED_CONSOLE_HOST]), /^\w{3} \d\d-\w{3}-\d{4} /);
    assert.match(await door.say("night", "list jobs"), /list: is not allowed for this console/);
    await assert.rejects(door.say("gone", "time", [NAMED_CONSOLE_HOST]), /"gone" has no Console resource/);
    assert.match(await door.say("admin", "list jobs"), /No results to list/);
    const lines = door.audit().trimEnd().split("\n");
    assert.equal(lines.length, 4);
    assert.match(lines[0]!, /dir JobId 0: Console "night" from 127\.0\.0\.1:\d+: time: allowed$/);
    assert.match(lines[1]!, /Console "night" from 127\.0\.0\.1:\d+: list jobs: denied: not in CommandACL$/);
    assert.match(
      lines[2]!,
      /Console "gone" from 127\.0\.0\.1:\d+: connection: denied: .* no Console resource/,
    );
    assert.match(lines[3]!, /Console "admin" from 127\.0\.0\.1:\d+: list jobs: allowed$/);
  } finally {
    await door.close();
  }
});
