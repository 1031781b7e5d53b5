/** `File Relocation` of a restore's `mod` menu: new names for files, tried out before they are used. */
import { describeError } from "../../common/errors.js";
import { type Affixes, Relocation, relocationOf } from "../../common/relocation.js";
import type { CommandContext } from "./context.js";
import { choose } from "./prompts.js";

const ITEMS = [
  ...["Strip prefix", "Add prefix", "Add file suffix", "Enter a regexp"],
  ...["Test filename manipulation", "Use this ?"],
];

/** The expression to use; undefined when there is none that can be used, which was told. */
export async function relocationDialog(context: CommandContext): Promise<string | undefined> {
  const affixes: Affixes = {};
  let regex = "";
  const expression = (): string => regex || relocationOf(affixes);
  for (;;) {
    await context.say(shown(affixes));
    const heading = "This will replace your current Where value";
    const question = "Select parameter to modify";
    switch (await choose(context, { heading, items: ITEMS, question })) {
      case 0:
        affixes.strip = await context.ask("Please enter the path prefix to strip: ");
        break;
      case 1: {
        const prefix = await context.ask("Please enter the path prefix to add (/ for none): ");
        affixes.prefix = prefix === "/" ? "" : prefix;
        break;
      }
      case 2:
        affixes.suffix = await context.ask("Please enter the file suffix to add: ");
        break;
      case 3:
        regex = await context.ask("Please enter a valid regexp (!from!to!): ");
        break;
      case 4:
        await context.say(regex === "" ? `${shown(affixes)} result=${expression()}` : `regexwhere=${regex}`);
        await tryOut(context, expression());
        break;
      default:
        return (await usable(context, expression())) === undefined ? undefined : expression();
    }
  }
}

function shown({ strip, prefix, suffix }: Affixes): string {
  const [a, b, c] = [strip, prefix, suffix].map((each) => each ?? "*None*");
  return `strip_prefix=${a} add_prefix=${b} add_suffix=${c}`;
}

async function usable(context: CommandContext, expression: string): Promise<Relocation | undefined> {
  try {
    return new Relocation(expression);
  } catch (error) {
    await context.say(`Cannot use your regexp. ${describeError(error)}`);
    return undefined;
  }
}

/** Names until a period. */
async function tryOut(context: CommandContext, expression: string): Promise<void> {
  const relocation = await usable(context, expression);
  if (relocation === undefined) return;
  await context.say("Enter a period (.) to stop this test");
  for (;;) {
    const name = (await context.askRaw("Please enter filename to test: ")).trim();
    if (name === ".") return;
    if (name !== "") await context.say(`${name} -> ${relocation.text(name)}`);
  }
}
