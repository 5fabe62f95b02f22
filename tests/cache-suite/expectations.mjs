// What the gateway is not asked for, and what it is known to fail.

/** The least number of required tests that pass. */
export const AT_LEAST = 120

/** Tests that are left out, each kind with its reason. */
export const LEFT_OUT = [
  {
    what: 'other methods',
    why: 'a row that goes by header fields is a GET; what a write clears, the catalogue says by tags, and it has tests of its own',
    is: test => test.requests.some(request => (request.request_method ?? 'GET') !== 'GET')
  },
  {
    what: 'Authorization',
    why: 'it carries the key of the gateway; the vendor gets the token of the connection, which is in the key of every copy',
    is: test => asks(test, 'authorization')
  },
  {
    what: 'Range',
    why: 'such a request passes by the copies, and a partial answer is not kept',
    is: test => asks(test, 'range')
  },
  {
    what: 'Set-Cookie',
    why: 'a cookie of the vendor never reaches an application, and its answer is not kept',
    is: test => answers(test, 'set-cookie') || answers(test, 'set-cookie2')
  },
  {
    what: 'Surrogate-Control',
    why: 'the field speaks to the CDN of an origin, and is not of RFC 9111',
    is: test => answers(test, 'surrogate-control')
  }
]

const NO_ANSWER =
  'the origin hangs up, and the gateway says so with an answer of its own (RFC 9111, section 4.2.4), which lacks the field ' +
  'by which the suite knows that it is no stale one; the suite itself asks for this only where `stale-close` passes'

const AGE =
  'RFC 9111, section 5.1: of several members or lines of `Age` the first counts, and one that is no number of seconds is ' +
  'ignored; so the answer is fresh here, while this version of the suite wants it to be stale'

const OF_THE_ORIGIN =
  'a field that a client keeps for the origin that it asked, here the gateway, about which the vendor has nothing to say'

/** Required tests that the gateway fails, with the reason. One that passes must be struck off. */
export const KNOWN = {
  'stale-close-must-revalidate': NO_ANSWER,
  'stale-close-proxy-revalidate': NO_ANSWER,
  'stale-close-no-cache': NO_ANSWER,
  'stale-close-s-maxage=2': NO_ANSWER,
  'age-parse-nonnumeric': AGE,
  'age-parse-negative': AGE,
  'age-parse-float': AGE,
  'age-parse-dup-0': AGE,
  'age-parse-dup-0-twoline': AGE,
  'age-parse-dup-old': AGE,
  'age-parse-prefix-twoline': AGE,
  'age-parse-parameter': AGE,
  'age-parse-numeric-parameter': AGE,
  'headers-store-Clear-Site-Data': OF_THE_ORIGIN,
  'headers-store-Public-Key-Pins': OF_THE_ORIGIN,
  '304-etag-update-response-Clear-Site-Data': OF_THE_ORIGIN,
  '304-etag-update-response-Public-Key-Pins': OF_THE_ORIGIN,
  'headers-store-Transfer-Encoding':
    'the origin names a transfer coding that nobody can decode: its answer is a 502 and never stored (RFC 9112, section 6.1)',
  '304-etag-update-response-ETag':
    'a 304 with another strong tag than that of the copy must not update it (RFC 9111, section 4.3.4): the gateway asks for ' +
    'the whole, which the suite takes for a retry'
}

function asks (test, name) {
  return test.requests.some(request => names(request.request_headers, name))
}

function answers (test, name) {
  return test.requests.some(request => names(request.response_headers, name))
}

function names (fields, name) {
  return (fields ?? []).some(field => field[0].toLowerCase() === name)
}
