// The window of a connection, slot by slot: each is a bar up to the moment when it comes back.

import { el, svg } from './dom.js'
import { count, length, list, many } from './format.js'
import { patterns } from './charts.js'

const WIDTH = 1000
const HEIGHT = 220
/** Apps with a colour of their own; the others share the last one. */
const COLOURS = 6

/** By app, the one that holds most first; of each those that come back last. Nobody knows when a running call ends. */
function ordered (slots) {
  const held = new Map()
  for (const { app, state } of slots) if (state !== 'free') held.set(app, (held.get(app) ?? 0) + 1)
  const when = slot => slot.state === 'in-use' ? Number.MAX_VALUE : slot.free_in_ms ?? 0
  const taken = slots.filter(slot => slot.state !== 'free')
  return taken.sort((one, other) => held.get(other.app) - held.get(one.app) || String(one.app).localeCompare(String(other.app)) || when(other) - when(one))
}

/** One path for each app and state, whatever the number of slots. */
function shapes (slots, windowMs) {
  const height = HEIGHT / Math.max(1, slots.length)
  const paths = new Map()
  const apps = new Map()
  ordered(slots).forEach((slot, at) => {
    const app = slot.app ?? 'nobody known'
    apps.set(app, (apps.get(app) ?? 0) + 1)
    const part = slot.state === 'in-use' ? 1 : Math.min(1, Math.max(0.004, (slot.free_in_ms ?? 0) / windowMs))
    const name = `${slot.state} ${app}`
    const known = paths.get(name) ?? { state: slot.state, app, d: '' }
    known.d += `M0 ${(at * height).toFixed(2)}h${(part * WIDTH).toFixed(1)}v${(height * 0.86).toFixed(2)}H0z`
    paths.set(name, known)
  })
  return { paths: [...paths.values()], apps: [...apps].sort((one, other) => other[1] - one[1]) }
}

/** What the drawing says, for who does not see it. */
function said (slots, apps) {
  const free = slots.filter(slot => slot.state === 'free').length
  const next = slots.filter(slot => slot.state === 'resting').reduce((least, slot) => Math.min(least, slot.free_in_ms ?? Infinity), Infinity)
  const held = apps.length ? `; held by ${list(apps.slice(0, 5).map(([app, number]) => `${app} (${count(number)})`))}` : ''
  const back = free === 0 && next < Infinity ? `; the next one is back in ${length(next)}` : ''
  return `${many(free, 'slot')} of ${count(slots.length)} free${held}${back}`
}

export function window (slots, windowMs) {
  const { paths, apps } = shapes(slots, windowMs)
  const colour = app => Math.min(COLOURS - 1, apps.findIndex(([name]) => name === app))
  const words = said(slots, apps)
  const marks = [0, 0.25, 0.5, 0.75, 1]
  return el('figure', { class: 'window' },
    el('figcaption', {}, words),
    svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words },
      patterns('window'),
      marks.map(part => svg('path', { class: 'grid', d: `M${part * WIDTH} 0V${HEIGHT}` })),
      paths.map(({ state, app, d }) => svg('path', { class: `app${colour(app)} ${state}`, d })),
      paths.filter(({ state }) => state === 'in-use').map(({ d }) => svg('path', { fill: 'url(#window-hatch)', class: 'over', d }))),
    el('div', { class: 'axis', 'aria-hidden': 'true' }, marks.map(part => el('span', {}, part ? `in ${length(part * windowMs)}` : 'now'))),
    el('ul', { class: 'legend' },
      apps.map(([app, number]) => el('li', {}, sample(`app${colour(app)}`), `${app}: ${count(number)}`)),
      el('li', {}, sample('hatched'), 'hatched: its call still runs, so it is back a window after that')))
}

const sample = kind => svg('svg', { viewBox: '0 0 24 10', class: 'sample', 'aria-hidden': 'true' }, svg('rect', { class: kind, width: 24, height: 10 }))
