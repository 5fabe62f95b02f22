// Loaded before the suite's client, which knows neither keys nor an origin beside the cache: adds the gateway's key to what
// it asks, and sends what sets the origin up, or asks for its state, straight there.

import http from 'node:http'

const origin = new URL(process.env.CACHE_SUITE_ORIGIN)
const key = process.env.CACHE_SUITE_KEY

const request = http.request
http.request = function (options, ...rest) {
  if (/^\/(config|state)\//.test(options.path)) {
    const { hostname, port } = origin
    return request.call(this, { ...options, hostname, port }, ...rest)
  }
  const headers = { ...options.headers, 'X-Api-Key': [key] }
  return request.call(this, { ...options, headers }, ...rest)
}
