// What was changed, by whom and why; what is in force; and what can be changed here.

import * as acts from './acts.js'
import { el } from './dom.js'
import { button, overrides, section, table, tag, time } from './parts.js'

const audit = rows => table({
  caption: 'Acts, newest first',
  rows,
  none: 'Nothing was done yet.',
  columns: [
    { name: 'At', of: act => time(act.at_ms) },
    { name: 'Act', of: act => act.act },
    { name: 'Outcome', of: act => tag(act.outcome, act.outcome === 'done' ? 'good' : 'warn') },
    { name: 'By', of: act => [act.key ?? '–', act.peer && el('span', { class: 'note' }, ` ${act.peer}`)] },
    { name: 'What', of: act => act.what || '–' },
    { name: 'Because', of: act => act.because || '–' },
    { name: 'Before', of: act => act.before || '–' },
    { name: 'After', of: act => act.after || '–' },
    { name: 'Detail', of: act => act.detail || '–' }
  ]
})

function make (overview, context) {
  const pick = el('select', { id: 'change-of', name: 'of' }, overview.connections.map(each => el('option', { value: each.connection }, each.connection)))
  const chosen = () => overview.connections.find(each => each.connection === document.getElementById('change-of').value)
  const act = (text, make) => button(text, () => context.act(make(chosen())))
  return [
    el('div', { class: 'row' },
      el('label', { for: 'change-of' }, 'Connection'), pick,
      act('Limit', acts.limit), act('Pause', acts.pauseConnection), act('Mode', acts.mode), act('Breaker', acts.breaker),
      act('Purge', acts.purge), act('Bypass cache', acts.bypass)),
    el('div', { class: 'row' },
      button('Pause an operation', () => context.act(acts.pauseOperation())),
      button('Log level', () => context.act(acts.logLevel())),
      button('Reload the configuration', () => context.act(acts.reload()))),
    el('p', { class: 'note' }, 'An app is paused, limited or moved in the view of its connection.')
  ]
}

export function changes (context) {
  return {
    title: 'Changes',
    every: 3000,
    load: async () => {
      const [{ overrides: all }, { acts: done }] = [await context.get('/api/overrides', { all: 1 }), await context.get('/api/audit', { limit: 100 })]
      return { all, done }
    },
    draw ({ data, overview, now }) {
      const inForce = data?.all.filter(each => each.ended_at_ms === null) ?? overview?.overrides ?? []
      const ended = data?.all.filter(each => each.ended_at_ms !== null) ?? []
      return [
        section('In force', {}, overrides(inForce, { now, end: context.may && (each => context.act(acts.end(each))) })),
        context.may && overview && overview.connections.length > 0 && section('Make a change', {}, make(overview, context)),
        ended.length > 0 && section('Ended', {}, overrides(ended, { now })),
        data && section('Record', {}, audit(data.done))
      ]
    }
  }
}
