// What the judge lets pass, and what not.

import assert from 'node:assert/strict'
import test from 'node:test'

import { judge } from './judge.mjs'

const asks = { requests: [{}] }
const groups = [
  {
    id: 'group',
    tests: [
      { id: 'must', ...asks },
      { id: 'must-too', kind: 'required', ...asks },
      { id: 'out', requests: [{ request_method: 'POST' }] },
      { id: 'may', kind: 'optimal', ...asks },
      { id: 'does-it', kind: 'check', ...asks },
      { id: 'browser', browser_only: true, ...asks }
    ]
  }
]
const rules = {
  AT_LEAST: 1,
  KNOWN: { 'must-too': 'a reason' },
  LEFT_OUT: [{ what: 'POST', why: 'a reason', is: test => test.requests.some(request => request.request_method === 'POST') }]
}
const failed = ['Assertion', 'it is so']
const complaints = (results, more = {}) => judge(groups, results, { ...rules, ...more }).complaints

test('what is expected passes', () => {
  assert.deepEqual(complaints({ must: true, 'must-too': failed, may: failed, 'does-it': failed }), [])
})

test('a required test that fails, or was not run, is a failure', () => {
  assert.deepEqual(complaints({ must: failed, 'must-too': failed }, { AT_LEAST: 0 }), ['must fails: Assertion: it is so'])
  assert.deepEqual(complaints({ 'must-too': failed }, { AT_LEAST: 0 }), ['must fails: it was not run'])
})

test('a known failure that passes, or that no test bears, is a failure', () => {
  assert.deepEqual(complaints({ must: true, 'must-too': true }), ['must-too passes: strike it off the known failures'])
  const KNOWN = { ...rules.KNOWN, out: 'a reason', gone: 'a reason' }
  assert.equal(complaints({ must: true, 'must-too': failed }, { KNOWN }).length, 2)
})

test('too few passes, or a kind of which there is nothing, is a failure', () => {
  assert.deepEqual(complaints({ must: true, 'must-too': failed }, { AT_LEAST: 2 }), ['1 tests pass, not 2'])
  const LEFT_OUT = [...rules.LEFT_OUT, { what: 'PUT', why: 'a reason', is: () => false }]
  assert.deepEqual(complaints({ must: true, 'must-too': failed }, { LEFT_OUT }), ["nothing is left out for 'PUT'"])
})
