/**
 * An agent is killed in a build and started again: from its first sync to the lost attempt being seen as lost over the
 * API. The first sync is seen by a plain relay between agent and coordinator.
 */
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { median, ms, type Bar } from './row.ts'
import { afterwards, openAgent, openCoordinator } from './stage.ts'

const TIMES = 3
const MOST_MS = 1000

export const requeue: Bar = {
  name: 'requeue',
  async run() {
    const site = await openCoordinator()
    const relay = await openRelay(site.url)
    const project = await site.people.project({ command: 'sleep 300' })
    const took: number[] = []
    for (let time = 0; time < TIMES; time++) {
      const name = `bench-${time}` // a killed agent is held in less regard each time; each time another
      const agent = await openAgent(site, { name, url: relay.url })
      const build = await project.build({})
      await build.running()
      await agent.kill9()
      const synced = relay.nextSync()
      const again = await openAgent(site, { name, url: relay.url, joins: false })
      const since = await synced
      while ((await build.job()).attempts[0]?.state !== 'lost') {
        if (performance.now() - since > 10 * MOST_MS) throw new Error('the attempt of the killed agent is not given up')
        await pause(5)
      }
      took.push(performance.now() - since)
      await build.cancel()
      await build.over()
      await again.kill9()
    }
    const worst = Math.max(...took)
    return [{ name: 'requeue after kill -9', figure: `p50 ${ms(median(took))}, worst of ${TIMES} ${ms(worst)}`, ratio: '', bar: `≤ ${MOST_MS} ms after the first sync`, holds: worst <= MOST_MS }]
  },
}

async function openRelay(to: string): Promise<{ readonly url: string; nextSync(): Promise<number> }> {
  const { hostname, port } = new URL(to)
  let saw: ((at: number) => void) | null = null
  const server = createServer((from) => {
    const on = connect({ host: hostname, port: Number(port) })
    from.on('data', (bytes: Buffer) => {
      if (saw === null || !bytes.includes('POST /v1/agent/sync')) return
      saw(performance.now())
      saw = null
    })
    from.pipe(on).pipe(from)
    for (const [socket, other] of [[from, on], [on, from]] as const) socket.on('error', () => other.destroy()).on('close', () => other.destroy())
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()))
  afterwards(async () => void server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // a TCP server has no other form
    nextSync: () => new Promise((resolve) => (saw = resolve)),
  }
}
