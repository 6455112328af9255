/** Keeps causal order between two programs that talk: who gets an identity observes it, and what it takes is greater. */

import { Client, parseIdentity, Source } from 'ipseity';

const servers = process.argv.slice(2);
const client = new Client(servers);
const source = new Source(servers);

// The source holds a block now, so its next identity would be smaller than what the client takes.
await source.next();
await client.block(100);

// A message carries the identity as text: JSON has no bigint.
const message = JSON.stringify({ id: String(await client.next()) });

const { id } = JSON.parse(message) as { id: string };
source.observe(parseIdentity(id));
const answer = await source.next();
console.log(`the answer is ${answer > parseIdentity(id) ? 'greater' : 'not greater'} than the question`);

await Promise.all([client.close(), source.close()]);
