/** Takes one identity and writes it in all its forms. Give it the servers: `node dist/examples/next.js 127.0.0.1:3264`. */

import { Client, formatIdentity, pidOf, sequenceOf } from 'ipseity';

const client = new Client(process.argv.slice(2));
const identity = await client.next();
console.log(
  `${identity.toString()} is sequence ${sequenceOf(identity).toString()} of pid ${String(pidOf(identity))}`,
);
for (const form of ['hex', 'pair', 'base32'] as const) {
  console.log(`${form}: ${formatIdentity(identity, form)}`);
}
await client.close();
