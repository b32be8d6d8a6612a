/**
 * The real steps of the Scheduler on a real SQLite: what is refused changes no row, and whoever works as agreed is served
 * as if nobody else had been there, also when the hostile message is the first after an outage, with leases long due.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Cluster } from '../../coordinator/objects/cluster.ts'
import type { Outcome } from '../../coordinator/objects/event-runner.ts'
import type { Caller } from '../../coordinator/objects/scheduler-api.ts'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import { createBuildRequest, createProjectRequest } from '../../schema/api.ts'
import { annotate, removeAnnotation } from '../../schema/job-calls.ts'
import { attemptId, type AgentId, type AttemptId } from '../../schema/job.ts'
import type { SyncRequest } from '../../schema/sync.ts'
import { ORIGIN, TestCluster, type TestAgent } from '../support/cluster.ts'
import { blockStep, commandStep, pipeline, placed } from '../support/steps.ts'
import { runs } from './seed.ts'

interface World {
  readonly cluster: TestCluster
  readonly agents: readonly TestAgent[]
}

function newWorld(): World {
  const cluster = new TestCluster()
  cluster.project()
  return { cluster, agents: [cluster.agent('ada', { slots: 2 }), cluster.agent('bob')] }
}

const who = fc.nat(1)
const number = fc.integer({ min: 1, max: 4 })

/** What people and agents rightly do. */
const valid = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('build' as const), priority: fc.integer({ min: -2, max: 2 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('sync' as const), who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('finish' as const), who, passed: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), number }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const), number }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('upload' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('note' as const), who, word: fc.constantFrom('a', 'b') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unblock' as const), number }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('evict' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 2000, 15_000, 40_000, 130_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('outage' as const), ms: fc.constantFrom(2000, 55_000, 130_000, 700_000) }) },
)
type Valid = typeof valid extends fc.Arbitrary<infer T> ? T : never

function live({ cluster, agents }: World, step: Valid): void {
  const agent = 'who' in step ? agents[step.who] : undefined
  switch (step.do) {
    case 'build':
      return void cluster.build({ priority: step.priority })
    case 'sync':
      return void agent?.sync()
    case 'finish': {
      const [attempt] = agent?.running ?? []
      return attempt === undefined ? undefined : agent?.finish(attempt, step.passed ? 'passed' : 'failed')
    }
    case 'upload': {
      const [attempt] = agent?.running ?? []
      return attempt === undefined ? undefined : void cluster.upload(attempt, STEPS, { key: attempt })
    }
    case 'note': {
      const [attempt] = agent?.running ?? []
      if (attempt === undefined) return
      cluster.setMetaData(attempt, 'key', step.word)
      return void cluster.annotate(attempt, { body: step.word, append: true }, { key: `${attempt} ${step.word}` })
    }
    case 'unblock':
      return void cluster.unblock(step.number, 'ask')
    case 'cancel':
      return void cluster.cluster.cancelBuild(cluster.now, 'app', step.number, ORIGIN)
    case 'retry':
      return void cluster.retry(step.number)
    case 'restart':
      return agent?.restart()
    case 'evict':
      return cluster.restart()
    case 'pass':
      return cluster.pass(step.ms)
    case 'outage':
      cluster.pass(step.ms, { away: true }) // an alarm that is due by then fires when time passes again
      return cluster.restart()
    default:
      step satisfies never
  }
}

const STEPS = [commandStep('first'), blockStep('ask'), commandStep('then')]
/** Of a job that there may be, and no attempt that there ever was. */
const strange = fc.record({ project: fc.integer({ min: 1, max: 2 }), build: number, n: fc.integer({ min: 1, max: 4 }), fence: fc.constantFrom(0, 500, 999_999) }).map(attemptId)
/** What a job of such an attempt asks for, and people of what is not there. */
const ofNobody = fc.constantFrom<(cluster: Cluster, now: number, attempt: AttemptId) => Outcome<{ readonly ok: boolean }>>(
  (cluster, now, attempt) => cluster.setMetaData(now, attempt, { key: 'key', value: 'evil' }),
  (cluster, now, attempt) => cluster.annotate(now, attempt, { asked: annotate.parse({ body: 'evil', append: true }), key: 'x', digest: 'x' }),
  (cluster, now, attempt) => cluster.removeAnnotation(now, attempt, removeAnnotation.parse({})),
  (cluster, now, attempt) => cluster.uploadPipeline(now, attempt, { pipeline: pipeline(placed(STEPS)), replace: true, key: 'x', digest: 'x' }),
  (cluster, now, attempt) => cluster.updateStep(now, attempt, { step: 'first', attribute: 'label', value: 'evil', append: false, key: 'x' }),
  (cluster, now, attempt) => cluster.cancelStep(now, attempt, 'first'),
  (cluster, now, attempt) => cluster.cancelOwnBuild(now, attempt),
  (cluster, now, attempt) => cluster.addArtifacts(now, attempt, [{ path: 'a', bytes: 0, sha256: '0'.repeat(64), sha1: '0'.repeat(40), content_type: 'text/plain' }]),
  (cluster, now, attempt) => cluster.retryJob(now, `${attempt}`, ORIGIN),
  (cluster, now) => cluster.retryJob(now, '__proto__', ORIGIN),
  (cluster, now) => cluster.retryJob(now, 'J1-999999999-1', ORIGIN),
  (cluster, now) => cluster.unblock(now, 'app', 1, 'first', { by: 'evil', given: [] }, ORIGIN),
  (cluster, now) => cluster.unblock(now, 'app', 1, '__proto__', { by: 'evil', given: [['__proto__', 'x']] }, ORIGIN),
  (cluster, now) => cluster.unblock(now, 'none', 1, 'ask', { by: 'evil', given: [] }, ORIGIN),
)

const forgery = fc.constantFrom<(world: World, agent: TestAgent) => Caller>(
  () => ({ via: 'secret', sha256: sha256Hex('kdg_sec_of-nobody') }),
  () => ({ via: 'secret', sha256: '' }),
  ({ agents: [ada, bob] }, agent) => ({ via: 'secret', sha256: sha256Hex((agent === ada ? bob : ada)?.secret ?? '') }),
  ({ cluster }, agent) => ({ via: 'session', agent: agent.id, bootSeq: agent.bootSeq, credentialVersion: 7, issuedAt: cluster.now, paceMs: 1000 }),
  ({ cluster, agents: [ada, bob] }, agent) => ({ via: 'session', agent: (agent === ada ? bob : ada)?.id ?? '', bootSeq: 1, credentialVersion: 1, issuedAt: cluster.now, paceMs: 1000 }),
)
const attempt = fc.record({ project: fc.integer({ min: 1, max: 2 }), build: number, n: fc.integer({ min: 1, max: 2 }), fence: fc.integer({ min: 1, max: 4 }) }).map(attemptId)
/** What a sync may claim, all of it well-formed and none of it true. */
const claim = fc.record({
  state: fc.constantFrom<SyncRequest['state']>('ready', 'draining', 'unhealthy'),
  running: fc.array(attempt.map((id) => ({ attempt: id, phase: 'running' as const, commit: 'b'.repeat(40), log_bytes: 1 })), { maxLength: 3 }),
  spooled: fc.array(attempt, { maxLength: 2 }),
  lost: fc.array(attempt.map((id) => ({ attempt: id, why: 'process_restart' as const })), { maxLength: 2 }),
  slots: fc.integer({ min: 1, max: 256 }),
  offer_rev: fc.nat(9),
  seq: fc.integer({ min: 1, max: 2 ** 31 }),
})

type Refused = (world: World) => Outcome<{ readonly ok: boolean }> | null
const lastOf = (world: World, at: number): TestAgent => {
  const agent = world.agents[at]
  if (agent === undefined) throw new Error(`no agent ${at}`)
  return agent
}
/** The agent's own sync with other claims; its own count of syncs stays as it was. */
const request = (agent: TestAgent, change: Partial<SyncRequest>) => {
  const sent = agent.request(change)
  agent.seq -= 1
  return { ...sent, finished: [...(change.running ?? [])].map(({ attempt: id }) => ({ attempt: id, digest: 'sha256:x', text: '{}', result: { outcome: 'passed' as const, exit_status: 0, signal: null, reason: null, commit: 'b'.repeat(40), started_at: null, finished_at: 0, log_bytes: 0, log_sha256: '' } })) }
}

const hostile: fc.Arbitrary<Refused> = fc.oneof(
  fc.tuple(who, forgery, claim).map(([at, forge, change]): Refused => (world) => world.cluster.cluster.sync(world.cluster.now, request(lastOf(world, at), { ...change, boot_seq: change.offer_rev + 1 }), forge(world, lastOf(world, at)))),
  // An older process of the same agent, and a copy of its state folder.
  fc.tuple(who, claim).map(([at, change]): Refused => (world) => {
    const agent = lastOf(world, at)
    return agent.bootSeq < 2 || agent.session === null ? null : world.cluster.cluster.sync(world.cluster.now, request(agent, { ...change, boot_seq: agent.bootSeq - 1, boot_id: `boot-${agent.bootSeq - 1}-of-it` }), agent.caller())
  }),
  fc.tuple(who, claim).map(([at, change]): Refused => (world) => {
    const agent = lastOf(world, at)
    return agent.session === null ? null : world.cluster.cluster.sync(world.cluster.now, request(agent, { ...change, boot_id: 'of-a-copied-disk' }), agent.caller())
  }),
  fc.tuple(claim, forgery).map(([change, forge]): Refused => (world) => world.cluster.cluster.sync(world.cluster.now, { ...request(lastOf(world, 0), change), agent: 'a_nobody00000000000000' as AgentId }, forge(world, lastOf(world, 0)))), // of the form
  fc.tuple(ofNobody, strange).map(([ask, id]): Refused => ({ cluster }) => ask(cluster.cluster, cluster.now, id)),
  who.map((at): Refused => (world) => world.cluster.cluster.register(world.cluster.now, { proto: 1, agent_id: lastOf(world, at).id, secret_sha256: '0'.repeat(64), offer: lastOf(world, at).offer }, { tokenSha256: 'x', isStanding: true })),
  fc.string({ maxLength: 9 }).map((token): Refused => (world) => world.cluster.cluster.register(world.cluster.now, { proto: 1, agent_id: 'a_stranger000000000000' as AgentId, secret_sha256: '0'.repeat(64), offer: lastOf(world, 0).offer }, { tokenSha256: sha256Hex(token), isStanding: false })), // of the form
  fc.tuple(who, forgery).map(([at, forge]): Refused => (world) => world.cluster.cluster.rotate(world.cluster.now, lastOf(world, at).id, forge(world, lastOf(world, at)), '1'.repeat(64))),
  fc.constantFrom<Refused>(
    ({ cluster }) => cluster.cluster.createProject(cluster.now, createProjectRequest.parse({ slug: 'app', repository: 'https://example.com/other.git' })),
    ({ cluster }) => cluster.cluster.createBuild(cluster.now, 'none', createBuildRequest.parse({}), { idempotencyKey: 'key', origin: ORIGIN }),
    ({ cluster }) => cluster.cluster.cancelBuild(cluster.now, 'none', 1, ORIGIN),
    ({ cluster }) => cluster.cluster.cancelBuild(cluster.now, 'app', 999_999_999, ORIGIN),
    ({ cluster }) => cluster.cluster.retryBuild(cluster.now, 'app', 999, {}, ORIGIN),
    ({ cluster }) => cluster.cluster.changeAgent(cluster.now, 'a_nobody00000000000000', 'revoke'),
    ({ cluster }) => cluster.cluster.revokeToken(cluster.now, '__proto__'),
    ({ cluster }) => {
      const { value, ...rest } = cluster.cluster.identify(cluster.now, sha256Hex('kdg_api_of-nobody'), 'api')
      return { ...rest, value: { ok: value !== null } }
    },
    ({ cluster }) => {
      const value = cluster.cluster.builds(cluster.now, { project: 'app', limit: 1, cursor: "' or 1=1 --" }, ORIGIN)
      return { value, effects: [], deadline: null }
    },
  ),
)

function rowsOf({ cluster }: World): unknown {
  const names = cluster.sql.all("select name from sqlite_master where type = 'table' order by name", []).map(([name]) => String(name))
  return Object.fromEntries(names.map((name) => [name, cluster.sql.all(`select * from "${name}"`, []).map((row) => JSON.stringify(row)).sort()]))
}

const traffic = fc.array(fc.record({ before: fc.array(hostile, { maxLength: 3 }), step: valid }), { minLength: 5, maxLength: 40 })

it('what is refused changes no row, rings nobody and sets no alarm, whenever it comes', () => {
  let refused = 0
  fc.assert(
    fc.property(traffic, (steps) => {
      const world = newWorld()
      for (const { before, step } of steps) {
        for (const attack of before) {
          const [rows, deadline] = [world.cluster.sql.rowsWritten(), world.cluster.cluster.peek().deadline]
          const outcome = attack(world)
          if (outcome === null) continue
          refused += 1
          expect(outcome.value.ok).toBe(false)
          expect([world.cluster.sql.rowsWritten(), outcome.effects, world.cluster.cluster.peek().deadline]).toEqual([rows, [], deadline])
        }
        live(world, step)
      }
    }),
    runs(150),
  )
  expect(refused).toBeGreaterThan(100) // else nothing was looked at
})

it('whoever works as agreed is served the same, with hostile messages between and without', () => {
  fc.assert(
    fc.property(traffic, (steps) => {
      const [quiet, loud] = [newWorld(), newWorld()]
      for (const { before, step } of steps) {
        for (const attack of before) attack(loud)
        live(quiet, step)
        live(loud, step)
        expect(loud.agents.map(({ running, session, spool }) => [[...running], session, [...spool.keys()]])).toEqual(quiet.agents.map(({ running, session, spool }) => [[...running], session, [...spool.keys()]]))
      }
      expect(rowsOf(loud)).toEqual(rowsOf(quiet))
    }),
    runs(100),
  )
})
