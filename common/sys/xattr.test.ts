import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { skipWithout } from "../test-needs.js";
import { listXattrsAt, setXattr } from "./xattr.js";
import type { FilteredListing } from "./xattr-testing.js";

for (const name of ["ENOSYS", "EPERM"] as const) {
  test(`where the kernel's call fails with ${name}, attributes are listed all the same`, async (t) => {
    // Not in a directory for temporary files, which may have no user attributes.
    const top = mkdtempSync(join(process.cwd(), ".xattr-test-"));
    t.after(() => rmSync(top, { recursive: true }));
    writeFileSync(join(top, "file"), "");
    writeFileSync(join(top, "bare"), "");
    symlinkSync("file", join(top, "link"));
    try {
      setXattr(join(top, "file"), "user.one", Buffer.from([0, 255]));
      setXattr(join(top, "file"), "user.two", Buffer.alloc(0));
    } catch {
      return skipWithout("a file system with user attributes", t);
    }
    const fd = openSync(top, "r");
    t.after(() => closeSync(fd));
    const names = ["file", "bare", "link"];
    const workerData: FilteredListing = { fd, names, errno: constants.errno[name] };
    const worker = new Worker(new URL("./xattr-testing.js", import.meta.url), { workerData });
    const [found] = (await once(worker, "message")) as [{ name: string; value: Uint8Array }[][]];
    const plain = found.map((all) => all.map((one) => ({ name: one.name, value: Buffer.from(one.value) })));
    assert.deepEqual(
      plain,
      names.map((entry) => listXattrsAt(fd, entry)),
    );
    assert.deepEqual(plain[0]!.filter((one) => one.name === "user.one")[0]?.value, Buffer.from([0, 255]));
    return undefined;
  });
}
