/** First contacts of directors and daemons, over real connections. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { Passwords } from "../../common/bacula/origin.js";
import { identityOfCertificate } from "../../common/tls/identity.js";
import { readPin } from "../../common/tls/pins.js";
import { PinnedDaemons } from "../../director/enrolment/pinned.js";
import { RpcChannel } from "../../proto/rpc.js";
import { type Daemon, type DirectorParty, log, partiesOf } from "./parties.js";

const { daemonWith, directorWith } = partiesOf("daemons");

const pinFile = (director: DirectorParty): string => path.join(director.pki, "pins/filed-web-fd.yaml");

function nothingKept(daemon: Daemon, director: DirectorParty): void {
  assert.equal(daemon.enrolment.tls(), undefined);
  assert.deepEqual(readdirSync(daemon.pki).sort(), ["filed.key", "self.crt"]);
  assert.equal(readPin(pinFile(director)), undefined);
}

test("who knows the password gets a certificate, is noted, and is the same one from then on", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("secret");
  const shown = await director.call(daemon.port);
  const identity = identityOfCertificate(daemon.enrolment.need().certificate.raw);
  assert.deepEqual(identity, { role: "filed", name: "web-fd", fingerprint256: shown });
  assert.equal(readPin(pinFile(director))?.Fingerprint, shown);
  for (const file of [
    path.join(daemon.pki, "director.yaml"),
    path.join(daemon.pki, "filed.key"),
    pinFile(director),
  ])
    assert.equal(statSync(file).mode & 0o777, 0o600, file);
  assert.match(daemon.enrolment.ticketKey().toString(), /BEGIN PUBLIC KEY/);
  assert.equal(await director.call(daemon.port), shown);
  // Both begin again and know each other.
  await daemon.close();
  const again = await daemonWith("secret", { port: daemon.port, directory: path.dirname(daemon.pki) });
  const other = await directorWith("secret", { directory: path.dirname(director.pki) });
  assert.equal(await other.call(again.port), shown);
});

test("no password is on disk or on the wire in a form that tells it", async () => {
  const daemon = await daemonWith("a-very-secret-password");
  const director = await directorWith("a-very-secret-password");
  await director.call(daemon.port);
  const files = [daemon.pki, director.pki].flatMap((directory) =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile())
      .map((each) => path.join(each.parentPath, each.name)),
  );
  for (const file of files) assert.doesNotMatch(readFileSync(file, "utf8"), /very-secret/, file);
});

test("a wrong password is refused, and neither side keeps anything", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("guess");
  await assert.rejects(director.call(daemon.port), {
    code: "PASSWORD_WRONG",
    message:
      /^Client: web-fd on 127\.0\.0\.1:\d+ refuses: the names or passwords are not the same here and there$/,
  });
  nothingKept(daemon, director);
  director.passwords = new Passwords([["Client", "web-fd", "secret"]]);
  await director.call(daemon.port);
});

test("a daemon that was set up again is refused until the note about the first is removed", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("secret");
  const first = await director.call(daemon.port);
  await daemon.close();
  const second = await daemonWith("secret", { port: daemon.port });
  await assert.rejects(director.call(second.port), (error: Error & { code?: string }) => {
    assert.equal(error.code, "TLS_PIN_CHANGED");
    assert.match(
      error.message,
      /another certificate than at the first contact .* remove .*pins\/filed-web-fd\.yaml$/,
    );
    return true;
  });
  assert.equal(second.enrolment.tls(), undefined);
  rmSync(pinFile(director));
  assert.notEqual(await director.call(second.port), first);
});

test("a director with another CA is refused until the daemon forgets the first", async () => {
  const daemon = await daemonWith("secret");
  await (await directorWith("secret")).call(daemon.port);
  const other = await directorWith("secret");
  await assert.rejects(other.call(daemon.port), {
    code: "TLS_PIN_CHANGED",
    message:
      /director "test-dir" shows a certificate of another CA .* remove .*director\.yaml, and start it again$/,
  });
  assert.equal(readPin(pinFile(other)), undefined);
  const named = await directorWith("secret", { name: "other-dir" });
  await assert.rejects(named.call(daemon.port), { message: /belongs to director "test-dir" since/ });
});

test("a password that changes has to be proved again; the certificate stays", async () => {
  const daemon = await daemonWith("old");
  const director = await directorWith("old");
  const shown = await director.call(daemon.port);
  daemon.password = "new";
  await assert.rejects(director.call(daemon.port), { code: "PASSWORD_WRONG" });
  director.passwords = new Passwords([["Client", "web-fd", "new"]]);
  assert.equal(await director.call(daemon.port), shown);
  director.passwords = new Passwords([["Client", "web-fd", "newer"]]);
  await assert.rejects(director.call(daemon.port), { code: "PASSWORD_WRONG" });
});

test("a daemon goes by the name that the director gives it, and has one", async () => {
  const daemon = await daemonWith("secret", { name: "localhost-fd" });
  const director = await directorWith("secret");
  await director.call(daemon.port);
  assert.equal(daemon.enrolment.name, "web-fd");
  director.passwords = new Passwords([
    ["Client", "web-fd", "secret"],
    ["Client", "twin-fd", "secret"],
  ]);
  await assert.rejects(director.call(daemon.port, "twin-fd"), { message: /is Client "web-fd" already/ });
  const another = await daemonWith("secret");
  await assert.rejects(
    director.pins.fingerprint({
      role: "storaged",
      name: "S",
      address: "127.0.0.1",
      port: another.port,
      label: "S",
    }),
    { message: /this is the filed "web-fd", no storaged/ },
  );
});

test("a revoked certificate is not made good again by the password", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("secret");
  const shown = await director.call(daemon.port);
  const tls = daemon.enrolment.need();
  const config = () =>
    ({ director: { name: "test-dir" }, bacula: { passwords: director.passwords } }) as never;
  const isRevoked = (fingerprint: string): boolean => fingerprint === shown;
  const pins = new PinnedDaemons({ config, tls, isRevoked, pki: director.pki, log });
  const target = {
    role: "filed",
    name: "web-fd",
    address: "127.0.0.1",
    port: daemon.port,
    label: "web",
  } as const;
  await assert.rejects(pins.fingerprint(target, true), { code: "CERTIFICATE_REVOKED" });
});

test("many first contacts at once have their turn", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("secret");
  await director.call(daemon.port);
  const more = Array.from({ length: 20 }, () =>
    directorWith("secret", { directory: path.dirname(director.pki) }),
  );
  const targets = {
    role: "filed",
    name: "web-fd",
    address: "127.0.0.1",
    port: daemon.port,
    label: "web",
  } as const;
  const shown = await Promise.all(
    (await Promise.all(more)).map(({ pins }) => pins.fingerprint(targets, true)),
  );
  assert.equal(new Set(shown).size, 1);
});

test("several Storage resources may stand for one daemon, met at the same moment", async () => {
  const daemon = await daemonWith("secret", { name: "sd", role: "storaged" });
  const director = await directorWith("unused");
  const names = ["File1", "File2", "File3"];
  director.passwords = new Passwords(names.map((name) => ["Storage", name, "secret"] as const));
  const target = { role: "storaged", address: "127.0.0.1", port: daemon.port, label: "S" } as const;
  await Promise.all(names.map((name) => director.pins.fingerprint({ ...target, name })));
  const last = daemon.enrolment.need().certificate.raw;
  for (const name of names) {
    const shown = await director.pins.fingerprint({ ...target, name }, true);
    assert.equal(shown, identityOfCertificate(last).fingerprint256);
  }
  assert.equal(identityOfCertificate(last).name, "sd");
  const impostor = await daemonWith("secret", { name: "sd", role: "storaged" });
  director.passwords = new Passwords([["Storage", "File4", "secret"]]);
  await assert.rejects(director.pins.fingerprint({ ...target, name: "File4", port: impostor.port }), {
    message: /is called "sd", and so is another one .*: names must differ$/,
  });
});

test("behind the first contact only certificates of this CA come in", async () => {
  const daemon = await daemonWith("secret");
  const director = await directorWith("secret");
  await director.call(daemon.port);
  const stranger = await daemonWith("secret");
  await (await directorWith("secret")).call(stranger.port);
  const own = daemon.enrolment.need();
  const answer = async (tls: typeof own): Promise<unknown> => {
    const expect = { role: "filed", name: "web-fd" } as const;
    const channel = new RpcChannel({ address: "127.0.0.1", port: daemon.port, tls, expect });
    return await channel
      .unary("Filed", "Hello", {}, { timeoutMs: 60_000 })
      .catch((error) => error.code)
      .finally(() => channel.close());
  };
  // Who knows the daemon's CA and shows a certificate of another one does not get as far as a method.
  assert.equal(await answer({ ...stranger.enrolment.need(), ca: own.ca }), "PEER_UNAVAILABLE");
  assert.notEqual(await answer(own), "PEER_UNAVAILABLE");
});
