/** Webhook destinations against a real HTTP server on loopback, and the bounds of what waits. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import type { WebhookBody } from "./send-webhook.js";
import { MessageBench, NOON, until } from "./testing/message-bench.js";

let bench: MessageBench;
beforeEach(async () => {
  bench = await MessageBench.open();
});
afterEach(() => bench.close());

/** A http server that keeps what it gets. */
class HookServer {
  readonly calls: { headers: IncomingHttpHeaders; body: WebhookBody }[] = [];
  status = 204;
  readonly #server: Server = createServer((request, response) => {
    let text = "";
    request.setEncoding("utf8");
    request.on("data", (part: string) => (text += part));
    request.on("end", () => {
      this.calls.push({ headers: request.headers, body: JSON.parse(text) as WebhookBody });
      response.writeHead(this.status, this.status === 302 ? { location: "http://127.0.0.1:1/" } : {}).end();
    });
  });

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

test("a webhook gets JSON; after a failure the same again; its URL is nowhere to be read", async () => {
  const hook = new HookServer();
  const url = `${await hook.listen()}/hooks/s3cret?key=value`;
  hook.status = 503;
  const resource = bench.resource([{ kind: "webhook", target: url, types: ["error", "fatal"] }]);
  const center = bench.start(resource);
  const source = { jobId: 7, name: "web1", messages: resource };
  center.emit(source, "info", "not this");
  center.emit(source, "error", "broken\nat line 2", { daemon: "web1-fd" });
  await until(() => bench.db.outbox.due("webhook", Number.MAX_SAFE_INTEGER, 1)[0]?.attempts === 1);
  hook.status = 204;
  center.emit(source, "fatal", "gone");
  center.flush();
  assert.equal(bench.db.outbox.count(), 2);
  center.retryNow();
  await until(() => bench.db.outbox.count() === 0);
  assert.equal(hook.calls.length, 2);
  const [first, second] = hook.calls;
  assert.equal(first!.headers["idempotency-key"], second!.headers["idempotency-key"]);
  assert.deepEqual(second!.body, {
    director: "main-dir",
    messages: [
      {
        ...{ time: new Date(NOON).toISOString(), daemon: "web1-fd", jobId: 7, job: "web1", type: "error" },
        text: "broken\nat line 2",
      },
      {
        time: new Date(NOON).toISOString(),
        daemon: "main-dir",
        jobId: 7,
        job: "web1",
        type: "fatal",
        text: "gone",
      },
    ],
  });
  const told = bench.db.log.list(7).map(({ text }) => text);
  assert.equal(told.length, 1);
  assert.match(told[0]!, /webhook http:\/\/127\.0\.0\.1:\d+ could not be sent: webhook [^ ]+: answered 503/);
  await hook.close();
});

test("a webhook's answer that is about the message ends it; redirects are not followed", async () => {
  const hook = new HookServer();
  const url = await hook.listen();
  const resource = bench.resource([{ kind: "webhook", target: url, types: ["all"] }]);
  const center = bench.start(resource);
  hook.status = 422;
  center.emit({ jobId: 1, name: "a", messages: resource }, "info", "x");
  await until(() => bench.db.log.list(1).length > 0);
  assert.match(bench.db.log.list(1)[0]!.text, /was not sent: .* answered 422/);
  assert.equal(bench.db.outbox.count(), 0);
  hook.status = 302;
  center.emit({ jobId: 2, name: "a", messages: resource }, "info", "y");
  await until(() => bench.db.log.list(2).length > 0);
  assert.match(bench.db.log.list(2)[0]!.text, /answered 302/);
  assert.equal(bench.db.outbox.count(), 1);
  await hook.close();
});

test("of a job that says very much the middle is left out; a full outbox lets the oldest go", () => {
  for (let at = 0; at < 20_000; at++)
    bench.db.outbox.addLine({ jobId: 1, messages: "M", type: "info", text: `line ${at}` });
  const { lines, dropped, after } = bench.db.outbox.takeLines(1);
  assert.equal(lines.length + dropped, 20_000);
  assert.ok(lines.length <= 15_001);
  assert.deepEqual([lines[0]!.text, lines[after - 1]!.text], ["line 0", "line 4999"]);
  assert.equal(lines.at(-1)!.text, "line 19999");
  const item = {
    kind: "mail" as const,
    messages: "M",
    target: "a",
    subject: "",
    body: "x",
    jobId: 0,
    jobName: "",
  };
  let gone = 0;
  for (let at = 0; at < 1200; at++)
    gone += bench.db.outbox.add({ ...item, uuid: String(at), createdMs: at, nextMs: at });
  assert.equal(bench.db.outbox.count() + gone, 1200);
  assert.ok(bench.db.outbox.count() <= 1000);
  assert.equal(bench.db.outbox.due("mail", 2000, 1000).at(-1)!.uuid, "1199");
});
