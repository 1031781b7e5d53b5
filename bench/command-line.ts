/** What the programs here share in reading their command lines: `--help`, and one line and status 2 for what is wrong. */
import { Command, InvalidArgumentError } from "commander";
import { EXIT } from "../common/errors.js";

/** A program whose options are still to be added. Its parse() ends the process after `--help` and after a wrong option. */
export function benchProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .allowExcessArguments(false)
    .showHelpAfterError(`(${name} --help lists the options)`)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage));
}

/** For an option: digits alone. */
export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a whole number is wanted");
}

/** For an option: one of these names. */
export function oneOf<T extends string>(known: readonly T[]): (text: string) => T {
  return (text) => {
    const found = known.find((name) => name === text);
    if (found === undefined) throw new InvalidArgumentError(`known are: ${known.join(", ")}`);
    return found;
  };
}

/** For an option: some of these names with commas between them. */
export function someOf<T extends string>(known: readonly T[]): (text: string) => T[] {
  const one = oneOf(known);
  return (text) => text.split(",").map(one);
}
