/** `sqlquery` and `.sql`: SQL that reads Bacula's tables. */
import { BackupError, describeError } from "../../../common/errors.js";
import { Abandoned, type Command, type CommandContext, catalogName, type Data } from "../context.js";
import type { ResultForm } from "../sql/protocol.js";
import { SqlSession } from "../sql/sql-session.js";

/** Records in one structured answer. */
const MAX_RECORDS = 100_000;
/** A statement that is typed line by line. */
const MAX_STATEMENT = 1_000_000;

/**
 * Carries out a statement and prints its result; what SQLite has against it is told.
 * @throws Abandoned after an interrupt
 */
export async function printSql(
  context: CommandContext,
  session: SqlSession,
  sql: string,
  form: ResultForm,
): Promise<void> {
  const records: Data[] = [];
  try {
    await session.run(sql, context.state.json ? "records" : form, {
      text: (text) => context.print(text),
      records: async (more) => {
        for (const record of more) records.push(record as Data);
        if (records.length > MAX_RECORDS)
          throw new BackupError("SQL_FAILED", `more than ${MAX_RECORDS} rows: use LIMIT and OFFSET`);
      },
    });
    if (context.state.json) context.append("results", records);
  } catch (error) {
    if (error instanceof Abandoned || context.signal.aborted) throw error;
    const text = `Query failed: ${sql}: ERR=${describeError(error)}`;
    if (context.state.json) await context.fail(text);
    await context.say(text);
  }
}

export const sqlquery: Command = {
  name: "sqlquery",
  summary: "Query the catalog with SQL",
  usage: ["sqlquery      then statements, each ended by a semicolon; a blank line ends the mode"],
  keywords: [],
  async run(context) {
    await context.useCatalog();
    await context.print(
      "Entering SQL query mode.\nTerminate each query with a semicolon.\nTerminate query mode with a blank line.\n",
    );
    const session = new SqlSession(context);
    try {
      for (let sql = ""; ; ) {
        const line = (
          await context.askRaw(sql === "" ? "Enter SQL query: " : "Add to SQL query: ")
        ).trimEnd();
        if (line.trim() === "" || line.trim() === ".") break;
        sql = sql === "" ? line : `${sql}\n${line}`;
        if (sql.length > MAX_STATEMENT) return void (await context.fail("The statement is too long."));
        if (!line.endsWith(";")) continue;
        await printSql(context, session, sql, "table");
        sql = "";
      }
    } finally {
      session.close();
    }
    await context.say("End query mode.");
  },
};

export const dotSql: Command = {
  name: ".sql",
  summary: "One statement, values with tabs between",
  usage: ['.sql query="SELECT JobId, Name FROM Job"'],
  keywords: ["query="],
  async run(context) {
    const sql = context.args.value("query", "sql");
    if (sql === undefined || sql.trim() === "") return void (await context.fail("query keyword not found."));
    context.require("catalog", catalogName(context.whole), "Catalog");
    const session = new SqlSession(context);
    try {
      await printSql(context, session, sql, "tabs");
    } finally {
      session.close();
    }
  },
};
