import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  type ChannelFacts,
  isProof,
  passwordKey,
  passwordKeySync,
  passwordMark,
  proofOf,
} from "./password.js";

const sharers = { role: "filed", director: "d", peer: "c" };
const part = (text: string): Buffer => Buffer.from(text);
const channel: ChannelFacts = {
  exported: part("exported"),
  callerCertificate: part("caller"),
  calledCertificate: part("called"),
  callerHello: part("hello"),
  calledHello: part("answer"),
};

test("a proof holds for one side of one connection and one password", async () => {
  const key = await passwordKey("secret", sharers);
  const good = proofOf("caller", key, channel);
  assert.ok(isProof(proofOf("caller", passwordKeySync("secret", sharers), channel), good));
  const others = [
    proofOf("called", key, channel),
    proofOf("caller", await passwordKey("secreT", sharers), channel),
    proofOf("caller", await passwordKey("secret", { ...sharers, peer: "other" }), channel),
    ...Object.keys(channel).map((fact) => proofOf("caller", key, { ...channel, [fact]: part("x") })),
    // The same bytes, divided in another way.
    proofOf("caller", key, { ...channel, callerHello: part("helloa"), calledHello: part("nswer") }),
  ];
  for (const other of others) assert.ok(!isProof(other, good));
  assert.equal(new Set([good, ...others].map((each) => each.toString("hex"))).size, others.length + 1);
  assert.ok(!isProof(good.subarray(1), good));
});

test("Bareos' [md5] form is the password that it was made of", () => {
  const md5 = createHash("md5").update("secret").digest("hex");
  const mark = passwordMark(passwordKeySync("secret", sharers));
  assert.equal(passwordMark(passwordKeySync(`[md5]${md5.toUpperCase()}`, sharers)), mark);
  assert.notEqual(passwordMark(passwordKeySync("[md5]short", sharers)), mark);
});
