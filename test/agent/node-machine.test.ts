import { spawnSync } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startAgent, type Agent } from '../../agent/agent.ts'
import { nodeMachine } from '../../agent/node-machine.ts'
import { nodePlatform } from '../../agent/node-platform.ts'
import { startFakeCoordinator, type FakeCoordinator, type FakeJob } from '../support/fake-coordinator.ts'
import { ownFolder } from '../support/folder.ts'

let fake: FakeCoordinator
let folder: string
let agent: Agent
const checkouts: { slot: number; project: string }[] = []

beforeEach(async () => {
  fake = await startFakeCoordinator()
  folder = await ownFolder()
  const platform = nodePlatform()
  const machine = nodeMachine({
    platform,
    stateFolder: folder,
    url: fake.url,
    self: [process.execPath, 'kedge.mjs'],
    environment: { PATH: process.env['PATH'], HOME: folder, KEDGE_REGISTRATION_TOKEN: 'kdg_reg_test' },
    cacheFolder: null,
    hooksFolder: null,
    preparePlugins: null,
    prepareCheckout: async ({ slot, project }) => {
      checkouts.push({ slot, project })
      return { folder, commit: 'c'.repeat(40) }
    },
  })
  agent = startAgent({ url: fake.url, registrationToken: 'kdg_reg_test', name: 'builder', slots: 1, queue: 'default', tags: [], stateFolder: folder, doorbell: false, timeScale: 20, limits: { health: { freeBytes: 0, freeShare: 0 } } }, platform, { line: () => {}, waiting: () => {} }, machine)
})
afterEach(async () => {
  agent.stop()
  agent.stop()
  await agent.ended
  await fake.close()
  expect(fake.offences).toEqual([])
})

async function run(job: FakeJob): Promise<string> {
  const attempt = `${job.spec.job}.1` as never
  await fake.until(() => job.result !== null && (job.result.log_bytes === 0 || fake.logs.get(attempt)?.sealed === true))
  return fake.logs.get(attempt)?.bytes.toString() ?? ''
}

describe('a real command under the agent', () => {
  it('runs in an empty folder, knows who it is, and sees no secret of the agent', async () => {
    const job = fake.enqueue({ command: 'ls -A; echo "$CI $KEDGE_ATTEMPT $KEDGE_BUILD_NUMBER"; env | grep -c "kdg_[r]eg" || true; touch left-behind' })
    expect(await run(job)).toBe('true J1-1-1.1 1\n0\n')
    expect(await run(fake.enqueue({ command: 'ls -A; echo nothing here' }))).toBe('nothing here\n')
  })

  it('masks the agent\'s own secrets in what is printed [C12.4]', async () => {
    expect(await run(fake.enqueue({ command: `grep -o 'kdg_sec_[A-Za-z0-9_-]*' ${folder}/agent.json` }))).toBe('***\n')
  })

  it('reports exit status and signal apart', async () => {
    const exit = fake.enqueue({ command: 'exit 7' })
    const signal = fake.enqueue({ command: 'kill -KILL $$' })
    await fake.until(() => exit.result !== null && signal.result !== null)
    expect(exit.result).toMatchObject({ outcome: 'failed', exit_status: 7, signal: null })
    expect(signal.result).toMatchObject({ outcome: 'failed', exit_status: null, signal: 'SIGKILL' })
  })

  it('ends at its time limit and says so in the log', async () => {
    const job = fake.enqueue({ command: 'echo begun; sleep 600', timeout_s: 1 })
    expect(await run(job)).toBe('begun\nkedge: stopped at its time limit of 1 s\n')
    expect(job.state).toBe('timed_out')
  })

  it('dies with all that it started when it is cancelled', async () => {
    const job = fake.enqueue({ command: 'sleep 600 & echo $!; wait' })
    await fake.until(() => (fake.logs.get('J1-1-1.1' as never)?.bytes.length ?? 0) > 0)
    const pid = Number(fake.logs.get('J1-1-1.1' as never)?.bytes.toString())
    fake.cancel(job)
    await fake.until(() => job.state === 'canceled')
    // Where nobody reaps orphans, a dead one stays as a zombie.
    expect(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)]).stdout.toString()).toMatch(/^(Z.*\n)?$/)
  })

  it('runs a job with a checkout where the checkout is, and reports its commit', async () => {
    const job = fake.enqueue({ command: 'pwd', checkout: { repository: 'https://git.example/r', commit: null, branch: 'main', fresh: false } })
    expect(await run(job)).toBe(`${folder}\n`)
    expect(job.result?.commit).toBe('c'.repeat(40))
    expect(checkouts).toEqual([{ slot: 0, project: 'test' }])
  })

  it('leaves its slot folder empty', async () => {
    await run(fake.enqueue({ command: 'touch a b c' }))
    agent.stop()
    await agent.ended
    expect(await readdir(join(folder, 'slots', '0'))).toEqual([])
  })
})
