/** A build of steps at work: its first job brings them, and one agent with room for all runs whatever is ready. */
import { beforeEach } from 'vitest'
import { attemptId, type AttemptId } from '../../schema/job.ts'
import type { Dependency, Step } from '../../schema/pipeline/steps.ts'
import { clusterAtWork, type TestAgent, type TestCluster } from './cluster.ts'

/** The step of the first job. */
export const UPLOAD = 'Pipeline upload'

export const uploader = (fence = 1): AttemptId => attemptId({ project: 1, build: 1, n: 1, fence })
/** Keys, with a "?" behind those that may fail. */
export const on = (...keys: readonly string[]): readonly Dependency[] => keys.map((key) => ({ step: key.replace('?', ''), allowFailure: key.endsWith('?') }))

/** New for each test of the file. */
export function buildOfSteps() {
  let c: TestCluster
  let agent: TestAgent
  beforeEach(() => {
    ({ c, agent } = clusterAtWork())
  })

  /** Starts it; its first job goes on running. */
  function begin(steps: readonly Step[]): void {
    c.build()
    agent.sync()
    const answer = c.upload(uploader(), steps)
    if (!answer.ok) throw new Error(answer.problem.detail)
    agent.sync()
    agent.sync()
  }

  /** States of the jobs by the names of their steps; those that were retried left out. */
  function jobs(): Readonly<Record<string, string>> {
    const { jobs: all, steps } = c.view(1)
    const names = new Map(steps.map(({ step, key, label }) => [step, key ?? label ?? '']))
    return Object.fromEntries(all.filter(({ retried_by }) => retried_by === null).map(({ step, state, parallel }) => [`${names.get(step ?? 0) ?? ''}${parallel === null ? '' : parallel.index}`, state]))
  }

  function outcomes(): Readonly<Record<string, string | null>> {
    return Object.fromEntries(c.view(1).steps.map(({ key, label, kind, outcome, state }) => [key ?? label ?? kind, outcome ?? state]))
  }

  /** The newest attempt of the step's `nth` job that was not retried. */
  function attemptOf(key: string, nth = 0): AttemptId {
    const { jobs: all, steps } = c.view(1)
    const step = steps.find((one) => one.key === key || one.label === key)?.step
    const job = all.filter((one) => one.step === step && one.retried_by === null)[nth]
    const attempt = job?.attempts.at(-1)?.id
    if (attempt === undefined) throw new Error(`${key} has no attempt`)
    return attempt as AttemptId // a view spells it so
  }

  function end(key: string, exitStatus = 0, nth = 0): void {
    agent.finish(attemptOf(key, nth), exitStatus === 0 ? 'passed' : 'failed', { exit_status: exitStatus })
    agent.sync()
    agent.sync()
  }

  return {
    begin, jobs, outcomes, attemptOf, end,
    get c() {
      return c
    },
    get agent() {
      return agent
    },
  }
}
