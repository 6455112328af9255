/** Certificates for tests, made by openssl. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate and its key, as files and as texts in PEM form. */
export interface Leaf {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A CA of its own. It lives in a directory that is removed when it is disposed. */
export class Authority implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'ipseity-js-ca-'));
  /** The certificate of the CA. */
  readonly cert: string;
  readonly certFile = this.#file('ca.pem');

  constructor() {
    this.#openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-subj',
      '/CN=tests',
      '-days',
      '2',
    );
    this.cert = readFileSync(this.certFile, 'utf8');
  }

  /** A certificate for these names, such as `DNS:localhost`, for so many days. */
  leaf(name: string, names: string, days = 2): Leaf {
    writeFileSync(this.#file(`${name}.ext`), `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
    const [csr, key, cert] = [`${name}.csr`, `${name}.key`, `${name}.pem`];
    this.#openssl('req', ...NEW_KEY, '-keyout', key, '-out', csr, '-subj', `/CN=${name}`);
    this.#openssl(
      ...['x509', '-req', '-in', csr, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', String(days), '-extfile', `${name}.ext`, '-out', cert],
    );
    return {
      cert: readFileSync(this.#file(cert), 'utf8'),
      key: readFileSync(this.#file(key), 'utf8'),
      certFile: this.#file(cert),
      keyFile: this.#file(key),
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.directory, name);
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.directory, stdio: 'ignore' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
