// Questions and orders, as the admin port takes them. The session is a cookie that scripts can't read.

/** A refusal of the gateway: a problem document. */
export class Refused extends Error {
  constructor (status, problem) {
    super(problem?.detail ?? problem?.title ?? `the gateway answered ${status}`)
    this.status = status
    this.problem = problem
  }
}

/** The gateway did not answer. */
export class Away extends Error {}

const PATIENCE = 20_000

async function ask (method, path, document, signal) {
  const late = AbortSignal.timeout(PATIENCE)
  const options = { method, signal: signal ? AbortSignal.any([signal, late]) : late, headers: { Accept: 'application/json' }, redirect: 'error' }
  if (document !== undefined) {
    options.headers['Content-Type'] = 'application/json'
    options.body = JSON.stringify(document)
  }
  let answer
  try {
    answer = await fetch(path, options)
  } catch (error) {
    if (signal?.aborted) throw error
    throw new Away('the gateway does not answer')
  }
  const text = await answer.text()
  const parsed = parse(text)
  if (!answer.ok) throw new Refused(answer.status, parsed)
  return parsed
}

function parse (text) {
  try {
    return text ? JSON.parse(text) : null
  } catch {
    return null
  }
}

/** `path` with the values that are there. */
export function target (path, values = {}) {
  const given = Object.entries(values).filter(([, value]) => value !== '' && value !== null && value !== undefined)
  const query = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
  return query ? `${path}?${query}` : path
}

export const get = (path, values, signal) => ask('GET', target(path, values), undefined, signal)
export const post = (path, document) => ask('POST', path, document)
export const remove = (path, document) => ask('DELETE', path, document)
