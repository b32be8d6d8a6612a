/**
 * Follows the log of the attempt that the page shows, from exactly where the server's HTML ended. Holds no more lines
 * than a browser likes; older ones are behind "Full log". It sticks to the end until a person scrolls up.
 */
import { jobIdOfUuid } from '../../schema/job-uuid.ts'
import { createAnsi, type Ansi } from './ansi.ts'
import { lineHtml } from './log-line.ts'

const LINES = 5000
/** More are kept while a person reads further up, so that they do not go from under the eyes. */
const LINES_WHILE_READING = 2 * LINES
const AT_END_PX = 24
const AGAIN_MS = 1000
const SLOWEST_MS = 30_000

/** Makes a change to the lines, then goes to their end if that is where they stick. */
type Moved = (change: (sticks: boolean) => void) => void

/** Ends the following of the log that was on the page before. */
let leave = (): void => {}
let followed: Element | null = null

function begin(): void {
  const lines = document.querySelector<HTMLElement>('.log .lines')
  if (lines === followed) return
  leave()
  followed = lines
  leave = lines ? show(lines) : () => {}
}

function show(lines: HTMLElement): () => void {
  const stick = stickToEnd(lines)
  if (/^#L\d+$/.test(location.hash) && !document.querySelector(location.hash)) say(`line ${location.hash.slice(2)} is not among those shown`)
  const source = lines.dataset['live'] === 'true' ? follow(lines, stick.moved) : null
  return () => {
    stick.stop()
    source?.stop()
  }
}

/** At the end and kept there, until a person scrolls up; the button, or scrolling down again, takes it up again. */
function stickToEnd(lines: HTMLElement): { readonly moved: Moved; readonly stop: () => void } {
  const button = document.querySelector<HTMLButtonElement>('.log .follow')
  let sticks = !location.hash
  let top = 0
  let height = 0
  /** The button was pressed, and nobody has touched the lines since: what still moves them up (the glide of an earlier "Home") is no wish. */
  let isPinned = false
  const toEnd = () => {
    if (sticks) lines.scrollTop = lines.scrollHeight
    top = lines.scrollTop
    height = lines.clientHeight
  }
  const setSticks = (wanted: boolean) => {
    sticks = wanted
    button?.setAttribute('aria-pressed', String(sticks))
  }
  // A wish to leave counts before it has moved anything: within fast output no move would survive the next lines.
  const onTouched = () => {
    isPinned = false
  }
  const onWheel = ({ deltaY }: WheelEvent) => deltaY < 0 && setSticks(false)
  const onKey = ({ key }: KeyboardEvent) => ['PageUp', 'ArrowUp', 'Home'].includes(key) && setSticks(false)
  const onTouch = () => setSticks(false)
  const onScroll = () => {
    // A page that lays itself out anew moves the lines too, and nobody wished for that.
    if (lines.clientHeight !== height) return toEnd()
    // Only a move up is a wish to leave: new lines put the end further away without any.
    if (lines.scrollTop < top - 1 && isPinned) return toEnd()
    if (lines.scrollTop < top - 1) setSticks(false)
    else if (lines.scrollTop > top && lines.scrollHeight - lines.clientHeight - lines.scrollTop < AT_END_PX) setSticks(true)
    top = lines.scrollTop
  }
  const onClick = () => {
    setSticks(!sticks)
    isPinned = sticks
    toEnd()
  }
  const resized = new ResizeObserver(toEnd)
  resized.observe(lines)
  if (button) button.hidden = lines.dataset['live'] !== 'true'
  const wishes = new AbortController()
  const { signal } = wishes
  for (const touch of ['wheel', 'touchmove', 'keydown', 'pointerdown']) lines.addEventListener(touch, onTouched, { passive: true, signal })
  lines.addEventListener('scroll', onScroll, { signal })
  lines.addEventListener('wheel', onWheel, { passive: true, signal })
  lines.addEventListener('touchmove', onTouch, { passive: true, signal })
  lines.addEventListener('keydown', onKey, { signal })
  button?.addEventListener('click', onClick, { signal })
  addEventListener('hashchange', () => setSticks(false), { signal })
  setSticks(sticks)
  toEnd()
  return {
    moved(change) {
      change(sticks)
      toEnd()
    },
    stop: () => {
      wishes.abort()
      resized.disconnect()
    },
  }
}

function follow(lines: HTMLElement, moved: Moved): { readonly stop: () => void } {
  let resume = Number(lines.dataset['resume'] ?? 0)
  let ansi = penned(lines.dataset['pen'] ?? '')
  let next = lines.dataset['next'] ? Number(lines.dataset['next']) : null
  let finished: string[] = []
  let frame = 0
  let failures = 0
  let source: EventSource | null = null
  let again: ReturnType<typeof setTimeout> | undefined

  const draw = () => {
    frame = 0
    const added = finished
    finished = []
    moved((sticks) => {
      lines.querySelector('.nothing')?.remove()
      lines.querySelector('.open')?.remove()
      // More than fit are counted, not drawn.
      const skipped = Math.max(0, added.length - LINES)
      if (next !== null) next += skipped
      lines.insertAdjacentHTML('beforeend', added.slice(skipped).map((html) => lineHtml(html, next === null ? null : next++)).join(''))
      const open = ansi.unfinished()
      if (open !== null) lines.insertAdjacentHTML('beforeend', lineHtml(open, next, { open: true }))
      trim(lines, sticks ? LINES : LINES_WHILE_READING)
    })
  }
  const take = (bytes: Uint8Array) => {
    for (const html of ansi.push(bytes)) finished.push(html)
    // Lines that would be trimmed again at once need not wait for the browser to draw.
    if (finished.length > 4 * LINES) draw()
    frame ||= requestAnimationFrame(draw)
  }
  const connect = () => {
    source = new EventSource(`${lines.dataset['url']}&offset=${resume}`)
    source.onopen = () => {
      failures = 0
      say('live')
    }
    source.onmessage = ({ data, lastEventId }) => {
      const bytes = bytesOf(String(data))
      resume += bytes.length
      // Each event's id is the offset after it. Another one means that the agent sends its log again from the start.
      if (Number(lastEventId) !== resume) startOver()
      else take(bytes)
    }
    source.addEventListener('end', () => {
      stop()
      document.removeEventListener('visibilitychange', onVisibility)
      document.querySelector('.log .follow')?.setAttribute('hidden', '')
      say('')
    })
    // The browser would ask again from where this began, so it is asked again here from where it got to.
    source.onerror = () => {
      stop()
      say('reconnecting…')
      again = setTimeout(connect, Math.min(SLOWEST_MS, AGAIN_MS * 2 ** failures))
      failures += 1
    }
  }
  const startOver = () => {
    stop()
    resume = 0
    ansi = createAnsi()
    next = 1
    finished = []
    for (const line of lines.querySelectorAll(':scope > div')) line.remove()
    connect()
  }
  const stop = () => {
    clearTimeout(again)
    source?.close()
  }
  // Browsers open only six connections to an HTTP/1.1 server, and a log that nobody sees should not hold one.
  const onVisibility = () => {
    stop()
    if (!document.hidden) connect()
  }
  document.addEventListener('visibilitychange', onVisibility)
  if (!document.hidden) connect()
  return {
    stop() {
      document.removeEventListener('visibilitychange', onVisibility)
      stop()
    },
  }
}

/** Base64, since the text of an event cannot hold every byte. */
function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
}

function penned(pen: string): Ansi {
  const ansi = createAnsi()
  ansi.push(pen)
  return ansi
}

/** Drops the oldest lines, without moving the ones that a person reads. */
function trim(lines: HTMLElement, kept: number): void {
  const all = lines.querySelectorAll(':scope > div')
  const over = all.length - kept
  if (over <= 0) return
  const height = lines.scrollHeight
  for (let index = 0; index < over; index += 1) all[index]?.remove()
  const earlier = lines.querySelector<HTMLElement>('.earlier')
  if (earlier) earlier.hidden = false
  lines.scrollTop -= height - lines.scrollHeight
}

function say(text: string): void {
  const state = document.querySelector('.log .log-state')
  if (state) state.textContent = text
}

/** Links that scripts for Buildkite make of BUILDKITE_BUILD_URL, "#" and BUILDKITE_JOB_ID lead to that job; of one that the build has not, to the build. */
function toNamedJob(): void {
  const named = location.hash.slice(1)
  const job = jobIdOfUuid(named)
  if (job !== named) location.replace(`?job=${job}`)
}

toNamedJob()
begin()
document.addEventListener('kedge:refreshed', begin)
