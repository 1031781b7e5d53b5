import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setClock } from "../time.js";
import { identityOfCertificate } from "./identity.js";
import { type Issued, issueCa, issuePeer, issueTicketKeys } from "./issue.js";
import { expiryWarning, loadTls } from "./load.js";
import { addRevoked, openRevocations, readRevoked } from "./revoked.js";

const directory = mkdtempSync(path.join(tmpdir(), "basalt-tls-"));
const at = (name: string): string => path.join(directory, name);
const files = { caFile: at("ca.crt"), certFile: at("a.crt"), keyFile: at("a.key") };
const DAY_MS = 86_400_000;

let ca: Issued;
let peer: Issued;

before(async () => {
  ca = await issueCa("test CA");
  peer = await issuePeer(ca, { role: "filed", name: "web 1", hosts: ["kvm-01", "10.0.0.1"] });
  writeFileSync(files.caFile, ca.certPem);
  writeFileSync(files.certFile, peer.certPem);
  writeFileSync(files.keyFile, peer.keyPem, { mode: 0o600 });
});
after(() => rmSync(directory, { recursive: true }));
afterEach(() => setClock());

test("a peer's certificate carries its identity and hosts, and fits its CA", () => {
  const { certificate } = loadTls(files);
  assert.deepEqual(identityOfCertificate(certificate.raw), {
    role: "filed",
    name: "web 1",
    fingerprint256: peer.fingerprint,
  });
  for (const host of ["localhost", "kvm-01"]) assert.ok(certificate.checkHost(host), host);
  for (const ip of ["127.0.0.1", "10.0.0.1"]) assert.ok(certificate.checkIP(ip), ip);
  assert.ok(certificate.checkIssued(new X509Certificate(ca.certPem)));
});

test("what does not fit is named", async () => {
  const other = await issueCa("other");
  writeFileSync(at("other.crt"), other.certPem);
  writeFileSync(at("other.key"), other.keyPem, { mode: 0o600 });
  const fails = (change: Partial<typeof files>, message: RegExp) =>
    assert.throws(() => loadTls({ ...files, ...change }), { code: "TLS_INVALID", message });
  fails({ keyFile: at("none.key") }, /cannot read private key .*none\.key: no such file or directory$/);
  fails({ keyFile: at("other.key") }, /other\.key does not belong to certificate .*a\.crt$/);
  fails({ caFile: at("other.crt") }, /a\.crt is not signed by the CA in .*other\.crt$/);
  fails({ certFile: files.keyFile }, /holds no certificate/);
  writeFileSync(at("open.key"), peer.keyPem);
  chmodSync(at("open.key"), 0o640);
  fails({ keyFile: at("open.key") }, /has mode 0640, open to group or others; run: chmod 600/);
  await assert.rejects(
    issuePeer({ certPem: ca.certPem, keyPem: other.keyPem }, { role: "console", name: "x" }),
    {
      code: "TLS_INVALID",
    },
  );
});

test("validity follows the clock", () => {
  const start = Date.now();
  const { certificate } = loadTls(files);
  assert.equal(expiryWarning(certificate), undefined);
  setClock(() => start + 800 * DAY_MS);
  assert.match(expiryWarning(certificate)!, /^certificate of web 1 expires in 24 days/);
  setClock(() => start + 826 * DAY_MS);
  assert.match(expiryWarning(certificate)!, /expired on/);
  assert.throws(() => loadTls(files), /a\.crt expired on/);
  setClock(() => start - DAY_MS);
  assert.throws(() => loadTls(files), /is not valid before .*; check the clock/);
});

test("certificates without exactly one identity are refused", () => {
  assert.throws(() => identityOfCertificate(new X509Certificate(ca.certPem).raw), { code: "PEER_UNKNOWN" });
  assert.throws(() => identityOfCertificate(Buffer.from("nonsense")), { code: "PEER_UNKNOWN" });
});

test("a name cannot smuggle in another identity", async () => {
  for (const name of ["x, URI:basalt:director/d", "a/b", 'q"', "ü"]) {
    const made = await issuePeer(ca, { role: "filed", name });
    const identity = identityOfCertificate(new X509Certificate(made.certPem).raw);
    assert.deepEqual([identity.role, identity.name], ["filed", name]);
  }
});

test("ticket keys are Ed25519", () => {
  const { privatePem, publicPem } = issueTicketKeys();
  assert.match(privatePem, /BEGIN PRIVATE KEY/);
  assert.match(publicPem, /BEGIN PUBLIC KEY/);
});

test("the revocation list follows its file and fails closed", () => {
  const file = at("revoked.yaml");
  const errors: unknown[] = [];
  const list = openRevocations(file, (error) => errors.push(error));
  assert.equal(list.isRevoked(peer.fingerprint), false);
  const entry = {
    fingerprint: peer.fingerprint,
    name: "web 1",
    at: "2026-11-21 03:23:28",
    reason: "lost: yes",
  };
  assert.equal(addRevoked(file, [entry]), 1);
  assert.equal(addRevoked(file, [entry]), 0);
  assert.deepEqual(readRevoked(file), [entry]);
  assert.equal(list.isRevoked(peer.fingerprint.toUpperCase().replace(/..(?!$)/g, "$&:")), true);
  assert.equal(list.isRevoked(ca.fingerprint), false);
  writeFileSync(file, "nonsense: [");
  assert.equal(list.isRevoked(ca.fingerprint), true);
  assert.equal(errors.length, 1);
  writeFileSync(file, `[{"fingerprint": "${ca.fingerprint}"}]`);
  assert.equal(list.isRevoked(ca.fingerprint), true);
  assert.equal(list.isRevoked(peer.fingerprint), false);
});
