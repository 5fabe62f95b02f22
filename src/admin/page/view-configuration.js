// The configuration in use, how the last reload went, what runs out, and the keys.

import { reload, revoke } from './acts.js'
import { el } from './dom.js'
import { button, distance, expiring, figures, section, table, tag, time } from './parts.js'

const lines = texts => el('ul', { class: 'lines plain' }, texts.map(text => el('li', {}, el('code', {}, text))))

function lastReload (last) {
  if (!last) return el('p', { class: 'none' }, 'It was not reloaded since the start.')
  return [
    el('p', {}, tag(last.outcome, last.outcome === 'done' ? 'good' : 'bad'), ' ', time(last.at_ms)),
    last.problems?.length > 0 && lines(last.problems)
  ]
}

function keyTable (keys, context, now) {
  const columns = [
    { name: 'Key', of: key => key.id },
    { name: 'Of', of: key => key.app ? `${key.tenant}/${key.app}` : 'an operator' },
    { name: 'Rights', of: key => key.rights },
    { name: 'Last used', of: key => key.last_used_at_ms === null ? 'not since the start' : distance(key.last_used_at_ms, now) },
    { name: 'Expires', of: key => key.expires_at_ms === null ? 'never' : distance(key.expires_at_ms, now) },
    { name: 'Revoked', of: key => key.revoked ? [time(key.revoked.at_ms), ` by ${key.revoked.by}: “${key.revoked.because}”`] : '–' }
  ]
  if (context.may) {
    columns.push({ name: 'Change', of: key => key.revoked ? '–' : button('Revoke', () => context.act(revoke(key)), { class: 'small', 'aria-label': `Revoke ${key.id}` }) })
  }
  return table({ caption: 'Keys of apps and operators', rows: keys, key: key => `${key.tenant}/${key.app}/${key.id}`, columns, none: 'There is no key.' })
}

export function configuration (context) {
  return {
    title: 'Configuration',
    live: false,
    every: 5000,
    load: async () => {
      const configuration = await context.get('/api/configuration')
      // One that is refused does not hide the other.
      const keys = await context.get('/api/keys').catch(error => ({ keys: [], problem: error.message }))
      return { configuration, keys }
    },
    draw ({ data, now }) {
      if (!data) return el('p', { class: 'none' }, 'Waiting for the configuration…')
      const { configuration: found, keys } = data
      return [
        section('In use', { tools: context.may && button('Reload', () => context.act(reload())) },
          figures([['file', found.file ?? '–'], ['loaded', time(found.loaded_at_ms)]]),
          found.warnings.length > 0 && [el('h3', {}, 'Warnings'), lines(found.warnings)]),
        section('Last reload', {}, lastReload(found.last_reload)),
        section('Runs out', {}, expiring(found.expiring, now)),
        section('Keys', {}, keys.problem ? el('p', { class: 'problem' }, keys.problem) : keyTable(keys.keys, context, now)),
        section('Settings', { note: 'without secrets' }, el('pre', { tabindex: '0', 'aria-label': 'Settings as JSON' }, JSON.stringify(found.settings, null, 2)))
      ]
    }
  }
}
