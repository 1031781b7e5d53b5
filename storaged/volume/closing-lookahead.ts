/** The list blocks of a job's closing, ahead of the builder. */
import type { Row } from "../../common/format/row.js";
import { decodeBlock } from "../../common/format/row-block.js";
import type { ClosingSource, ContentQuery } from "./closing-builder.js";
import { hasParts } from "./manifest.js";

/** The catalog's thread answers for these while one is built. */
const BLOCKS_AHEAD = 2;

export interface LocatedRows {
  rows: Row[];
  /** Where the content of each row lies that has one. */
  places: Promise<readonly string[]>;
}

/** Blocks that are fetched, and asked for the places of their contents, while the ones before them are built. */
export class Lookahead {
  readonly #source: ClosingSource;
  readonly #ahead: Promise<LocatedRows | undefined>[] = [];
  #fetched: Promise<unknown> = Promise.resolve();

  constructor(source: ClosingSource) {
    this.#source = source;
  }

  /** Undefined behind the last block. @throws GarbledInput; what the source throws */
  next(): Promise<LocatedRows | undefined> {
    while (this.#ahead.length <= BLOCKS_AHEAD) this.#ahead.push(this.#fetch());
    return this.#ahead.shift()!;
  }

  #fetch(): Promise<LocatedRows | undefined> {
    const block = this.#fetched.then(() => this.#source.nextBlock());
    this.#fetched = block;
    const located = block.then((bytes) => (bytes === undefined ? undefined : this.#locate(bytes)));
    // Waited for in turn; until then nobody else may hear of a failure.
    located.catch(() => undefined);
    return located;
  }

  #locate(block: Buffer): LocatedRows {
    const rows = decodeBlock(block);
    const queries: ContentQuery[] = [];
    for (const row of rows) {
      if (row.content !== undefined) queries.push({ content: row.content, parts: hasParts(row) });
    }
    const places = queries.length === 0 ? Promise.resolve([]) : this.#source.locate(queries);
    places.catch(() => undefined);
    return { rows, places };
  }
}
