/**
 * Keeps a page true by fetching the page itself and taking over what changed: the server's HTML is the only truth, here
 * is no second way to draw anything. Elements stay the same elements, so focus, scroll, selection and what is being
 * typed survive; whatever is marked `data-keep` belongs to another island and is left alone.
 */
const main = document.querySelector('main')
const SLOWEST_MS = 30_000

let timer: ReturnType<typeof setTimeout> | undefined
let failures = 0

function schedule(): void {
  clearTimeout(timer)
  const everyMs = Number(main?.dataset['refresh'] ?? 0)
  if (everyMs > 0 && !document.hidden) timer = setTimeout(() => void refresh(), Math.min(SLOWEST_MS, everyMs * 2 ** failures))
}

async function refresh(): Promise<void> {
  clearTimeout(timer)
  try {
    // The server leaves out of such an answer what is here already: style, scripts, the log that `build.island.ts` follows, and what is named here.
    const kept = [...document.querySelectorAll('[data-keep]')].map((one) => one.getAttribute('data-keep')).join(' ')
    const response = await fetch(location.href, { headers: { accept: 'text/html', 'x-kedge-refresh': kept || '1' } })
    if (response.status === 401) return location.reload()
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    const next = new DOMParser().parseFromString(await response.text(), 'text/html')
    const nextMain = next.querySelector('main')
    if (main && nextMain) {
      document.title = next.title
      const icon = next.querySelector('link[rel=icon]')?.getAttribute('href')
      if (icon) document.querySelector('link[rel=icon]')?.setAttribute('href', icon)
      patch(main, nextMain)
      document.dispatchEvent(new Event('kedge:refreshed'))
    }
    failures = 0
  } catch {
    // No answer is no change; the page stays as it was and asks again, later each time.
    failures = Math.min(failures + 1, 5)
  }
  schedule()
}

/** Makes `old` equal to `next`, touching only what differs. */
function patch(old: Element, next: Element): void {
  if (old.isEqualNode(next)) return
  // What a person closed opens again when there is another reason to look at it, and nothing closes under anybody's eyes.
  if (old instanceof HTMLDetailsElement && next.hasAttribute('open') && old.dataset['opens'] !== next.getAttribute('data-opens')) old.open = true
  for (const name of old.getAttributeNames()) if (!next.hasAttribute(name) && !isPersons(old, name)) old.removeAttribute(name)
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value && !isPersons(old, name)) old.setAttribute(name, value)

  const staying = new Set([...next.childNodes].map(keyOf))
  const byKey = new Map([...old.childNodes].map((one) => [keyOf(one), one]))
  let at: ChildNode | null = old.firstChild
  for (const child of next.childNodes) {
    while (at && keyOf(at) !== '' && !staying.has(keyOf(at))) at = removed(at)
    const key = keyOf(child)
    const match: ChildNode | null = key !== '' ? (byKey.get(key) ?? null) : at && keyOf(at) === '' && at.nodeName === child.nodeName ? at : null
    if (match === null) {
      old.insertBefore(document.importNode(child, true), at)
      continue
    }
    if (match !== at) old.insertBefore(match, at)
    at = match.nextSibling
    if (match instanceof Element && child instanceof Element) {
      if (!match.hasAttribute('data-keep')) patch(match, child)
    } else if (match.nodeValue !== child.nodeValue) {
      match.nodeValue = child.nodeValue
    }
  }
  while (at) at = removed(at)
}

/** Whether a `details` is open is for the person to say. */
function isPersons(element: Element, attribute: string): boolean {
  return element instanceof HTMLDetailsElement && attribute === 'open'
}

function keyOf(node: Node): string {
  return node instanceof Element ? (node.getAttribute('data-keep') ?? node.id) : ''
}

function removed(node: ChildNode): ChildNode | null {
  const next = node.nextSibling
  node.remove()
  return next
}

document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : void refreshIfLive()))
// The browser's "back" may bring an old page to life.
addEventListener('pageshow', ({ persisted }) => persisted && void refreshIfLive())
schedule()

async function refreshIfLive(): Promise<void> {
  if (main?.dataset['refresh'] !== undefined) await refresh()
}
