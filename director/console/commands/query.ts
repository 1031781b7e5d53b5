/** `query`: numbered questions to the catalog, with prompts, from a file. */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeError } from "../../../common/errors.js";
import type { Command, CommandContext } from "../context.js";
import { choose } from "../prompts.js";
import { readQueryFile, type StoredQuery, withAnswers } from "../sql/query-file.js";
import { SqlSession } from "../sql/sql-session.js";
import { printSql } from "./sqlquery.js";

/** The questions that come with the product: conf/query.sql of the installation. */
function ownFile(): string {
  let at = dirname(fileURLToPath(import.meta.url));
  for (let up = 0; up < 6; up++, at = dirname(at)) {
    const file = join(at, "conf", "query.sql");
    if (existsSync(file)) return file;
  }
  return "conf/query.sql";
}

async function questions(context: CommandContext): Promise<StoredQuery[]> {
  try {
    return readQueryFile(context.whole.config.director.queryFile ?? ownFile());
  } catch (error) {
    return await context.fail(describeError(error));
  }
}

export const query: Command = {
  name: "query",
  summary: "Ask the catalog one of the questions in the QueryFile",
  usage: ["query", "query N [answer …]"],
  keywords: [],
  async run(context) {
    await context.useCatalog();
    const all = await questions(context);
    const given = context.args.bare();
    const number = Number(given[0] ?? "0");
    const known = Number.isInteger(number) && number > 0 && number <= all.length;
    const at = known
      ? number - 1
      : await choose(context, {
          heading: "Available queries:",
          items: all.map(({ title }) => title),
          question: "Choose a query",
        });
    const { prompts, statements } = all[at]!;
    const answers = known ? given.slice(1) : [];
    for (const prompt of prompts.slice(answers.length))
      answers.push(await context.ask(/\s$/.test(prompt) ? prompt : `${prompt} `));
    const session = new SqlSession(context);
    try {
      for (const { sql, blocks } of statements)
        await printSql(context, session, withAnswers(sql, answers), blocks ? "blocks" : "table");
    } finally {
      session.close();
    }
  },
};
