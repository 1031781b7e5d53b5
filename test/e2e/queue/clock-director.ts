/** A director whose clock is ahead: clock-director.js MILLISECONDS BASALT director -c CONFIG */
import { setClock } from "../../../common/time.js";
import { runDirector } from "../../../director/main.js";

const [ahead = "0", , , , configFile = ""] = process.argv.slice(2);
setClock(() => Date.now() + Number(ahead));
process.exitCode = await runDirector({ configFile });
