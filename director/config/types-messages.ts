/** Messages resources as the rest of the director sees them; see types.ts. */

export type MessageDestinationKind =
  | "console"
  | "catalog"
  | "file"
  | "append"
  | "stdout"
  | "stderr"
  | "syslog"
  | "mail"
  | "mailOnError"
  | "mailOnSuccess"
  | "operator"
  | "webhook";

export interface MessageDestination {
  readonly kind: MessageDestinationKind;
  /**
   * Path for `file` and `append`; addresses with commas between them for mail and operator; for `webhook` a URL, or
   * `<` and the absolute path of a file that only its owner may read and that holds the URL.
   */
  readonly target?: string | undefined;
  /** Message types in lower case, `!` in front of an excluded one: `["all", "!skipped"]`. */
  readonly types: readonly string[];
}

/** A server that takes mail by SMTP. */
export interface MailServer {
  /** (Default: localhost) */
  readonly address: string;
  /** (Default: 25; 587 with a User; 465 with smtps) */
  readonly port: number;
  /**
   * `auto`: encrypted when the server offers it; `starttls`: never without; `smtps`: from the first byte on; `no`.
   * (Default: auto; starttls with a User)
   */
  readonly tls: "no" | "auto" | "starttls" | "smtps";
  /** Certificates (PEM) that the server's must descend from. (Default: those the system trusts) */
  readonly caFile?: string | undefined;
  /** Check the server's certificate and name; `auto` does so with a CaFile only. (Default: yes) */
  readonly verifyPeer: boolean;
  readonly user?: string | undefined;
  /** Only its owner may read it; the first line is the password. */
  readonly passwordFile?: string | undefined;
}

/** How mail of a Messages resource looks and goes; texts hold %-codes, among them %r for the recipients. */
export interface MailSettings {
  readonly server: MailServer;
  readonly from: string;
  readonly replyTo?: string | undefined;
  readonly subject: string;
  readonly operatorSubject: string;
}

/** How webhooks of a Messages resource are called. */
export interface WebhookSettings {
  /** Time for one call, answer included. */
  readonly timeoutSec: number;
  /** Sent as bearer token; only its owner may read it. */
  readonly tokenFile?: string | undefined;
}

export interface MessagesResource {
  readonly name: string;
  readonly destinations: readonly MessageDestination[];
  /** Always there when a destination is mail or operator. */
  readonly mail?: MailSettings | undefined;
  /** Always there when a destination is a webhook. */
  readonly webhook?: WebhookSettings | undefined;
}
