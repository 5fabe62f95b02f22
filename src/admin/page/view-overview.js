// All connections, those in trouble first: who waits for whom, and why.

import { slotsBar, spark } from './charts.js'
import { end } from './acts.js'
import { el, svg } from './dom.js'
import { count, length, list, many, rate, wait } from './format.js'
import { expiring, figures, overrides, section, table, tag, time } from './parts.js'

/** Connections whose last quarter of an hour is drawn. */
const DRAWN = 20
/** Connections that have a card: a browser draws them each second. */
const CARDS = 60
const HISTORY_EVERY = 15_000

/** How much a connection needs somebody's eye; 0: not at all. */
export function trouble (each) {
  const { waiting, rates, slots } = each
  return (each.token !== 'ok') * 1e7 + (each.breaker !== 'closed') * 1e6 + each.paused * 1e5 +
    (rates.refused > 0) * 5e4 + (each.shared?.state === 'away') * 5e4 + (slots.closed_ms > 0) * 2e4 +
    Math.min(1e4, waiting.interactive * 10 + waiting.bulk) + (each.exhausted_in_ms !== null) * 5
}

/** Rules that hold a call back, and those that refuse it. */
const WHY = {
  slot: 'every slot is taken',
  share: 'its share is used, and others want theirs',
  pace: 'calls are spread over the window',
  vendor: 'Courier asked for a pause',
  'app-limit': 'its own limit is reached',
  ledger: 'the shared quota is being asked',
  'quota-exhausted': 'the quota is used up',
  'queue-full': 'too many calls wait',
  'deadline-too-near': 'no room in time',
  'vendor-throttled': 'Courier asked for a pause',
  'app-limited': 'its own limit is reached',
  'app-paused': 'it is paused',
  'ledger-away': 'the shared quota is away'
}

/** What a call of `app` that waits stands behind. */
const behindOf = app => WHY[app.bound] ?? app.bound ?? 'every slot is taken'

/** What a call of `app` that came now would meet. */
export function why (app) {
  if (app.refused) return `refused: ${WHY[app.refused] ?? app.refused}`
  return app.wait_ms || app.waiting > 0 ? behindOf(app) : '–'
}

/** What is wrong with the whole connection; then nobody has to wait for it to fail. */
function broken (each) {
  if (each.token !== 'ok') return each.token === 'refused' ? 'Courier refuses its token: calls fail.' : 'Its token can\u2019t be read: calls fail.'
  if (each.breaker === 'open') return 'Courier is down for it: calls are refused until a probe succeeds.'
  return each.paused ? 'It is paused: calls are refused.' : ''
}

/** The others that wait too. */
function others (waiting) {
  if (waiting.length === 0) return ''
  const calls = waiting.reduce((sum, app) => sum + app.waiting, 0)
  return ` ${many(calls, 'call')} of ${list(waiting.slice(0, 3).map(app => app.app))}${waiting.length > 3 ? ' and others' : ''} ${calls === 1 ? 'waits' : 'wait'} too.`
}

/** Who waits for whom, in a sentence or three. */
export function who (each) {
  const waiting = each.apps.filter(app => app.waiting > 0)
  const ill = broken(each)
  if (ill || waiting.length === 0) return ill || 'Nobody waits.'
  const [first, ...rest] = waiting
  const holders = each.apps.filter(app => app.held > 0).sort((one, other) => other.held - one.held).slice(0, 3)
  const held = list(holders.map(app => `${app.app === first.app ? `${app.app} itself` : app.app} (${count(app.held)})`))
  const behind = ['vendor', 'app-limit', 'ledger'].includes(first.bound) || !held ? '' : ` Slots are held by ${held}.`
  const turned = first.refused ? ` New ones are refused: ${WHY[first.refused] ?? first.refused}.` : ''
  return `${many(first.waiting, `${first.lane} call`)} of ${first.app} ${first.waiting === 1 ? 'waits' : 'wait'}: ${behindOf(first)}.${behind}${turned}${others(rest)}`
}

/** Apps in a card. */
const SHOWN = 4

function appLines (each) {
  const busy = each.apps.filter(app => app.waiting > 0 || app.held > 0 || app.refused).slice(0, SHOWN)
  if (busy.length === 0) return null
  const most = Math.max(1, ...busy.map(app => Math.max(app.held, app.waiting)))
  const bar = (kind, value) => svg('svg', { class: 'part', 'aria-hidden': 'true' }, svg('rect', { class: kind, width: `${Math.round((value / most) * 100)}%`, height: '100%' }))
  return el('table', { class: 'apps' },
    el('caption', { class: 'unseen' }, `Apps of ${each.connection}`),
    el('thead', {}, el('tr', {}, ['App', 'Waits', 'Holds', 'A call now'].map(name => el('th', { scope: 'col' }, name)))),
    el('tbody', {}, busy.map(app => el('tr', { 'data-key': app.app },
      el('th', { scope: 'row' }, app.app, ' ', app.paused ? tag('paused', 'warn') : el('span', { class: 'note' }, app.lane)),
      el('td', {}, bar('waits', app.waiting), count(app.waiting)),
      el('td', {}, bar('used', app.held), count(app.held)),
      el('td', {}, wait(app.refused ? null : app.wait_ms))))))
}

export function tags (each) {
  return [
    each.paused && tag('paused', 'warn'),
    each.breaker !== 'closed' && tag(`breaker ${each.breaker}`, each.breaker === 'open' ? 'bad' : 'warn'),
    each.token !== 'ok' && tag(`token ${each.token}`, 'bad'),
    each.mode === 'shadow' && tag('shadow', 'warn'),
    each.slots.closed_ms > 0 && tag(`closed by Courier for ${length(each.slots.closed_ms)}`, 'warn'),
    each.shared && tag(`shared: ${each.shared.state}`, each.shared.state === 'away' ? 'bad' : 'plain')
  ]
}

export function exhausted (each) {
  if (each.exhausted_in_ms === null) return 'not at this rate'
  return each.exhausted_in_ms === 0 ? 'now' : `in ${length(each.exhausted_in_ms)}`
}

function lanes (each) {
  const one = (lane, mark) => el('div', { class: `lane ${lane}` },
    el('span', { class: 'name' }, el('span', { class: mark, 'aria-hidden': 'true' }), lane),
    el('span', {}, el('b', {}, count(each.waiting[lane])), ' waiting'),
    el('span', {}, 'a call now: ', el('b', { class: each.wait_ms[lane] === null ? 'refused' : null }, wait(each.wait_ms[lane]))))
  return el('div', { class: 'lanes' }, one('interactive', 'dot blue'), one('bulk', 'dot orange'))
}

function card (each, history, at) {
  const { slots, rates } = each
  const troubled = trouble(each) > 5
  return el('article', { class: `card ${troubled ? 'troubled' : ''}`, 'data-key': each.connection, 'aria-label': each.connection },
    el('div', { class: 'head' },
      el('h3', {}, el('a', { href: `#connection/${encodeURIComponent(each.connection)}` }, each.connection)),
      el('span', { class: 'note' }, each.tenant),
      tags(each),
      spark(history)),
    el('p', { class: 'why' }, who(each)),
    el('p', { class: 'note say' }, each.words),
    slotsBar(slots, `bar${at}`),
    el('p', { class: 'note key' },
      el('span', {}, el('b', {}, count(slots.in_use)), ' in use'), el('span', {}, el('b', {}, count(slots.resting)), ' resting'),
      el('span', {}, el('b', {}, count(slots.free)), ` free of ${count(slots.limit)} in ${length(slots.window_ms)}`)),
    lanes(each),
    appLines(each),
    figures([
      ['exhausted', exhausted(each)], ['started', `${rate(rates.started)}/s`], ['refused', `${rate(rates.refused)}/s`],
      ['saved', `${rate(rates.saved)}/s`], ['429 in 60 s', count(rates.vendor_429)]
    ]))
}

/** What the whole is like, in one line. */
function summary (overview) {
  const { connections } = overview
  const waiting = connections.reduce((sum, each) => sum + each.waiting.interactive + each.waiting.bulk, 0)
  const troubled = connections.filter(each => trouble(each) > 5)
  return el('p', { class: 'summary' },
    troubled.length === 0 ? tag('all is well', 'good') : tag(`${many(troubled.length, 'connection')} of ${connections.length} to look at`, 'warn'),
    ` ${many(waiting, 'call')} ${waiting === 1 ? 'waits' : 'wait'}.`,
    overview.ready ? [' ', tag(overview.ready, 'warn')] : '',
    overview.replicas ? [' ', tag(`shared store ${overview.replicas.store}`, overview.replicas.store === 'away' ? 'bad' : 'good')] : '')
}

export const slowest = calls => table({
  caption: 'The slowest calls that are kept',
  rows: calls,
  key: call => call.id,
  none: 'No call is kept yet.',
  columns: [
    { name: 'Call', of: call => el('a', { href: `#calls/${call.id}` }, call.id.slice(0, 8), el('span', { class: 'unseen' }, ` ${call.operation ?? ''}`)) },
    { name: 'Took', kind: 'number', of: call => length(call.total_ms) },
    { name: 'In queue', kind: 'number', of: call => length(call.queue_ms) },
    { name: 'Operation', of: call => call.operation ?? '–' },
    { name: 'App', of: call => call.app },
    { name: 'End', of: call => call.code },
    { name: 'At', of: call => time(call.at_ms) }
  ]
})

export function overview (context) {
  const histories = new Map()
  let names = []
  /** One after the other, so that the gateway is not asked for all at a time. */
  const load = async () => {
    for (const name of names) histories.set(name, await context.get('/api/history', { connection: name }))
    for (const name of [...histories.keys()]) if (!names.includes(name)) histories.delete(name)
    return histories
  }
  let asked = false
  return {
    title: 'Overview',
    load,
    every: HISTORY_EVERY,
    draw ({ overview, now }) {
      if (!overview) return el('p', { class: 'none' }, 'Waiting for the first figures…')
      const sorted = [...overview.connections].sort((one, other) => trouble(other) - trouble(one) || one.connection.localeCompare(other.connection))
      names = sorted.slice(0, DRAWN).map(each => each.connection)
      if (!asked) {
        asked = true
        queueMicrotask(context.reload)
      }
      return [
        summary(overview),
        el('section', { class: 'cards', 'data-key': 'cards', 'aria-label': 'Connections' }, el('h2', { class: 'unseen' }, 'Connections'),
          sorted.slice(0, CARDS).map((each, at) => card(each, histories.get(each.connection), at))),
        sorted.length > CARDS && el('p', { class: 'none' }, `${many(sorted.length - CARDS, 'more connection')} in less trouble: the search finds each by its name.`),
        el('div', { class: 'columns', 'data-key': 'more' },
          section('Overrides in force', {}, overrides(overview.overrides, { now, end: context.may && (each => context.act(end(each))) })),
          section('Runs out soon', {}, expiring(overview.expiring, now)),
          section('Slowest calls', { class: 'wider' }, slowest(overview.slowest)))
      ]
    }
  }
}
