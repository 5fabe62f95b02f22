// One call: its sentence, where its time went, and what happened, in order.

import { el, svg } from './dom.js'
import { bytes, length, percent, rate } from './format.js'
import { legend } from './charts.js'
import { figures, section, table, tag, time } from './parts.js'

const PARTS = {
  request: ['part-request', 'reading the request'],
  queue: ['part-queue', 'waiting for a slot'],
  pause: ['part-pause', 'pausing before another attempt'],
  connect: ['part-connect', 'connecting'],
  vendor: ['part-vendor', 'Courier'],
  'another-call': ['part-another', 'waiting for another call'],
  gateway: ['part-gateway', 'the gateway'],
  answer: ['part-answer', 'sending the answer']
}

const WIDTH = 1000
const LANE = 22

/** The stretches that the events bound, each named by what was going on. */
export function stretches (timeline) {
  const between = { received: 'gateway', read: 'gateway', asked: 'queue', started: 'gateway', connecting: 'connect', sent: 'vendor', 'first-byte': 'gateway', failed: 'pause', head: 'answer', refused: 'gateway', left: 'gateway' }
  return timeline.slice(0, -1).map((event, at) => ({ part: between[event.event] ?? 'gateway', from: event.at_ms, to: timeline[at + 1].at_ms })).filter(({ from, to }) => to > from)
}

function line (timeline, total) {
  const x = ms => Math.round((ms / Math.max(total, 0.001)) * WIDTH * 10) / 10
  const rows = Object.keys(PARTS).filter(part => stretches(timeline).some(each => each.part === part))
  const height = Math.max(1, rows.length) * LANE
  const words = stretches(timeline).map(({ part, from, to }) => `${PARTS[part][1]} from ${length(from)} for ${length(to - from)}`).join('; ')
  return el('figure', { class: 'call-line' },
    svg('svg', { viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `Time line: ${words}` },
      [0, 0.25, 0.5, 0.75, 1].map(part => svg('path', { class: 'grid', d: `M${part * WIDTH} 0V${height}` })),
      stretches(timeline).map(({ part, from, to }) => svg('rect', { class: PARTS[part][0], x: x(from), y: rows.indexOf(part) * LANE + 3, width: Math.max(2, x(to) - x(from)), height: LANE - 6 }))),
    el('div', { class: 'axis', 'aria-hidden': 'true' }, [0, 0.25, 0.5, 0.75, 1].map(part => el('span', {}, length(part * total)))),
    legend(rows.map(part => [PARTS[part][0], PARTS[part][1]])))
}

function saying (event) {
  const parts = []
  if (event.attempt) parts.push(`attempt ${event.attempt}`)
  if (event.ahead !== undefined) parts.push(`${event.ahead} before it${event.ahead_apps ? ` of ${event.ahead_apps} apps` : ''}${event.ahead_own ? `, ${event.ahead_own} of its own app` : ''}`)
  if (event.bound) parts.push(`held by ${event.bound}${event.pool ? ` of ${event.pool}` : ''}`)
  if (event.expected_ms !== undefined) parts.push(`expected ${length(event.expected_ms)}`)
  if (event.status) parts.push(`status ${event.status}`)
  if (event.code) parts.push(event.code)
  if (event.retry_after_ms !== undefined) parts.push(`come back after ${length(event.retry_after_ms)}`)
  return parts.join(', ') || '–'
}

export function call (found) {
  return [
    el('p', { class: 'why' }, found.why),
    section('The call', {}, figures([
      ['at', time(Date.parse(found.at))], ['took', length(found.total_ms)], ['end', tag(found.code, found.code === 'ok' ? 'good' : 'warn')],
      ['status', found.status ?? '–'], ['operation', found.operation ?? '–'], ['method', found.method], ['app', `${found.tenant}/${found.app}`],
      ['key', found.key_id ?? '–'], ['connection', found.connection ?? '–'], ['lane', found.lane ?? '–'], ['cache', found.cache ?? '–'],
      ['idempotency key', found.key ?? 'none'], ['in', bytes(found.bytes_in)], ['out', bytes(found.bytes_out)],
      found.outcome && ['outcome', found.outcome], found.replayed && ['replayed', 'yes']
    ])),
    section('Time line', {}, line(found.timeline, found.total_ms),
      table({
        caption: 'What happened',
        rows: found.timeline,
        columns: [
          { name: 'After', of: event => `${rate(event.at_ms)} ms` },
          { name: 'Event', of: event => event.event },
          { name: 'What', of: saying }
        ]
      })),
    section('Where the time went', {}, table({
      caption: 'Parts of the time',
      rows: found.parts,
      key: part => part.part,
      columns: [
        { name: 'Part', of: part => PARTS[part.part]?.[1] ?? part.part },
        { name: 'Time', kind: 'number', of: part => length(part.ms) },
        { name: 'Share', kind: 'number', of: part => percent(part.share) }
      ]
    }))
  ]
}
