import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBlocks, formatTable } from "./table.js";

test("a table is as wide as its widest cell, a row is found by `| 5 `", () => {
  const text = formatTable(
    ["JobId", "Name"],
    [
      { JobId: 5, Name: "a-long-name" },
      { JobId: 12, Name: null },
    ],
  );
  assert.equal(
    text,
    [
      "+-------+-------------+",
      "| JobId | Name        |",
      "+-------+-------------+",
      "| 5     | a-long-name |",
      "| 12    |             |",
      "+-------+-------------+",
      "",
    ].join("\n"),
  );
});

test("no rows", () => {
  assert.equal(formatTable(["A"], []), "No results to list.\n");
  assert.equal(formatBlocks(["A"], []), "No results to list.\n");
});

test("blocks have right-aligned keys and end in an empty line", () => {
  assert.equal(formatBlocks(["JobId", "Name"], [{ JobId: 1, Name: true }]), " JobId: 1\n  Name: 1\n\n");
});

test("a cell is one line", () => {
  assert.ok(formatTable(["A"], [{ A: "x\ny" }]).includes("| x y |"));
});
