// Starts the real programs on free ports of this machine. Only this file knows how they are started.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Program, environment, tollgate, within } from './program.mjs'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const SUITE = join(HERE, 'node_modules', 'http-cache-tests')

// Many times what it takes, since nobody waits for it in vain: until the client is done.
const PATIENCE = 180_000

// One open row: each answer lives by its own header fields.
const CATALOGUE = `\
[[operation]]
id = "suite.get"
group = "suite"
method = "GET"
path = "/{*rest}"
access = "read"
reads = ["suite"]
freshness = "headers"
pools = { connection = 1 }
`

/** The suite's own origin server, among those that are `running`. */
export async function startOrigin (folder, running) {
  const settings = {
    npm_package_config_protocol: 'http',
    npm_package_config_port: '0',
    npm_package_config_pidfile: join(folder, 'origin.pid')
  }
  const args = ['--import', join(HERE, 'origin.mjs'), join(SUITE, 'server', 'server.mjs')]
  const program = new Program(process.execPath, args, { cwd: folder, env: environment(settings) })
  running.push(program)
  const address = await program.says(line => line.match(/^Listening on (http:\/\/127\.0\.0\.1:\d+)\//)?.[1])
  return { address }
}

/** A gateway before `origin`, with a key and a token made for this run. */
export async function startGateway (folder, origin, running) {
  const made = execFileSync(tollgate(), ['keys', 'new', '--app', 'suite'], { encoding: 'utf8' })
  const key = made.match(/^\s*(tg_\S+)$/m)?.[1]
  const entry = made.match(/keys = \[.*\]/)?.[0]
  if (!key || !entry) throw new Error('`tollgate keys new` no longer prints a key and its entry')
  const at = name => join(folder, name)
  writeFileSync(at('token'), `suite-${randomBytes(16).toString('hex')}`)
  writeFileSync(at('catalogue.toml'), CATALOGUE)
  writeFileSync(at('tollgate.toml'), configuration(origin.address, at, entry))
  const args = ['serve', '--config', at('tollgate.toml')]
  const program = new Program(tollgate(), args, { cwd: folder, env: environment({}) })
  running.push(program)
  const address = await program.says(line => {
    if (!line.startsWith('{') || !line.includes('listening')) return undefined
    const fields = JSON.parse(line)
    return fields.listener === 'data' ? `http://${fields.addr}` : undefined
  })
  return { address, key }
}

function configuration (vendor, at, entry) {
  return `\
[server]
listen = "127.0.0.1:0"
drain_delay = "0s"

[ops]
listen = "127.0.0.1:0"

[vendor]
base_url = "${vendor}"
catalog = '${at('catalogue.toml')}'

# What the quota does has tests of its own.
[quota]
calls = 100000

[[tenant]]
id = "suite"

[[tenant.connection]]
id = "suite"
token = { file = '${at('token')}' }

[[tenant.app]]
id = "suite"
${entry}
`
}

/** The suite's own client, which asks `gateway` and sets `origin` up; what it prints are its results. */
export async function runClient (gateway, origin, running) {
  const settings = {
    npm_package_config_base: gateway.address,
    npm_package_config_id: '',
    CACHE_SUITE_ORIGIN: origin.address,
    CACHE_SUITE_KEY: gateway.key
  }
  const args = ['--no-warnings', '--import', join(HERE, 'client.mjs'), join(SUITE, 'cli.mjs')]
  const program = new Program(process.execPath, args, { cwd: SUITE, env: environment(settings) })
  running.push(program)
  const code = await within(PATIENCE, program.ended)
  if (code !== 0) throw new Error(`the client ended with ${code ?? 'nothing yet'}\n${program.tail()}`)
  return JSON.parse(program.output.join('\n'))
}

/** All tests of the suite, by group, as its client runs them. */
export async function groups () {
  const { default: tests } = await import(join(SUITE, 'tests', 'index.mjs'))
  const { default: surrogate } = await import(join(SUITE, 'tests', 'surrogate-control.mjs'))
  return [...tests, surrogate]
}
