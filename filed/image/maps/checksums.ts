/**
 * Cyclic redundancy checks of on-disk structures that Node lacks: CRC-32C (ext4, xfs) and CRC-16 (ext4's older group
 * descriptors), both reflected, by tables. Table-driven algorithm: Ross Williams, "A painless guide to CRC error
 * detection algorithms".
 */

function table(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    return value >>> 0;
  });
}

const CRC32C = table(0x82f63b78);
const CRC16 = table(0xa001);

function run(steps: Uint32Array, seed: number, data: Uint8Array, from: number, to: number): number {
  let crc = seed;
  for (let at = from; at < to; at++) crc = steps[(crc ^ data[at]!) & 0xff]! ^ (crc >>> 8);
  return crc >>> 0;
}

/** CRC-32C without the inversions at either end, as ext4 chains it. */
export function rawCrc32c(seed: number, data: Uint8Array, from = 0, to = data.length): number {
  return run(CRC32C, seed, data, from, to);
}

/** CRC-16 (ANSI) without inversions, as ext4 chains it. */
export function rawCrc16(seed: number, data: Uint8Array, from = 0, to = data.length): number {
  return run(CRC16, seed, data, from, to) & 0xffff;
}

/** xfs: is the little-endian CRC-32C at `field` that of the whole block with the field itself taken as zero? */
export function xfsCrcHolds(block: Buffer, field: number): boolean {
  let crc = run(CRC32C, ~0, block, 0, field);
  for (let zero = 0; zero < 4; zero++) crc = CRC32C[crc & 0xff]! ^ (crc >>> 8);
  crc = run(CRC32C, crc, block, field + 4, block.length);
  return ~crc >>> 0 === block.readUInt32LE(field);
}
