/** Eight tasks share a source and take a hundred thousand identities. */

import { Source } from 'ipseity';

const source = new Source(process.argv.slice(2));
const taken = new Set<bigint>();

async function work(): Promise<void> {
  for (let count = 0; count < 12_500; count += 1) {
    taken.add(source.tryNext() ?? (await source.next()));
  }
}

await Promise.all(Array.from({ length: 8 }, work));
console.log(
  `${String(taken.size)} identities, all different, with ${String(source.counters.connects)} connection`,
);
await source.close();
