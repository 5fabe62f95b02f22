// Where somebody signs in with an admin key. The key is sent once and is kept nowhere here.

import { post } from './api.js'
import { el } from './dom.js'

/** Shows the form in `main`; `began` gets the session. */
export function login (main, began, why) {
  document.title = 'Sign in – Tollgate'
  const problem = el('p', { class: 'problem', role: 'alert' }, why)
  const enter = el('button', { type: 'submit', class: 'first' }, 'Sign in')
  const key = el('input', { id: 'key', name: 'key', type: 'password', required: true, autocomplete: 'current-password', spellcheck: 'false' })
  const send = async event => {
    event.preventDefault()
    enter.disabled = true
    problem.textContent = ''
    try {
      const session = await post('/api/login', { key: key.value.trim() })
      key.value = ''
      main.replaceChildren()
      began(session)
    } catch (error) {
      problem.textContent = error.status === 401 ? 'That is no key that opens this port.' : error.message
      enter.disabled = false
      key.focus()
    }
  }
  main.replaceChildren(el('form', { class: 'login panel', onsubmit: send },
    el('img', { src: '/assets/logo.svg', alt: '', width: 48, height: 48 }),
    el('h1', {}, 'Tollgate'),
    el('p', { class: 'field' }, el('label', { for: 'key' }, 'Admin key'), key),
    problem,
    el('p', {}, enter),
    el('p', { class: 'note' }, 'A key is made by ', el('code', {}, 'tollgate keys new --admin'), '.')))
  key.focus()
}
