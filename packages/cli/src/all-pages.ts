/** Reads a list to its end, page by page. */

/** A page of a list; `next` is absent on the last one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string;
}

/** No list of a command is longer: beyond, a filter is what the reader wants. */
export const ITEMS_MAX = 100_000;

/** All items that `read` gives, in order. */
export async function allPages<Item>(
  read: (after: string | undefined) => Promise<Page<Item>>,
): Promise<Item[]> {
  const items: Item[] = [];
  let after: string | undefined;
  do {
    const page = await read(after);
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined && items.length < ITEMS_MAX);
  return items;
}

/** The query of a page: absent means the first. */
export function pageQuery(after: string | undefined): { readonly after?: string } {
  return after === undefined ? {} : { after };
}
