/** Sessions from a pipe, compared line by line. */
import assert from "node:assert/strict";
import type { Scenario } from "../../helpers/scenario.js";

/** What a session printed after each of its lines; the lines are found by their echo, in order. */
class Transcript {
  readonly text: string;
  readonly #answers: string[] = [];

  constructor(text: string, lines: readonly string[]) {
    this.text = text;
    let at = 0;
    const starts = lines.map((line) => {
      // An answer is echoed behind its question, a command on a line of its own.
      const escaped = line.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
      const echo = new RegExp(`(?<=^|\\n|: |\\$ )${escaped}\\n`, "g");
      echo.lastIndex = at;
      const found = echo.exec(text)?.index ?? -1;
      assert.ok(found >= 0, `${JSON.stringify(line)} is not echoed after:\n${text.slice(at)}`);
      at = found + line.length + 1;
      return { found, end: at };
    });
    starts.forEach(({ end }, index) => {
      this.#answers.push(text.slice(end, starts[index + 1]?.found ?? text.length));
    });
  }

  /** What came after the line with this number. */
  answer(index: number): string {
    // It comes when a job has something to say, not as part of an answer.
    return (this.#answers[index] ?? "").replaceAll("You have messages.\n", "");
  }
}

/** Runs lines with what each of them has to be answered by; undefined: anything. */
export async function session(
  scenario: Scenario,
  steps: readonly (readonly [line: string, answer?: string | RegExp])[],
): Promise<Transcript> {
  const lines = steps.map(([line]) => line);
  const transcript = new Transcript(await scenario.installation.console(lines), lines);
  steps.forEach(([line, expected], index) => {
    const answer = transcript.answer(index);
    const told = `after ${JSON.stringify(line)}:\n${answer}\nin:\n${transcript.text}`;
    if (typeof expected === "string") assert.equal(answer, expected, told);
    else if (expected !== undefined) assert.match(answer, expected, told);
  });
  return transcript;
}
