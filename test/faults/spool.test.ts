/** What lies in the spool of an agent that starts: damaged, of another version, or far too much of it. */
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeResult, spoolResult } from '../../agent/spool/entry.ts'
import { attemptId } from '../../schema/job.ts'
import { SYNC_BODY_BYTES } from '../../schema/sync.ts'
import { client, type Build } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { sharedCoordinator, startAgent, TIME_SCALE } from '../support/installation.ts'
import { bringsResult, PASS, RESET, startProxy } from '../support/proxy.ts'
import { hasFile, rejected, spooled } from '../support/spool.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

/** An agent that was killed with `count` results in its spool that nobody was told of, each of a build with its number as exit status. */
async function killedWithResults(count: number) {
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ url: proxy.url, token: coordinator().registrationToken, slots: count })
  const people = client(coordinator())
  await people.agent(agent.name)
  const project = await people.project()
  const gate = await createGate()
  const builds: Build[] = []
  for (let i = 0; i < count; i += 1) builds.push(await project.build({ command: gate.command(`exit ${i + 1}`), agents: { queue: agent.queue } }))
  const ids: string[] = []
  for (const build of builds) ids.push((await build.running()).id)
  await gate.hasBegun(count)
  proxy.set((passage) => (bringsResult(passage) ? RESET : PASS))
  gate.open()
  for (const id of ids) await eventually(`the result of ${id} is spooled`, () => hasFile(agent.state, id, 'result.json'))
  await agent.kill9()
  proxy.set(() => PASS)
  return { proxy, agent, project, gate, builds, ids, entry: (n: number, file: string) => join(agent.state, 'spool', ids[n] ?? '', file) }
}

test('spool entries that are half-written, garbled, of a newer version, empty or strangers are put aside; what is whole is delivered, what is lost runs again [D34, C15.4]', async () => {
  const { agent, builds, ids, entry, gate } = await killedWithResults(5)
  truncateSync(entry(0, 'result.json'), 40)
  writeFileSync(entry(1, 'result.json'), JSON.stringify({ ...JSON.parse(readFileSync(entry(1, 'result.json'), 'utf8')), format: 99 }))
  writeFileSync(entry(2, 'result.json'), readFileSync(entry(2, 'result.json'), 'utf8').replace('exit_status\\":3', 'exit_status\\":0')) // its digest is another's
  writeFileSync(entry(3, 'result.json'), Buffer.alloc(4096)) // a file system that lost its data and kept its length
  writeFileSync(entry(4, 'spec.json'), '{"form') // the result itself is whole
  mkdirSync(join(agent.state, 'spool', 'not an attempt'))
  writeFileSync(join(agent.state, 'spool', 'stray'), '')
  const again = agent.again()
  for (const [i, build] of builds.entries()) {
    const job = (await build.over()).jobs[0]
    expect({ i, job }).toMatchObject({ i, job: { state: 'failed', exit_status: i + 1, attempts: i === 4 ? [{ fence: 1, state: 'failed' }] : [{ fence: 1, state: 'lost' }, { fence: 2, state: 'failed' }] } })
  }
  expect(gate.passed()).toHaveLength(9)
  const corrupt = readdirSync(join(agent.state, 'corrupt')).map((name) => name.replace(/@.*/, ''))
  expect(corrupt.toSorted()).toEqual([...ids.slice(0, 4), 'not an attempt', 'stray'].toSorted())
  await eventually('the spool is empty', () => spooled(again.state).length === 0)
})

test(`${TIME_SCALE === 1 ? 'ten thousand' : 'five hundred'} spooled results are delivered, oldest first, in messages of 64 KiB, while new work goes on; each gets its verdict [D35]`, async () => {
  const COUNT = TIME_SCALE === 1 ? 10_000 : 500 // each verdict is fsynced, so all of them take a minute
  const { proxy, agent, project, builds, ids } = await killedWithResults(2)
  // Older than those two, and of jobs that nobody knows: what an agent holds after a month of a broken network.
  for (let n = 1; n <= COUNT; n += 1) {
    const attempt = attemptId({ project: 900_000, build: 1, n, fence: 1 })
    const spooledResult = spoolResult(attempt, { outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: n, finished_at: n, log_bytes: 0, log_sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' })
    await mkdir(join(agent.state, 'spool', attempt)) // not all in one breath: connections that are closed meanwhile must be heard of
    await writeFile(join(agent.state, 'spool', attempt, 'result.json'), encodeResult(spooledResult))
  }
  const seen = proxy.passages.length
  const fresh = await project.build({ command: 'true', agents: { queue: agent.queue } })
  const again = agent.again()
  expect((await fresh.over({ withinMs: 120_000 })).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ fence: 1 }] })
  expect(spooled(again.state).length).toBeGreaterThan(0) // it did not wait for all of that
  for (const [i, build] of builds.entries()) expect((await build.over({ withinMs: 120_000 })).jobs[0]).toMatchObject({ state: 'failed', exit_status: i + 1, attempts: [{ id: ids[i] }] })
  await eventually('the spool is empty', (saw) => {
    saw(spooled(again.state).length)
    return spooled(again.state).length === 0
  }, { withinMs: 120_000 })
  expect(rejected(again.state)).toHaveLength(COUNT)
  const bodies = proxy.syncs().filter((one) => proxy.passages.indexOf(one) >= seen)
  for (const { body } of bodies) expect(Buffer.byteLength(body)).toBeLessThanOrEqual(SYNC_BODY_BYTES)
  const order = bodies.filter(({ delivered }) => delivered).flatMap(({ sync }) => sync.finished.map(({ attempt }) => /^J900000-1-(\d+)\.1$/.exec(attempt)?.[1])).filter((n) => n !== undefined).map(Number)
  const first = [...new Set(order)]
  expect(first).toEqual(first.toSorted((a, b) => a - b))
  expect(first).toHaveLength(COUNT)
})
