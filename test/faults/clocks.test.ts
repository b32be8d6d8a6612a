/** Clocks that are wrong or set, and an alarm that is gone. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startBareWorker } from '../support/bare-worker.ts'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { scaled, sharedCoordinator, startAgent, startCoordinator, testFolder } from '../support/installation.ts'
import { startProxy } from '../support/proxy.ts'
import { eventually, lasting } from '../support/wait.ts'

const HOUR = 3600_000
const coordinator = sharedCoordinator()

test('an agent whose clock is an hour off, lives at the other end of the world, and is set back and forth while it builds: no effect [D24, C16.1]', async () => {
  const people = client(coordinator())
  const file = join(await testFolder(), 'offset')
  const setTo = (ms: number) => writeFileSync(file, String(ms))
  setTo(HOUR)
  const proxy = await startProxy(coordinator())
  const agent = await startAgent({ url: proxy.url, token: coordinator().registrationToken, env: { NODE_OPTIONS: `--import ${join(import.meta.dirname, '../support/set-clock.ts')}`, KEDGE_CLOCK_FILE: file, TZ: 'Pacific/Kiritimati' } })
  const gate = await createGate()
  const project = await people.project()
  const build = await project.build({ command: gate.command(), agents: { queue: agent.queue } })
  const { id } = await build.running()
  for (const offset of [-HOUR, 24 * HOUR, 0, -HOUR]) {
    setTo(offset)
    const before = proxy.syncs().length
    await eventually('it goes on syncing', () => proxy.syncs().length >= before + 3)
  }
  expect(await build.job()).toMatchObject({ state: 'running', attempts: [{ id }] })
  gate.open()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'passed', attempts: [{ id, state: 'passed' }] })
  // What it says of its times is shown, and decides nothing.
  expect((await (await project.build({ command: 'true', agents: { queue: agent.queue } })).over()).state).toBe('passed')
  expect(agent.output()).not.toMatch(/ended|stands by/)
})

const NO_ALARM = `import { DurableObject } from 'cloudflare:workers'
export class Scheduler extends DurableObject {
  async fetch() {
    await this.ctx.storage.deleteAlarm()
    await this.ctx.storage.sync()
    return Response.json({ alarm: await this.ctx.storage.getAlarm(), builds: [...this.ctx.storage.sql.exec('select 1 from build')].length })
  }
  async alarm() {}
}
export default { fetch: (request, env) => env.OBJECT.get(env.OBJECT.idFromName('default')).fetch(request) }`

test('the alarm was deleted by hand: the next wake arms it again, and the build of a dead agent is given back [D22, I20]', async () => {
  const folder = await testFolder()
  const own = await startCoordinator({ folder })
  const people = client(own)
  const agent = await startAgent({ url: own.url, token: own.registrationToken })
  const gate = await createGate()
  const build = await (await people.project()).build({ command: gate.command(), agents: { queue: agent.queue } })
  await build.running()
  await agent.kill9()
  await own.stop()
  const worker = await startBareWorker({ name: 'kedge', className: 'Scheduler', script: NO_ALARM, folder: join(folder, 'coordinator', 'coordinator') })
  const found: unknown = await (await fetch(worker.url)).json()
  await worker.stop()
  expect(found).toEqual({ alarm: null, builds: 1 })
  await own.restart()
  expect((await build.view()).state).toBe('running') // this wakes it, and nothing else will
  await lasting(scaled(120_000 + 2 * 45_000)) // silence: a look would wake it again
  expect(await build.job()).toMatchObject({ state: 'queued', attempts: [{ state: 'lost' }] })
})
