/** The version that the director tells consoles. */
import { packageVersion } from "../../common/package.js";

/** As in package.json. */
export const SOFTWARE_VERSION = packageVersion();
