// Dialogs: one asks before anything changes, one helps.

import { el } from './dom.js'
import { length } from './format.js'

/** How long an override can be in force. */
const FOR = [[300e3, '5 minutes'], [600e3, '10 minutes'], [3600e3, '1 hour'], [4 * 3600e3, '4 hours'], [86_400e3, '1 day'], [7 * 86_400e3, '7 days'], [30 * 86_400e3, '30 days']]

/** Opens `dialog` and takes it away when it is closed. */
function open (dialog) {
  document.body.append(dialog)
  dialog.addEventListener('close', () => dialog.remove())
  dialog.showModal()
  return dialog
}

function input ({ name, label, type, options, ...rest }) {
  const id = `act-${name}`
  const control = type === 'select'
    ? el('select', { id, name }, options.map(option => el('option', { value: option, selected: option === rest.value }, option)))
    : el('input', { id, name, type, ...rest, required: rest.required ?? type === 'number', autocomplete: 'off', spellcheck: 'false' })
  return el('p', { class: 'field' }, el('label', { for: id }, label), control)
}

/** What was put in: numbers are numbers. */
function values (form, fields) {
  const read = Object.fromEntries(fields.map(({ name, type }) => {
    const text = form.elements[name].value.trim()
    return [name, type === 'number' ? Number(text) : text]
  }))
  return { ...read, because: form.elements.because.value.trim(), forMs: Number(form.elements.for?.value ?? 0) }
}

/** Asks for what `act` needs, says what it will do, and sends it. `done` is told when that has happened. */
export function ask (act, done) {
  const words = el('p', { class: 'will', 'aria-live': 'polite' })
  const problem = el('p', { class: 'problem', role: 'alert' })
  const confirm = el('button', { type: 'submit', class: act.grave ? 'grave' : 'first' }, act.confirm)
  const say = () => {
    const read = values(form, act.fields)
    words.textContent = act.words(read) + (act.once ? '' : ` For ${length(read.forMs)}; then the configuration holds again by itself.`)
  }
  const send = async event => {
    event.preventDefault()
    confirm.disabled = true
    problem.textContent = ''
    try {
      const answer = await act.send(values(form, act.fields))
      dialog.close()
      done(act, answer)
    } catch (error) {
      problem.textContent = error.message
      confirm.disabled = false
    }
  }
  const form = el('form', { oninput: say, onsubmit: send },
    el('h2', { id: 'act-title' }, act.title),
    act.fields.map(input),
    !act.once && el('p', { class: 'field' }, el('label', { for: 'act-for' }, 'For'),
      el('select', { id: 'act-for', name: 'for' }, FOR.map(([ms, text]) => el('option', { value: ms, selected: ms === 600e3 }, text)))),
    el('p', { class: 'field' }, el('label', { for: 'act-because' }, act.optional ? 'Because (may be empty)' : 'Because'),
      el('input', { id: 'act-because', name: 'because', required: !act.optional, maxlength: 200, autocomplete: 'off', placeholder: 'why, for the record' })),
    words,
    problem,
    el('p', { class: 'buttons' }, confirm, el('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel')))
  const dialog = el('dialog', { 'aria-labelledby': 'act-title' }, form)
  say()
  open(dialog)
}

const KEYS = [['/', 'go to the search'], ['1 … 7', 'go to a view'], ['?', 'this help'], ['Esc', 'close a dialog'], ['Tab', 'go on; everything is reached by it']]

const WORDS = [
  ['slot', 'the right to one call. It is in use while its call runs, and rests for a window from the answer on; then it is free.'],
  ['lane', 'interactive: somebody waits for the answer. Bulk: nobody does, so it goes behind.'],
  ['share', 'what an app may have of a connection while others want more than there is, by weight.'],
  ['shadow', 'the quota only watches.'],
  ['override', 'a change for a time, with a reason. It ends by itself.']
]

export function help () {
  if (document.querySelector('dialog[open]')) return
  const pairs = list => el('dl', { class: 'figures' }, list.map(([name, text]) => el('div', {}, el('dt', {}, name), el('dd', {}, text))))
  const dialog = el('dialog', { 'aria-labelledby': 'help-title' },
    el('h2', { id: 'help-title' }, 'Help'),
    el('h3', {}, 'Keys'), pairs(KEYS),
    el('h3', {}, 'Words'), pairs(WORDS),
    el('p', { class: 'buttons' }, el('button', { type: 'button', class: 'first', onclick: () => dialog.close() }, 'Close')))
  open(dialog)
}
