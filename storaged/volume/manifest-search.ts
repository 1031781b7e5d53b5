/** Finds in manifest members the files that need one of some chunks. */
import { parseMemberName } from "../../common/format/member.js";
import { GarbledInput } from "../../common/format/varint.js";
import { plainName } from "./frame-check.js";
import { walkMember } from "./tar-walk.js";

export class ManifestSearch {
  readonly #digests: ReadonlySet<string>;
  /** Path of the newest row, per job: parts may go on in the next member. */
  readonly #paths = new Map<number, string>();
  /** Last path reported, per job: a file with many lost parts is named once. */
  readonly #told = new Map<number, string>();

  /** `digests` in lower-case hex. */
  constructor(digests: ReadonlySet<string>) {
    this.#digests = digests;
  }

  /** Escaped paths of the rows in this frame that need one of the chunks; frames of a job come in order. */
  frame(raw: Buffer, jobId: number): string[] {
    const found: string[] = [];
    try {
      for (let at = 0; at < raw.length; ) {
        const member = walkMember(raw, at);
        if (member.size > 0 && parseMemberName(jobId, plainName(member)).kind === "manifest") {
          this.#text(raw.latin1Slice(member.dataAt, member.dataAt + member.size), jobId, found);
        }
        at = member.end;
      }
    } catch (error) {
      // Reported as damage already.
      if (!(error instanceof GarbledInput)) throw error;
    }
    return found;
  }

  #text(text: string, jobId: number, found: string[]): void {
    for (const line of text.split("\n")) {
      const fields = line.split("\t");
      if (fields[0] === "+") {
        const parts = fields[1]?.split(" ") ?? [];
        if (parts.some((part) => this.#digests.has(part.slice(0, 64)))) this.#tell(jobId, found);
      } else if (fields[0] === "f" && fields[1] !== undefined) {
        this.#paths.set(jobId, fields[1]);
        const content = fields[10];
        if (content?.startsWith("blake3:") && this.#digests.has(content.slice(7))) this.#tell(jobId, found);
      }
    }
  }

  #tell(jobId: number, found: string[]): void {
    const path = this.#paths.get(jobId);
    if (path === undefined || this.#told.get(jobId) === path) return;
    this.#told.set(jobId, path);
    found.push(path);
  }
}
