// One connection: its slots over time, its apps, its last quarter of an hour, and what can be done to it.

import * as acts from './acts.js'
import { chart, slotsBar } from './charts.js'
import { el } from './dom.js'
import { count, length, percent, rate, wait } from './format.js'
import { button, figures, overrides, section, table } from './parts.js'
import { window as slotsWindow } from './slots.js'
import { exhausted, tags, who, why } from './view-overview.js'
import { whatIf } from './whatif.js'

/** Shares and apps as one list: a share has what was, an app what is. */
function rowsOf (each, detail) {
  const shares = new Map((detail?.shares ?? []).map(share => [share.app, share]))
  return each.apps.map(app => ({ tenant: each.tenant, ...app, ...shares.get(app.app) }))
}

function apps (each, detail, context) {
  const column = (name, of) => ({ name, of, kind: 'number' })
  const columns = [
    { name: 'App', of: app => app.app },
    { name: 'Lane', of: app => app.lane },
    column('Weight', app => count(app.weight)),
    column('Share', app => percent(app.share)),
    column('Holds', app => count(app.held)),
    column('Wait', app => count(app.waiting)),
    column('A call now', app => wait(app.refused ? null : app.wait_ms)),
    { name: 'Because', of: why },
    column('Waited p50', app => length(app.waited_ms_p50)),
    column('p99', app => length(app.waited_ms_p99)),
    column('Refused, 60 s', app => count(app.refused_60s))
  ]
  if (context.may) {
    const act = (app, text, make) => button(text, () => context.act(make({ ...app, tenant: app.tenant ?? each.tenant })), { class: 'small', 'aria-label': `${text}: ${app.app}` })
    columns.push({ name: 'Change', of: app => el('span', { class: 'tools' }, act(app, 'Pause', acts.pauseApp), act(app, 'Limit', acts.appLimit), act(app, 'Lane', acts.lane)) })
  }
  return table({ caption: `Apps of ${each.connection}`, rows: rowsOf(each, detail), key: app => app.app, none: 'No app uses it.', columns })
}

function charts (history, limit) {
  if (!history || history.interactive.length < 2) return el('p', { class: 'none' }, 'The first seconds are not over yet.')
  const spanMs = history.interactive.length * history.step_ms
  const at = (name, values, kind) => ({ name, values, kind })
  return el('div', { class: 'charts' },
    chart({
      title: 'Calls a second', unit: 'calls', spanMs,
      areas: [at('interactive started', history.interactive, 'blue'), at('bulk started', history.bulk, 'orange')],
      lines: [at('refused', history.refused, 'ink'), at('saved by the cache', history.saved, 'grey')]
    }),
    chart({
      title: 'Waiting calls', unit: 'calls', spanMs,
      lines: [at('interactive', history.waiting_interactive, 'blue'), at('bulk', history.waiting_bulk, 'orange')]
    }),
    chart({
      title: 'Slots', unit: 'slots', spanMs, limit: history.limit.at(-1) ?? limit,
      areas: [at('in use', history.in_use, 'blue'), at('resting', history.resting, 'pale')]
    }))
}

function buttons (each, context) {
  if (!context.may) return null
  const act = (text, make) => button(text, () => context.act(make(each)))
  return el('div', { class: 'tools', role: 'group', 'aria-label': `Changes to ${each.connection}` },
    act('Limit', acts.limit), act('Pause', acts.pauseConnection), act('Mode', acts.mode), act('Breaker', acts.breaker),
    act('Purge', acts.purge), act('Bypass cache', acts.bypass), button('Pause operation', () => context.act(acts.pauseOperation(each.connection))))
}

const isAbout = (act, each) => act.connection === each.connection || (act.app && act.tenant === each.tenant && each.apps.some(app => app.app === act.app))

export function connection (context) {
  const name = context.about
  const trial = whatIf(context, name)
  return {
    title: name,
    every: 2000,
    load: async () => {
      const [detail, history] = [await context.get(`/api/connections/${encodeURIComponent(name)}`), await context.get('/api/history', { connection: name })]
      return { detail, history }
    },
    draw ({ data, overview, now }) {
      const each = overview?.connections.find(each => each.connection === name)
      if (!each) return el('p', { class: 'none' }, overview ? `No connection has the name “${name}”.` : 'Waiting for the first figures…')
      const { slots, rates } = each
      const inForce = overview.overrides.filter(({ act }) => isAbout(act, each))
      return [
        el('p', { class: 'summary' }, el('span', { class: 'note' }, `${each.tenant}, workspace ${each.workspace}, ${each.mode} `), tags(each)),
        el('p', { class: 'why' }, who(each)),
        el('p', { class: 'note say' }, data?.detail?.words ?? each.words),
        buttons(each, context),
        inForce.length > 0 && section('In force here', {}, overrides(inForce, { now, end: context.may && (one => context.act(acts.end(one))) })),
        section('Slots', { note: `${count(slots.limit)} calls in any ${length(slots.window_ms)}` },
          slotsBar(slots, 'bar'),
          figures([
            ['in use', count(slots.in_use)], ['resting', count(slots.resting)], ['free', count(slots.free)], ['exhausted', exhausted(each)],
            ['interactive now', wait(each.wait_ms.interactive)], ['bulk now', wait(each.wait_ms.bulk)],
            ['started', `${rate(rates.started)}/s`], ['refused', `${rate(rates.refused)}/s`], ['saved', `${rate(rates.saved)}/s`]
          ]),
          data?.detail ? slotsWindow(data.detail.slots, slots.window_ms) : null),
        section('Apps', {}, apps(each, data?.detail, context)),
        section('The last 15 minutes', {}, charts(data?.history, slots.limit)),
        trial.draw(each)
      ]
    }
  }
}
