/** Logs as people read them: whole, by range, live. An agent of the tests writes them by the real endpoints. */
import { createHash } from 'node:crypto'
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, it, vi } from 'vitest'
import type { Environment } from '../../../coordinator/environment.ts'
import type { JobLog } from '../../../coordinator/objects/job-log.ts'
import { sha256Hex } from '../../../coordinator/trust/tokens.ts'
import type { SyncReply } from '../../../schema/sync.ts'
import { ask } from '../../support/ask.ts'

let names = 0

/** A running attempt, its agent, and what the agent can do with it; `meanwhile` happens before any agent is there. */
async function runningAttempt(meanwhile: (job: string) => Promise<void> = async () => {}) {
  const name = `log${++names}`
  const queue = name
  await ask('/api/v1/projects', { json: { slug: name, checkout: false, command: 'make' } })
  const build = (await (await ask(`/api/v1/projects/${name}/builds`, { json: { agents: { queue } } })).json()) as { jobs: [{ id: string }] }
  await meanwhile(build.jobs[0].id)
  const id = `a_${name.padEnd(20, 'x')}` // a digit would make log1 and log10 one agent
  const secret = `kdg_sec_${name}`
  const offer = { name, queue, tags: [], slots: 1, host: { os: 'linux', arch: 'x64', hostname: 'h', version: '0' } }
  await ask('/v1/agents/register', { token: 'kdg_reg_for-tests-only-0123456789abcdef', json: { proto: 1, agent_id: id, secret_sha256: sha256Hex(secret), offer } })
  let token = secret
  let seq = 0
  const sync = async (change: Record<string, unknown> = {}) => {
    const response = await ask('/v1/agent/sync', { token, json: { proto: 1, agent: id, boot_seq: 1, boot_id: 'boot-one', seq: ++seq, state: 'ready', slots: 1, offer_rev: 1, offer, doorbell: false, running: [], finished: [], ...change } })
    const reply = (await response.json()) as SyncReply
    token = reply.session
    return reply
  }
  await sync()
  const assignment = (await sync()).assignments[0]
  if (!assignment) throw new Error('no assignment')
  let written = ''
  const { JOB_LOG } = env as unknown as Environment // declared by nobody; wrangler.toml holds what Environment says
  const log = JOB_LOG.get(JOB_LOG.idFromName(assignment.attempt)) as unknown as DurableObjectStub<JobLog> // the runtime's own stub
  return {
    log,
    name,
    job: build.jobs[0].id,
    sync,
    attempt: assignment.attempt,
    async print(text: string) {
      const response = await ask(`/v1/attempts/${assignment.attempt}/log?offset=${written.length}`, { method: 'PUT', token: assignment.token, body: text })
      written += text
      return (await response.json()) as { watched: boolean }
    },
    async seal() {
      await ask(`/v1/attempts/${assignment.attempt}/log/seal`, { token: assignment.token, json: { bytes: written.length, sha256: createHash('sha256').update(written).digest('hex') } })
    },
    /** Whether by this alarm or by the platform's own just before. */
    archive: async () => {
      await runDurableObjectAlarm(log)
      await vi.waitFor(async () => expect((await log.fetch('https://log/read?from=0&to=0')).headers.get('x-kedge-state')).toBe('archived'), { timeout: 20_000 })
    },
    /** The agent starts again, and has lost what it ran. */
    restart: () => sync({ boot_seq: 2, boot_id: 'boot-two', seq: 1 }),
    async finish(log_bytes = written.length) {
      const result = JSON.stringify({ outcome: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: null, finished_at: 0, log_bytes, log_sha256: '' })
      return sync({ finished: [{ attempt: assignment.attempt, digest: `sha256:${sha256Hex(result)}`, result }] })
    },
    finishUnreadably: () => sync({ finished: [{ attempt: assignment.attempt, digest: `sha256:${sha256Hex('{')}`, result: '{' }] }),
  }
}

/** The text and the end of a followed log. */
async function followed(response: Response) {
  const events = (await response.text()).split('\n\n')
  const text = events.flatMap((event) => /^data: (\S+)$/m.exec(event.includes('event: end') ? '' : event)?.[1] ?? []).map((data) => atob(data)).join('')
  const end = events.find((event) => event.includes('event: end'))
  return { text, end: end ? (JSON.parse(/^data: (.*)$/m.exec(end)?.[1] ?? 'null') as unknown) : null }
}

describe('a log for people', () => {
  it('is read while it grows, and after it was archived', async () => {
    const { job, print, seal, finish, archive } = await runningAttempt()
    await print('one\n')
    expect(await (await ask(`/api/v1/jobs/${job}/log`)).text()).toBe('one\n')
    await print('two\n')
    await finish()
    await seal()
    expect(await (await ask(`/api/v1/jobs/${job}/log`)).text()).toBe('one\ntwo\n')
    await archive()
    const response = await ask(`/api/v1/jobs/${job}/log`)
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await response.text()).toBe('one\ntwo\n')
  })

  it.each([
    ['bytes=0-2', 'one', 'bytes 0-2/8'],
    ['bytes=4-', 'two\n', 'bytes 4-7/8'],
    ['bytes=-4', 'two\n', 'bytes 4-7/8'],
    ['bytes=-99', 'one\ntwo\n', 'bytes 0-7/8'],
    ['bytes=4-99', 'two\n', 'bytes 4-7/8'],
  ])('honours the range %s, live and archived', async (range, text, header) => {
    const { job, print, seal, finish, archive } = await runningAttempt()
    await print('one\ntwo\n')
    for (const archived of [false, true]) {
      if (archived) {
        await finish()
        await seal()
        await archive()
      }
      const response = await ask(`/api/v1/jobs/${job}/log`, { headers: { range } })
      expect([response.status, response.headers.get('content-range'), await response.text()]).toEqual([206, header, text])
    }
  })

  it.each(['bytes=5-3', 'bytes=-0', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=x-'])('sends all of it for the range %s, which is none that it honours', async (range) => {
    const { job, print } = await runningAttempt()
    await print('one\ntwo\n')
    const response = await ask(`/api/v1/jobs/${job}/log`, { headers: { range } })
    expect([response.status, await response.text()]).toEqual([200, 'one\ntwo\n'])
  })

  it('answers 416 with the size for a range beyond the end', async () => {
    const { job, print } = await runningAttempt()
    await print('one\n')
    const response = await ask(`/api/v1/jobs/${job}/log`, { headers: { range: 'bytes=99-' } })
    expect([response.status, response.headers.get('content-range')]).toEqual([416, 'bytes */4'])
  })

  it('is followed live to its end, and the agent is told that somebody watches', async () => {
    const { job, print, seal, sync, attempt } = await runningAttempt()
    const response = await ask(`/api/v1/jobs/${job}/log`, { headers: { accept: 'text/event-stream' } })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const reading = followed(response)
    expect(await print('one\n')).toMatchObject({ watched: true })
    expect((await sync({ running: [{ attempt, phase: 'running' }] })).watched).toEqual([attempt])
    await print('two\n')
    await seal()
    expect(await reading).toEqual({ text: 'one\ntwo\n', end: { size: 8, sealed: true } })
  })

  it('goes on from Last-Event-ID, also when it is archived', async () => {
    const { job, print, seal, finish, archive } = await runningAttempt()
    await print('one\ntwo\n')
    await finish()
    await seal()
    await archive()
    const response = await ask(`/api/v1/jobs/${job}/log`, { headers: { accept: 'text/event-stream', 'last-event-id': '4' } })
    expect((await followed(response)).text).toBe('two\n')
  })

  it('is followed to the end of what there is when its attempt is lost without a seal', async () => {
    const { job, print, restart } = await runningAttempt()
    await print('one\n')
    const reading = followed(await ask(`/api/v1/jobs/${job}/log`, { headers: { accept: 'text/event-stream' } }))
    await restart()
    expect(await reading).toEqual({ text: 'one\n', end: { size: 4, sealed: false } })
  })

  it('is followed no more when its job has ended and the rest of it stays away, which is taken all the same when it comes [D42]', async () => {
    const { job, print, finish, seal, archive, log } = await runningAttempt()
    await print('one\n')
    await runInDurableObject(log, (object) => {
      const own = object as unknown as { env: Environment } // protected in the platform's class
      own.env = { ...own.env, KEDGE_TIME_SCALE: '100' }
    })
    const reading = followed(await ask(`/api/v1/jobs/${job}/log`, { headers: { accept: 'text/event-stream' } }))
    await finish(8)
    expect(await reading).toEqual({ text: 'one\n', end: { size: 4, sealed: false } })
    await print('two\n')
    await seal()
    await archive()
    expect(await (await ask(`/api/v1/jobs/${job}/log`)).text()).toBe('one\ntwo\n')
  })

  it('of a superseded attempt is its own, and may still be sealed [I17]', async () => {
    const { job, print, seal, restart, archive, sync } = await runningAttempt()
    await print('first\n')
    await restart()
    const again = await sync({ boot_seq: 2, boot_id: 'boot-two', seq: 2 })
    await seal()
    await archive()
    const [second] = again.assignments
    expect(second?.attempt).toBe(`${job}.2`)
    await ask(`/v1/attempts/${job}.2/log?offset=0`, { method: 'PUT', token: second?.token ?? '', body: 'second\n' })
    expect(await (await ask(`/api/v1/jobs/${job}/log`)).text()).toBe('second\n')
    expect(await (await ask(`/api/v1/jobs/${job}/log?attempt=1`)).text()).toBe('first\n')
  })

  it('that is followed before any agent has the job becomes that of its first attempt', async () => {
    let reading: ReturnType<typeof followed> | null = null
    const { print, seal, finish } = await runningAttempt(async (job) => {
      const response = await ask(`/api/v1/jobs/${job}/log`, { headers: { accept: 'text/event-stream' } })
      expect(response.headers.get('content-type')).toContain('text/event-stream')
      reading = followed(response)
    })
    await print('one\n')
    await finish()
    await seal()
    expect(await reading).toEqual({ text: 'one\n', end: { size: 4, sealed: true } })
  })

  it('of a job that is cancelled before any agent has it ends', async () => {
    await ask('/api/v1/projects', { json: { slug: 'untaken', checkout: false, command: 'make' } })
    const build = (await (await ask('/api/v1/projects/untaken/builds', { json: { agents: { queue: 'untaken' } } })).json()) as { jobs: [{ id: string }] }
    const reading = followed(await ask(`/api/v1/jobs/${build.jobs[0].id}/log`, { headers: { accept: 'text/event-stream' } }))
    await ask('/api/v1/projects/untaken/builds/1/cancel', { json: {} })
    expect(await reading).toEqual({ text: '', end: { size: 0, sealed: true } })
  })

  it('that the bucket has lost is said to be gone, not shown as empty', async () => {
    const { job, print, seal, finish, archive, attempt } = await runningAttempt()
    await print('one\n')
    await finish()
    await seal()
    await archive()
    await (env as unknown as Environment).BLOBS.delete(`logs/default/${attempt}`)
    expect(await (await ask(`/api/v1/jobs/${job}/log`)).json()).toMatchObject({ status: 404, code: 'log-gone' })
  })

  it.each(['x', '-1', '1.5', '9'.repeat(16)])('is not followed from %j', async (offset) => {
    const { job } = await runningAttempt()
    const response = await ask(`/api/v1/jobs/${job}/log`, { headers: { accept: 'text/event-stream', 'last-event-id': offset } })
    expect(await response.json()).toMatchObject({ status: 400, code: 'offset-invalid' })
  })

  it('of a job that printed nothing is empty, and its following ends', async () => {
    const { job, finish } = await runningAttempt()
    await finish(0)
    expect(await (await ask(`/api/v1/jobs/${job}/log`)).text()).toBe('')
    expect((await followed(await ask(`/api/v1/jobs/${job}/log`, { headers: { accept: 'text/event-stream' } }))).end).toMatchObject({ size: 0 })
  })

  it('of an attempt whose result cannot be read is shown all the same, by the API and on the page', async () => {
    const { name, job, print, seal, finishUnreadably } = await runningAttempt()
    await print('one\n')
    await finishUnreadably()
    await seal()
    expect(await (await ask(`/api/v1/jobs/${job}/log`)).text()).toBe('one\n')
    expect(await followed(await ask(`/api/v1/jobs/${job}/log`, { headers: { accept: 'text/event-stream' } }))).toEqual({ text: 'one\n', end: { size: 4, sealed: true } })
    expect(await (await ask(`/api/v1/projects/${name}/builds/1`)).json()).toMatchObject({ jobs: [{ state: 'errored', attempts: [{ log_bytes: null }] }] })
    expect(await (await ask(`/projects/${name}/builds/1`)).text()).toContain('aria-label="Line 1"></a>one</div>')
  })

  it('is not shown to whoever has no token, and an unknown job or attempt is named', async () => {
    const { job } = await runningAttempt()
    expect((await ask(`/api/v1/jobs/${job}/log`, { token: null })).status).toBe(401)
    expect(await (await ask('/api/v1/jobs/nonsense/log')).json()).toMatchObject({ status: 404, detail: expect.stringContaining('J1-82-1') })
    expect(await (await ask(`/api/v1/jobs/${job}/log?attempt=9`)).json()).toMatchObject({ status: 404, detail: expect.stringContaining('There is: 1.') })
  })
})
