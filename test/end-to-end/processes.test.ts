import { expect, test } from 'vitest'
import { client } from '../support/client.ts'
import { sharedCoordinator, startAgent } from '../support/installation.ts'
import { pidsWith, uniqueSeconds } from '../support/process-list.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

const script = (name: string) => new URL(`../support/misbehaving/${name}.sh`, import.meta.url).pathname

const ESCAPES = ['takes-own-session', 'double-forks', 'nohup', 'holds-output-open', 'changes-marker', 'drops-environment'] as const

test('whatever a build leaves behind is gone when its verdict is there: own sessions, double forks, nohup, fifty children, kept output, changed marker [D39, I23]', async () => {
  const people = client(coordinator())
  const agent = await startAgent({ url: coordinator().url, token: coordinator().registrationToken })
  const seconds = uniqueSeconds()
  const fifty = `i=0; while [ $i -lt 50 ]; do sleep ${seconds} & i=$((i + 1)); done`
  // One build for each, as one that ends well could hide another.
  const project = await people.project()
  for (const command of [...ESCAPES.map((name) => `sh '${script(name)}' ${seconds}`), fifty]) {
    const build = await project.build({ command: `${command}; echo done`, agents: { queue: agent.queue } })
    const { state } = await build.over()
    expect({ command, state, left: pidsWith(seconds) }).toEqual({ command, state: 'passed', left: [] })
    await eventually('the log names what was left', async (saw) => {
      const log = await build.log()
      saw(log)
      return log.includes('done') && /ended what the command had left running: .*sleep/.test(log)
    })
  }
})

test('a build that ignores SIGTERM is cancelled all the same, with everything that it started [D39]', async () => {
  const people = client(coordinator())
  const agent = await startAgent({ url: coordinator().url, token: coordinator().registrationToken })
  const seconds = uniqueSeconds()
  const build = await (await people.project()).build({ command: `sh '${script('ignores-sigterm')}' ${seconds}`, agents: { queue: agent.queue } })
  await build.running()
  await eventually('it ignores by now', () => pidsWith(seconds).length >= 2)
  await build.cancel()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'canceled', attempts: [{ signal: 'SIGKILL' }] })
  expect(pidsWith(seconds)).toEqual([])
})
