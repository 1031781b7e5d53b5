/** Who blocks the desk, who was withdrawn, and certificates that outlive what they were given for. */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { Passwords } from "../../common/bacula/origin.js";
import { setClock } from "../../common/time.js";
import { identityOfCertificate } from "../../common/tls/identity.js";
import { loadTls, type TlsMaterial } from "../../common/tls/load.js";
import { passwordKey } from "../../common/tls/password.js";
import { DirectorNote } from "../../console/director-notes.js";
import { proveToDirector } from "../../console/password.js";
import { issueAndRecord } from "../../director/admin/files.js";
import { ensureAuthority } from "../../director/enrolment/authority.js";
import { PasswordDesk } from "../../proto/enrol/answer.js";
import { callByPassword } from "../../proto/enrol/call.js";
import { DONE, PREFACE } from "../../proto/enrol/wire.js";
import { openFrontDoor } from "../../proto/rpc/front-door.js";
import { identityFromCertificate } from "../../proto/rpc/identity.js";
import { type DirectorParty, log, partiesOf, startDaemon, startDirector } from "./parties.js";

const { closers, fresh, daemonWith, directorWith } = partiesOf("desk");

function tlsOf(pki: string): TlsMaterial {
  const file = (each: string): string => path.join(pki, each);
  return loadTls({ caFile: file("ca.crt"), certFile: file("director.crt"), keyFile: file("director.key") });
}

function idle(port: number, localAddress: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress }, () => resolve(socket));
    socket.on("error", () => undefined);
    socket.write(PREFACE);
    closers.push(() => socket.destroy());
  });
}

test("one address that says nothing keeps no other one from a first contact", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("secret");
  await Promise.all(Array.from({ length: 30 }, () => idle(daemon.port, "127.0.0.2")));
  await director.call(daemon.port);
});

test("who proves nothing in time is let go, and who closes leaves the queue", async () => {
  const director = await directorWith("secret");
  const own = tlsOf(director.pki);
  const desk = new PasswordDesk({
    log,
    own: () => own,
    hello: () => ({ role: "director", name: "test-dir" }),
    keyFor: async () => undefined,
    work: async () => assert.fail("nobody proved anything"),
    isRevoked: () => false,
    proofMs: 100,
  });
  const door = { tls: () => undefined, answer: (socket: Socket) => desk.answer(socket) };
  const { listener, port } = await openFrontDoor(undefined as never, door, { address: "127.0.0.1", port: 0 });
  closers.push(() => listener.close());
  const sockets = await Promise.all(Array.from({ length: 9 }, () => idle(port, "127.0.0.1")));
  await Promise.all(
    sockets.map((socket) => new Promise((resolve) => socket.resume().once("close", resolve))),
  );
  // What goes wrong with a listener later on is no end of the process.
  listener.emit("error", new Error("accept EMFILE"));
  listener.emit("error", new Error("accept EMFILE"));
});

test("a daemon whose certificate has expired starts, and its director gives it another one", async () => {
  const directory = fresh();
  const [site, long] = [fresh(), 900 * 86_400_000];
  setClock(() => Date.now() - long);
  let first: string;
  try {
    const daemon = await startDaemon(directory, { password: "secret" });
    const director = await startDirector(site, { password: "secret" });
    first = await director.pins.fingerprint({
      ...{ role: "filed", name: "web-fd", address: "127.0.0.1", port: daemon.port, label: "web" },
    } as const);
    director.close();
    await daemon.close();
  } finally {
    setClock();
  }
  const daemon = await daemonWith("secret", { directory });
  assert.equal(daemon.enrolment.tls(), undefined);
  const stranger = await directorWith("secret");
  await assert.rejects(stranger.call(daemon.port), { code: "TLS_PIN_CHANGED" });
  const shown = await (await directorWith("secret", { directory: site })).call(daemon.port);
  assert.notEqual(shown, first);
});

test("a director whose key was written and whose certificate was not gets both anew", async () => {
  const pki = path.join(fresh(), "pki");
  await ensureAuthority(pki, "test-dir");
  const other = path.join(fresh(), "pki");
  await ensureAuthority(other, "test-dir");
  writeFileSync(path.join(pki, "director.key"), tlsOf(other).key);
  assert.throws(() => tlsOf(pki));
  await ensureAuthority(pki, "test-dir");
  tlsOf(pki);
});

test("a withdrawn certificate is neither proved to nor made good again, by whatever key file it comes", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("secret");
  daemon.revoked.add(director.fingerprint);
  await assert.rejects(director.call(daemon.port), {
    message: /the certificate of this director was revoked$/,
  });
  assert.equal(daemon.enrolment.tls(), undefined);
  daemon.revoked.clear();
  const shown = await director.call(daemon.port);
  director.revoked.add(shown);
  rmSync(path.join(director.pki, "pins/filed-web-fd.yaml"));
  rmSync(path.join(daemon.pki, "director.yaml"));
  await daemon.close();
  const again = await daemonWith("secret", { directory: path.dirname(daemon.pki), port: daemon.port });
  const target = {
    role: "filed",
    name: "web-fd",
    address: "127.0.0.1",
    port: again.port,
    label: "web",
  } as const;
  await assert.rejects(director.pins.fingerprint(target), { code: "CERTIFICATE_REVOKED" });
});

test("a daemon takes no name but the one in its certificate", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("secret");
  await director.call(daemon.port);
  const own = tlsOf(director.pki);
  const call = callByPassword(
    {
      ...{ address: "127.0.0.1", port: daemon.port, own, label: "web" },
      hello: { role: "director", name: "test-dir", calls: "filed" },
      keyFor: ({ name }) => passwordKey("secret", { role: "filed", director: "test-dir", peer: name }),
    },
    async ({ pipe }) => {
      pipe.send({ name: "other-fd", ca: own.ca.toString() });
      await pipe.receive(DONE);
    },
  );
  await assert.rejects(call, { code: "ENROL_REFUSED", message: /is not for this daemon and its key$/ });
  assert.equal(daemon.enrolment.name, "web-fd");
});

const CREDENTIAL = { console: "", password: "root password" };
const resourceAt = (port: number) => ({ name: "any", address: "127.0.0.1", port }) as never;

async function doorAt(
  port: number,
): Promise<{ port: number; close: () => Promise<unknown>; director: DirectorParty }> {
  const director = await directorWith("secret");
  director.passwords = new Passwords([["Director", "test-dir", "root password"]]);
  const place = { address: "127.0.0.1", port };
  const opened = await openFrontDoor(undefined as never, director.door, place);
  const close = () => new Promise((resolve) => opened.listener.close(resolve));
  closers.push(close);
  return { port: opened.port, close, director };
}

test("a console that has met its director proves nothing to another one that answers there", async () => {
  const notes = fresh();
  const { port, close, director } = await doorAt(0);
  const { pki } = director;
  const first = await proveToDirector(resourceAt(port), CREDENTIAL, notes);
  assert.deepEqual((await proveToDirector(resourceAt(port), CREDENTIAL, notes)).name, first.name);
  const note = new DirectorNote(notes, resourceAt(port));
  note.check(tlsOf(pki).certificate.raw);
  // Nor to a daemon or console of the same installation that was taken over.
  const other = await issueAndRecord(pki, { role: "filed", name: "test-dir", hosts: [] });
  assert.throws(() => note.check(new X509Certificate(other.certPem).raw), { code: "TLS_PIN_CHANGED" });
  await close();
  await doorAt(port);
  await assert.rejects(proveToDirector(resourceAt(port), CREDENTIAL, notes), {
    code: "TLS_PIN_CHANGED",
    message: /another CA than at the first contact.* remove .*any%40127\.0\.0\.1%3A\d+\.crt$/,
  });
});

test("what was given for a password does not outlive it over a start of the director", async () => {
  const { port, director } = await doorAt(0);
  const { tls } = await proveToDirector(resourceAt(port), CREDENTIAL, fresh());
  const certificate = new X509Certificate(tls.cert);
  assert.equal(identityOfCertificate(certificate.raw).name, "*UserAgent*");
  const peer = identityFromCertificate({
    raw: certificate.raw,
    subjectaltname: certificate.subjectAltName,
  } as never);
  assert.equal(peer.proved, true);
  assert.equal(director.door.refusal(peer), undefined);
  assert.ok(Date.parse(certificate.validTo) < Date.now() + 600_000);
  const started = await directorWith("secret", { directory: path.dirname(director.pki) });
  assert.match(String(started.door.refusal(peer)), /has to prove its password: connect again/);
});
