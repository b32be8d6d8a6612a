/** Hooks of an agent's owner and of a repository, around commands of real builds. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { client, type Build } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgent, testFolder, type Agent } from '../support/installation.ts'
import { lives, pidsOf } from '../support/process-list.ts'
import { repositoryAt } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

interface Hooked {
  readonly agent: Agent
  start(command: string): Promise<Build>
}

/** An agent whose owner has these hooks, and a project whose repository has those. */
async function withHooks(ofTheAgent: Readonly<Record<string, string>>, ofTheRepository: Readonly<Record<string, string>>): Promise<Hooked> {
  const folder = await testFolder()
  await mkdir(join(folder, 'hooks'))
  for (const [name, text] of Object.entries(ofTheAgent)) {
    await writeFile(join(folder, 'hooks', name), text)
    await chmod(join(folder, 'hooks', name), 0o755)
  }
  const repository = await repositoryAt(join(folder, 'repository'))
  await repository.commit(Object.fromEntries(Object.entries(ofTheRepository).map(([name, text]) => [name.includes('/') ? name : `.buildkite/hooks/${name}`, text])))
  const queue = ownQueue()
  const agent = await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue, env: { KEDGE_HOOKS_PATH: join(folder, 'hooks') } })
  const project = await client(coordinator()).project({ checkout: true, repository: repository.path })
  return { agent, start: (command) => project.build({ branch: 'main', agents: { queue }, command }) }
}

async function logOf(build: Build, part: string): Promise<string> {
  return await eventually(`its log tells of ${part}`, async (saw) => {
    const log = await build.log().catch(() => '')
    saw(log)
    return log.includes(part) ? log : null
  })
}

test('hooks run in the order of the job\'s life, and hand their environment on', async () => {
  const trail = (name: string) => `export TRAIL="$TRAIL"${name},; echo "$TRAIL"\n`
  const { start } = await withHooks(
    { environment: trail('a-environment'), 'pre-checkout': trail('a-pre-checkout'), 'post-checkout': trail('a-post-checkout'), 'pre-command': trail('a-pre-command'), 'post-command': trail('a-post-command'), 'pre-exit': `#!/usr/bin/env node\nconsole.log(process.env.TRAIL + 'a-pre-exit with ' + process.env.BUILDKITE_COMMAND_EXIT_STATUS)\n` },
    { 'post-checkout': `mkdir -p deep; cd deep; ${trail('r-post-checkout')}`, 'pre-command': trail('r-pre-command'), 'post-command': trail('r-post-command'), 'pre-exit': trail('r-pre-exit') },
  )
  const build = await start('echo "${TRAIL}command in ${PWD##*/} of $BUILDKITE_COMMAND"; exit 3')
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'failed', exit_status: 3 })
  const log = await logOf(build, 'r-pre-exit,')
  const trails = log.split('\n').filter((line) => line.startsWith('a-environment'))
  expect(trails.at(6)).toMatch(/^a-environment,a-pre-checkout,a-post-checkout,r-post-checkout,a-pre-command,r-pre-command,command in deep of echo /)
  const before = 'a-environment,a-pre-checkout,a-post-checkout,r-post-checkout,a-pre-command,r-pre-command,a-post-command,r-post-command'
  expect(trails.slice(-2)).toEqual([`${before},a-pre-exit with 3`, `${before},r-pre-exit,`])
  expect(log.match(/^~~~ Running .*$/gm)).toHaveLength(11)
})

test('a cancel in the middle of the command still runs pre-exit, and leaves no process', async () => {
  const gate = await createGate()
  const left = join(await testFolder(), 'left')
  const { agent, start } = await withHooks({ 'post-command': 'echo never', 'pre-exit': `sleep 0.2; echo "agent $SECRET" >> '${left}'` }, { 'pre-command': 'export SECRET=kept', 'pre-exit': `echo "repository $SECRET" >> '${left}'` })
  const build = await start(gate.command())
  await build.running()
  await gate.hasBegun()
  const tree = pidsOf(agent.state).filter((pid) => pid !== agent.pid)
  expect(tree).not.toEqual([])
  await build.cancel()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'canceled', reason: { code: 'canceled' } })
  expect(await readFile(left, 'utf8')).toBe('agent kept\nrepository kept\n')
  expect([...tree, ...pidsOf(agent.state).filter((pid) => pid !== agent.pid)].filter(lives)).toEqual([])
  expect(await logOf(build, 'cancelled')).not.toContain('never')
})

test('a cancel in the middle of a hook still runs pre-exit, and leaves no process', async () => {
  const gate = await createGate()
  const left = join(await testFolder(), 'left')
  const { agent, start } = await withHooks({ 'pre-command': gate.command(), 'pre-exit': `echo 'pre-exit' >> '${left}'` }, {})
  const build = await start('echo never')
  await gate.hasBegun()
  const tree = pidsOf(agent.state).filter((pid) => pid !== agent.pid)
  expect(tree).not.toEqual([])
  await build.cancel()
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'canceled' })
  expect(await readFile(left, 'utf8')).toBe('pre-exit\n')
  expect([...tree, ...pidsOf(agent.state).filter((pid) => pid !== agent.pid)].filter(lives)).toEqual([])
  expect(await logOf(build, 'cancelled')).not.toMatch(/^never/m)
})

test('a checkout hook of a repository is refused with a sentence, and nothing of the job runs', async () => {
  const { start } = await withHooks({}, { checkout: 'git clone x', 'pre-exit': 'echo never' })
  const build = await start('echo never')
  expect((await build.over()).jobs[0]).toMatchObject({ state: 'errored', reason: { code: 'checkout_hook' } })
  const log = await logOf(build, 'a repository is there only once it is checked out')
  expect(log).not.toContain('~~~')
})

test('the plugins of a step travel to the agent, are fetched at their tag, and act around the command or without one', async () => {
  const plugin = await repositoryAt(join(await testFolder(), 'greet-buildkite-plugin'))
  await plugin.commit({ 'hooks/environment': 'export GREETING="$BUILDKITE_PLUGIN_GREET_TO_0 and $BUILDKITE_PLUGIN_GREET_TO_1"\n' })
  await plugin.git('tag', 'v1')
  await plugin.commit({ 'hooks/environment': 'export GREETING=moved\n' })
  const pipeline = `
steps:
  - label: Both
    command: echo "hello $$GREETING from $$BUILDKITE_PLUGINS"
    plugins:
      - file://${plugin.path}#v1: { to: [ada, grace] }
  - label: Alone
    plugins: [ ./notes ]
`
  const { agent, queue, people, begin } = await withPipeline({ '.kedge/pipeline.yml': pipeline, 'notes/hooks/post-command': 'echo "noted by $BUILDKITE_PLUGIN_NAME"\n' })
  const build = await (await begin()).over()
  expect(build.jobs.map(({ label, state }) => [label, state])).toEqual([[null, 'passed'], ['Both', 'passed'], ['Alone', 'passed']])
  expect(await logOfJob(people, build.jobs[1]?.id)).toContain(`hello ada and grace from [{"file://${plugin.path}#v1":`)
  expect(await logOfJob(people, build.jobs[2]?.id)).toContain('noted by NOTES')

  agent.signal('SIGTERM')
  await agent.ended
  await writeFile(join(agent.state, '..', 'kedge.json'), '{"plugins": false}')
  await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue, state: agent.state })
  const refused = await (await begin()).over()
  expect(refused.jobs[1]).toMatchObject({ state: 'errored', reason: { code: 'plugins_forbidden' } })
})

async function withPipeline(files: Readonly<Record<string, string>>) {
  const folder = await testFolder()
  const repository = await repositoryAt(join(folder, 'repository'))
  await repository.commit(files)
  const queue = ownQueue()
  const agent = await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue })
  const people = client(coordinator())
  const project = await people.project({ checkout: true, repository: repository.path })
  return { agent, queue, people, begin: () => project.build({ branch: 'main', agents: { queue } }) }
}

async function logOfJob(people: ReturnType<typeof client>, id: string | undefined): Promise<string> {
  return await eventually(`the log of ${id} is there`, async () => {
    const response = await people.ask('GET', `/api/v1/jobs/${id}/log`)
    const text = await response.text()
    return response.ok && text !== '' ? text : null
  })
}
