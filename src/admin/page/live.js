// The stream of overviews, one a second, and what is known of the way to the gateway.

/** Without an event for this long the way is lost. */
const LATE = 4000
/** A stream that says nothing for this long is opened anew. */
const DEAD = 15_000
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 10_000

export class Live {
  /** `saw` gets each overview, `state` what the way is like, and `ended` hears that a stream was refused. */
  constructor ({ saw, state, ended }) {
    Object.assign(this, { saw, state, ended })
    this.overview = null
    this.last = Date.now()
    this.pause = FIRST_PAUSE
    this.open()
    this.timer = setInterval(() => this.look(), 1000)
  }

  open () {
    this.opened = Date.now()
    this.stream = new EventSource('/api/events')
    this.stream.addEventListener('overview', event => this.read(event.data))
    this.stream.addEventListener('error', () => this.failed())
  }

  read (text) {
    try {
      this.take(JSON.parse(text))
    } catch (error) {
      // The next one is due in a second.
      console.warn('an overview was not understood', error)
    }
  }

  take (overview) {
    this.overview = overview
    this.last = Date.now()
    this.pause = FIRST_PAUSE
    this.saw(overview)
    this.look()
  }

  /** The browser tries again by itself, unless the stream was refused. */
  failed () {
    if (this.stream.readyState !== EventSource.CLOSED) return
    this.ended()
    this.again()
  }

  again () {
    this.stream.close()
    clearTimeout(this.later)
    this.later = setTimeout(() => this.open(), this.pause)
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE)
  }

  look () {
    const silent = Date.now() - this.last
    if (silent > DEAD && Date.now() - this.opened > DEAD) {
      this.opened = Date.now()
      this.again()
    }
    this.state({ lost: silent > LATE, silent, overview: this.overview })
  }

  close () {
    clearInterval(this.timer)
    clearTimeout(this.later)
    this.stream.close()
  }
}
