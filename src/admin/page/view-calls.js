// The calls that are kept: the slowest, the last, the refused, those under way; and one of them.

import { call } from './call.js'
import { el } from './dom.js'
import { length } from './format.js'
import { section, table, time } from './parts.js'

const LISTS = [['slowest', 'Slowest'], ['latest', 'Latest'], ['refused', 'Refused'], ['under-way', 'Under way']]
const FILTERS = ['tenant', 'app', 'connection', 'operation', 'code']
/** The most that the gateway lists. */
const MOST = 200

const at = call => typeof call.at_ms === 'number' ? call.at_ms : Date.parse(call.at)
const inQueue = call => (call.parts ?? []).find(part => part.part === 'queue')?.ms ?? 0

function listed (calls, none) {
  return table({
    caption: 'Calls',
    rows: calls,
    key: call => call.call_id,
    none,
    columns: [
      { name: 'Call', of: call => el('a', { href: `#calls/${call.call_id}`, title: call.call_id }, call.call_id.slice(0, 8), el('span', { class: 'unseen' }, ` ${call.operation ?? ''}`)) },
      { name: 'At', of: call => time(at(call)) },
      { name: 'Took', kind: 'number', of: call => length(call.total_ms) },
      { name: 'In queue', kind: 'number', of: call => length(inQueue(call)) },
      { name: 'Operation', of: call => call.operation ?? '–' },
      { name: 'App', of: call => `${call.tenant}/${call.app}` },
      { name: 'Connection', of: call => call.connection ?? '–' },
      { name: 'End', of: call => call.code },
      { name: 'Why', of: call => el('span', { class: 'note' }, call.why) }
    ]
  })
}

const underWay = calls => table({
  caption: 'Calls that are under way',
  rows: calls,
  key: call => call.call_id,
  none: 'No call is under way.',
  columns: [
    { name: 'Call', of: call => el('span', { title: call.call_id }, call.call_id.slice(0, 8)) },
    { name: 'For', kind: 'number', of: call => length(call.since_ms) },
    { name: 'State', of: call => [call.state, call.caller === false && ', its caller has left'] },
    { name: 'Operation', of: call => call.operation ?? '–' },
    { name: 'App', of: call => `${call.tenant}/${call.app}` },
    { name: 'Connection', of: call => call.connection ?? '–' }
  ]
})

function one (context) {
  return {
    title: `Call ${context.about}`,
    live: false,
    every: 60_000,
    load: () => context.get(`/api/calls/${encodeURIComponent(context.about)}`),
    draw: ({ data }) => [el('p', {}, el('a', { href: '#calls' }, '← all calls')), data ? call(data) : null]
  }
}

export function calls (context) {
  if (context.about) return one(context)
  const chosen = { list: 'slowest', ...Object.fromEntries(FILTERS.map(name => [name, ''])) }
  const load = async () => {
    const { list, ...filters } = chosen
    if (list === 'under-way') return { list, ...await context.get('/api/calls/under-way') }
    const sort = list === 'slowest' ? 'slowest' : ''
    const found = await context.get('/api/calls', { ...filters, sort, limit: list === 'refused' ? MOST : 50 })
    // The gateway answered these itself and sent nothing.
    if (list === 'refused') found.calls = found.calls.filter(call => call.outcome === 'not-sent')
    return { list, ...found }
  }
  const change = event => {
    chosen[event.target.name] = event.target.value.trim()
    context.reload()
  }
  const pick = ([name, text]) => el('label', {}, el('input', { type: 'radio', name: 'list', value: name, checked: name === chosen.list, onchange: change }), text)
  const field = name => el('label', {}, name, el('input', { type: 'text', name, onchange: change, autocomplete: 'off', spellcheck: 'false' }))
  return {
    title: 'Calls',
    live: false,
    every: 3000,
    load,
    draw: ({ data }) => [
      el('form', { class: 'row', 'data-key': 'form', onsubmit: event => event.preventDefault(), 'aria-label': 'Which calls' },
        el('fieldset', { class: 'picks' }, el('legend', { class: 'unseen' }, 'List'), LISTS.map(pick)), FILTERS.map(field)),
      data && section(LISTS.find(([name]) => name === data.list)[1], { note: data.kept },
        data.list === 'under-way' ? underWay(data.calls) : listed(data.calls, 'No call like that is kept.'))
    ]
  }
}
