/**
 * Pipelines that were right and are now a little wrong: those of docs/pipelines.md, changed in some places. Each is refused
 * with a place in its file, or can be uploaded; the coordinator, which trusts nobody, takes it or changes no row; and
 * what it takes runs as jobs that any machine can hold, is shown, and ends.
 */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EnvironmentError, jobEnvironment } from '../../agent/runner/environment.ts'
import { pluginEnvironment } from '../../agent/runner/plugin-environment.ts'
import { attemptId, BUILD_STATES, type AgentId, type AttemptId } from '../../schema/job.ts'
import { canonical } from '../../schema/pipeline/canonical.ts'
import { readDocument } from '../../schema/pipeline/document.ts'
import type { Json } from '../../schema/pipeline/json.ts'
import { preparePipeline } from '../../schema/pipeline/prepare.ts'
import { readPipeline } from '../../schema/pipeline/read-steps.ts'
import { jobSpec } from '../../schema/sync.ts'
import { clusterAtWork } from '../support/cluster.ts'
import { damaged, mutated } from './hostile.ts'
import { runs } from './seed.ts'

const page = readFileSync(new URL('../../docs/pipelines.md', import.meta.url), 'utf8')
const texts = [...page.matchAll(/^```yaml(?: refused)?\n(?<text>.*?)^```$/gms)].map(({ groups }) => groups?.['text'] ?? '')
const values = texts.flatMap((text) => {
  const read = readDocument(text)
  return read.ok ? [JSON.parse(JSON.stringify(read.document.value)) as Json] : [] // JSON is what it was
})
const ENVIRONMENT = { BUILDKITE_BRANCH: 'main', EMPTY: '', LONG: 'x'.repeat(2000), ODD: '\u202e${A}\n"', __proto__: 'x' }

/** JSON is YAML. */
const nearlyJson = fc.constantFrom(...values).chain(mutated)
const nearlyYaml = fc.constantFrom(...texts).chain((text) =>
  fc.oneof(
    damaged(text),
    fc.constantFrom<(all: string) => string>(
      (all) => all.replaceAll('\n', '\r\n'), (all) => all.replaceAll('\n', '\r'), (all) => `\uFEFF${all}`, (all) => all.replaceAll('  ', '\t'), (all) => all + all, (all) => all.replaceAll(/\w+(?=:)/g, '__proto__'),
      (all) => all.replaceAll('command', 'constructor'), (all) => all.replaceAll(/: (?=\S)/g, ': ${ODD} '), (all) => all.replaceAll(/: (?=\S)/g, ': &a *a '), (all) => all.replace('steps:', 'steps: &s\n  - *s\nmore:'), (all) => `a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n${all}`, (all) => all.replaceAll('- ', '- - '),
    ).map((change) => change(text)),
  ),
)
const text = fc.oneof(nearlyJson, nearlyYaml)

it('a pipeline that is nearly right is refused at places that are there, or has one spelling, which is kept', () => {
  let read = 0
  fc.assert(
    fc.property(text, fc.constantFrom(null, ENVIRONMENT), (written, environment) => {
      const answer = preparePipeline(written, environment)
      if (!answer.ok) {
        const lines = written.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/) // more than YAML counts
        expect(answer.mistakes.length).toBeGreaterThan(0)
        for (const { place, message } of answer.mistakes) {
          expect([place.line >= 1 && place.line <= lines.length + 1, place.column >= 1, place.length >= 1, message.length > 10 && message.length < 3000], `${JSON.stringify(place)} ${message}`).toEqual([true, true, true, true])
        }
        return
      }
      read += 1
      const sent = JSON.stringify(answer.prepared.canonical)
      expect(Object.prototype).not.toHaveProperty('x')
      // What is sent is read as what was read, by the same rules and as a file.
      const again = canonical(JSON.parse(sent) as Json) // as it was written
      expect(again.ok && JSON.stringify(again.canonical.pipeline)).toBe(sent)
      expect(readPipeline(JSON.parse(sent) as Json)).toEqual({ ok: true, pipeline: answer.prepared.pipeline })
      const printed = preparePipeline(sent, null)
      expect(printed.ok && JSON.stringify(printed.prepared.canonical)).toBe(sent)
    }),
    runs(120),
  )
  expect(read).toBeGreaterThan(10) // else nothing was looked at
})

const first = attemptId({ project: 1, build: 1, n: 1, fence: 1 })

/** A machine can hold it, or says that it is the job's. */
function isForAnyMachine(attempt: AttemptId, text: string): void {
  const spec = jobSpec.parse(JSON.parse(text))
  const agent = { id: 'a_00000000000000000001' as AgentId, name: 'box', queue: 'default', tags: [] } // of the form
  const local = { envFile: '/e', envChanges: '/c', redactions: '/r', locks: '/l', cache: '/k' }
  let env: Record<string, string>
  try {
    env = jobEnvironment({ spec, attempt, agent, folders: { workspace: '/w', tools: '/t' }, local, command: spec.command, owner: { hooks: null, plugins: true }, access: { url: 'https://ci.example', token: 'kdg_job_x' }, commit: null, ownEnvironment: {} })
  } catch (error) {
    expect(error).toBeInstanceOf(EnvironmentError)
    return
  }
  for (const [name, value] of [...Object.entries(env), ...(spec.plugins ?? []).flatMap((plugin) => Object.entries(pluginEnvironment(plugin)))]) expect([/[=\0]/.test(name), value.includes('\0')], name).toEqual([false, false])
}

it('what the coordinator takes of it is shown, runs on any machine and ends; what it refuses changes no row', () => {
  let [taken, refused] = [0, 0]
  fc.assert(
    fc.property(fc.array(fc.oneof(text, fc.constantFrom(...texts)), { minLength: 1, maxLength: 3 }), fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), (all, passes) => {
      const { c, agent } = clusterAtWork()
      c.build()
      agent.sync()
      for (const written of all) {
        const prepared = preparePipeline(written, ENVIRONMENT)
        if (!prepared.ok) continue
        const rows = c.sql.rowsWritten()
        const { steps, ...over } = prepared.prepared.pipeline
        const answer = c.upload(first, steps, { over })
        if (answer.ok) {
          taken += 1
          continue
        }
        refused += 1
        expect(answer.problem.detail).toMatch(/\w.*[.?]/s)
        expect(c.sql.rowsWritten()).toBe(rows)
      }
      for (const passed of passes) {
        agent.sync()
        agent.sync()
        for (const attempt of agent.running) {
          const spec = c.cluster.spec(attempt)
          if (spec.ok) isForAnyMachine(attempt, spec.value)
          agent.finish(attempt, passed ? 'passed' : 'failed', { exit_status: passed ? 0 : 1 })
        }
        agent.sync()
        const { state, steps } = c.view(1)
        expect(BUILD_STATES).toContain(state)
        for (const { step, state: stands } of steps) if (stands === 'blocked') c.unblock(1, String(step))
      }
      c.cancel(1)
      for (const attempt of agent.running) agent.finish(attempt, 'canceled')
      agent.sync()
      expect(c.view(1)).toMatchObject({ state: expect.stringMatching(/^(?:passed|failed|canceled)$/), finished_at: expect.any(String) })
    }),
    runs(25),
  )
  expect([taken > 5, refused > 0]).toEqual([true, true]) // else it did not come far
})
