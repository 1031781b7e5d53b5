import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { NAMED_CONSOLE_HOST } from "../../common/tls/identity.js";
import { loadTls } from "../../common/tls/load.js";
import { readRevoked } from "../../common/tls/revoked.js";
import { loadDirectorConfig } from "../config/load.js";
import { addClient, renewCertificate, revokeClient } from "./client.js";
import { addConsole } from "./console.js";
import { runInit } from "./init.js";

const parent = mkdtempSync(path.join(tmpdir(), "basalt-init-"));
const directory = path.join(parent, "inst");
const configFile = path.join(directory, "director.yaml");
const lines: string[] = [];
const print = (line: string): void => void lines.push(line);

before(async () => assert.equal(await runInit({ directory, name: "web", portBase: 19101 }, print), 0));
after(() => rmSync(parent, { recursive: true }));

test("an installation works as it is made", () => {
  const config = loadDirectorConfig(configFile);
  assert.deepEqual(config.warnings, []);
  assert.deepEqual([config.director.name, config.director.port], ["web-dir", 19101]);
  assert.deepEqual(
    [...config.clients.values()].map(({ name, port }) => [name, port]),
    [["web-fd", 19102]],
  );
  assert.equal(config.storages.get("File")?.port, 19103);
  for (const peer of ["director", "filed", "storaged", "console"]) {
    const file = (name: string): string => path.join(directory, "pki", name);
    loadTls({ caFile: file("ca.crt"), certFile: file(`${peer}.crt`), keyFile: file(`${peer}.key`) });
  }
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(path.join(directory, "pki/ca.key")).mode & 0o777, 0o600);
});

test("a second init changes nothing", async () => {
  const before = readFileSync(path.join(directory, "pki/ca.key"), "utf8");
  assert.equal(await runInit({ directory, name: "other" }, print), 1);
  assert.match(lines.at(-1)!, /already holds an installation \(director\.yaml, .*nothing was changed/);
  assert.equal(readFileSync(path.join(directory, "pki/ca.key"), "utf8"), before);
  await assert.rejects(runInit({ directory: path.join(parent, "x"), name: "a b" }, print), { code: "USAGE" });
});

test("a client is added, renewed and revoked", async () => {
  assert.equal(await addClient({ configFile, name: "kvm-02", address: "10.0.0.2", write: true }, print), 0);
  assert.equal(loadDirectorConfig(configFile).clients.get("kvm-02")?.address, "10.0.0.2");
  await assert.rejects(addClient({ configFile, name: "kvm-02" }, print), { code: "USAGE" });
  const bundle = path.join(directory, "clients/kvm-02");
  const pki = (name: string): string => path.join(bundle, "pki", name);
  const files = { caFile: pki("ca.crt"), certFile: pki("filed.crt"), keyFile: pki("filed.key") };
  const first = loadTls(files).certificate;
  assert.ok(first.checkIP("10.0.0.2"));
  assert.match(readFileSync(path.join(bundle, "filed.yaml"), "utf8"), /Name: kvm-02\n[\s\S]*Name: "web-dir"/);

  assert.equal(await renewCertificate({ configFile, name: "kvm-02" }, print), 0);
  const second = loadTls(files).certificate;
  assert.notEqual(second.fingerprint256, first.fingerprint256);
  assert.ok(second.checkIP("10.0.0.2"));
  assert.deepEqual(readRevoked(path.join(directory, "pki/revoked.yaml")), []);

  assert.equal(revokeClient({ configFile, name: "kvm-02", reason: "stolen" }, print), 0);
  const revoked = readRevoked(path.join(directory, "pki/revoked.yaml")).map(({ fingerprint }) => fingerprint);
  const expected = [first, second].map((each) => each.fingerprint256.replaceAll(":", "").toLowerCase());
  assert.deepEqual(revoked.sort(), expected.sort());
  assert.throws(() => revokeClient({ configFile, name: "nobody" }, print), /no certificate of "nobody"/);
});

test("a named console is added with a resource that grants next to nothing, renewed and revoked", async () => {
  assert.equal(await addConsole({ configFile, name: "night", address: "10.0.0.1", write: true }, print), 0);
  const { consoles } = loadDirectorConfig(configFile);
  assert.deepEqual([consoles.get("night")?.commandAcl.length, consoles.get("night")?.jobAcl], [5, []]);
  const pki = (name: string): string => path.join(directory, "consoles/night/pki", name);
  const files = { caFile: pki("ca.crt"), certFile: pki("console.crt"), keyFile: pki("console.key") };
  const first = loadTls(files).certificate;
  assert.ok(first.subjectAltName?.includes(NAMED_CONSOLE_HOST));
  assert.equal(await renewCertificate({ configFile, name: "night" }, print), 0);
  assert.ok(loadTls(files).certificate.subjectAltName?.includes(NAMED_CONSOLE_HOST));
  assert.equal(revokeClient({ configFile, name: "night" }, print), 0);
  const revoked = readRevoked(path.join(directory, "pki/revoked.yaml")).map(({ fingerprint }) => fingerprint);
  assert.ok(revoked.includes(first.fingerprint256.replaceAll(":", "").toLowerCase()));
  await assert.rejects(addConsole({ configFile, name: "night" }, print), { code: "USAGE" });
});

test("renewing with --revoke-old withdraws the earlier ones only", async () => {
  assert.equal(await renewCertificate({ configFile, name: "web-console", revokeOld: true }, print), 0);
  const names = readRevoked(path.join(directory, "pki/revoked.yaml")).map(({ name }) => name);
  assert.equal(names.filter((name) => name === "web-console").length, 1);
});

test("names that would leave the directory are refused", async () => {
  for (const name of ["../x", "a/b", "", ".x", "a b"]) {
    await assert.rejects(addClient({ configFile, name }, print), { code: "USAGE" }, name);
  }
});
