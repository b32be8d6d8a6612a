/**
 * Follows a build to its verdict: prints the log of each attempt as it comes, says why the build waits while it waits,
 * and goes on after every cut of the network. The log's events are those of `coordinator/objects/job-log.ts`.
 */
import type { BuildView, JobView } from '../../schema/api.ts'
import { isFinalBuild } from '../../schema/job.ts'
import type { Client } from './client.ts'
import { jobPlace, jobTitle } from './job-name.ts'
import { EXIT, Failure, oneLine } from './output.ts'
import { BUILD } from './replies.ts'

export interface FollowOutput {
  /** Bytes of a log, to standard output. */
  log(bytes: Uint8Array): void
  /** What happens, to standard error. */
  note(text: string): void
}

const LOOK_MS = 500
/** A build that has not started after this many looks waits for something longer: it is looked at less often, as each look is paid for. */
const EAGER_LOOKS = 20
const SELDOM_LOOK_MS = 2000
/** A coordinator that is away for longer than this ends the command; the build goes on. */
const AWAY_MS = 10 * 60_000

export async function followBuild(client: Client, project: string, number: number, output: FollowOutput): Promise<BuildView> {
  const look = patient(output, () => client.get(`/api/v1/projects/${project}/builds/${number}`, BUILD))
  const printed = new Set<string>()
  let said = ''
  const say = (text: string) => {
    if (text !== said) output.note(text)
    said = text
  }
  for (let looks = 1; ; looks++) {
    const build = await look()
    const next = nextAttempt(build.jobs, printed)
    if (next) {
      const place = jobPlace(build, next.job)
      const title = jobTitle(next.job)
      say(`${title === null ? place : `${title} (${place})`} on ${next.agent}${next.fence > 1 ? `, attempt ${next.fence}` : ''}`)
      printed.add(next.id)
      await printLog(client, next.job.id, next.fence, output)
      looks = 0
      continue
    }
    if (isFinalBuild(build.state)) return build
    const why = whyItWaits(build)
    if (why !== null) say(why)
    await pause(looks < EAGER_LOOKS ? LOOK_MS : SELDOM_LOOK_MS)
  }
}

/** The answer that would let it go on, before what only stands behind others; null: nothing that is worth a line. */
function whyItWaits(build: BuildView): string | null {
  const started = buildsOf(build)
  if (started !== null) return `waits for ${started}`
  if (build.state === 'blocked') return whatItAsks(build)
  const reasons = build.jobs.flatMap(({ retried_by, waiting }) => (retried_by === null && waiting ? [waiting] : []))
  const waiting = reasons.find(({ code }) => code !== 'dependency') ?? reasons[0]
  if (waiting === undefined || waiting.code === 'assigned' || waiting.code === 'next_in_line') return null
  return waiting.reason.startsWith('waits ') ? waiting.reason : `waits: ${waiting.reason}`
}

function whatItAsks({ project, number, steps }: BuildView): string {
  const asking = steps.filter(({ state }) => state === 'blocked')
  const names = asking.map(({ label, key, step }) => `"${oneLine(label ?? key ?? `step ${step}`)}"`).join(' or ')
  const [only] = asking
  return `waits until somebody lets ${names} pass, on its page or with: kedge unblock ${project}#${number}${asking.length > 1 ? ` ${only?.key ?? only?.step}` : ''}${(only?.fields.length ?? 0) > 0 ? ' --field KEY=VALUE' : ''}`
}

/** The builds that it waits for and that a trigger of its own started; null: none. */
function buildsOf({ steps }: BuildView): string | null {
  const open = (steps ?? []).flatMap(({ state, trigger }) => (state === 'running' ? (trigger?.builds ?? []) : [])).filter(({ state }) => !isFinalBuild(state)) // a coordinator of before steps names none
  return open.length === 0 ? null : open.map(({ project, number, state, url }) => `${project} #${number} (${state})  ${url}`).join(', ')
}

function nextAttempt(jobs: readonly JobView[], printed: ReadonlySet<string>) {
  for (const job of jobs) for (const attempt of job.attempts) if (!printed.has(attempt.id)) return { id: attempt.id, fence: attempt.fence, agent: attempt.agent, job }
  return null
}

/** Until the log's `end`; a cut connection is taken up again at the last byte that was printed. */
async function printLog(client: Client, job: string, fence: number, output: FollowOutput): Promise<void> {
  let offset = 0
  const open = patient(output, () => client.open(`/api/v1/jobs/${job}/log?attempt=${fence}&offset=${offset}`, { accept: 'text/event-stream' }))
  for (;;) {
    const response = await open()
    try {
      for await (const event of events(response)) {
        if (event.type === 'end') return
        const bytes = Buffer.from(event.data, 'base64')
        if (event.id !== null && event.id !== offset + bytes.byteLength) output.note(`${job}: its agent sends the log again, from the start`)
        output.log(bytes)
        offset = event.id ?? offset
      }
    } catch {
      // The connection was cut: go on at `offset`.
    }
    await pause(LOOK_MS)
  }
}

export interface LogEvent {
  readonly type: string
  readonly id: number | null
  readonly data: string
}

/** Server-Sent Events of one response, as far as the log uses them. */
export async function* events(response: Response): AsyncGenerator<LogEvent> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    text += decoder.decode(bytes, { stream: true })
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      text = text.slice(end + 2)
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null
      const id = field('id')
      const data = field('data')
      if (data !== null) yield { type: field('event') ?? 'message', id: id === null ? null : Number(id), data }
    }
  }
}

/** Repeats a read while the coordinator is away. */
function patient<T>(output: FollowOutput, read: () => Promise<T>): () => Promise<T> {
  return async () => {
    const since = Date.now()
    for (let failures = 0; ; failures++) {
      try {
        return await read()
      } catch (error) {
        const isAway = error instanceof Failure && error.exitCode === EXIT.unreachable
        if (!isAway || Date.now() - since > AWAY_MS) throw error
        if (failures === 2) output.note(`${error.message} The build goes on; trying again.`)
        await pause(Math.min(5000, 250 * 2 ** failures))
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
