/** An owner as LVM tags: `basalt`, `basalt:vm=web`, `basalt:job=…`. */
import type { Owner } from "./types.js";

/** Every volume that was made here has this tag: `lvs @basalt` lists them. */
export const TAG = "basalt";
const OWN = `${TAG}:`;

/** A tag holds letters, digits and _ + . - / = ! : & #; the other bytes of a value are #XX here. */
const PLAIN = /[^A-Za-z0-9_+./:-]/g;

function escaped(value: string): string {
  const bytes = Buffer.from(value, "utf8").toString("latin1");
  return bytes.replace(PLAIN, (sign) => `#${sign.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function unescaped(value: string): string {
  const bytes = value.replace(/#([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** Of the snapshot of one disk. */
export function ownerTags(owner: Owner, disk: number): string[] {
  const { job, ...fields } = owner;
  const all = { ...fields, disk, ...(job === undefined ? {} : { job: job.uuid, jobid: job.id }) };
  return [TAG, ...Object.entries(all).map(([name, value]) => `${OWN}${name}=${escaped(String(value))}`)];
}

/** Owner, and number of the disk; undefined when they are not those of an owner. */
export function ownerOfTags(tags: readonly string[]): { owner: Owner; disk: number } | undefined {
  if (!tags.includes(TAG)) return undefined;
  const fields = new Map<string, string>();
  for (const tag of tags) {
    const at = tag.indexOf("=");
    if (tag.startsWith(OWN) && at > 0) fields.set(tag.slice(OWN.length, at), unescaped(tag.slice(at + 1)));
  }
  const text = (name: string): string => fields.get(name) ?? "";
  const uuid = fields.get("job");
  const owner = {
    host: text("host"),
    filed: text("filed"),
    resource: text("resource"),
    vm: text("vm"),
    set: text("set"),
    disks: Number(text("disks")),
    process: text("process"),
    sinceSec: Number(text("sinceSec")),
    ...(uuid === undefined ? {} : { job: { uuid, id: Number(text("jobid")) } }),
  };
  return owner.vm !== "" && owner.set !== "" ? { owner, disk: Number(text("disk")) } : undefined;
}
