// Elements, made by calls: what comes from the gateway is only ever text, never markup.

const SVG = 'http://www.w3.org/2000/svg'

function fill (node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on')) listen(node, name.slice(2), value)
    else node.setAttribute(name, value === true ? '' : value)
  }
  node.append(...children.flat(Infinity).filter(isThere))
  return node
}

const isThere = child => child !== null && child !== undefined && child !== false && child !== ''

/** An element of HTML; `onclick` and the like are functions. */
export const el = (tag, props, ...children) => fill(document.createElement(tag), props, children)

/** An element of SVG. */
export const svg = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children)

/** The handler is looked up when something happens, so that a patch can replace it. */
function listen (node, type, handler) {
  node.handlers ??= {}
  node.handlers[type] = handler
  node.addEventListener(type, event => node.handlers?.[type]?.(event))
}

/** Makes the children of `parent` like `wanted`, and keeps the nodes that fit: focus and scroll stay. */
export function show (parent, ...wanted) {
  patchChildren(parent, wanted.flat(Infinity).filter(isThere).map(child =>
    child instanceof Node ? child : document.createTextNode(child)))
}

const keyOf = node => node.nodeType === Node.ELEMENT_NODE ? node.getAttribute('data-key') : null

function fits (old, next) {
  return old.nodeType === next.nodeType && old.nodeName === next.nodeName && keyOf(old) === keyOf(next) &&
    Object.keys(next.handlers ?? {}).every(type => old.handlers?.[type])
}

function patchChildren (parent, wanted) {
  const keyed = new Map()
  for (const child of parent.childNodes) {
    const key = keyOf(child)
    if (key !== null) keyed.set(key, child)
  }
  let at = parent.firstChild
  for (const next of wanted) {
    const key = keyOf(next)
    const known = key === null ? at : keyed.get(key)
    if (known && fits(known, next) && (key !== null || keyOf(known) === null)) {
      if (known !== at) parent.insertBefore(known, at)
      else at = at.nextSibling
      patch(known, next)
    } else {
      parent.insertBefore(next, at)
    }
  }
  while (at) {
    const gone = at
    at = at.nextSibling
    gone.remove()
  }
}

/** What a person has opened or chosen stays. */
const OF_THE_PERSON = { DETAILS: ['open'], DIALOG: ['open'], OPTION: ['selected'], INPUT: ['value', 'checked'] }

function patch (old, next) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data
    return
  }
  const own = OF_THE_PERSON[old.nodeName] ?? []
  for (const { name, value } of next.attributes) {
    if (!own.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value)
  }
  for (const { name } of [...old.attributes]) {
    if (!own.includes(name) && !next.hasAttribute(name)) old.removeAttribute(name)
  }
  old.handlers = next.handlers
  if (old.getAttribute('data-own') === null) patchChildren(old, [...next.childNodes])
}
