// Plays a scenario for the Node SDK. The same rules as suite/scenario.py, which says why; the form is in README.md.

import { readFileSync } from 'node:fs';

const MOST_PAGES = 20;

export function load(name) {
  const file = new URL(`../scenarios/${name}.json`, import.meta.url);
  const scenario = JSON.parse(readFileSync(file, 'utf8'));
  const withList = (step) => (typeof step.each === 'string' ? { ...step, each: scenario[step.each] } : step);
  return { steps: scenario.steps.map(withList), retries: scenario.retries ?? 0 };
}

// Yields calls, and wants `{ status, value }` of each sent back.
export function* play(steps, client, has) {
  const kept = {};
  for (const step of steps) {
    // The Node SDK has fewer methods than Python's; the driver's summary proves that it leaves out no other.
    if ((step.only ?? client) !== client || !has(step.call)) continue;
    for (const call of rounds(step, kept)) {
      const outcome = step.pages ? yield* pages(call) : yield call;
      for (const [name, path] of Object.entries(step.keep ?? {})) kept[name] = pick(outcome.value, path);
    }
  }
}

function* rounds(step, kept) {
  const values = step.each ?? Array.from({ length: step.times ?? 1 }, (_, index) => index + 1);
  for (const [index, value] of values.entries()) {
    const known = { ...kept, n: index + 1, each: value };
    const args = fill(step.args ?? {}, known);
    if (step.pad) pad(args, step.pad.at, step.pad.bytes);
    yield {
      step: values.length === 1 ? step.step : `${step.step}[${index + 1}]`,
      method: step.call,
      id: 'id' in step ? fill(step.id, known) : null,
      args,
      headers: { ...fill(step.headers ?? {}, known), ...faultHeader(step) },
      error: step.error ?? null,
      gatewayAnswers: step.gateway_answers ?? false,
    };
  }
}

function faultHeader(step) {
  return step.fault ? { 'x-simulator-fault': JSON.stringify(step.fault) } : {};
}

function* pages(call) {
  let args = call.args;
  let first;
  for (let page = 1; page <= MOST_PAGES; page += 1) {
    const outcome = yield { ...call, step: `${call.step}#${page}`, args };
    first ??= outcome;
    const cursor = cursorOf(outcome.value);
    if (cursor == null) return first;
    args = { ...args, cursor };
  }
  throw new Error(`${call.step}: still more after ${MOST_PAGES} pages`);
}

function cursorOf(value) {
  if (value === null || typeof value !== 'object') return undefined;
  return (value.paging ?? value).cursor;
}

function fill(value, known) {
  if (Array.isArray(value)) return value.map((inner) => fill(inner, known));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner, known)]));
  }
  if (typeof value !== 'string') return value;
  const whole = value.match(/^\$\{(\w+)\}$/);
  if (whole) return lookUp(whole[1], known);
  return value.replace(/\$\{(\w+)\}/g, (_, name) => String(lookUp(name, known)));
}

function lookUp(name, known) {
  if (!(name in known)) throw new Error(`the scenario has no \${${name}}`);
  return known[name];
}

function pick(value, path) {
  const found = path.split('.').reduce((inner, part) => inner?.[part], value);
  return found ?? null;
}

function pad(args, at, size) {
  const holder = at.slice(0, -1).reduce((inner, name) => inner[name], args);
  const last = at.at(-1);
  holder[last] = '';
  holder[last] = 'x'.repeat(size - Buffer.byteLength(JSON.stringify(args)));
}
