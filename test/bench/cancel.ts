/** The click (the POST is sent) → the last process of a command is gone, children included: of one that heeds SIGTERM, and of one that does not. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../support/wait.ts'
import { median, ms, type Bar } from './row.ts'
import { lives } from '../support/process-list.ts'
import { openAgent, openCoordinator } from './stage.ts'

const TIMES = 5
const MOST_MS = 1000
const GRACE_MS = 10_000

export const cancel: Bar = {
  name: 'cancel',
  async run() {
    const site = await openCoordinator()
    await openAgent(site)
    const project = await site.people.project({})
    const canceled = async (first: string): Promise<number> => {
      const note = join(site.folder, `pids-${Date.now()}`)
      const build = await project.build({ command: `${first}; sleep 300 & one=$!; sleep 300 & echo $$ $one $! > ${note}; wait; wait` })
      const pids = await eventually('the command has named its processes', async () => {
        const found = (await readFile(note, 'utf8')).trim().split(' ').map(Number)
        return found.length === 3 ? found : null
      })
      await build.running()
      const since = performance.now()
      const answered = build.cancel()
      while (pids.some(lives)) {
        if (performance.now() - since > 3 * GRACE_MS) throw new Error(`processes ${pids.filter(lives).join(', ')} outlive their cancellation`)
        await pause(2)
      }
      const took = performance.now() - since
      await answered
      await build.over()
      return took
    }
    const took: number[] = []
    for (let time = 0; time < TIMES; time++) took.push(await canceled('true'))
    const worst = Math.max(...took)
    const stubborn = await canceled("trap '' TERM")
    return [
      { name: 'cancel', figure: `p50 ${ms(median(took))}, worst of ${TIMES} ${ms(worst)}`, ratio: '', bar: `≤ ${MOST_MS} ms`, holds: worst <= MOST_MS },
      { name: 'cancel of what ignores SIGTERM', figure: ms(stubborn), ratio: '', bar: `≤ ${GRACE_MS + MOST_MS} ms`, holds: stubborn <= GRACE_MS + MOST_MS },
    ]
  },
}
