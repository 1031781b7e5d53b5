/** Has a storage daemon call a file daemon as for a backup, and measure the line between both. */

import { BackupError } from "../../common/errors.js";
import { signTicket } from "../../common/ticket.js";
import { nowMs } from "../../common/time.js";
import type { NetworkTestResult__Output } from "../../proto/generated/basalt/v1/NetworkTestResult.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { ClientResource } from "../config/types.js";

/** What is sent each way, and how many round trips are made. */
export interface NetworkLoad {
  bytes: number;
  packets: number;
  signal: AbortSignal;
}

/** A slow line may take long; whoever waits may give up. */
const LIMIT_MS = 24 * 3_600_000;
const TICKET_MS = 10 * 60_000;

/** @throws BackupError of either daemon, or CONNECT_FAILED */
export async function testNetwork(
  { client, storaged }: { client: ClientResource; storaged: RpcChannel },
  granted: { director: string; ticketKey: string | Buffer },
  { bytes, packets, signal }: NetworkLoad,
): Promise<NetworkTestResult__Output> {
  const storage = storaged.peer?.name;
  if (storage === undefined) throw new BackupError("CONNECT_FAILED", `${storaged.label} was never reached`);
  const expiresMs = nowMs() + TICKET_MS;
  const job = { jobId: 0, jobUuid: "", kind: "network" as const, pool: "" };
  const parties = { director: granted.director, client: client.name, storage };
  const request = {
    ...{ client: client.name, filedAddress: client.address, filedPort: client.port },
    ticket: signTicket({ ...job, ...parties, expiresMs }, granted.ticketKey),
    ...{ bytes, packets },
  };
  const options = { timeoutMs: LIMIT_MS, signal };
  return await storaged.unary<NetworkTestResult__Output>("Storaged", "TestNetwork", request, options);
}
