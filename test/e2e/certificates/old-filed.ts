/** A file daemon that says it speaks an older protocol: old-filed.js CONFIG MINOR */
import { runFiled } from "../../../filed/main.js";
import { PROTOCOL } from "../../../proto/rpc.js";

const [configFile = "", minor = ""] = process.argv.slice(2);
process.exitCode = await runFiled({
  configFile,
  protocol: { major: PROTOCOL.major, minor: Number(minor) },
});
