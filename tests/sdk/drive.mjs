// Drives Courier's Node SDK, unmodified, through a scenario and writes down all that it returns.
//
//     node drive.mjs --base-url http://127.0.0.1:8080 --key KEY --scenario connector
//
// Writes one JSON line a call to standard output and a summary as the last line; exits 1 when a step did not go as the
// scenario says. Only the base URL and the key are set, and the SDK's own retries are off unless the scenario is about them.

import { parseArgs } from 'node:util';

import Courier from '@trycourier/courier';
import { VERSION } from '@trycourier/courier/version';

import { describe, describeError } from './node/describe.mjs';
import { findMethods, invoke, nodeName } from './node/methods.mjs';
import { load, play } from './node/scenario.mjs';

// The lines, and the account of what was driven.
class Transcript {
  driven = new Set();
  unexpected = [];
  calls = 0;

  constructor(found) {
    this.found = found;
  }

  write(call, name, what, status) {
    this.calls += 1;
    this.driven.add(name);
    if (!asWanted(call.error, status, 'error' in what)) {
      const got = JSON.stringify(what.error ?? 'success');
      this.unexpected.push(`${call.step}: wanted ${call.error ?? 'success'}, got ${got}`);
    }
    const sent = { id: call.id, args: describe(call.args), headers: call.headers };
    const flags = call.gatewayAnswers ? { gateway_answers: true } : {};
    printLine({ step: call.step, method: name, sent, ...flags, ...what });
  }

  finish() {
    const missing = this.found.filter((name) => !this.driven.has(name)).sort();
    const summary = { version: VERSION, found: this.found.length, driven: this.driven.size, calls: this.calls };
    printLine({ summary: { ...summary, missing, unexpected: this.unexpected } });
    return this.unexpected.length === 0 ? 0 : 1;
  }
}

// An answer that the SDK cannot read is an error without a status.
function asWanted(error, status, failed) {
  if (error === 'unreadable') return failed && status === null;
  return failed === (error !== null) && status === error;
}

function printLine(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function attempt(method, call) {
  try {
    const value = await invoke(method, call);
    return { what: { result: describe(value) }, outcome: { status: null, value } };
  } catch (error) {
    return { what: { error: describeError(error) }, outcome: { status: error?.status ?? null } };
  }
}

async function drive(client, steps) {
  const methods = findMethods(client);
  const transcript = new Transcript([...methods.keys()]);
  const playing = play(steps, 'node', (name) => methods.has(nodeName(name)));
  let turn = playing.next();
  while (!turn.done) {
    const call = turn.value;
    const name = nodeName(call.method);
    const { what, outcome } = await attempt(methods.get(name), call);
    transcript.write(call, name, what, outcome.status);
    turn = playing.next(outcome);
  }
  return transcript.finish();
}

const { values } = parseArgs({
  options: { 'base-url': { type: 'string' }, key: { type: 'string' }, scenario: { type: 'string' } },
});
const { steps, retries } = load(values.scenario);
const client = new Courier({ baseURL: values['base-url'], apiKey: values.key, maxRetries: retries });

// The SDK leaves the body of some answers unread, and so their sockets open: without this the process would wait for them.
process.exit(await drive(client, steps));
