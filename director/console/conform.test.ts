import { test } from "node:test";
import type { Director } from "../director.js";
import type { ConsoleDirector } from "./port.js";

test("the director has all that the console language needs (checked by the compiler)", () => {
  const fits = (director: Director): ConsoleDirector => director;
  void fits;
});
