/** Builds that lead to each other: those that the triggers of a build started, and the one whose trigger started it. */
import type { BuildSummary, StepView } from '../../schema/api.ts'
import { buildPath } from './builds.tsx'
import { State } from './state.tsx'

/** In the facts of a build. */
export function TriggeredFrom({ build: { triggered_from: from } }: { readonly build: BuildSummary }) {
  return <>{from !== null && <span>started by <a href={buildPath(from)}>{from.project} #{from.number}</a></span>}</>
}

/** The rows of a trigger that came to its turn: one for each build that it started, and one for what was refused. */
export function Started({ step, trigger }: { readonly step: StepView; readonly trigger: NonNullable<StepView['trigger']> }) {
  const name = step.label ?? step.key
  const failed = step.outcome === 'soft_failed' ? 'soft_failed' : 'failed'
  return (
    <>
      {trigger.refused !== null && (
        <li id={`trigger-${step.step}`} class="row">
          <State of={failed} />
          <span class="title">{name ?? trigger.project}</span>
          <span class="where">{trigger.refused}</span>
        </li>
      )}
      {trigger.builds.map((child) => (
        <li id={`trigger-${step.step}-${child.number}`} class="row">
          <State of={child.state === 'failed' ? failed : child.state} />
          <a class="title" href={buildPath(child)}>{name === null ? '' : `${name}: `}{child.project} #{child.number}</a>
          <span class="where">{trigger.async ? 'not waited for' : ''}</span>
        </li>
      ))}
    </>
  )
}
