// Turns what the Node SDK returns or throws into plain JSON, without losing a field.

import { createHash } from 'node:crypto';

import { APIError } from '@trycourier/courier';

// Longer texts are told apart by length and digest: a body of 6 MB has no place in a transcript.
const LONG = 4096;

export function describe(value) {
  // JSON has no undefined, and a void call that returns null is not one that returns undefined.
  if (value === undefined) return { $undefined: true };
  if (typeof value === 'string' && value.length > LONG) {
    return { $long: value.length, $sha256: createHash('sha256').update(value).digest('hex') };
  }
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(describe);
  if (Object.getPrototypeOf(value) !== Object.prototype) return { $class: value.constructor.name, value: String(value) };
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, describe(inner)]));
}

// Errors of the API are results; any other is a fault of the scenario or of the SDK, and shows as itself.
export function describeError(error) {
  if (!(error instanceof APIError)) return { class: `${error?.constructor?.name}: ${error?.message}` };
  return {
    class: error.constructor.name,
    status: error.status ?? null,
    message: describe(error.message),
    body: describe(error.error),
  };
}
