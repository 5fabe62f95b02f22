// The real gateway before a simulated Courier, and clients that keep it busy. Only this file knows how they are started.

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Program, environment, tollgate } from '../cache-suite/program.mjs'

/** Calls in any window of the busy connection. */
export const CALLS = 20
/** Bulk calls that are kept waiting: as many as may. */
const WAITING = CALLS / 2

const made = id => `tg_${id}_${randomBytes(32).toString('base64url')}`
const entry = (id, text, rest = '') => `{ id = "${id}", sha256 = "${createHash('sha256').update(text).digest('hex')}"${rest} }`

function configuration (vendor, at, keys) {
  return `\
[server]
listen = "127.0.0.1:0"
drain_delay = "0s"
grace = "1s"
deadline = "10m"

[ops]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"
keys = [
  ${entry('ops1', keys.change, ', rights = "change"')},
  ${entry('ops2', keys.gone, ', rights = "change"')},
  ${entry('look', keys.look)},
]

[state]
dir = '${at('state')}'

[vendor]
base_url = "${vendor}"

[quota]
calls = ${CALLS}
max_wait_bulk = "10m"

[[tenant]]
id = "acme"

[[tenant.connection]]
id = "acme-prod"
token = { file = '${at('token')}' }

[[tenant.app]]
id = "billing"
keys = [${entry('k1', keys.billing)}]

[[tenant.app]]
id = "reports"
lane = "bulk"
keys = [${entry('k2', keys.reports, ', expires = "2099-01-01T00:00:00Z"')}]

[[tenant]]
id = "globex"

[[tenant.connection]]
id = "globex-prod"
token = { file = '${at('other')}' }
quota = { calls = 1000 }

[[tenant.app]]
id = "shop"
keys = [${entry('k3', keys.shop)}]
`
}

/** Finds in a log line where `listener` listens. */
const address = listener => line => {
  if (!line.startsWith('{') || !line.includes('listening')) return undefined
  const fields = JSON.parse(line)
  return fields.listener === listener ? `http://${fields.addr}` : undefined
}

export class Gateway {
  static async start () {
    const gateway = new Gateway()
    gateway.folder = mkdtempSync(join(tmpdir(), 'tollgate-page-'))
    const at = name => join(gateway.folder, name)
    gateway.keys = Object.fromEntries(
      [['change', 'ops1'], ['gone', 'ops2'], ['look', 'look'], ['billing', 'k1'], ['reports', 'k2'], ['shop', 'k3']].map(([name, id]) => [name, made(id)]))
    gateway.vendor = new Program(tollgate(), ['simulate', '--listen', '127.0.0.1:0', '--seed', '7'], { cwd: gateway.folder, env: environment({}) })
    const vendor = await gateway.vendor.says(line => line.match(/listening on (?:http:\/\/)?(127\.0\.0\.1:\d+)/)?.[1])
    for (const token of ['token', 'other']) writeFileSync(at(token), `suite-${randomBytes(16).toString('hex')}`)
    writeFileSync(at('tollgate.toml'), configuration(`http://${vendor}`, at, gateway.keys))
    gateway.program = new Program(tollgate(), ['serve', '--config', at('tollgate.toml')], { cwd: gateway.folder, env: environment({}) })
    const says = ['data', 'admin'].map(listener => gateway.program.says(address(listener)))
    const [data, admin] = await Promise.all(says)
    Object.assign(gateway, { data, admin, ending: new AbortController() })
    return gateway
  }

  /** A call through the data port; gives its status and its id. */
  async call (app, method, path, document) {
    const headers = { 'x-api-key': this.keys[app], ...(document && { 'content-type': 'application/json' }) }
    const answer = await fetch(this.data + path, { method, headers, body: document && JSON.stringify(document), signal: this.ending.signal })
    await answer.arrayBuffer()
    return { status: answer.status, id: answer.headers.get('tollgate-call-id') }
  }

  send (app) {
    return this.call(app, 'POST', '/send', { message: { to: { user_id: 'u1' }, content: { title: 'a', body: 'b' } } })
  }

  /** What the admin port answers to a program. */
  async ask (path, method = 'GET', document) {
    const headers = { 'x-api-key': this.keys.change, ...(document && { 'content-type': 'application/json' }) }
    const answer = await fetch(this.admin + path, { method, headers, body: document && JSON.stringify(document) })
    return { status: answer.status, body: await answer.json() }
  }

  /** One app uses the slots up, and the calls of another wait behind it until the end. */
  async load () {
    for (let nth = 0; nth < 6; nth += 1) await this.call('shop', 'GET', '/brands')
    for (let nth = 0; nth < CALLS - 2; nth += 1) await this.send('billing')
    // A call that is refused, or cut by the end, is not made again.
    const busy = async () => {
      while ((await this.send('reports').catch(() => ({}))).status === 202);
    }
    this.busy = Array.from({ length: WAITING }, busy)
  }

  async stop () {
    this.ending.abort()
    await Promise.all(this.busy ?? [])
    for (const program of [this.program, this.vendor]) await program?.stop()
    rmSync(this.folder, { recursive: true })
  }
}
