/** Messages resources as the rest of the director sees them; see types.ts. */

export type MessageDestinationKind =
  | "console"
  | "catalog"
  | "file"
  | "append"
  | "stdout"
  | "stderr"
  | "syslog";

export interface MessageDestination {
  readonly kind: MessageDestinationKind;
  /** Path for `file` and `append`. */
  readonly target?: string | undefined;
  /** Message types in lower case, `!` in front of an excluded one: `["all", "!skipped"]`. */
  readonly types: readonly string[];
}

export interface MessagesResource {
  readonly name: string;
  readonly destinations: readonly MessageDestination[];
}
