// A browser with the page in it. Whatever it asks for that is not the gateway's is noted.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'

const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
/** Many times what it takes, since nobody waits for it in vain. */
export const PATIENCE = 20_000

export class Browser {
  static async start () {
    const browser = new Browser()
    browser.process = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update']
    })
    return browser
  }

  /** The page of `gateway` in a fresh profile, signed in with `key` if one is given. */
  async open (gateway, { key, scheme = 'light', width = 1440, height = 900, zone = 'UTC' } = {}) {
    const context = await this.process.newContext({ viewport: { width, height }, colorScheme: scheme, timezoneId: zone, reducedMotion: 'reduce' })
    context.setDefaultTimeout(PATIENCE)
    const page = await context.newPage()
    page.elsewhere = []
    page.wrong = []
    page.on('request', request => { if (!request.url().startsWith(`${gateway.admin}/`)) page.elsewhere.push(request.url()) })
    page.on('pageerror', error => page.wrong.push(error.stack))
    page.on('console', message => { if (/policy|refused to/i.test(message.text())) page.wrong.push(message.text()) })
    await page.goto(`${gateway.admin}/`)
    await page.waitForSelector('#key')
    if (key) await signIn(page, key)
    return page
  }

  async close () {
    await this.process?.close()
  }
}

export async function signIn (page, key) {
  await page.fill('#key', key)
  await page.keyboard.press('Enter')
  await page.waitForSelector('.card')
}

/** Opens a view and waits for what it shows. */
export async function view (page, hash, selector) {
  await page.evaluate(hash => { location.hash = hash }, hash)
  await page.waitForSelector(selector)
}

/** Waits until the page shows `text` somewhere in `selector`. */
export const shows = (page, selector, text) => page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout: PATIENCE })

/** Waits until `number` further overviews were drawn. */
export const events = (page, number) => page.evaluate(number => new Promise(resolve => {
  let seen = 0
  const stream = new EventSource('/api/events')
  stream.addEventListener('overview', () => {
    seen += 1
    if (seen <= number) return
    stream.close()
    resolve(seen)
  })
}), number)

/** What axe finds, one line a finding. It is run beside the page, whose policy would not load it. */
export async function findings (page) {
  await page.evaluate(source => { if (!window.axe) (0, eval)(source) }, AXE)
  const { violations } = await page.evaluate(() => window.axe.run(document))
  return violations.flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.target} ${node.failureSummary}`))
}

/** Closes the page; it must have asked for nothing from elsewhere and met no error. */
export async function done (page) {
  const { elsewhere, wrong } = page
  await page.context().close()
  assert.deepEqual({ elsewhere, wrong }, { elsewhere: [], wrong: [] })
}
