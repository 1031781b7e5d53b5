/** A file daemon and a director that know each other by a password, as far as a first contact needs them. */

import { mkdirSync } from "node:fs";
import path from "node:path";
import { after } from "node:test";
import { Passwords } from "../../common/bacula/origin.js";
import { createLog } from "../../common/log.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { fingerprintOf } from "../../common/tls/identity.js";
import { loadTls } from "../../common/tls/load.js";
import type { DirectorConfig } from "../../director/config/types.js";
import { Daemons } from "../../director/daemons/daemons.js";
import { ensureAuthority } from "../../director/enrolment/authority.js";
import { ConsoleDoor } from "../../director/enrolment/consoles.js";
import { PinnedDaemons } from "../../director/enrolment/pinned.js";
import { DaemonEnrolment } from "../../proto/enrol/daemon.js";
import { PROTOCOL, RpcServer } from "../../proto/rpc.js";

export const log = createLog("test", { level: "silent" });

export interface DaemonWish {
  password: string;
  port?: number;
  name?: string;
  role?: "filed" | "storaged";
}

/** Directories for the tests of one file, and parties that end with them. */
export function partiesOf(tests: string) {
  const root = scratchDirectory(`enrolment-${tests}`);
  const closers: (() => unknown)[] = [];
  after(async () => {
    for (const close of closers.reverse()) await close();
  });
  let counter = 0;
  const fresh = (): string => path.join(root, String(counter++));
  return {
    /** Called in reverse order at the end. */
    closers,
    fresh,
    async daemonWith(password: string, more: Omit<DaemonWish, "password"> & { directory?: string } = {}) {
      const { directory = fresh(), ...rest } = more;
      const daemon = await startDaemon(directory, { password, ...rest });
      closers.push(() => daemon.close());
      return daemon;
    },
    async directorWith(password: string, more: { name?: string; directory?: string } = {}) {
      const { directory = fresh(), ...rest } = more;
      const director = await startDirector(directory, { password, ...rest });
      closers.push(() => director.close());
      return director;
    },
  };
}

/** A daemon that answers a Hello of its director. */
export interface Daemon {
  readonly pki: string;
  /** Fingerprints that are withdrawn. */
  readonly revoked: Set<string>;
  readonly port: number;
  readonly enrolment: DaemonEnrolment;
  /** In force from now on. */
  password: string;
  close(): Promise<void>;
}

export async function startDaemon(
  directory: string,
  { password, port = 0, name = "web-fd", role = "filed" }: DaemonWish,
): Promise<Daemon> {
  const pki = path.join(directory, "pki");
  mkdirSync(directory, { recursive: true });
  const state = { password };
  const passwordOf = (director: string) => (director.endsWith("dir") ? state.password : undefined);
  const revoked = new Set<string>();
  const isRevoked = (fingerprint: string): boolean => revoked.has(fingerprint);
  const enrolment = await DaemonEnrolment.open({ role, name, pki, passwordOf, isRevoked, log });
  const server = new RpcServer({ frontDoor: enrolment, isRevoked: () => false });
  const hello = { role, name, protocolMajor: PROTOCOL.major, protocolMinor: PROTOCOL.minor };
  server.add(
    role === "filed" ? "Filed" : "Storaged",
    { Hello: async () => ({ ...hello, software: "test" }) },
    (_method, peer) => {
      enrolment.admit(peer);
      return peer.role === "director";
    },
  );
  const bound = await server.listen("127.0.0.1", port);
  return {
    pki,
    revoked,
    port: bound,
    enrolment,
    get password() {
      return state.password;
    },
    set password(text) {
      state.password = text;
    },
    close: () => server.close(100),
  };
}

export interface DirectorParty {
  readonly pki: string;
  /** Fingerprints that are withdrawn, and its own. */
  readonly revoked: Set<string>;
  readonly fingerprint: string;
  readonly daemons: Daemons;
  readonly door: ConsoleDoor;
  readonly pins: PinnedDaemons;
  /** `Client web-fd password`, `Director NAME password`, … in force from now on. */
  passwords: Passwords;
  /** Calls the daemon: the Client `web-fd` at that port; its fingerprint. */
  call(port: number, client?: string): Promise<string>;
  close(): void;
}

export async function startDirector(
  directory: string,
  { name = "test-dir", password }: { name?: string; password: string },
): Promise<DirectorParty> {
  const pki = path.join(directory, "pki");
  mkdirSync(directory, { recursive: true });
  await ensureAuthority(pki, name);
  const file = (each: string): string => path.join(pki, each);
  const files = { caFile: file("ca.crt"), certFile: file("director.crt"), keyFile: file("director.key") };
  const tls = loadTls(files);
  const state = { passwords: new Passwords([["Client", "web-fd", password]]) };
  const clients = new Map([["web-fd", {}]]);
  const config = (): DirectorConfig =>
    ({ director: { name }, clients, bacula: { passwords: state.passwords } }) as unknown as DirectorConfig;
  const revoked = new Set<string>();
  const known = { config, tls, isRevoked: (fingerprint: string) => revoked.has(fingerprint) };
  const pins = new PinnedDaemons({ ...known, pki, log });
  const daemons = new Daemons({ ...known, ticketKey: "", software: "test", revoked: () => [], pins });
  return {
    pki,
    daemons,
    pins,
    revoked,
    fingerprint: fingerprintOf(tls.certificate.raw),
    door: new ConsoleDoor({ ...known, pki, log }),
    get passwords() {
      return state.passwords;
    },
    set passwords(value) {
      state.passwords = value;
    },
    call: async (port, client = "web-fd") => {
      const channel = await daemons.connectFiled({ name: client, address: "127.0.0.1", port } as never);
      return channel.peer!.fingerprint;
    },
    close: () => daemons.close(),
  };
}
