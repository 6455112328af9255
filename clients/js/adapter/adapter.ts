/**
 * The adapter for the conformance kit: it does what it is told, one JSON object a line, and answers with one each. See
 * conformance/README.md.
 */

import { createInterface } from 'node:readline';

import { failed, type Answer, type Command } from './answers.js';
import { Handles } from './handles.js';
import { textCommand } from './texts.js';

const handles = new Handles();

/** Calls that were begun, by their names. */
const calls = new Map<string, { answer: Promise<Answer>; cancel: AbortController }>();

async function carryOut(command: Command, signal?: AbortSignal): Promise<Answer> {
  try {
    switch (command.do) {
      case 'start': {
        const cancel = new AbortController();
        calls.set(String(command.call), {
          answer: carryOut(command.command as Command, cancel.signal),
          cancel,
        });
        return { ok: {} };
      }
      case 'wait': {
        const call = callOf(command);
        calls.delete(String(command.call));
        return await call.answer;
      }
      case 'cancel':
        callOf(command).cancel.abort();
        return { ok: {} };
      default:
        return textCommand(command) ?? (await handles.command(command, signal));
    }
  } catch (error) {
    return failed(error);
  }
}

function callOf(command: Command): { answer: Promise<Answer>; cancel: AbortController } {
  const call = calls.get(String(command.call));
  if (call === undefined) {
    throw new Error(`no call ${String(command.call)} was begun`);
  }
  return call;
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  if (command.do === 'exit') {
    break;
  }
  process.stdout.write(`${JSON.stringify({ id: command.id, ...(await carryOut(command)) })}\n`);
}
await handles.closeAll();
// It may have been told in the middle of a call.
process.exitCode = 0;
process.stdin.destroy();
