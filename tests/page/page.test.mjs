// The live page before the real gateway: what it shows, and what can be done with it.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { done, events, shows, signIn, view } from './browser.mjs'
import { CALLS } from './gateway.mjs'
import { open, outside, stage } from './stage.mjs'

/** Fills a dialog in and confirms it. */
async function confirm (page, fields, because = 'the suite') {
  const dialog = page.locator('dialog[open]')
  for (const [label, value] of Object.entries(fields)) await dialog.getByLabel(label, { exact: true }).fill(value)
  await dialog.getByLabel('Because', { exact: true }).fill(because)
  await dialog.locator('button[type=submit]').click()
  await dialog.waitFor({ state: 'detached' })
}

test('a wrong key stays outside, a right one comes in, and signing out ends it', async () => {
  const page = await outside()
  await page.fill('#key', 'tg_nobody_wrong')
  await page.keyboard.press('Enter')
  await shows(page, '.problem', 'no key that opens this port')
  await signIn(page, stage.gateway.keys.change)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.waitForSelector('#key')
  await page.reload()
  await page.waitForSelector('#key')
  await done(page)
})

test('the overview says who waits for whom and why, and the worst is first', async () => {
  const page = await open()
  await shows(page, '.card .why', /reports waits?: .*billing|bulk calls? of reports/)
  const { body } = await stage.gateway.ask('/api/overview')
  const first = body.connections.find(each => each.connection === 'acme-prod')
  assert.equal(await page.locator('.card h3').first().textContent(), 'acme-prod')
  await shows(page, '.card', `free of ${first.slots.limit} in 1 min`)
  await shows(page, '.card', 'waiting')
  await page.waitForSelector('.card .spark path')
  await done(page)
})

test('each view shows what the gateway knows', async () => {
  const page = await open()
  await view(page, '#connection/acme-prod', '.window path[class^=app]')
  await shows(page, 'table', 'reports')
  await page.waitForSelector('.chart path.area')
  await view(page, '#cache', 'text=Reads by operation')
  await shows(page, 'tbody tr', 'brands.list')
  await view(page, '#vendor', 'text=Hosts of Courier')
  await shows(page, 'tbody tr', 'acme-prod')
  await view(page, '#calls', 'text=In queue')
  await page.locator('tbody a').first().click()
  await page.waitForSelector('.call-line rect')
  await shows(page, 'tbody tr', 'received')
  await view(page, '#usage', 'text=As CSV')
  await shows(page, 'tbody tr', 'acme/billing')
  await view(page, '#changes', 'text=Record')
  await shows(page, 'tbody tr', 'login')
  await view(page, '#configuration', 'pre')
  await shows(page, 'pre', 'acme-prod')
  await done(page)
})

test('the keys are listed with their end', async () => {
  const page = await open()
  await view(page, '#configuration', 'text=Keys of apps and operators')
  await shows(page, 'tbody tr', 'k2')
  await done(page)
})

test('calls are found by their id, and those under way are listed', async () => {
  const page = await open()
  const { id } = await stage.gateway.call('shop', 'GET', '/messages')
  await page.fill('#search input', id)
  await page.keyboard.press('Enter')
  await shows(page, 'h1', id)
  await page.waitForSelector('.call-line')
  await view(page, '#calls', 'text=In queue')
  await page.getByLabel('Under way').check()
  await shows(page, 'h2', 'Under way')
  await done(page)
})

test('a lowered limit is in force until it is ended', async () => {
  const page = await open()
  await view(page, '#connection/globex-prod', '.window')
  await page.getByRole('button', { name: 'Limit', exact: true }).first().click()
  await shows(page, 'dialog .will', 'For 10 min')
  await confirm(page, { 'Calls in 1 min': '500' })
  await shows(page, '.lines', /globex-prod: 500 calls/)
  await shows(page, '.panel', '500 calls in any 1 min')
  const { body } = await stage.gateway.ask('/api/overrides')
  assert.deepEqual(body.overrides.map(each => [each.act, each.because, each.by]),
    [[{ kind: 'limit', connection: 'globex-prod', calls: 500 }, 'the suite', 'ops1']])
  await page.getByRole('button', { name: /^End: / }).click()
  await page.locator('dialog[open] button[type=submit]').click()
  await shows(page, '.panel', '1,000 calls in any 1 min')
  assert.deepEqual((await stage.gateway.ask('/api/overrides')).body.overrides, [])
  await done(page)
})

test('a paused app is refused until the pause is ended', async () => {
  const page = await open()
  await view(page, '#connection/globex-prod', 'text=Apps of globex-prod')
  await page.getByRole('button', { name: 'Pause: shop' }).click()
  await confirm(page, {})
  await shows(page, '.lines', 'shop')
  assert.equal((await stage.gateway.send('shop')).status, 403)
  await view(page, '#changes', '.lines')
  await page.getByRole('button', { name: /^End: / }).click()
  await page.locator('dialog[open] button[type=submit]').click()
  await shows(page, '.panel', 'No override is in force.')
  assert.notEqual((await stage.gateway.send('shop')).status, 403)
  await done(page)
})

test('a purge makes copies void, and is on record with its reason', async () => {
  const page = await open()
  await view(page, '#cache', 'text=Purge')
  await page.getByRole('button', { name: 'Purge globex-prod' }).click()
  await confirm(page, {}, 'stale colours')
  await view(page, '#changes', 'text=Record')
  await shows(page, 'tbody tr', 'stale colours')
  await done(page)
})

test('another limit can be tried on the calls that came', async () => {
  const page = await open()
  await view(page, '#connection/acme-prod', '#whatif')
  await page.fill('#whatif', String(CALLS * 2))
  await page.getByRole('button', { name: 'Try' }).click()
  await shows(page, 'tbody tr', 'Bulk waits, p99')
  await done(page)
})

test('a key that may only look sees nothing to change', async () => {
  const page = await open({ key: stage.gateway.keys.look })
  for (const hash of ['#overview', '#connection/acme-prod', '#cache', '#changes', '#configuration']) {
    await view(page, hash, 'main h2')
    const buttons = await page.locator('main button').allTextContents()
    assert.deepEqual(buttons.filter(text => text !== 'Try'), [], hash)
  }
  await done(page)
})

test('all is reached by keys, and the focus stays where it is when figures change', async () => {
  const page = await open()
  await page.keyboard.press('/')
  assert.equal(await page.evaluate(() => document.activeElement.name), 'id')
  await page.locator('h1').focus()
  await page.keyboard.press('?')
  await shows(page, 'dialog[open] h2', 'Help')
  await page.keyboard.press('Escape')
  await page.locator('dialog').waitFor({ state: 'detached' })
  await page.keyboard.press('6')
  await shows(page, 'h1', 'Changes')
  await page.keyboard.press('1')
  await page.locator('.skip').focus()
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate(() => `${document.activeElement.id} ${location.hash}`), 'main #overview')
  const link = page.locator('.card h3 a').first()
  await link.focus()
  const outline = await link.evaluate(node => getComputedStyle(node).outlineStyle)
  const drawn = await events(page, 2)
  assert.ok(drawn >= 2)
  assert.equal(await link.evaluate(node => node === document.activeElement), true)
  assert.equal(outline, 'solid')
  await done(page)
})

test('nodes are replaced, not added', async () => {
  const page = await open()
  await view(page, '#connection/acme-prod', '.chart path.area')
  const nodes = () => page.evaluate(() => document.querySelectorAll('*').length)
  await events(page, 1)
  const before = await nodes()
  await events(page, 4)
  assert.ok(Math.abs(await nodes() - before) < 60, `${before}, then ${await nodes()}`)
  await done(page)
})

test('a gateway that says nothing shows, and so does its return', async () => {
  const page = await open()
  await shows(page, '#link', 'live')
  stage.gateway.program.process.kill('SIGSTOP')
  try {
    await shows(page, '#link', /no connection since \d+ s/)
  } finally {
    stage.gateway.program.process.kill('SIGCONT')
  }
  await shows(page, '#link', 'live')
  await done(page)
})

test('a session whose key is revoked ends at the sign-in', async () => {
  const page = await open({ key: stage.gateway.keys.gone })
  const { status } = await stage.gateway.ask('/api/keys/ops2/revoke', 'POST', { because: 'the suite' })
  assert.equal(status, 200)
  await page.waitForSelector('#key')
  await shows(page, '.problem', 'session has ended')
  assert.equal(await page.locator('.card').count(), 0)
  await done(page)
})
