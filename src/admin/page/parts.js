// Parts that several views show.

import { el } from './dom.js'
import { NONE, length, moment, relative, utc } from './format.js'

/** A moment in the browser's zone; who points at it sees it in UTC. */
export function time (ms) {
  if (ms === null || ms === undefined) return NONE
  return el('time', { datetime: new Date(ms).toISOString(), title: utc(ms) }, moment(ms))
}

/** How far a moment is, and when it is for who points at it. */
export function distance (ms, now) {
  if (ms === null || ms === undefined) return NONE
  return el('time', { datetime: new Date(ms).toISOString(), title: `${moment(ms)} here, ${utc(ms)}` }, relative(ms, now))
}

/** A word in a frame. `kind` is `plain`, `warn`, `bad` or `good`; a mark says the same as the colour. */
export function tag (text, kind = 'plain') {
  const mark = { warn: '▲ ', bad: '■ ', good: '● ' }[kind] ?? ''
  return el('span', { class: `tag ${kind}` }, mark && el('span', { 'aria-hidden': 'true' }, mark), text)
}

/** A part of a view with its heading. */
export function section (title, props, ...children) {
  const { note, tools, ...rest } = props ?? {}
  return el('section', { 'data-key': title, ...rest, class: `panel ${rest.class ?? ''}`, 'aria-label': title },
    el('div', { class: 'head' }, el('h2', {}, title), note && el('span', { class: 'note' }, note), tools && el('div', { class: 'tools' }, tools)),
    ...children)
}

/**
 * A table. Each column is `{ name, of, kind }`: what it is called, what it shows of a row, and `number` where that
 * is one. `key` tells rows apart when they move.
 */
export function table ({ caption, columns, rows, key, none = 'none' }) {
  if (rows.length === 0) return el('p', { class: 'none' }, none)
  const cell = (row, { of, kind }, at) => el(at === 0 ? 'th' : 'td', { class: kind, scope: at === 0 && 'row' }, of(row))
  return el('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': caption },
    el('table', {},
      el('caption', {}, caption),
      el('thead', {}, el('tr', {}, columns.map(({ name, kind }) => el('th', { scope: 'col', class: kind }, name)))),
      el('tbody', {}, rows.map((row, at) => el('tr', { 'data-key': key ? key(row) : String(at) }, columns.map((column, at) => cell(row, column, at)))))))
}

/** Figures with their names. */
export const figures = pairs => el('dl', { class: 'figures' }, pairs.filter(Boolean).map(([name, ...value]) =>
  el('div', {}, el('dt', {}, name), el('dd', {}, ...value))))

export const button = (text, onclick, props) => el('button', { type: 'button', onclick, ...props }, text)

/** The names of things that run out, nearest first. */
export function expiring (things, now) {
  const row = ({ what, at_ms: at }) => el('li', {}, el('span', {}, what), ' ',
    tag(at <= now ? 'expired' : relative(at, now), at - now < 7 * 86_400e3 ? 'warn' : 'plain'), ' ', time(at))
  return things.length === 0 ? el('p', { class: 'none' }, 'Nothing runs out soon.') : el('ul', { class: 'lines' }, things.map(row))
}

/** What is in force for a time. */
export function overrides (list, { now, end }) {
  const row = each => el('li', { 'data-key': each.id },
    el('div', {},
      el('strong', {}, each.words), ' ',
      each.ended_at_ms === null ? tag(`${length(Math.max(0, each.until_at_ms - now))} left`, 'warn') : tag(each.ended ?? 'ended'),
      !each.everywhere && tag('not everywhere yet', 'warn')),
    el('div', { class: 'note' }, `“${each.because}” – ${each.by}, since `, time(each.from_at_ms), ', until ', time(each.until_at_ms)),
    end && each.ended_at_ms === null && button('End', () => end(each), { 'aria-label': `End: ${each.words}`, class: 'small' }))
  return list.length === 0 ? el('p', { class: 'none' }, 'No override is in force.') : el('ul', { class: 'lines' }, list.map(row))
}
