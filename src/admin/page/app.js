// The page's frame: who is signed in, which view is open, and when it is drawn.

import { get, post } from './api.js'
import { ask, help } from './dialog.js'
import { el, show } from './dom.js'
import { length, zone } from './format.js'
import { Live } from './live.js'
import { login } from './login.js'
import { button, tag } from './parts.js'
import { cache } from './view-cache.js'
import { calls } from './view-calls.js'
import { changes } from './view-changes.js'
import { configuration } from './view-configuration.js'
import { connection } from './view-connection.js'
import { overview, trouble } from './view-overview.js'
import { usage } from './view-usage.js'
import { vendor } from './view-vendor.js'

const VIEWS = { overview, cache, vendor, calls, usage, changes, configuration }
const ALL = { ...VIEWS, connection }
const at = id => document.getElementById(id)
const title = name => name[0].toUpperCase() + name.slice(1)

const page = { session: null, live: null, link: null, view: null, said: '' }

/** `#connection/acme-prod` is the view and what it is about. */
function route () {
  const [name, ...rest] = location.hash.slice(1).split('/')
  let about = rest.join('/')
  try {
    about = decodeURIComponent(about)
  } catch {
    // Whatever it is, no thing has that name.
  }
  return Object.hasOwn(ALL, name) ? { name, about } : { name: 'overview', about: '' }
}

function close () {
  clearTimeout(page.view?.timer)
  page.view?.stop.abort()
  page.view = null
}

/** Opens the view that the address names. */
function open () {
  close()
  const { name, about } = route()
  const stop = new AbortController()
  const view = { name, stop, data: undefined, problem: null }
  const context = {
    about,
    may: page.session.rights === 'change',
    signal: stop.signal,
    get: (path, values) => get(path, values, stop.signal),
    act: act => ask(act, done),
    redraw: () => { if (page.view === view) draw() },
    reload: () => { if (page.view === view) load(view) }
  }
  view.shown = ALL[name](context)
  page.view = view
  document.title = `${about || title(name)} – Tollgate`
  at('main').replaceChildren()
  draw()
  at('main').querySelector('h1')?.focus()
  load(view)
}

/** Asks for what the view shows, and again after a time, one question after the other. */
async function load (view) {
  clearTimeout(view.timer)
  if (!view.shown.load) return
  try {
    if (!document.hidden || view.data === undefined) view.data = await view.shown.load()
    view.problem = null
  } catch (error) {
    if (view.stop.signal.aborted) return
    if (error.status === 401) return ended()
    view.problem = error.message
  }
  if (page.view !== view) return
  draw()
  clearTimeout(view.timer)
  view.timer = setTimeout(() => load(view), view.shown.every ?? 5000)
}

function draw () {
  const { view, live } = page
  if (document.hidden || !view) return
  const now = live?.overview?.at_ms ?? Date.now()
  show(at('main'),
    el('h1', { tabindex: '-1' }, view.shown.title),
    view.problem && el('p', { class: 'problem', role: 'alert' }, `${view.data === undefined ? '' : 'Not up to date: '}${view.problem}`),
    view.shown.draw({ data: view.data, overview: live?.overview ?? null, now }))
  frame(view)
}

function frame ({ name }) {
  const { session } = page
  show(at('views'), Object.keys(VIEWS).map(each => el('a', { href: `#${each}`, 'aria-current': each === name ? 'page' : null }, title(each))))
  show(at('tools'),
    el('span', { class: 'note who' }, session.key, ' ', tag(session.rights === 'change' ? 'may change' : 'may look')),
    button('◐', switchTheme, { 'aria-label': 'Dark or light', title: 'Dark or light', class: 'small' }),
    button('?', help, { 'aria-label': 'Help', title: 'Help ( ? )', class: 'small' }),
    button('Sign out', signOut, { class: 'small' }))
  show(at('foot'), el('span', {}, `Tollgate ${session.version}, instance ${session.instance}`), el('span', {}, `Times are in ${zone()}; point at one for UTC.`))
}

/** The way to the gateway, in words that change only when it does. */
function link (state) {
  page.link = state
  if (!page.session) return
  const draining = state.overview?.ready
  const text = state.lost ? `no connection since ${length(Math.floor(state.silent / 1000) * 1000)}` : draining ? String(draining) : state.overview ? 'live' : 'connecting'
  const kind = state.lost ? 'bad' : draining ? 'warn' : 'good'
  document.body.classList.toggle('lost', state.lost)
  const node = at('link')
  // Only a change of state is read out, not each second of it.
  node.setAttribute('role', node.dataset.kind === kind ? 'none' : 'status')
  node.dataset.kind = kind
  show(node, tag(text, kind))
}

/** Says the words of the connection in most trouble, if they say something new: other figures alone do not. */
function say (overview) {
  const worst = [...overview.connections].sort((one, other) => trouble(other) - trouble(one))[0]
  const words = worst && trouble(worst) > 0 ? `${worst.connection}: ${worst.words}` : ''
  const sense = words.replace(/[\d.,]+/g, '#')
  if (sense === page.said || document.hidden) return
  page.said = sense
  at('words').textContent = words
}

function saw (overview) {
  if (page.view?.shown.live !== false) draw()
  say(overview)
}

function done (act) {
  at('said').textContent = `Done: ${act.title}.`
  clearTimeout(page.toast)
  page.toast = setTimeout(() => { at('said').textContent = '' }, 6000)
  if (page.view) load(page.view)
}

function switchTheme () {
  const dark = getComputedStyle(document.documentElement).colorScheme === 'dark' ||
    (!document.documentElement.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches)
  const theme = dark ? 'light' : 'dark'
  document.documentElement.dataset.theme = theme
  try {
    localStorage.setItem('tollgate-theme', theme)
  } catch {
    // It holds until the page is loaded again.
  }
}

async function signOut () {
  await post('/api/logout', {}).catch(() => {})
  ended('')
}

/** The session is over: nothing of it stays on the page. */
function ended (why = 'The session has ended. Sign in again.') {
  if (!page.session) return
  close()
  page.live?.close()
  Object.assign(page, { session: null, live: null, said: '' })
  document.querySelectorAll('dialog').forEach(dialog => dialog.remove())
  for (const id of ['bar', 'foot']) at(id).hidden = true
  document.body.classList.remove('lost')
  login(at('main'), began, why)
}

function began (session) {
  page.session = session
  for (const id of ['bar', 'foot']) at(id).hidden = false
  open()
  page.live = new Live({ saw, state: link, ended: check })
}

/** Whether the session still is. If only the stream is refused, because too many read it, the figures are asked for. */
async function check () {
  const { live } = page
  try {
    page.session = await get('/api/session')
    live?.take(await get('/api/overview'))
  } catch (error) {
    if (error.status === 401) ended()
  }
}

async function start () {
  try {
    began(await get('/api/session'))
  } catch (error) {
    login(at('main'), began, error.status === 401 ? '' : error.message)
  }
}

/** A connection by its name, else a call by its id. */
function search (event) {
  event.preventDefault()
  const text = event.target.elements.id.value.trim()
  if (!text) return
  const known = page.live?.overview?.connections.some(each => each.connection === text)
  location.hash = `${known ? '#connection' : '#calls'}/${encodeURIComponent(text)}`
  event.target.reset()
}

function key (event) {
  const typing = event.target.closest?.('input, select, textarea, dialog')
  if (typing || !page.session || event.ctrlKey || event.metaKey || event.altKey) return
  if (event.key === '/') at('search').elements.id.focus()
  else if (event.key === '?') help()
  else if (/^[1-7]$/.test(event.key)) location.hash = `#${Object.keys(VIEWS)[event.key - 1]}`
  else return
  event.preventDefault()
}

addEventListener('hashchange', () => { if (page.session) open() })
document.addEventListener('keydown', key)
document.addEventListener('visibilitychange', () => { if (!document.hidden && page.view) load(page.view).then(draw) })
at('search').addEventListener('submit', search)
document.querySelector('.skip').addEventListener('click', event => {
  event.preventDefault()
  at('main').focus()
})
start()
