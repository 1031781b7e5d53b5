import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Diagnostics, formatDiagnostic } from "../../common/config/diagnostics.js";
import { readResources, resourceName } from "../../common/config/resources.js";
import { readConfigSource } from "../../common/config/source.js";
import { type BlockSpec, block } from "../../common/config/spec.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { FREEZE_SPEC, toFreezeSettings } from "./config.js";
import type { FreezeSettings } from "./settings.js";

const directives = { name: resourceName(), freeze: block(FREEZE_SPEC) };
const SPEC: BlockSpec<typeof directives> = { directives };

function read(
  text: string,
  hookDirectories = ["/etc/basalt/hooks"],
): { settings: FreezeSettings; found: string[] } {
  const file = join(scratchDirectory("freeze-config"), "filed.yaml");
  writeFileSync(file, `Snapshot: {Name: lvm, Freeze: ${text}}\n`);
  const diagnostics = new Diagnostics();
  const { Snapshot } = readResources(readConfigSource(file, diagnostics), { Snapshot: SPEC }, diagnostics);
  const settings = toFreezeSettings(Snapshot.get("lvm")?.values.freeze, { hookDirectories, diagnostics });
  return { settings, found: diagnostics.all.map(formatDiagnostic).map((line) => line.replace(/^.*?: /, "")) };
}

test("all that can be said", () => {
  const { settings, found } = read(
    "{Method: [agent, Libvirt Pause, command, none], AgentSocket: /run/qemu/%n.ga, FileSystems: [/, /srv/], Domain: kvm-%n, " +
      "Services: [{Stop: cron-stop, Start: 'cron-start now'}], Timeout: 30 s, StepTimeout: 5 s, Required: yes}",
  );
  assert.deepEqual(found, []);
  assert.deepEqual(settings, {
    methods: ["agent", "libvirt-pause", "command", "none"],
    agentSocket: "/run/qemu/%n.ga",
    qmpSocket: undefined,
    fileSystems: ["/", "/srv"],
    domain: "kvm-%n",
    libvirtUri: "qemu:///system",
    virsh: "virsh",
    services: [{ stop: "cron-stop", start: "cron-start now" }],
    hookDirectories: ["/etc/basalt/hooks"],
    timeoutSec: 30,
    stepTimeoutSec: 5,
    required: true,
  });
});

test("what is missing or wrong is said", () => {
  const cases: [string, RegExp][] = [
    ["{Timeout: 30 s}", /Freeze of Snapshot "lvm": Method is missing/],
    ["{Method: agent}", /Method agent needs AgentSocket/],
    ["{Method: [libvirt, qmp]}", /Method qmp needs QmpSocket/],
    ["{Method: command}", /Method command needs Services/],
    ["{Method: agnet}", /is not one of agent, .*did you mean "agent"/],
    ["{Method: agent, AgentSocket: run/x}", /not an absolute path/],
    ["{Method: command, Services: [{Stop: a}]}", /a service needs both Stop and Start/],
    ['{Method: command, Services: [{Stop: "a \'b", Start: b}]}', /is not closed/],
    ["{Method: libvirt, Domain: --all}", /not the name of a domain/],
    ["{Method: libvirt, Virsh: bin/virsh}", /Virsh must be absolute/],
    ["{Method: libvirt, Timeout: 0}", /longer than nothing/],
  ];
  for (const [text, expected] of cases) assert.match(read(text).found.join("\n"), expected, text);
  const services = "{Method: command, Services: [{Stop: a, Start: b}]}";
  assert.match(read(services, []).found.join("\n"), /HookDirectories only/);
});
