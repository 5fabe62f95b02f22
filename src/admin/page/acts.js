// What an operator can do: how each act is asked for, what it will do in words, and how it is sent.

import { count, length } from './format.js'
import { post, remove } from './api.js'

const number = (name, label, value, min = 1) => ({ name, label, type: 'number', value, min, max: 1_000_000_000 })
const choice = (name, label, options, value) => ({ name, label, type: 'select', options, value })
const override = act => async ({ forMs, because }) => await post('/api/overrides', { act, for_ms: forMs, because })

/** Calls of a connection in its window. */
export const limit = ({ connection, slots }, calls = slots.limit) => ({
  title: `Limit of ${connection}`,
  confirm: 'Set the limit',
  fields: [number('calls', `Calls in ${length(slots.window_ms)}`, calls)],
  words: ({ calls }) => `${connection} makes at most ${count(calls)} calls in any ${length(slots.window_ms)}, in place of ${count(slots.limit)}.` +
    (calls < slots.limit ? ' Calls beyond it wait or are refused.' : calls > slots.limit ? ' If Courier grants less, it will refuse calls.' : ''),
  send: ({ calls, ...rest }) => override({ kind: 'limit', connection, calls })(rest)
})

export const appLimit = ({ tenant, app }) => ({
  title: `Limit of the app ${app}`,
  confirm: 'Set the limit',
  fields: [number('calls', 'Calls', 10), number('seconds', 'in seconds', 60)],
  words: ({ calls, seconds }) => `${app} of ${tenant} starts at most ${count(calls)} calls in any ${length(seconds * 1000)}.`,
  send: ({ calls, seconds, ...rest }) => override({ kind: 'app-limit', tenant, app, calls, window_ms: seconds * 1000 })(rest)
})

export const pauseConnection = ({ connection }) => ({
  title: `Pause ${connection}`,
  confirm: 'Pause it',
  grave: true,
  fields: [],
  words: () => `Every new call of ${connection} is refused. Calls that were sent go on.`,
  send: values => override({ kind: 'pause-connection', connection })(values)
})

export const pauseApp = ({ tenant, app }) => ({
  title: `Pause the app ${app}`,
  confirm: 'Pause it',
  grave: true,
  fields: [],
  words: () => `Every new call of ${app} of ${tenant} is refused with app-paused. Calls that were sent go on.`,
  send: values => override({ kind: 'pause-app', tenant, app })(values)
})

export const pauseOperation = (connection = '') => ({
  title: 'Pause an operation',
  confirm: 'Pause it',
  grave: true,
  fields: [
    { name: 'operation', label: 'Operation', type: 'text', value: '', required: true },
    { name: 'connection', label: 'Connection (none: all)', type: 'text', value: connection }
  ],
  words: ({ operation, connection }) => `Every new call of ${operation || 'that operation'} is refused${connection ? ` on ${connection}` : ', on every connection'}.`,
  send: ({ operation, connection, ...rest }) => override({ kind: 'pause-operation', operation, ...(connection && { connection }) })(rest)
})

export const lane = ({ tenant, app, lane: now }) => ({
  title: `Lane of the app ${app}`,
  confirm: 'Move it',
  fields: [choice('lane', 'Lane', ['interactive', 'bulk'], now === 'bulk' ? 'interactive' : 'bulk')],
  words: ({ lane }) => lane === 'bulk'
    ? `Calls of ${app} of ${tenant} wait behind the interactive ones.`
    : `Calls of ${app} of ${tenant} go before the bulk ones.`,
  send: ({ lane, ...rest }) => override({ kind: 'lane', tenant, app, lane })(rest)
})

export const mode = ({ connection, mode: now }) => ({
  title: `Mode of ${connection}`,
  confirm: 'Switch it',
  fields: [choice('mode', 'Mode', ['enforce', 'shadow'], now === 'shadow' ? 'enforce' : 'shadow')],
  words: ({ mode }) => mode === 'shadow'
    ? `The quota of ${connection} only watches: nothing waits, nothing is refused, and Courier may answer 429.`
    : `The quota of ${connection} holds: calls wait for a slot, or are refused.`,
  send: ({ mode, ...rest }) => override({ kind: 'mode', connection, mode })(rest)
})

export const bypass = ({ connection }) => ({
  title: `Cache bypass of ${connection}`,
  confirm: 'Bypass the cache',
  fields: [],
  words: () => `Every read of ${connection} goes to Courier and takes a slot. Nothing new is kept.`,
  send: values => override({ kind: 'bypass', connection })(values)
})

export const breaker = ({ connection, breaker: now }) => ({
  title: `Breaker of ${connection}`,
  confirm: 'Set the breaker',
  grave: true,
  fields: [choice('state', 'Held', ['open', 'closed'], now === 'open' ? 'closed' : 'open')],
  words: ({ state }) => state === 'open'
    ? `Calls of ${connection} are refused as if Courier were down; copies still answer reads.`
    : `Calls of ${connection} are sent, even if Courier fails.`,
  send: ({ state, ...rest }) => override({ kind: 'breaker', connection, state })(rest)
})

export const purge = ({ connection }) => ({
  title: `Purge copies of ${connection}`,
  confirm: 'Purge',
  once: true,
  fields: [
    choice('by', 'What', ['all', 'tag', 'operation'], 'all'),
    { name: 'name', label: 'Tag or operation', type: 'text', value: '', placeholder: 'brands or brands.list' }
  ],
  words: ({ by, name }) => `${by === 'all' ? `Every copy of ${connection}` : `The copies of ${by} “${name}” of ${connection}`} is void at once, for all replicas. Reads then go to Courier and take slots.`,
  send: async ({ by, name, because }) => await post('/api/purge', { connection, ...(by !== 'all' && { [by]: name }), because })
})

export const logLevel = () => ({
  title: 'Log level',
  confirm: 'Set the level',
  fields: [
    { name: 'target', label: 'Target', type: 'text', value: 'tollgate', required: true },
    choice('level', 'Level', ['error', 'warn', 'info', 'debug', 'trace'], 'debug')
  ],
  words: ({ target, level }) => `Lines of ${target || 'that target'} are written from ${level} on.`,
  send: ({ target, level, ...rest }) => override({ kind: 'log-level', target, level })(rest)
})

export const reload = () => ({
  title: 'Reload the configuration',
  confirm: 'Reload',
  once: true,
  fields: [],
  words: () => 'The file is read again. If it has a problem, nothing changes.',
  send: async ({ because }) => await post('/api/reload', { because })
})

export const revoke = ({ id, tenant, app }) => ({
  title: `Revoke the key ${id}`,
  confirm: 'Revoke it',
  once: true,
  grave: true,
  fields: [],
  words: () => `The key ${id}${app ? ` of ${tenant}/${app}` : ' of an operator'} no longer opens anything, at once. This has no end: a new key needs the file.`,
  send: async ({ because }) => await post(`/api/keys/${encodeURIComponent(id)}/revoke`, { because })
})

export const end = ({ id, words }) => ({
  title: 'End an override',
  confirm: 'End it',
  once: true,
  optional: true,
  fields: [],
  words: () => `“${words}” ends now, and the configuration holds again.`,
  send: async ({ because }) => await remove(`/api/overrides/${encodeURIComponent(id)}`, because ? { because } : undefined)
})
