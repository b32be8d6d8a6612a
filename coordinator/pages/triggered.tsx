/** Builds that lead to each other: those that the triggers of a build started, and the one whose trigger started it. */
import type { BuildSummary, BuildView, StepView } from '../../schema/api.ts'
import { buildPath } from './builds.tsx'
import { State } from './state.tsx'

/** In the facts of a build. */
export function TriggeredFrom({ build: { triggered_from: from } }: { readonly build: BuildSummary }) {
  return <>{from !== null && <span>started by <a href={buildPath(from)}>{from.project} #{from.number}</a></span>}</>
}

export function Triggered({ build }: { readonly build: BuildView }) {
  const triggers = build.steps.filter(({ trigger }) => trigger !== null && (trigger.builds.length > 0 || trigger.refused !== null))
  if (triggers.length === 0) return <></>
  return (
    <nav aria-label="Builds that it started">
      <ul class="jobs">{triggers.map((step) => <Started step={step} />)}</ul>
    </nav>
  )
}

function Started({ step }: { readonly step: StepView }) {
  const { trigger } = step
  if (trigger === null) return <></>
  const name = step.label ?? step.key ?? ''
  return (
    <>
      {trigger.refused !== null && (
        <li id={`trigger-${step.step}`}>
          <State of="failed" />
          <span class="title">{name === '' ? trigger.project : name}</span>
          <span class="where">{trigger.refused}</span>
        </li>
      )}
      {trigger.builds.map((child) => (
        <li id={`trigger-${step.step}-${child.number}`}>
          <State of={child.state} />
          <a class="title" href={buildPath(child)}>{name === '' ? '' : `${name}: `}{child.project} #{child.number}</a>
          <span class="where">{trigger.async ? 'not waited for' : ''}</span>
        </li>
      ))}
    </>
  )
}
