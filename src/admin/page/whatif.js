// What another limit would have done to the calls that came.

import { limit } from './acts.js'
import { el } from './dom.js'
import { count, length, percent } from './format.js'
import { button, section, table } from './parts.js'

const PAIRS = [
  ['Started', figures => count(figures.started)],
  ['Refused', figures => count(figures.refused)],
  ['Use', figures => percent(figures.use)],
  ['Interactive waits, p50', figures => length(figures.lanes.interactive.wait_ms_p50)],
  ['Interactive waits, p99', figures => length(figures.lanes.interactive.wait_ms_p99)],
  ['Bulk waits, p50', figures => length(figures.lanes.bulk.wait_ms_p50)],
  ['Bulk waits, p99', figures => length(figures.lanes.bulk.wait_ms_p99)]
]

export function whatIf (context, connection) {
  let result = null
  let problem = ''
  const run = async event => {
    event.preventDefault()
    const calls = Number(event.target.elements.calls.value)
    try {
      result = await context.get('/api/whatif', { connection, calls })
      problem = ''
    } catch (error) {
      if (context.signal.aborted) return
      result = null
      problem = error.message
    }
    context.redraw()
  }
  const shown = each => result && [
    el('p', { class: 'why' }, result.words),
    table({
      caption: `${count(result.arrivals)} calls that came, with ${count(result.calls)} in ${length(result.window_ms)}`,
      rows: PAIRS,
      key: ([name]) => name,
      columns: [
        { name: 'Figure', of: ([name]) => name },
        { name: 'As it was', kind: 'number', of: ([, of]) => of(result.now) },
        { name: 'As it would be', kind: 'number', of: ([, of]) => of(result.then) }
      ]
    }),
    context.may && el('p', {}, button('Set this limit', () => context.act(limit(each, result.calls))))
  ]
  return {
    draw: each => section('What if', { note: 'the calls that came lately, with another limit' },
      el('form', { class: 'row', onsubmit: run },
        el('label', { for: 'whatif' }, `Calls in ${length(each.slots.window_ms)}`),
        el('input', { id: 'whatif', name: 'calls', type: 'number', min: 1, max: 1_000_000, required: true, value: Math.max(1, Math.round(each.slots.limit / 2)) }),
        el('button', { type: 'submit' }, 'Try')),
      problem && el('p', { class: 'problem', role: 'alert' }, problem),
      el('div', { 'aria-live': 'polite' }, shown(each)))
  }
}
