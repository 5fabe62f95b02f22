// A program of this machine, started and stopped. Suites in JavaScript share it.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

// Many times what it takes, since nobody waits for it in vain: until a program listens, and until it has ended.
const START = 20_000
const STOP = 20_000

/** A running program and what it printed. */
export class Program {
  constructor (command, args, options) {
    this.printed = []
    this.output = []
    this.readers = []
    this.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    this.ended = new Promise(resolve => {
      this.process.on('error', error => {
        this.printed.push(error.message)
        resolve(error.message)
      })
      this.process.on('close', (code, signal) => resolve(code ?? signal))
    })
    createInterface({ input: this.process.stdout }).on('line', line => this.read(line, this.output))
    createInterface({ input: this.process.stderr }).on('line', line => this.read(line, []))
  }

  read (line, also) {
    this.printed.push(line)
    also.push(line)
    this.readers.forEach(reader => reader(line))
  }

  /** What `find` makes of the first line of which it makes anything. */
  async says (find) {
    const found = new Promise(resolve => {
      this.readers.push(line => {
        const value = find(line)
        if (value !== undefined) resolve({ value })
      })
    })
    const { value } = await within(START, Promise.race([found, this.ended.then(() => ({}))])) ?? {}
    if (value === undefined) throw new Error(`it does not listen\n${this.tail()}`)
    return value
  }

  /** Asks the program to end, as an init system would. */
  async stop () {
    this.process.kill('SIGTERM')
    if (await within(STOP, this.ended) === undefined) {
      this.process.kill('SIGKILL')
      throw new Error(`still running after SIGTERM\n${this.tail()}`)
    }
  }

  tail () {
    return ['the last that it printed:', ...this.printed.slice(-30)].join('\n')
  }
}

/** What `promise` comes to; nothing, if its time is over first. */
export async function within (time, promise) {
  let timer
  const late = new Promise(resolve => { timer = setTimeout(resolve, time) })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The program under test. A missing one fails the suite: a suite that skips proves nothing. */
export function tollgate () {
  const named = process.env.TOLLGATE_BIN
  const places = named ? [resolve(named)] : ['release', 'debug'].map(kind => join(ROOT, 'target', kind, 'tollgate'))
  const found = places.find(existsSync)
  if (!found) throw new Error(`no program at ${places.join(', ')}: build it, or name it in TOLLGATE_BIN`)
  return found
}

/** Settings of the person who runs the suite must not reach the programs. */
export function environment (more) {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|tollgate_|courier_|node_)|_proxy$/i.test(name))
  return { ...Object.fromEntries(own), ...more }
}
