// What the cache saves.

import { el } from './dom.js'
import { bytes, count, percent } from './format.js'
import { button, figures, section, table } from './parts.js'
import * as acts from './acts.js'
import { svg } from './dom.js'

const part = rate => svg('svg', { class: 'part', viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
  svg('rect', { class: 'free', width: 100, height: 10 }), svg('rect', { class: 'used', width: Math.round((rate ?? 0) * 1000) / 10, height: 10 }))

export function cache (context) {
  return {
    title: 'Cache',
    every: 2000,
    load: () => context.get('/api/cache'),
    draw ({ data, overview }) {
      if (!data) return el('p', { class: 'none' }, 'Waiting for the figures…')
      const number = (name, of) => ({ name, of, kind: 'number' })
      const rows = [...data.operations].sort((one, other) => other.hits + other.misses - one.hits - one.misses)
      const columns = [
        { name: 'Operation', of: row => row.operation },
        number('Hit rate', row => [part(row.hit_rate), percent(row.hit_rate)]),
        number('Hits', row => count(row.hits)),
        number('Misses', row => count(row.misses)),
        number('Stale', row => count(row.stale)),
        number('Joined', row => count(row.joined))
      ]
      const change = each => el('li', {}, el('strong', {}, each.connection), ' ',
        button('Purge', () => context.act(acts.purge(each)), { class: 'small', 'aria-label': `Purge ${each.connection}` }), ' ',
        button('Bypass', () => context.act(acts.bypass(each)), { class: 'small', 'aria-label': `Bypass the cache of ${each.connection}` }))
      return [
        section('In all', { note: 'since the start' }, figures([
          ['hit rate', percent(data.hit_rate)], ['calls saved', count(data.saved_calls)], ['reads', count(data.reads)],
          ['in memory', `${bytes(data.bytes)} of ${bytes(data.capacity)}`]
        ]), part(data.hit_rate)),
        section('Operations', {}, table({ caption: 'Reads by operation', rows, key: row => row.operation, columns, none: 'Nothing was read yet.' })),
        context.may && overview && section('Changes', {}, el('ul', { class: 'lines' }, overview.connections.map(change)))
      ]
    }
  }
}
