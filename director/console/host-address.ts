/** Whether a configured host is at an address. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { setTimeout } from "node:timers/promises";

const PATIENCE_MS = 3000;

/**
 * True when `host`, a name or an address, is `address`. Ask one after the other: a name server that does not answer
 * holds one thread of those that files are read with. It is waited for three seconds.
 */
export async function isAt(host: string, address: string, signal: AbortSignal): Promise<boolean> {
  if (host === address) return true;
  if (isIP(host) !== 0 || isIP(address) === 0) return false;
  const done = new AbortController();
  const late = setTimeout(PATIENCE_MS, [], { signal: AbortSignal.any([done.signal, signal]) });
  try {
    const found = await Promise.race([lookup(host, { all: true }), late]);
    return found.some((each) => each.address === address);
  } catch {
    // No such name: nobody is there.
    signal.throwIfAborted();
    return false;
  } finally {
    done.abort();
    late.catch(() => undefined);
  }
}
