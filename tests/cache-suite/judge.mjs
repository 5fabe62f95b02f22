// What the client's results come to. Pure.

import { AT_LEAST, KNOWN, LEFT_OUT } from './expectations.mjs'

/** A table of all groups, and what is wrong: nothing, if the suite passes. */
export function judge (groups, results, rules = { AT_LEAST, KNOWN, LEFT_OUT }) {
  const rows = []
  const complaints = []
  const unused = new Set(Object.keys(rules.KNOWN))
  const left = new Map(rules.LEFT_OUT.map(kind => [kind.what, 0]))
  for (const group of groups) {
    const row = { group: group.id, required: 0, 'left out': 0, passed: 0, known: 0, failed: 0 }
    for (const test of group.tests.filter(isRequired)) {
      row.required++
      const kind = rules.LEFT_OUT.find(kind => kind.is(test))
      if (kind) {
        row['left out']++
        left.set(kind.what, (left.get(kind.what) ?? 0) + 1)
        continue
      }
      const known = unused.delete(test.id)
      const passed = results[test.id] === true
      if (passed && known) complaints.push(`${test.id} passes: strike it off the known failures`)
      if (!passed && !known) complaints.push(`${test.id} fails: ${said(results[test.id])}`)
      row[passed ? 'passed' : known ? 'known' : 'failed']++
    }
    if (row.required > 0) rows.push(row)
  }
  for (const id of unused) complaints.push(`${id} is a known failure, but no test that is asked for`)
  for (const [what, count] of left) {
    if (count === 0) complaints.push(`nothing is left out for '${what}'`)
  }
  const all = total(rows)
  if (all.passed < rules.AT_LEAST) complaints.push(`${all.passed} tests pass, not ${rules.AT_LEAST}`)
  const out = [...left].map(([what, count]) => `${what} ${count}`).join(', ')
  return { report: `${table([...rows, all])}\n\nleft out: ${out}`, complaints }
}

/** What a cache must do; the others ask how good it is, or what it does. A browser's own are not for a gateway. */
function isRequired (test) {
  return (test.kind ?? 'required') === 'required' && test.browser_only !== true
}

function said (result) {
  return result === undefined ? 'it was not run' : result.join(': ')
}

function total (rows) {
  const all = { group: 'all' }
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      if (name !== 'group') all[name] = (all[name] ?? 0) + value
    }
  }
  return all
}

function table (rows) {
  const names = Object.keys(rows[0])
  const lines = [names, ...rows.map(row => names.map(name => String(row[name])))]
  const widths = names.map((_, column) => Math.max(...lines.map(line => line[column].length)))
  const pad = (text, column) => column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column])
  return lines.map(line => line.map(pad).join('  ')).join('\n')
}
