/** Small builders of typed steps: each has every field, tests say only what they are about. */
import type { BlockStep, CommandStep, GroupStep, InputStep, Pipeline, Step, TriggerStep, WaitStep } from '../../schema/pipeline/steps.ts'

const COMMON = { path: [0], label: null, if: null, dependsOn: null, allowDependencyFailure: false } as const

export function commandStep(key: string | null, over: Partial<CommandStep> = {}): CommandStep {
  return {
    ...COMMON, kind: 'command', key, command: 'make', branches: null, queue: null, tags: [], env: {}, plugins: [], artifactPaths: [], timeoutMinutes: null, priority: 0,
    concurrency: null, parallelism: null, matrix: null, retry: { automatic: [], manual: { allowed: true, reason: null, permitOnPassed: true } }, softFail: 'none', skip: null,
    cancelOnBuildFailing: false, ifChanged: null, notify: [], secrets: {}, checkout: { skip: false, submodules: null, lfs: null, fresh: false }, ...over,
  } // prettier-ignore
}

export function waitStep(key: string | null = null, over: Partial<WaitStep> = {}): WaitStep {
  return { ...COMMON, kind: 'wait', key, branches: null, continueOnFailure: false, ...over }
}

export function blockStep(key: string | null, over: Partial<BlockStep> = {}): BlockStep {
  return { ...COMMON, kind: 'block', key, branches: null, prompt: null, submit: null, fields: [], blockedState: 'passed', ...over }
}

export function inputStep(key: string | null, over: Partial<InputStep> = {}): InputStep {
  return { ...COMMON, kind: 'input', key, branches: null, prompt: null, submit: null, fields: [], blockedState: 'passed', ...over }
}

export function triggerStep(trigger: string, over: Partial<TriggerStep> = {}): TriggerStep {
  return { ...COMMON, kind: 'trigger', key: null, branches: null, trigger, async: false, build: { message: null, commit: 'HEAD', branch: null, metaData: {}, env: {} }, parallelism: null, softFail: 'none', skip: null, ifChanged: null, ...over }
}

export function groupStep(key: string | null, steps: GroupStep['steps'], over: Partial<GroupStep> = {}): GroupStep {
  return { ...COMMON, kind: 'group', key, steps, skip: null, ifChanged: null, notify: [], ...over }
}

export function pipeline(steps: readonly Step[], over: Partial<Pipeline> = {}): Pipeline {
  return { env: {}, notify: [], steps, ...over }
}

/** Gives each step the path at which it stands. */
export function placed(steps: readonly Step[]): readonly Step[] {
  return steps.map((step, at) => (step.kind === 'group' ? { ...step, path: [at], steps: step.steps.map((one, inner) => ({ ...one, path: [at, inner] })) } : { ...step, path: [at] }))
}
