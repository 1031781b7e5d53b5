import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ConfigError, formatDiagnostic } from "../../common/config/diagnostics.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { loadDirectorConfig } from "./load.js";
import type { DirectorConfig } from "./types.js";
import type { MessagesResource } from "./types-messages.js";

const directory = scratchDirectory("mail-config");
const FRAME = `
Director: {Name: dir, WorkingDirectory: var, TLS: {CaFile: pki/ca.crt, CertFile: pki/d.crt, KeyFile: pki/d.key}}
`;

function load(messages: string): DirectorConfig {
  const file = path.join(directory, "d.yaml");
  writeFileSync(file, `${FRAME}Messages:\n  - Name: Standard\n${messages.replace(/^/gm, "    ")}`);
  return loadDirectorConfig(file);
}

const standard = (messages: string): MessagesResource => load(messages).messages.get("Standard")!;

function problems(messages: string): string {
  try {
    load(messages);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.diagnostics.map((found) => formatDiagnostic(found)).join("\n");
  }
  return assert.fail("was accepted");
}

test("destinations in both ways of writing, with what is usual for the rest", () => {
  const found = standard(`
Mail: {"ops@example.org, root": "all, !skipped"}
Mail On Error: "boss@example.org = error, fatal"
Operator: ["op@example.org = mount"]
Webhook: {"https://hook.example.org/a?b=c": "alert, security"}
`);
  assert.deepEqual(found.destinations, [
    { kind: "mail", target: "ops@example.org, root", types: ["all", "!skipped"] },
    { kind: "mailOnError", target: "boss@example.org", types: ["error", "fatal"] },
    { kind: "operator", target: "op@example.org", types: ["mount"] },
    { kind: "webhook", target: "https://hook.example.org/a?b=c", types: ["alert", "security"] },
  ]);
  assert.deepEqual(found.mail?.server, { address: "localhost", port: 25, tls: "auto", verifyPeer: true });
  assert.equal(found.mail?.subject, "Bacula: %t %e of %c %l");
  assert.deepEqual(found.webhook, { timeoutSec: 10 });
  const text = 'Webhook: "https://hook.example.org/a?b=c = all"\n';
  assert.equal(standard(text).destinations[0]!.target, "https://hook.example.org/a?b=c");
});

test("a server with a login wants an encrypted line and a password file of its owner's alone", () => {
  const secret = path.join(directory, "password");
  writeFileSync(secret, "s3cret\n", { mode: 0o600 });
  const mail = "Mail: {ops@example.org: all}\n";
  const server = (words: string) => `${mail}MailServer: {Address: mail.example.org, ${words}}\n`;
  const login = "User: basalt, PasswordFile: password";
  assert.deepEqual(standard(server(login)).mail?.server, {
    ...{ address: "mail.example.org", port: 587, tls: "starttls", verifyPeer: true },
    ...{ user: "basalt", passwordFile: secret },
  });
  assert.equal(standard(server(`${login}, TLS: smtps`)).mail?.server.port, 465);
  assert.match(problems(server(`${login}, TLS: auto`)), /a password is sent over an encrypted line only/);
  assert.match(problems(server("User: basalt")), /User and PasswordFile go together/);
  assert.match(problems(server("TLS: sometimes")), /"sometimes" is not one of no, auto, starttls, smtps/);
  writeFileSync(path.join(directory, "open"), "s3cret\n", { mode: 0o644 });
  const open = problems(server("User: basalt, PasswordFile: open"));
  assert.match(open, /password file .* has mode 0644, open to group or others; run: chmod 600/);
  assert.ok(!open.includes("s3cret"));
});

test("Bacula's MailCommand: bsmtp's words are taken over, other commands are named as not run", () => {
  const bsmtp = String.raw`MailCommand: '/opt/bacula/bin/bsmtp -h mail.example.org:2525 -f "\(Bacula\) \<%r\>" -s "Bacula: %t %e" %r'`;
  const config = load(`Mail: {root: all}\n${bsmtp}\n`);
  const { mail } = config.messages.get("Standard")!;
  assert.deepEqual([mail?.server.address, mail?.server.port], ["mail.example.org", 2525]);
  assert.equal(mail?.subject, "Bacula: %t %e");
  assert.match(
    config.warnings.map((each) => each.message).join(),
    /is not run: its server, sender and subject/,
  );
  const other = load("Mail: {root: all}\nMailCommand: /usr/local/bin/tell-all %r\n");
  assert.match(other.warnings.map((each) => each.message).join(), /is not run: messages go by SMTP/);
  assert.equal(other.messages.get("Standard")!.mail?.server.address, "localhost");
});

test("what can be no address or webhook is named, without secrets", () => {
  assert.match(problems('Mail: {"a@b@c": all}\n'), /"a@b@c" is not a mail address/);
  assert.match(problems('Mail: {"a b": all}\n'), /"a b" is not a mail address/);
  const hook = problems('Webhook: {"https://user:s3cret@x.org/": all}\n');
  assert.match(hook, /the URL holds a password/);
  assert.ok(!hook.includes("s3cret"));
  assert.match(problems('Webhook: {"ftp://x.org/": all}\n'), /a webhook is a http:\/\/ or https:\/\/ URL/);
  assert.match(problems('Webhook: {"</nowhere/hook": all}\n'), /cannot read the webhook's file/);
});
