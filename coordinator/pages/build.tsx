/** One build: how it stands, why it waits, what was tried, and what it printed. */
import type { AnnotationView, AttemptView, BuildView, JobView } from '../../schema/api.ts'
import { isFinal, isFinalBuild } from '../../schema/job.ts'
import { Annotations, annotationsKey } from './annotations.tsx'
import type { ArtifactPage } from '../../schema/artifacts.ts'
import { Artifacts } from './artifacts.tsx'
import { Asks, type AskForm } from './ask.tsx'
import { buildPath, titleOf } from './builds.tsx'
import { Crumbs, Page, type PageFrame } from './layout.tsx'
import { Log, type LogText } from './log.tsx'
import { mayBuild } from './may.ts'
import { Untold } from './notifications.tsx'
import { ansiCss } from './style.ts'
import { firstLine, Steps } from './steps.tsx'
import { TriggeredFrom } from './triggered.tsx'
import { Ago, Commit, ending, inWords, State, stateIcon, Took } from './state.tsx'

/** The job and attempt whose log is shown; attempts may be none. */
export interface Selection {
  readonly job: JobView | null
  readonly attempt: AttemptView | null
}

/** What `?job=&attempt=` ask for; else the job that most needs a look, and its newest attempt. */
export function select(build: BuildView, { job: id, attempt: fence }: { readonly job?: string | undefined; readonly attempt?: string | undefined }): Selection {
  const current = build.jobs.filter(({ retried_by }) => retried_by === null)
  const job = build.jobs.find((one) => one.id === id) ?? current.find(isCulprit) ?? current.find(({ state }) => state === 'running' || state === 'assigned') ?? current.find(wentWrong) ?? current.at(-1) ?? null
  const attempt = job?.attempts.find((one) => String(one.fence) === fence) ?? job?.attempts.at(-1) ?? null
  return { job, attempt }
}

function wentWrong({ state }: JobView): boolean {
  return isFinal(state) && state !== 'passed' && state !== 'skipped'
}

/** Of what went wrong, what the build did so by: neither what was allowed to fail nor what others kept from running. */
function isCulprit(job: JobView): boolean {
  return wentWrong(job) && !job.soft_failed && job.state !== 'broken'
}

interface BuildProps {
  readonly frame: PageFrame
  readonly build: BuildView
  readonly selection: Selection
  readonly log: LogText | null
  /** Null when this answer is for a page that has them already. */
  readonly annotations: readonly AnnotationView[] | null
  /** Of the selected job; null: they cannot be read now. */
  readonly artifacts: ArtifactPage | null
  /** Answers that were refused; null: none. */
  readonly form: AskForm | null
  readonly islands: readonly string[]
}

export function BuildDetails({ frame, build, selection, log, annotations, artifacts, form, islands }: BuildProps) {
  const { job, attempt } = selection
  const title = titleOf(build)
  const annotated = (of: string | null) => {
    const some = build.annotations.filter(({ job: one }) => one === of)
    if (some.length === 0) return null
    return <Annotations name={annotationsKey(some)} annotations={annotations && annotations.filter(({ job: one }) => one === of)} whole={`/api/v1${buildPath(build)}/annotations`} artifacts={`/api/v1${buildPath(build)}/artifacts`} about={of === null ? 'the build' : 'this job'} />
  }
  return (
    <Page
      frame={frame}
      title={`${inWords(build.state)} · ${build.project} #${build.number}`}
      at="builds"
      icon={stateIcon(build.state)}
      islands={islands}
      style={ansiCss}
      {...(isFinalBuild(build.state) || form !== null ? {} : { refreshMs: 2000 })}
    >
      <Crumbs above={[{ href: '/', name: 'Builds' }, { href: `/projects/${build.project}`, name: build.project }]} />
      <div class={`head build-head ${build.state}`}>
        <State of={build.state} live={true} />
        <h1>
          {title} {title !== `Build ${build.number}` && <span class="number">#{build.number}</span>}
        </h1>
        {mayBuild(frame.principal) && <Actions build={build} />}
        <p class="facts">
          {build.branch !== null && <span class="branch">{build.branch}</span>}
          <Commit sha={build.commit} />
          {build.agents.length > 0 && <span>on {build.agents.join(', ')}</span>}
          <Took from={build.started_at} to={build.finished_at} now={frame.now} />
          <span>
            {build.started_at === null ? 'asked for ' : 'started '}
            <Ago at={build.started_at ?? build.created_at} now={frame.now} />
          </span>
          <TriggeredFrom build={build} />
        </p>
      </div>
      <Asks build={build} form={form} mayAnswer={mayBuild(frame.principal)} />
      <Untold build={build} />
      {annotated(null)}
      <Steps build={build} selected={job} now={frame.now} />
      {job !== null && <JobDetails build={build} job={job} attempt={attempt} now={frame.now} mayRetry={build.steps.length > 0 && mayBuild(frame.principal)} />}
      {job !== null && annotated(job.id)}
      {artifacts !== null && <Artifacts page={artifacts} />}
      {job !== null && attempt !== null && <Log job={job.id} attempt={attempt} text={log} />}
    </Page>
  )
}

function Actions({ build }: { readonly build: BuildView }) {
  const path = buildPath(build)
  const isEnded = isFinalBuild(build.state)
  const current = build.jobs.filter(({ retried_by }) => retried_by === null)
  const failedTrigger = build.steps.some(({ trigger, outcome }) => trigger !== null && (outcome === 'failed' || outcome === 'soft_failed' || outcome === 'canceled'))
  const someFailed = (current.some(wentWrong) || failedTrigger) && (build.steps.length > 0 || !current.every(wentWrong))
  return (
    <div class="actions">
      {!isEnded && (
        <form method="post" action={`${path}/cancel`}>
          <button disabled={build.state === 'canceling'}>{build.state === 'canceling' ? 'Canceling…' : 'Cancel'}</button>
        </form>
      )}
      {isEnded && someFailed && (
        <form method="post" action={`${path}/retry`}>
          <input type="hidden" name="only" value="failed" />
          <button class="primary">Retry failed</button>
        </form>
      )}
      {isEnded && build.steps.length === 0 && ( // of steps only what failed is run again
        <form method="post" action={`${path}/retry`}>
          <button>{someFailed ? 'Retry all' : 'Retry'}</button>
        </form>
      )}
    </div>
  )
}

function JobDetails({ build, job, attempt, now, mayRetry }: { readonly build: BuildView; readonly job: JobView; readonly attempt: AttemptView | null; readonly now: number; readonly mayRetry: boolean }) {
  return (
    <section class="job" aria-label={`Job ${job.id}`}>
      <Command text={job.command.trim()} />
      {(job.queue !== 'default' || job.tags.length > 0) && (
        <p class="offers">
          <span>asks for</span> <span class="tag">queue={job.queue}</span>
          {job.tags.map((tag) => (
            <span class="tag">{tag}</span>
          ))}
        </p>
      )}
      {job.waiting && <p class="waiting"><strong>{job.waiting.code === 'canceling' ? 'Ending' : 'Waiting'}:</strong> {job.waiting.reason}</p>}
      {job.reason && <p class="problem">{job.reason.message}</p>}
      {job.soft_failed && <p class="hint">It failed, and its step allows that (<code>soft_fail</code>): the build goes on.</p>}
      {mayRetry && canRun(job) && (
        <form method="post" action={`${buildPath(build)}/jobs/${job.id}/retry`}>
          <button>Retry this job</button>
        </form>
      )}
      {job.attempts.length > 0 && (
        <table class="attempts">
          <thead>
            <tr><th scope="col">Attempt</th><th scope="col">State</th><th scope="col">Agent</th><th scope="col">Ended</th><th scope="col">Took</th><th scope="col">Started</th></tr>
          </thead>
          <tbody>
            {job.attempts.map((one) => (
              <AttemptRow build={build} job={job} attempt={one} isSelected={one === attempt} now={now} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

/** Of those that have: a build without steps has a button of its own for its one job. */
function canRun({ state, retried_by }: JobView): boolean {
  return isFinal(state) && retried_by === null && state !== 'broken' && state !== 'skipped'
}

/** Scripts of more than some lines are folded: the log below is what most people came for. */
function Command({ text }: { readonly text: string }) {
  const lines = text.split('\n').length
  if (lines === 1) return <p class="command"><code>{text}</code></p>
  if (lines <= 6) return <pre>{text}</pre>
  return (
    <details>
      <summary><code>{firstLine(text)}</code> and {lines - 1} more lines</summary>
      <pre>{text}</pre>
    </details>
  )
}

function AttemptRow({ build, job, attempt, isSelected, now }: { readonly build: BuildView; readonly job: JobView; readonly attempt: AttemptView; readonly isSelected: boolean; readonly now: number }) {
  // The job's own reason is shown above; only what differs from it is worth a line.
  const reason = attempt.reason !== null && attempt.reason.message !== job.reason?.message ? attempt.reason.message : ''
  const how = [ending(attempt), reason].filter((text) => text !== '').join(': ')
  return (
    <tr id={`attempt-${attempt.id}`} class={isSelected ? 'selected' : ''}>
      <th scope="row">
        <a href={`${buildPath(build)}?job=${job.id}&attempt=${attempt.fence}`} {...(isSelected ? { 'aria-current': 'true' } : {})}>#{attempt.fence}</a>
      </th>
      <td><State of={attempt.state} /></td>
      <td>{attempt.agent}</td>
      <td class="how">{how}</td>
      <td><Took from={attempt.started_at} to={attempt.finished_at} now={now} /></td>
      <td>{attempt.started_at !== null && <Ago at={attempt.started_at} now={now} />}</td>
    </tr>
  )
}
