/** For tests that need something which not every machine gives: root, a mount, another program. */

export interface Skippable {
  readonly name: string;
  skip: (why?: string) => void;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Is this a run in which every test must run? */
function isComplete({ CI, BASALT_NO_SKIP }: Environment): boolean {
  return [CI, BASALT_NO_SKIP].some((value) => !["", "0", "false", undefined].includes(value));
}

/**
 * To be called by a test that cannot run for want of `what`: it is skipped and says why.
 * @throws Error where CI or BASALT_NO_SKIP is set: there it fails
 */
export function skipWithout(what: string, test: Skippable, environment: Environment = process.env): void {
  if (isComplete(environment)) {
    const why = "with CI or BASALT_NO_SKIP set every test must run";
    throw new Error(`the test "${test.name}" needs ${what}, and ${why}`);
  }
  test.skip(`needs ${what}`);
}

/** True when the test may go on, as root; else as `skipWithout`. @throws Error */
export function asRoot(test: Skippable): boolean {
  if (process.geteuid?.() === 0) return true;
  skipWithout("root", test);
  return false;
}
