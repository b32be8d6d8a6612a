/** The click (the POST is sent) → the last process of a command that heeds SIGTERM is gone, children included. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { eventually } from '../support/wait.ts'
import { median, ms, type Bar } from './row.ts'
import { lives, openAgent, openCoordinator } from './stage.ts'

const TIMES = 5
const MOST_MS = 1000

export const cancel: Bar = {
  name: 'cancel',
  async run() {
    const site = await openCoordinator()
    await openAgent(site)
    const project = await site.people.project({})
    const took: number[] = []
    for (let time = 0; time < TIMES; time++) {
      const note = join(site.folder, `pids-${time}`)
      const build = await project.build({ command: `sleep 300 & one=$!; sleep 300 & echo $$ $one $! > ${note}; wait` })
      const pids = await eventually('the command has named its processes', async () => {
        const found = (await readFile(note, 'utf8')).trim().split(' ').map(Number)
        return found.length === 3 ? found : null
      })
      await build.running()
      const since = performance.now()
      const answered = build.cancel()
      while (pids.some(lives)) {
        if (performance.now() - since > 10 * MOST_MS) throw new Error(`processes ${pids.filter(lives).join(', ')} outlive their cancellation`)
        await pause(2)
      }
      took.push(performance.now() - since)
      await answered
      await build.over()
    }
    const worst = Math.max(...took)
    return [{ name: 'cancel', figure: `p50 ${ms(median(took))}, worst of ${TIMES} ${ms(worst)}`, ratio: '', bar: `≤ ${MOST_MS} ms`, holds: worst <= MOST_MS }]
  },
}
