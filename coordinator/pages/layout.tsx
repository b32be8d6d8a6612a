/**
 * What every page shares: the document, its head and its foot. Whatever is in `main` may be refreshed in place by
 * `live.island.ts`, so it must be the same for the same views: no ids made up on the way, no randomness.
 */
import { html, raw } from 'hono/html'
import type { Child, FC } from 'hono/jsx'
import type { Principal } from '../objects/scheduler-api.ts'
import { css } from './style.ts'

export interface PageFrame {
  /** The response's own; nothing runs or styles without it. */
  readonly nonce: string
  /** Null on the sign-in page. */
  readonly principal: Principal | null
  /** Milliseconds since 1970, for "4 min ago". */
  readonly now: number
  /** The answer to `live.island.ts`, whose page has its style and scripts already; under this nonce they would be refused there. */
  readonly isRefresh?: boolean
}

interface PageProps {
  readonly frame: PageFrame
  readonly title: string
  readonly at?: 'builds' | 'projects' | 'agents'
  /** Every so many milliseconds the page fetches itself and takes over what changed; absent: never. */
  readonly refreshMs?: number
  readonly icon?: string
  /** Compiled browser parts; without any, the page has no script. */
  readonly islands?: readonly string[]
  /** More style that only this page needs. */
  readonly style?: string
  readonly children?: Child
}

export const Page: FC<PageProps> = ({ frame, title, at, refreshMs, icon, islands = [], style = '', children }) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>{title} · Kedge</title>
      <link rel="icon" href={icon ?? markIcon} />
      {!frame.isRefresh && <style nonce={frame.nonce}>{raw(css + style)}</style>}
    </head>
    <body>
      <a class="skip" href="#main">Skip to the content</a>
      <header class="top">
        <a class="brand" href="/" aria-label="Kedge, all builds">
          <Mark />
          Kedge
        </a>
        {frame.principal && (
          <nav aria-label="Pages">
            <a href="/" {...(at === 'builds' ? { 'aria-current': 'page' } : {})}>Builds</a>
            <a href="/projects" {...(at === 'projects' ? { 'aria-current': 'page' } : {})}>Projects</a>
            <a href="/agents" {...(at === 'agents' ? { 'aria-current': 'page' } : {})}>Agents</a>
          </nav>
        )}
        {frame.principal && (
          <form class="who" method="post" action="/sign-out">
            <span title={`scope: ${frame.principal.scope}`}>{frame.principal.name}</span>
            <button class="quiet">Sign out</button>
          </form>
        )}
      </header>
      <main id="main" tabindex={-1} {...(refreshMs ? { 'data-refresh': String(refreshMs) } : {})}>
        {children}
      </main>
      {!frame.isRefresh && islands.map((island) => (
        <script nonce={frame.nonce}>{raw(island)}</script>
      ))}
    </body>
  </html>
)

/** A whole response body. */
export function document(page: unknown) {
  return html`<!doctype html>${page}`
}

/** A kedge: the small anchor that is rowed ahead, so that a ship can pull itself off the ground. */
const MARK = 'M12 6.6V20.5M8.2 9.8h7.6M3.6 13.2c.3 4.3 3.7 7.3 8.4 7.3s8.1-3 8.4-7.3M3.6 13.2 1.8 15.9M3.6 13.2l2.9 1.7M20.4 13.2l1.8 2.7M20.4 13.2l-2.9 1.7'

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">
      <g transform="rotate(24 12 12)">
        <circle cx="12" cy="4.2" r="2.4" />
        <path d={MARK} />
      </g>
    </svg>
  )
}

const markIcon = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#2b7a9b" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"><g transform="rotate(24 12 12)"><circle cx="12" cy="4.2" r="2.4"/><path d="${MARK}"/></g></svg>`)}`

/** Where one is: the parts above this page, then this one. */
export function Crumbs({ above }: { readonly above: readonly { readonly href: string; readonly name: string }[] }) {
  return (
    <p class="crumbs">
      {above.map(({ href, name }, index) => (
        <>
          {index > 0 && <span aria-hidden="true"> / </span>}
          <a href={href}>{name}</a>
        </>
      ))}
    </p>
  )
}

/** A page in place of the one that was asked for. */
export function ProblemPage({ frame, title, detail }: { readonly frame: PageFrame; readonly title: string; readonly detail: string }) {
  return (
    <Page frame={frame} title={title}>
      <section class="empty">
        <h1>{title}</h1>
        <p>{detail}</p>
        <p>
          <a href="/">All builds</a>
        </p>
      </section>
    </Page>
  )
}
