/**
 * 200 × `true` on 8 slots, from the first POST to the last build passed, POSTs included. The floor is a loop that starts
 * the same command and makes the same four durable writes an attempt (spec, started, result, verdict), 8 wide, in a process
 * of its own.
 */
import { execFile } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { BuildView } from '../../schema/api.ts'
import { isFinalBuild } from '../../schema/job.ts'
import type { Client } from '../support/client.ts'
import { abreast, percent, type Bar } from './row.ts'
import { openAgent, openCoordinator, ownFolder } from './stage.ts'

const JOBS = 200
const SLOTS = 8
const LOOP = new URL('loop.ts', import.meta.url).pathname
const LEAST_PER_S = 60
const LEAST_SHARE = 0.3
const LOOK_EVERY_MS = 20

export const throughput: Bar = {
  name: 'throughput',
  async run() {
    const site = await openCoordinator()
    await openAgent(site, { slots: SLOTS })
    const project = await site.people.project({ command: 'true' })
    const all = async (count: number) => {
      const numbers: number[] = []
      const since = performance.now()
      await abreast(count, SLOTS, async () => void numbers.push((await project.build({})).number))
      const last = Math.max(...numbers)
      await passed(site.people, project.slug, [last])
      // The last one to be given is rarely overtaken by more than a slot's worth; these answers come at once.
      await passed(site.people, project.slug, numbers.filter((number) => last - number < 2 * SLOTS))
      const took = performance.now() - since
      await passed(site.people, project.slug, numbers)
      return (1000 * count) / took
    }
    await all(2 * SLOTS) // warm
    const before = await loop()
    const ours = await all(JOBS)
    const floor = (before + (await loop())) / 2
    return [{
      name: `throughput, ${JOBS} × true`,
      figure: `${ours.toFixed(0)} jobs/s; bare loop ${floor.toFixed(0)}/s`,
      ratio: percent(ours / floor),
      bar: `≥ ${LEAST_PER_S} jobs/s and ≥ ${percent(LEAST_SHARE)} of the loop`,
      holds: ours >= LEAST_PER_S && ours >= LEAST_SHARE * floor,
    }, { name: 'throughput of Buildbot', figure: 'not measured: not installed', ratio: '', bar: 'beaten 10×', holds: null }]
  },
}

/** Asks for one build at a time, the newest first: it is most likely the last one, and asking costs the coordinator time. */
async function passed(people: Client, slug: string, numbers: readonly number[]): Promise<void> {
  for (const number of [...numbers].sort((a, b) => b - a)) {
    for (;;) {
      const response = await people.ask('GET', `/api/v1/projects/${slug}/builds/${number}`)
      if (!response.ok) throw new Error(`build ${number}: ${response.status}`)
      const { state } = (await response.json()) as BuildView // the server's own type
      if (state === 'passed') break
      if (isFinalBuild(state)) throw new Error(`build ${number} ${state}`)
      await pause(LOOK_EVERY_MS)
    }
  }
}

async function loop(): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [LOOP, await ownFolder(), String(JOBS), String(SLOTS)])
  return Number(stdout)
}
