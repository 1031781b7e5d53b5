/** For tests: a small SMTP server (RFC 5321, STARTTLS, AUTH PLAIN) on loopback that keeps what it gets. */

import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";

export interface ReceivedMail {
  from: string;
  to: string[];
  /** Headers and text as sent, dots undone. */
  data: string;
  encrypted: boolean;
  /** `user:password`, or "". */
  login: string;
}

/** The text of a mail, quoted-printable undone. */
export function textOf({ data }: ReceivedMail): string {
  const body = data.slice(data.indexOf("\n\n") + 2).replaceAll("=\n", "");
  if (!/^Content-Transfer-Encoding: quoted-printable$/m.test(data)) return body;
  const bytes = body.replace(/=([0-9A-F]{2})/g, (_whole, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}

export interface SmtpScript {
  /** Greeting; "" never greets. */
  greeting: string;
  /** Answer to a recipient, such as `550 no such user`. */
  recipient: (address: string) => string;
  /** Answer behind the text of a mail. */
  accepted: string;
  /** PEM, for STARTTLS; without them it is not offered. */
  tls?: { key: string; cert: string };
  /** Offers AUTH PLAIN, and takes this `user:password` only. */
  login?: string;
}

/** A mail server that does what its script says; close it with `close`. */
export class SmtpServer {
  readonly mails: ReceivedMail[] = [];
  readonly script: SmtpScript = { greeting: "220 test", recipient: () => "250 ok", accepted: "250 taken" };
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #waiting: (() => void)[] = [];

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  get port(): number {
    return this.#port;
  }

  /** Listens; the same port again after `close`. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (this.#server.address() as { port: number }).port;
    return this.#port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Resolves when so many mails have come. */
  async received(count: number): Promise<ReceivedMail[]> {
    while (this.mails.length < count) await this.#next();
    return this.mails;
  }

  /** Resolves when so many connections were opened. */
  async connected(count: number): Promise<void> {
    while (this.connections < count) await this.#next();
  }

  #next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #tell(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => undefined);
    this.connections += 1;
    this.#tell();
    if (this.script.greeting !== "") socket.write(`${this.script.greeting}\r\n`);
    this.#talk(socket, false);
  }

  #talk(socket: Socket, encrypted: boolean): void {
    let mail: ReceivedMail = { from: "", to: [], data: "", encrypted, login: "" };
    let inData = false;
    let rest = "";
    const answer = (line: string): void => void socket.write(`${line}\r\n`);
    const line = (text: string): void => {
      if (inData) {
        if (text !== ".") {
          mail.data += `${text.replace(/^\./, "")}\n`;
          return;
        }
        inData = false;
        if (this.script.accepted.startsWith("2")) this.mails.push(mail);
        mail = { ...mail, from: "", to: [], data: "" };
        answer(this.script.accepted);
        this.#tell();
        return;
      }
      const [verb = ""] = text.toUpperCase().split(/[ :]/);
      if (verb === "EHLO") answer(this.#extensions(encrypted));
      else if (verb === "STARTTLS") {
        answer("220 go on");
        socket.removeAllListeners("data");
        const context = createSecureContext(this.script.tls!);
        const secure = new TLSSocket(socket, { isServer: true, secureContext: context });
        secure.on("error", () => undefined);
        this.#talk(secure, true);
      } else if (verb === "AUTH") {
        mail.login = Buffer.from(text.split(" ")[2] ?? "", "base64")
          .toString()
          .split("\0")
          .slice(1)
          .join(":");
        answer(mail.login === this.script.login ? "235 welcome" : "535 wrong password");
      } else if (verb === "MAIL") {
        mail.from = /<(.*?)>/.exec(text)?.[1] ?? "";
        answer("250 ok");
      } else if (verb === "RCPT") {
        const address = /<(.*?)>/.exec(text)?.[1] ?? "";
        const said = this.script.recipient(address);
        if (said.startsWith("2")) mail.to.push(address);
        answer(said);
      } else if (verb === "DATA") {
        inData = true;
        answer("354 go on");
      } else if (verb === "QUIT") socket.end("221 bye\r\n");
      else answer("250 ok");
    };
    socket.on("data", (chunk: Buffer) => {
      rest += chunk.toString("utf8");
      for (let end = rest.indexOf("\r\n"); end >= 0; end = rest.indexOf("\r\n")) {
        const text = rest.slice(0, end);
        rest = rest.slice(end + 2);
        line(text);
      }
    });
  }

  #extensions(encrypted: boolean): string {
    const offers = ["test", "8BITMIME", "SMTPUTF8"];
    if (this.script.tls !== undefined && !encrypted) offers.push("STARTTLS");
    if (this.script.login !== undefined) offers.push("AUTH PLAIN");
    return offers.map((offer, index) => `250${index + 1 < offers.length ? "-" : " "}${offer}`).join("\r\n");
  }
}
