import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadStoragedConfig, type StoragedConfig } from "./config.js";
import { devicesNamed, isScripted } from "./device-config.js";

const HEAD = `
Storage: {Name: sd, WorkingDirectory: var, TLS: {CaFile: ca, CertFile: crt, KeyFile: key}}
Director: {Name: dir}
`;

function load(text: string): StoragedConfig {
  const dir = mkdtempSync(join(tmpdir(), "basalt-devices-"));
  try {
    const file = join(dir, "storaged.yaml");
    writeFileSync(file, HEAD + text);
    return loadStoragedConfig(file);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test("autochangers with and without a command; a device's own words outrank the changer's", () => {
  const { devices } = load(`
Autochanger:
  - {Name: Shelf, Device: [A, B], ChangerCommand: "", ChangerDevice: /dev/null}
  - {Name: Robot, Device: "D, C", ChangerCommand: "/x %c", ChangerDevice: /robot/conf, MaximumChangerWait: 10 sec}
Device:
  - {Name: A, ArchiveDevice: /shelf}
  - {Name: B, ArchiveDevice: /shelf, Autochanger: yes}
  - {Name: C, ArchiveDevice: /robot/c, DriveIndex: 0}
  - {Name: D, ArchiveDevice: /robot/d, DriveIndex: 1, ChangerCommand: "/y %c"}
  - {Name: E, ArchiveDevice: /e, Autochanger: yes, ChangerCommand: "/z %o", ChangerDevice: /e.conf}
  - {Name: F, ArchiveDevice: /f, Autochanger: yes}
`);
  const names = (name: string) => devicesNamed(devices, name).map((device) => device.name);
  assert.deepEqual(
    [names("Shelf"), names("Robot"), names("E"), names("F"), names("G")],
    [...[["A", "B"], ["C", "D"], ["E"], ["F"], []]],
  );
  assert.deepEqual(
    [...devices.values()].map((device) => [device.drive?.command, isScripted(device)]),
    [
      ["", false],
      ["", false],
      ["/x %c", true],
      ["/y %c", true],
      ["/z %o", true],
      [undefined, false],
    ],
  );
  assert.deepEqual(devices.get("D")?.drive, {
    ...{ changer: "Robot", index: 1, command: "/y %c", changerDevice: "/robot/conf", maximumWaitSec: 10 },
  });
});

test("what does not fit together is told", () => {
  const wrong = (text: string, pattern: RegExp) => assert.throws(() => load(text), pattern);
  const device = "Device: [{Name: A, ArchiveDevice: /a}, {Name: B, ArchiveDevice: /b, DriveIndex: 0}]\n";
  wrong(`${device}Autochanger: {Name: X, Device: [A, Z]}`, /Autochanger "X": there is no Device "Z"/);
  wrong(`${device}Autochanger: {Name: X, Device: [A, B]}`, /"A" and "B" have the same DriveIndex 0/);
  wrong(`${device}Autochanger: {Name: X}`, /Device/);
  wrong(
    `${device}Autochanger: [{Name: X, Device: A}, {Name: Y, Device: [A]}]`,
    /Device "A" belongs to two Autochangers/,
  );
  wrong(
    `${device}Autochanger: {Name: X, Device: A, ChangerCommand: "/x '"}`,
    /ChangerCommand: .* not closed/,
  );
});
