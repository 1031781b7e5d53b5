/** Warns of certificates that end soon: the director's own, and those of every daemon and console it has met. */

import type { X509Certificate } from "node:crypto";
import { baculaDate, nowMs } from "../common/time.js";
import { expiryWarning } from "../common/tls/load.js";
import type { Peer } from "../proto/rpc.js";

const DAY_MS = 86_400_000;
const WARN_DAYS = 30;

export class CertificateWatch {
  readonly #own: X509Certificate;
  readonly #warn: (text: string) => void;
  readonly #peers = new Map<string, Peer>();
  readonly #warned = new Map<string, number>();

  constructor(own: X509Certificate, warn: (text: string) => void) {
    this.#own = own;
    this.#warn = warn;
  }

  /** Remembers a peer; the first sight of a certificate that ends soon is warned of at once. */
  met(peer: Peer): void {
    this.#peers.set(`${peer.role} "${peer.name}"`, peer);
    this.#check(`${peer.role} "${peer.name}"`, peer);
  }

  /** To be called at start and once a day. */
  check(): void {
    const own = expiryWarning(this.#own, WARN_DAYS);
    if (own !== undefined) this.#warn(own);
    for (const [label, peer] of this.#peers) this.#check(label, peer);
  }

  #check(label: string, { expiresMs, fingerprint }: Peer): void {
    if (expiresMs === undefined || Number.isNaN(expiresMs)) return;
    const left = expiresMs - nowMs();
    if (left > WARN_DAYS * DAY_MS) return;
    // A little less than a day, so that the daily check is never a moment too early.
    if (nowMs() - (this.#warned.get(fingerprint) ?? 0) < DAY_MS * 0.9) return;
    this.#warned.set(fingerprint, nowMs());
    const days = Math.max(0, Math.floor(left / DAY_MS));
    const when = left <= 0 ? "has expired" : `expires in ${days} ${days === 1 ? "day" : "days"}`;
    this.#warn(`the certificate of ${label} ${when} (${baculaDate(expiresMs)}); renew it`);
  }
}
