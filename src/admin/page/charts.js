// Drawings of numbers, as SVG. Colours come with a pattern or a dash, so that they are not needed to tell things apart.

import { el, svg } from './dom.js'
import { count, length, rate } from './format.js'

/** Points of a line: more are not seen. */
const POINTS = 300

const largest = values => values.reduce((most, value) => Math.max(most, value ?? 0), 0)

/** At most `POINTS` values: the mean of neighbours, or the largest of them. */
export function thin (values, most = POINTS, by = 'mean') {
  const size = Math.ceil(values.length / most)
  if (size <= 1) return values
  const thinned = []
  for (let at = 0; at < values.length; at += size) {
    const part = values.slice(at, at + size)
    thinned.push(by === 'mean' ? part.reduce((sum, value) => sum + value, 0) / part.length : largest(part))
  }
  return thinned
}

const fixed = number => Math.round(number * 10) / 10

function points (values, { width, height, top }) {
  const step = values.length > 1 ? width / (values.length - 1) : width
  return values.map((value, at) => `${fixed(at * step)} ${fixed(height - (value / top) * height)}`)
}

export const linePath = (values, box) => values.length ? `M${points(values, box).join('L')}` : ''

const areaPath = (values, box) => values.length ? `${linePath(values, box)}L${box.width} ${box.height}L0 ${box.height}Z` : ''

/** The patterns that the classes of style.css fill with; once in a drawing that uses them. */
export const patterns = id => svg('defs', {},
  svg('pattern', { id: `${id}-hatch`, width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
    svg('rect', { width: 6, height: 6, class: 'ground' }), svg('rect', { width: 3, height: 6, class: 'stripe' })))

/** The starts of the last quarter of an hour, without axes. */
export function spark (history) {
  const box = { width: 160, height: 34 }
  if (!history || history.interactive.length < 2) return svg('svg', { class: 'spark', viewBox: '0 0 160 34', 'aria-hidden': 'true' })
  const starts = thin(history.interactive.map((value, at) => value + (history.bulk[at] ?? 0)), 90)
  const waiting = thin(history.waiting_interactive.map((value, at) => value + (history.waiting_bulk[at] ?? 0)), 90, 'largest')
  // A line at the very top would be cut.
  const of = values => ({ ...box, top: Math.max(1, largest(values)) * 1.08 })
  const words = `Last 15 minutes: up to ${rate(largest(starts))} starts a second, up to ${count(largest(waiting))} calls waiting`
  return svg('svg', { class: 'spark', viewBox: '0 0 160 34', preserveAspectRatio: 'none', role: 'img', 'aria-label': words },
    svg('title', {}, words),
    svg('path', { class: 'area starts', d: areaPath(starts, of(starts)) }),
    svg('path', { class: 'line', d: linePath(waiting, of(waiting)) }))
}

/** Slots as one bar: used, resting, free. It has no box of its own, so that its pattern is not stretched. */
export function slotsBar (slots, id) {
  const all = Math.max(1, slots.in_use + slots.resting + slots.free)
  const words = `${count(slots.in_use)} slots in use, ${count(slots.resting)} resting, ${count(slots.free)} free of ${count(slots.limit)}`
  const parts = [['used', slots.in_use], ['resting', slots.resting], ['free', slots.free]]
  let x = 0
  const bars = parts.map(([kind, value]) => {
    const width = (value / all) * 100
    const bar = svg('rect', { class: kind, x: `${fixed(x)}%`, width: `${fixed(width)}%`, height: '100%', fill: kind === 'resting' ? `url(#${id}-hatch)` : null })
    x += width
    return bar
  })
  return svg('svg', { class: 'slots-bar', role: 'img', 'aria-label': words }, patterns(id), bars)
}

/** What the marks of a drawing stand for. */
export const legend = entries => el('ul', { class: 'legend' }, entries.map(([kind, text]) => el('li', {},
  svg('svg', { viewBox: '0 0 24 10', class: 'sample', 'aria-hidden': 'true' },
    kind.startsWith('line') ? svg('path', { class: kind, d: 'M0 5H24' }) : svg('rect', { class: kind, width: 24, height: 10 })), text)))

/** One drawing over the last quarter of an hour: areas upon each other and lines, with one scale. */
export function chart ({ title, areas = [], lines = [], limit, unit, spanMs }) {
  const box = { width: 900, height: 130 }
  const sums = []
  for (const { values } of areas) {
    const below = sums.at(-1) ?? []
    sums.push(thin(values).map((value, at) => value + (below[at] ?? 0)))
  }
  const thinned = lines.map(({ values }) => thin(values))
  const top = Math.max(1, largest(sums.at(-1) ?? []), ...thinned.map(largest), limit ?? 0)
  const scale = { ...box, top }
  const words = `${title}, the last ${length(spanMs)}: ` +
    [...areas, ...lines].map(({ name, values }) => `${name} up to ${rate(largest(values))}, now ${rate(values.at(-1) ?? 0)}`).join('; ')
  const y = limit === undefined ? null : fixed(box.height - (limit / top) * box.height)
  return el('figure', { class: 'chart', 'data-key': title },
    el('figcaption', {}, el('span', {}, title), el('span', { class: 'note' }, `${rate(top)} ${unit} at the top`)),
    svg('svg', { viewBox: `0 0 ${box.width} ${box.height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': words },
      [0.25, 0.5, 0.75].map(part => svg('path', { class: 'grid', d: `M0 ${box.height * part}H${box.width}` })),
      sums.map((values, at) => svg('path', { class: `area ${areas[at].kind}`, d: areaPath(values, scale) })).reverse(),
      thinned.map((values, at) => svg('path', { class: `line ${lines[at].kind}`, d: linePath(values, scale) })),
      y !== null && svg('path', { class: 'line limit', d: `M0 ${y}H${box.width}` })),
    el('div', { class: 'axis', 'aria-hidden': 'true' }, el('span', {}, `${length(spanMs)} ago`), el('span', {}, 'now')),
    legend([...areas.map(({ kind, name }) => [`area ${kind}`, name]), ...lines.map(({ kind, name }) => [`line ${kind}`, name]),
      ...(y === null ? [] : [['line limit', 'limit']])]))
}
