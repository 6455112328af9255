/** The codes of errorReplies, and what a client does on each. */

/** What a client does when a server answers with an error. */
export type Action =
  /** It goes on to the next server. */
  | 'elsewhere'
  /** The call ends with a `RefusedError`. */
  | 'refused'
  /** The call ends with a `WrongClusterError`. */
  | 'wrongCluster';

/** The names of the codes, as docs/protocol.md has them. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'unknownKind'],
  [2, 'badLength'],
  [3, 'badBody'],
  [4, 'incomplete'],
  [5, 'tooManyConnections'],
  [6, 'tlsRequired'],
  [7, 'tlsNotOffered'],
  [8, 'certificateRefused'],
  [32, 'badCount'],
  [33, 'advanceTooLarge'],
  [34, 'exhausted'],
  [35, 'storage'],
  [36, 'stopping'],
  [37, 'pidConflict'],
  [38, 'staleState'],
  [39, 'overBudget'],
  [40, 'joining'],
  [41, 'notTrusted'],
  [42, 'unknownPid'],
  [43, 'storeUnavailable'],
  [64, 'foreignCluster'],
  [65, 'foreignVersion'],
  [66, 'samePid'],
  [67, 'oneself'],
  [68, 'notAPeer'],
  [69, 'bootTooFar'],
  [70, 'heldByAnother'],
]);

/** A request asked for no identity, or for more than the server gives at once. */
export const BAD_COUNT = 32;
/** The client expects another cluster. */
const FOREIGN_CLUSTER = 64;

/** Codes that another server may not answer with. */
const ELSEWHERE: ReadonlySet<number> = new Set([5, 6, 7, 8, 34, 35, 36, 37, 38, 39, 40, 43]);

/** Codes for which waiting cannot help: tlsRequired, tlsNotOffered, certificateRefused and exhausted. */
const HOPELESS: ReadonlySet<number> = new Set([6, 7, 8, 34]);

/** Codes that put in doubt what the server has handed out with its pid: pidConflict and staleState. */
const DOUBTFUL: ReadonlySet<number> = new Set([37, 38]);

/** What to do about a request that was refused with one of these codes. */
const ADVICE: ReadonlyMap<number, string> = new Map([
  ...[1, 2, 3, 4].map((code): [number, string] => [
    code,
    'check that the server is not older than this program',
  ]),
  [BAD_COUNT, 'ask for as many as it allows, or raise its --max-count'],
  [33, 'check where so large a number comes from'],
  [41, 'show a certificate that it trusts, or ask from an address that it trusts'],
]);

/** What to do about a request that was refused with this code. */
export function adviceOn(code: number): string {
  return ADVICE.get(code) ?? 'correct the request';
}

/** What a client does on this code. An unknown one is handed on to the caller. */
export function actionOf(code: number): Action {
  if (code === FOREIGN_CLUSTER) {
    return 'wrongCluster';
  }
  return ELSEWHERE.has(code) ? 'elsewhere' : 'refused';
}

/** Whether the server closes the connection behind this code. Unknown codes go by their range. */
export function closes(code: number): boolean {
  return code < 32 || code >= 64;
}

/** Whether the server will say the same however long one waits. */
export function isHopeless(code: number): boolean {
  return HOPELESS.has(code);
}

/** Whether identities of this server that were not used yet must be dropped. */
export function isDoubtful(code: number): boolean {
  return DOUBTFUL.has(code);
}

/** The name of the code, such as `badCount`, or `code 99`. */
export function nameOf(code: number): string {
  return NAMES.get(code) ?? `code ${String(code)}`;
}
