/** `create`: the record of a pool in the catalogs, from its resource. They are made at the start and by `reload` anyway. */
import { toPoolList } from "../../daemons/pools.js";
import { askAll } from "../catalog.js";
import type { Command } from "../context.js";
import { RESOURCE, selectResource } from "../prompts.js";

interface Known {
  readonly pools: readonly { readonly name: string }[];
}

export const create: Command = {
  name: "create",
  summary: "Create a pool in the catalog from its resource",
  usage: ["create [pool=NAME]"],
  keywords: ["pool="],
  async run(context) {
    await context.useCatalog();
    const pool = await selectResource(context, RESOURCE.pool, context.config.pools.keys());
    const made = await askAll(context, async (caller, storage) => {
      const { pools } = await caller.unary<Known>("Storaged", "ListPools", { name: pool });
      if (pools.some(({ name }) => name === pool)) return [];
      await caller.unary("Storaged", "SyncPools", toPoolList(context.whole.config));
      return [storage];
    });
    context.data.pool = pool;
    context.data.storages = made;
    if (made.length === 0)
      return void (await context.fail(`Error: Pool ${pool} already exists.\nUse update to change it.`));
    await context.say(`Pool ${pool} created.`);
  },
};
