// Usage by day and app.

import { target } from './api.js'
import { el } from './dom.js'
import { count } from './format.js'
import { section, table } from './parts.js'

const SPANS = [7, 30, 62]
const NAMES = ['tenant', 'app', 'connection', 'operation']

/** The counts that any row has, in their order. */
const counts = rows => [...new Set(rows.flatMap(row => Object.keys(row).filter(name => typeof row[name] === 'number')))]

/** One row for each app and connection of a day. */
export function byApp (rows, columns) {
  const sums = new Map()
  for (const row of rows) {
    const key = `${row.tenant} ${row.app} ${row.connection}`
    const sum = sums.get(key) ?? { tenant: row.tenant, app: row.app, connection: row.connection }
    for (const name of columns) sum[name] = (sum[name] ?? 0) + (row[name] ?? 0)
    sums.set(key, sum)
  }
  return [...sums.values()].sort((one, other) => `${one.tenant}/${one.app}`.localeCompare(`${other.tenant}/${other.app}`))
}

function day ({ day, rows }) {
  const columns = counts(rows)
  return section(day, { note: 'UTC day' }, table({
    caption: `Usage of ${day}`,
    rows: byApp(rows, columns),
    key: row => NAMES.map(name => row[name]).join(' '),
    columns: [
      { name: 'App', of: row => `${row.tenant}/${row.app}` },
      { name: 'Connection', of: row => row.connection ?? '–' },
      ...columns.map(name => ({ name: name.replaceAll('_', ' '), kind: 'number', of: row => count(row[name]) }))
    ]
  }))
}

export function usage (context) {
  let days = SPANS[0]
  const change = event => {
    days = Number(event.target.value)
    context.reload()
  }
  return {
    title: 'Usage',
    live: false,
    every: 30_000,
    load: () => context.get('/api/usage', { days }),
    draw: ({ data }) => [
      el('form', { class: 'row', 'data-key': 'form', onsubmit: event => event.preventDefault() },
        el('label', {}, 'Days', el('select', { name: 'days', onchange: change }, SPANS.map(span => el('option', { value: span, selected: span === days }, String(span))))),
        el('a', { href: target('/api/usage', { days, format: 'csv' }), download: 'tollgate-usage.csv' }, 'As CSV')),
      data?.missing?.length > 0 && el('p', { class: 'problem' }, `Not readable: ${data.missing.join(', ')}`),
      data && (data.days.length === 0 ? el('p', { class: 'none' }, 'Nothing was counted yet.') : [...data.days].sort((one, other) => other.day.localeCompare(one.day)).map(day))
    ]
  }
}
