// Node's fast latin1 accessors, present on every Buffer but missing from its type definitions.
interface Buffer {
  latin1Write(text: string, offset?: number, length?: number): number;
  latin1Slice(start?: number, end?: number): string;
}
