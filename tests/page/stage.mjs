// A gateway and a browser for the tests of one file.

import { after, before } from 'node:test'

import { Browser } from './browser.mjs'
import { Gateway } from './gateway.mjs'

/** Both are there while tests run. */
export const stage = { gateway: null, browser: null }

before(async () => {
  stage.gateway = await Gateway.start()
  stage.browser = await Browser.start()
  await stage.gateway.load()
})

after(async () => {
  await stage.browser?.close()
  await stage.gateway?.stop()
})

/** The page for an operator who may change things, unless `options` say otherwise. */
export const open = options => stage.browser.open(stage.gateway, { key: stage.gateway.keys.change, ...options })

/** The page before anybody signs in. */
export const outside = options => stage.browser.open(stage.gateway, options)
