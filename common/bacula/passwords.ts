/** The passwords in Bacula's files, by the resource that they stand in. */

import { type Diagnostic, foldName } from "../config/diagnostics.js";
import type { Component } from "./layout.js";
import { placeOf } from "./map/mapper.js";
import type { Names } from "./map/names.js";
import type { MappedResource } from "./map/types.js";
import { type PasswordKind, Passwords } from "./origin.js";
import type { BaculaResource } from "./syntax.js";
import { givenText } from "./values.js";

const KINDS: Readonly<Record<Component, Readonly<Record<string, PasswordKind>>>> = {
  director: {
    director: "Director",
    client: "Client",
    storage: "Storage",
    autochanger: "Storage",
    console: "Console",
    user: "Console",
  },
  storaged: { director: "Director" },
  filed: { director: "Director" },
  console: { director: "Director", console: "Console" },
};

/** Every password of a configuration, by kind and by the name that the resource has here. */
export function passwordsOf(
  component: Component,
  resources: readonly BaculaResource[],
  names: Names,
): Passwords {
  return new Passwords(
    resources.flatMap((resource) => {
      const kind = kindOf(component, resource);
      const password = givenText(resource.directives, "Password");
      const name = givenText(resource.directives, "Name");
      if (kind === undefined || name === undefined || password === undefined || password === "") return [];
      return [[kind, names.of(kind, name), password] as const];
    }),
  );
}

function kindOf(component: Component, { kind }: BaculaResource): PasswordKind | undefined {
  const folded = foldName(kind);
  return Object.hasOwn(KINDS[component], folded) ? KINDS[component][folded] : undefined;
}

/** Resources that are used and have none. A console may lack one: it cannot log in then. */
export function missingPasswords(
  component: Component,
  resources: readonly BaculaResource[],
  mapped: readonly MappedResource[],
): Pick<Diagnostic, "at" | "message">[] {
  const used = new Set(mapped.map(({ node }) => node.at));
  const withConsole = component === "console" && resources.some(({ kind }) => foldName(kind) === "console");
  return resources.flatMap((resource) => {
    const kind = kindOf(component, resource);
    if (kind === undefined || kind === "Console" || !used.has(resource.at) || withConsole) return [];
    if ((givenText(resource.directives, "Password") ?? "") !== "") return [];
    return [{ at: resource.at, message: `${placeOf(resource)} has no Password` }];
  });
}
