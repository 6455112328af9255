/** What a program can do about each error. */

import { Client, ConfigurationError, RefusedError, UnavailableError } from 'ipseity';

try {
  new Client('http://127.0.0.1');
} catch (error) {
  console.log(error instanceof ConfigurationError && 'configuration: correct the program');
}

const client = new Client(process.argv.slice(2));
try {
  await client.block(0);
} catch (error) {
  console.log(
    error instanceof RefusedError && `refused with code ${String(error.code)}: correct the request`,
  );
}
await client.close();

// Nobody listens on port 1.
const elsewhere = new Client('127.0.0.1:1', { callTimeoutMs: 200 });
try {
  await elsewhere.next();
} catch (error) {
  console.log(error instanceof UnavailableError && `unavailable: ${error.failures[0]?.cause ?? ''}`);
}

const abort = new AbortController();
const call = elsewhere.next({ signal: abort.signal });
abort.abort();
await call.catch((error: unknown) => {
  console.log(error instanceof Error && `cancelled: ${error.name}`);
});
await elsewhere.close();
