/** Decides `if_changed` where the commit is: what is sent says of each such step that it is skipped, or nothing any more. */
import picomatch from 'picomatch'
import type { Json } from '../../schema/pipeline/json.ts'
import type { IfChanged, Pipeline, Step } from '../../schema/pipeline/steps.ts'

type Mapping = { readonly [name: string]: Json }

const UNCHANGED = 'nothing that it looks at has changed'

export function asksWhatChanged({ steps }: Pipeline): boolean {
  return steps.some((step) => conditionOf(step) !== null || (step.kind === 'group' && step.steps.some((inner) => conditionOf(inner) !== null)))
}

/** `canonical` with all of `pipeline`'s `if_changed` decided; `files` null: it cannot be told, so every step runs. */
export function withChanges(canonical: Json, { steps }: Pipeline, files: readonly string[] | null): Json {
  const isList = Array.isArray(canonical)
  const written: Json = isList ? canonical : ((canonical as Mapping)['steps'] ?? null) // a pipeline that was read is a list or a mapping
  const decided = decideAll(written as readonly Json[], steps, files)
  return isList ? decided : { ...(canonical as Mapping), steps: decided }
}

function decideAll(written: readonly Json[], steps: readonly Step[], files: readonly string[] | null): readonly Json[] {
  return written.map((one, index) => {
    const step = steps[index]
    if (step === undefined || typeof one !== 'object' || one === null || Array.isArray(one)) return one
    const inner: Mapping = step.kind === 'group' ? { steps: decideAll((one as Mapping)['steps'] as readonly Json[], step.steps, files) } : {}
    const condition = conditionOf(step)
    const { if_changed: _decided, ...rest } = one as Mapping
    const isSkipped = condition !== null && files !== null && !files.some((file) => counts(file, condition))
    return { ...rest, ...inner, ...(isSkipped && !isSkippedAlready(step) ? { skip: UNCHANGED } : {}) }
  })
}

function conditionOf(step: Step): IfChanged | null {
  return 'ifChanged' in step ? step.ifChanged : null
}

function isSkippedAlready(step: Step): boolean {
  return 'skip' in step && step.skip !== null
}

function counts(file: string, { include, exclude }: IfChanged): boolean {
  return matches(file, include) && !matches(file, exclude)
}

function matches(file: string, globs: readonly string[]): boolean {
  return globs.some((glob) => picomatch.isMatch(file, glob.replace(/^\.?\//, ''), { dot: true, nonegate: true, noextglob: true }))
}
