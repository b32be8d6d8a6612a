/**
 * All of a build in one list, in the order of its pipeline: groups with their steps, jobs, blocks, triggers, and the waits
 * between them. A build of thousands of jobs is looked through once, whatever it looks like.
 */
import type { BuildView, JobView, StepView } from '../../schema/api.ts'
import { Answers, LetPass } from './ask.tsx'
import { buildPath } from './builds.tsx'
import { groupState, span, tally, whyOpen, type Content } from './group.ts'
import { inChains } from './steps-order.ts'
import { State, Took, type AnyState } from './state.tsx'
import { Started } from './triggered.tsx'

/** What rows look up. */
interface Listing {
  readonly build: BuildView
  readonly selected: JobView | null
  readonly now: number
  readonly jobs: ReadonlyMap<number | null, readonly JobView[]>
  /** Of each group, and of none. */
  readonly members: ReadonlyMap<number | null, readonly StepView[]>
}

export function Steps({ build, selected, now }: { readonly build: BuildView; readonly selected: JobView | null; readonly now: number }) {
  const isOneJob = build.jobs.length < 2 && build.steps.length < 2 && build.steps.every(({ kind }) => kind === 'command')
  if (isOneJob) return <></>
  const numbers = new Set(build.steps.map(({ step }) => step))
  const listing: Listing = {
    build,
    selected,
    now,
    jobs: Map.groupBy(inChains(build.jobs), ({ step }) => (step !== null && numbers.has(step) ? step : null)),
    members: Map.groupBy(build.steps, ({ group }) => (group !== null && numbers.has(group) ? group : null)),
  }
  return (
    <nav aria-label={build.steps.length > 0 ? 'Steps' : 'Jobs'}>
      <ul class="jobs">
        {(listing.jobs.get(null) ?? []).map((job) => <Job listing={listing} job={job} step={null} />)}
        {(listing.members.get(null) ?? []).map((step) => <Step listing={listing} step={step} />)}
      </ul>
    </nav>
  )
}

function Step({ listing, step }: { readonly listing: Listing; readonly step: StepView }) {
  const jobs = listing.jobs.get(step.step) ?? []
  switch (step.kind) {
    case 'group':
      return <Group listing={listing} group={step} />
    case 'wait':
      return <li id={`step-${step.step}`} class="wait"><span class={step.label === null ? 'visually-hidden' : ''}>{step.label ?? 'wait'}</span></li>
    case 'block':
      return <Block listing={listing} step={step} />
    case 'trigger':
      if (step.trigger !== null && (step.trigger.builds.length > 0 || step.trigger.refused !== null)) return <Started step={step} trigger={step.trigger} />
      return <Plain step={step} name={nameOf(step) ?? step.trigger?.project ?? 'Trigger'} why={whyNot(step, 'not run') ?? (step.trigger === null ? '' : `starts a build of ${step.trigger.project}`)} />
    case 'command':
      if (jobs.length === 0) return <Plain step={step} name={nameOf(step) ?? 'Commands'} why={whyNot(step, 'not run') ?? ''} />
      return <>{jobs.map((job) => <Job listing={listing} job={job} step={step} />)}</>
    default:
      return step.kind satisfies never
  }
}

function Group({ listing, group }: { readonly listing: Listing; readonly group: StepView }) {
  const members = listing.members.get(group.step) ?? []
  const content = contentOf(listing, members)
  const state = groupState(group, content)
  const { from, to } = span(group, content)
  const opens = whyOpen(state, content, listing.selected)
  return (
    <li id={`step-${group.step}`} class="group">
      <details open={opens !== ''} data-opens={opens}>
        <summary class="row">
          <State of={state} />
          <h2 class="title">{nameOf(group) ?? 'Group'}</h2>
          <span class="where">{group.skipped ?? tally(group, content)}</span>
          <Took from={from} to={to} now={listing.now} />
        </summary>
        {members.length > 0 && <ul>{members.map((step) => <Step listing={listing} step={step} />)}</ul>}
      </details>
    </li>
  )
}

function contentOf(listing: Listing, members: readonly StepView[]): Content {
  const steps = members.flatMap((step) => [step, ...(step.kind === 'group' ? contentOf(listing, listing.members.get(step.step) ?? []).steps : [])])
  return { steps, jobs: steps.flatMap(({ step }) => listing.jobs.get(step) ?? []) }
}

function Block({ listing: { now }, step }: { readonly listing: Listing; readonly step: StepView }) {
  const name = nameOf(step) ?? 'Block'
  return (
    <li id={`step-${step.step}`} class="row">
      <State of={stateOf(step)} />
      {step.state === 'blocked' ? <a class="title" href={`#ask-${step.step}`}>{name}</a> : <span class="title">{name}</span>}
      <span class="where">{step.unblocked !== null ? <LetPass step={step} now={now} /> : (whyNot(step, 'not reached') ?? (step.state === 'blocked' ? 'waits for somebody to let it pass' : ''))}</span>
      <Answers step={step} />
    </li>
  )
}

function Plain({ step, name, why }: { readonly step: StepView; readonly name: string; readonly why: string }) {
  return (
    <li id={`step-${step.step}`} class="row">
      <State of={stateOf(step)} />
      <span class="title">{name}</span>
      <span class="where">{why}</span>
    </li>
  )
}

function Job({ listing: { build, selected, now }, job, step }: { readonly listing: Listing; readonly job: JobView; readonly step: StepView | null }) {
  const why = job.waiting?.reason ?? (job.state === 'skipped' || job.state === 'broken' ? (step && whyNot(step, 'not run')) : null) ?? job.attempts.at(-1)?.agent ?? ''
  return (
    <li id={`job-${job.id}`} class={job.retried_by === null ? 'row' : 'row superseded'}>
      <State of={job.soft_failed ? 'soft_failed' : job.state} />
      <a class="title" href={`${buildPath(build)}?job=${job.id}`} {...(job === selected ? { 'aria-current': 'true' } : {})}>
        {jobName(job, step) ?? <code>{firstLine(job.command)}</code>}
      </a>
      <span class="where">{[job.retried_by === null ? '' : 'retried', why].filter((text) => text !== '').join(' · ')}</span>
      <Took from={job.started_at} to={job.finished_at} now={now} />
    </li>
  )
}

function stateOf({ state, outcome }: StepView): AnyState {
  return state === 'done' ? (outcome ?? 'passed') : state
}

/** Why it was left out, or what kept it from being reached; null where it was not. */
function whyNot({ outcome, skipped, broken }: StepView, not: string): string | null {
  if (outcome === 'skipped') return skipped
  return broken === null ? null : `${not}, because ${broken}`
}

function nameOf({ label, key }: StepView): string | null {
  return label ?? key
}

/** As its step is called, and which of the step's jobs it is; null: it has no name. */
function jobName({ label, parallel }: JobView, step: StepView | null): string | null {
  const name = label ?? step?.label ?? null
  return name === null || parallel === null ? name : `${name} (${parallel.index + 1} of ${parallel.count})`
}

/** Of a command that may be a whole script. */
export function firstLine(command: string): string {
  const line = command.trim().split('\n')[0] ?? ''
  return line.length > 160 ? `${line.slice(0, 160)}…` : line
}
