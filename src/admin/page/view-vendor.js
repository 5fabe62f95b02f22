// Courier as it is seen from here: hosts, sockets, times, statuses, tokens.

import { el } from './dom.js'
import { count, length } from './format.js'
import { distance, section, table, tag } from './parts.js'

const number = (name, of) => ({ name, of, kind: 'number' })

const hosts = rows => table({
  caption: 'Hosts of Courier',
  rows,
  key: host => host.host,
  none: 'No host was called yet.',
  columns: [
    { name: 'Host', of: host => host.host },
    { name: 'Breaker', of: host => tag(host.breaker, { closed: 'good', open: 'bad' }[host.breaker] ?? 'warn') },
    number('Sockets', host => `${count(host.sockets?.open)} open, ${count(host.sockets?.busy)} busy`),
    number('p50', host => length(host.latency_ms?.p50)),
    number('p90', host => length(host.latency_ms?.p90)),
    number('p99', host => length(host.latency_ms?.p99)),
    ...['2xx', '4xx', '429', '5xx'].map(status => number(status, host => count(host.statuses?.[status] ?? 0)))
  ]
})

const tokens = (rows, now) => table({
  caption: 'Tokens by connection',
  rows,
  key: token => token.connection,
  columns: [
    { name: 'Connection', of: token => token.connection },
    { name: 'State', of: token => tag(token.state, token.state === 'ok' ? 'good' : 'bad') },
    { name: 'From', of: token => token.source },
    { name: 'Changed', of: token => distance(token.changed_at_ms, now) }
  ]
})

export function vendor (context) {
  return {
    title: 'Vendor',
    every: 2000,
    load: () => context.get('/api/vendor'),
    draw: ({ data, now }) => data
      ? [section('Hosts', {}, hosts(data.hosts)), section('Tokens', { note: 'how each one is, never what it is' }, tokens(data.tokens, now))]
      : el('p', { class: 'none' }, 'Waiting for the figures…')
  }
}
