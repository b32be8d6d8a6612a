/** The builds of all projects, or of one: newest first, so that what broke is on the first screen. */
import type { BuildPage, BuildSummary } from '../../schema/api.ts'
import { BUILD_STATES, isFinalBuild, type BuildState } from '../../schema/job.ts'
import { withEmoji } from './emoji.ts'
import { Page, type PageFrame } from './layout.tsx'
import { Ago, Commit, inWords, State, Took } from './state.tsx'

export interface BuildsQuery {
  readonly state?: BuildState | undefined
  readonly branch?: string | undefined
  readonly cursor?: string | undefined
}

interface BuildsProps {
  readonly frame: PageFrame
  readonly page: BuildPage
  readonly query: BuildsQuery
  readonly origin: string
  readonly islands: readonly string[]
}

export function BuildsPage({ frame, page, query, origin, islands }: BuildsProps) {
  return (
    <Page frame={frame} title="Builds" at="builds" refreshMs={refreshOf(page)} islands={islands}>
      <h1 class="visually-hidden">Builds</h1>
      <BuildList frame={frame} page={page} query={query} path="/" showProject={true} empty={<FirstBuild origin={origin} />} />
    </Page>
  )
}

/** Often while something runs, seldom otherwise: an open tab must not cost a day's requests. */
export function refreshOf(page: BuildPage): number {
  return page.builds.some(({ state }) => !isFinalBuild(state)) ? 5000 : 10_000
}

interface BuildListProps {
  readonly frame: PageFrame
  readonly page: BuildPage
  readonly query: BuildsQuery
  /** Of the page that this list is on; filters and older builds lead there. */
  readonly path: string
  readonly showProject: boolean
  /** In place of the list where there is no build at all. */
  readonly empty: unknown
}

export function BuildList({ frame, page, query, path, showProject, empty }: BuildListProps) {
  const isFiltered = query.state !== undefined || query.branch !== undefined
  if (page.builds.length === 0 && !isFiltered && query.cursor === undefined) return <>{empty}</>
  return (
    <>
      <Filters query={query} path={path} />
      {page.builds.length === 0 ? (
        <p class="none">
          No {query.cursor === undefined ? '' : 'older '}
          {query.state ? `${inWords(query.state)} ` : ''}build{query.branch ? ` of the branch ${query.branch}` : ''}. <a href={path}>All builds</a>
        </p>
      ) : (
        <ul class="builds">
          {page.builds.map((build) => (
            <BuildRow build={build} now={frame.now} showProject={showProject} />
          ))}
        </ul>
      )}
      {(query.cursor !== undefined || page.next_cursor !== null) && (
        <nav class="pages" aria-label="Pages of builds">
          {query.cursor !== undefined && <a href={hrefOf(path, { ...query, cursor: undefined })}>Newest</a>}
          {page.next_cursor !== null && <a rel="next" href={hrefOf(path, { ...query, cursor: page.next_cursor })}>Older builds</a>}
        </nav>
      )}
    </>
  )
}

function BuildRow({ build, now, showProject }: { readonly build: BuildSummary; readonly now: number; readonly showProject: boolean }) {
  return (
    <li id={`build-${build.project}-${build.number}`}>
      <State of={build.state} />
      <a class="title" href={buildPath(build)}>{titleOf(build)}</a>
      <span class="where">
        {showProject && <a href={`/projects/${build.project}`}>{build.project}</a>}
        <span class="number">#{build.number}</span>
        {build.branch !== null && <span class="branch">{build.branch}</span>}
        <Commit sha={build.commit} />
      </span>
      <span class="agents">{build.agents.join(', ')}</span>
      <Took from={build.started_at} to={build.finished_at} now={now} />
      <Ago at={build.started_at ?? build.created_at} now={now} />
    </li>
  )
}

/** The first line of its message, or what else names it. */
export function titleOf(build: BuildSummary): string {
  const line = build.message?.split('\n').find((text) => text.trim() !== '')?.trim()
  if (line !== undefined) return withEmoji(line.length > 140 ? `${line.slice(0, 140)}…` : line)
  return `Build ${build.number}`
}

export function buildPath({ project, number }: { readonly project: string; readonly number: number }): string {
  return `/projects/${project}/builds/${number}`
}

/** Rare states are reachable by URL and by the chip of the state that is chosen. */
const CHIPS: readonly BuildState[] = ['running', 'blocked', 'failed', 'passed', 'scheduled', 'canceled']

function Filters({ query, path }: { readonly query: BuildsQuery; readonly path: string }) {
  const chips = BUILD_STATES.filter((state) => CHIPS.includes(state) || state === query.state)
  return (
    <div class="filters">
      <nav aria-label="By state">
        {[undefined, ...chips].map((state) => (
          <a href={hrefOf(path, { branch: query.branch, state })} {...(state === query.state ? { 'aria-current': 'true' } : {})}>
            {state === undefined ? 'all' : inWords(state)}
          </a>
        ))}
      </nav>
      <form method="get" action={path} role="search">
        {query.state && <input type="hidden" name="state" value={query.state} />}
        <input name="branch" value={query.branch ?? ''} placeholder="branch" aria-label="Branch" autocapitalize="off" spellcheck={false} maxlength={255} />
        <button>Filter</button>
      </form>
    </div>
  )
}

function hrefOf(path: string, query: BuildsQuery): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (typeof value === 'string') parameters.set(name, value)
  const text = parameters.toString()
  return text === '' ? path : `${path}?${text}`
}

export function FirstBuild({ origin }: { readonly origin: string }) {
  return (
    <section class="empty">
      <h2>No builds yet</h2>
      <p>Join a machine, then start the first build from a repository on it:</p>
      <pre>{`npx kedge agent --url ${origin}\nnpx kedge build --url ${origin} --repo . --command 'npm test' --follow`}</pre>
      <p>
        <a href="/agents">Agents</a> shows which machines have joined. Tokens go into <code>KEDGE_REGISTRATION_TOKEN</code> and <code>KEDGE_TOKEN</code>.
      </p>
    </section>
  )
}
