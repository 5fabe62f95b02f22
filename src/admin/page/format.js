// Numbers, lengths and moments as people read them. All are pure.

const ROUND = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const TENTH = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

/** Nothing known. */
export const NONE = '–'

const isNumber = value => typeof value === 'number' && Number.isFinite(value)

export const count = value => isNumber(value) ? ROUND.format(value) : NONE

export const rate = value => isNumber(value) ? TENTH.format(value) : NONE

export const percent = value => isNumber(value) ? `${ROUND.format(value * 100)} %` : NONE

export function bytes (value) {
  if (!isNumber(value)) return NONE
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let at = 0
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024
    at += 1
  }
  return `${at === 0 ? ROUND.format(value) : TENTH.format(value)} ${units[at]}`
}

/** A length of time in at most two units. */
export function length (ms) {
  if (!isNumber(ms)) return NONE
  if (ms <= 0) return '0 s'
  if (ms < 1000) return `${ROUND.format(ms)} ms`
  if (ms < 10_000) return `${TENTH.format(ms / 1000)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  return two(seconds, [[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']])
}

function two (seconds, units) {
  const at = units.findIndex(([size]) => seconds >= size)
  const [size, name] = units[at]
  const rest = units[at + 1] && Math.floor((seconds % size) / units[at + 1][0])
  return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${units[at + 1][1]}` : ''}`
}

/** What a call of a lane would meet: a refusal has no wait. */
export const wait = ms => ms === null || ms === undefined ? 'refused' : ms === 0 ? 'at once' : length(ms)

const parts = options => new Intl.DateTimeFormat('en-GB', { hour12: false, ...options })
const CLOCK = parts({ hour: '2-digit', minute: '2-digit', second: '2-digit' })
const DAY = parts({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })
const FULL = parts({ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' })
const NAMED = parts({ timeZoneName: 'short' })

/** The zone that times are shown in, as the browser names it at `ms`. */
export function zone (ms = Date.now()) {
  const short = NAMED.formatToParts(ms).find(part => part.type === 'timeZoneName')?.value
  const long = Intl.DateTimeFormat().resolvedOptions().timeZone
  return long && long !== short ? `${long} (${short})` : short
}

/** The moment in the browser's zone: as much of the date as the distance asks for. */
export function moment (ms, now = Date.now()) {
  if (!isNumber(ms)) return NONE
  const apart = Math.abs(now - ms)
  const form = apart < 12 * 3600e3 ? CLOCK : apart < 300 * 86_400e3 ? DAY : FULL
  return form.format(ms)
}

/** The moment for everybody. */
export const utc = ms => isNumber(ms) ? `${new Date(ms).toISOString().replace('T', ' ').replace(/\.\d+Z$/, '')} UTC` : ''

/** How far `ms` is from now: `in 4 min`, `3 min ago`. */
export function relative (ms, now = Date.now()) {
  if (!isNumber(ms)) return NONE
  const apart = ms - now
  if (Math.abs(apart) < 1500) return 'now'
  const text = length(Math.round(Math.abs(apart) / 1000) * 1000)
  return apart > 0 ? `in ${text}` : `${text} ago`
}

/** `1 call`, `2 calls`. */
export const many = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`

/** Names in a sentence. */
export function list (names) {
  if (names.length < 2) return names.join('')
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
