/** Apart from the door of passwords, which loads all that makes certificates. */

import { BackupError } from "../../common/errors.js";

/** What a console is told whose certificate was given for a password by somebody who is not here any more. */
export function provedBefore(console: string): BackupError {
  return new BackupError(
    "PERMISSION_DENIED",
    `console "${console}" has to prove its password: connect again`,
  );
}
