/** A Debian (or Ubuntu) tree made of packages by mmdebstrap, with their scripts run in it. */
import { programEnvironment } from "../hooks/hooks.js";
import { hostSources } from "./apt-sources.js";
import { type BuildTools, runStep } from "./programs.js";
import type { DebRecipe } from "./settings.js";

/**
 * Makes the tree in `target`, an empty directory.
 * @throws BackupError REFERENCE_SOURCES, EXEC_FAILED, and as `runStep`
 */
export async function buildDebian(recipe: DebRecipe, target: string, tools: BuildTools): Promise<void> {
  const { suite, mirrors } = recipe;
  const from = mirrors.length > 0 ? mirrors : hostSources(suite);
  tools.report("info", `Reference ${tools.name}: mmdebstrap ${suite} from ${from.join("; ")}`);
  const words = mmdebstrapWords(recipe, target, from);
  await runStep(tools, { words, label: "mmdebstrap", env: debianEnvironment() });
}

/** Without it some packages ask questions. */
function debianEnvironment(): Record<string, string> {
  return { ...programEnvironment(), DEBIAN_FRONTEND: "noninteractive" };
}

/** The command line. */
export function mmdebstrapWords(recipe: DebRecipe, target: string, from: readonly string[]): string[] {
  const { suite, variant, components, packages, keyrings, aptOptions } = recipe;
  return [
    // It mounts the host's /dev, /proc and /sys in the tree: in a place of its own those go with it, however it ends.
    ...["unshare", "--mount", "--propagation", "private", "--"],
    // The tree's owners must be those that the machines have.
    ...["mmdebstrap", "--mode=root", "--format=directory", `--variant=${variant}`],
    ...(components.length === 0 ? [] : [`--components=${components.join(",")}`]),
    ...packages.map((name) => `--include=${name}`),
    ...keyrings.map((file) => `--keyring=${file}`),
    ...aptOptions.map((option) => `--aptopt=${option}`),
    ...["--", suite, target, ...from],
  ];
}
