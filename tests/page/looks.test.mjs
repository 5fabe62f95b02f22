// How the live page looks and how it is made: for whom it is readable, how large it is, and its pictures.

import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import http from 'node:http'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

import { done, events, findings, shows, signIn, view } from './browser.mjs'
import { open, outside, stage } from './stage.mjs'

test('times are in the zone of the browser, which is named, and in UTC for who points at them', async () => {
  const page = await open({ zone: 'Asia/Kolkata' })
  await shows(page, '#foot', 'Asia/')
  await view(page, '#changes', 'tbody time')
  const { title, moment, text } = await page.locator('tbody time').first().evaluate(node => ({ title: node.title, moment: node.dateTime, text: node.textContent }))
  assert.match(title, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/)
  assert.equal(text, new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium', timeZone: 'Asia/Kolkata' }).format(new Date(moment)))
  await done(page)
})

test('dark or light is kept', async () => {
  const page = await open({ scheme: 'light' })
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await ground()
  await page.getByRole('button', { name: 'Dark or light' }).click()
  const dark = await ground()
  assert.notEqual(dark, light)
  await page.reload()
  await page.waitForSelector('.card')
  assert.equal(await ground(), dark)
  await done(page)
})

const VIEWS = ['overview', 'connection/acme-prod', 'cache', 'vendor', 'calls', 'usage', 'changes', 'configuration']

for (const scheme of ['dark', 'light']) {
  for (const width of [375, 1440]) {
    test(`axe finds nothing, and nothing is cut, ${scheme} at ${width} px`, async () => {
      const page = await outside({ scheme, width })
      assert.deepEqual(await findings(page), [], 'sign-in')
      await signIn(page, stage.gateway.keys.change)
      for (const hash of VIEWS) {
        await view(page, `#${hash}`, 'main h2')
        assert.deepEqual(await findings(page), [], hash)
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${hash} is wider than the window`)
      }
      await page.getByRole('button', { name: 'Help' }).click()
      assert.deepEqual(await findings(page), [], 'help')
      await done(page)
    })
  }
}

test('lengths, moments and stretches are said as people say them', async () => {
  const page = await outside()
  const said = await page.evaluate(async () => {
    const { bytes, length, list, relative, wait } = await import('/assets/format.js')
    const { stretches } = await import('/assets/call.js')
    const { thin } = await import('/assets/charts.js')
    const line = [{ at_ms: 0, event: 'received' }, { at_ms: 0, event: 'asked' }, { at_ms: 40, event: 'started' }, { at_ms: 41, event: 'end' }]
    return {
      lengths: [0, 3, 999, 1500, 59_400, 60_000, 61_000, 3_600_000, 90_061_000, null].map(length),
      waits: [null, 0, 300].map(wait),
      moments: [0, 1400, 4000, -180_000].map(ms => relative(ms, 0)),
      bytes: [0, 1023, 1536, 1_048_576].map(bytes),
      lists: [[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(list),
      stretches: stretches(line).map(({ part, from, to }) => [part, from, to]),
      thin: [thin([1, 3, 5, 7], 2), thin([1, 3, 5, 7], 2, 'largest'), thin([1, 2], 2)]
    }
  })
  await done(page)
  assert.deepEqual(said, {
    lengths: ['0 s', '3 ms', '999 ms', '1.5 s', '59 s', '1 min', '1 min 1 s', '1 h', '1 d 1 h', '–'],
    waits: ['refused', 'at once', '300 ms'],
    moments: ['now', 'now', 'in 4 s', '3 min ago'],
    bytes: ['0 B', '1,023 B', '1.5 KiB', '1 MiB'],
    lists: ['', 'a', 'a and b', 'a, b and c'],
    stretches: [['queue', 0, 40], ['gateway', 40, 41]],
    thin: [[2, 6], [3, 7], [1, 2]]
  })
})

/** A file as it is sent, with its fields. */
const raw = path => new Promise((resolve, reject) => {
  http.get(stage.gateway.admin + path, { headers: { 'accept-encoding': 'gzip' } }, answer => {
    const parts = []
    answer.on('data', part => parts.push(part))
    answer.on('end', () => resolve({ headers: answer.headers, octets: Buffer.concat(parts) }))
  }).on('error', reject)
})

test('the whole page is at most 80 kB as it is sent', async () => {
  const page = await outside()
  const paths = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname).filter(path => path.startsWith('/assets/')))
  await done(page)
  assert.ok(paths.length > 15)
  let size = 0
  for (const path of new Set(['/', ...paths])) {
    const { headers, octets } = await raw(path)
    assert.equal(headers['content-encoding'], 'gzip', path)
    assert.ok(gunzipSync(octets).length > octets.length, path)
    size += octets.length
  }
  assert.ok(size <= 80_000, `${size}`)
})

/** Seconds of life that the pictures show. */
const LIVED = 150

test('the pictures of the README', { skip: process.env.UPDATE !== '1' && 'UPDATE=1 writes them' }, async () => {
  const folder = fileURLToPath(new URL('../../docs/images/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const page = await open({ width: 1280, height: 860 })
  const { gateway } = stage
  const lived = async () => (await gateway.ask('/api/history?connection=acme-prod')).body.interactive.length
  while (await lived() < LIVED) {
    await Promise.all([gateway.send('billing'), gateway.call('shop', 'GET', '/brands'), events(page, 2)])
  }
  await gateway.ask('/api/overrides', 'POST', { act: { kind: 'limit', connection: 'globex-prod', calls: 500 }, for_ms: 600_000, because: 'Courier asked for it' })
  for (const [name, hash, scheme] of [['overview', 'overview', 'dark'], ['connection', 'connection/acme-prod', 'light']]) {
    await page.emulateMedia({ colorScheme: scheme })
    await view(page, `#${hash}`, hash === 'overview' ? '.card .spark path' : '.chart path.area')
    await page.screenshot({ path: `${folder}${name}.png` })
  }
  await done(page)
})
