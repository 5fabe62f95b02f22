// Starts the origin, the gateway and the client of the suite, and judges what the client found.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { judge } from './judge.mjs'
import { groups, runClient, startGateway, startOrigin } from './programs.mjs'

const folder = mkdtempSync(join(tmpdir(), 'tollgate-cache-suite-'))
const running = []
let complaints
try {
  const origin = await startOrigin(folder, running)
  const gateway = await startGateway(folder, origin, running)
  const results = await runClient(gateway, origin, running)
  const verdict = judge(await groups(), results)
  console.log(verdict.report)
  complaints = verdict.complaints
} finally {
  await Promise.all(running.map(program => program.stop()))
  rmSync(folder, { recursive: true })
}
complaints.forEach(complaint => console.error(complaint))
process.exitCode = complaints.length === 0 ? 0 : 1
