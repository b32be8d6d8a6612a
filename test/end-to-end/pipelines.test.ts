/** Builds of steps: uploaded by a real job from a real commit, run by real agents. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { BuildView, JobView } from '../../schema/api.ts'
import { client, type Build, type Client } from '../support/client.ts'
import { ownFolder } from '../support/folder.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgents, type Agent } from '../support/installation.ts'
import { repositoryAt, type Repository } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

/** A project of a repository with this pipeline, and agents of its own. */
async function withPipeline(pipeline: string, { file = '.kedge/pipeline.yml', agents = 2, slots = 1, command }: { readonly file?: string; readonly agents?: number; readonly slots?: number; readonly command?: string } = {}): Promise<{ readonly agents: readonly Agent[]; readonly people: Client; readonly repository: Repository; start(request?: { readonly env?: Record<string, string> }): Promise<Build> }> {
  const people = client(coordinator())
  const queue = ownQueue()
  const repository = await repositoryAt(await ownFolder())
  await repository.commit({ [file]: pipeline })
  const started = await startAgents(agents, { url: coordinator().url, token: coordinator().registrationToken, queue, slots })
  const project = await people.project({ checkout: true, repository: repository.path, ...(command === undefined ? {} : { command }) })
  return { agents: started, people, repository, start: (request = {}) => project.build({ branch: 'main', agents: { queue }, ...request }) }
}

/** The log of a job, by its label. */
async function logOf(people: Client, { jobs }: BuildView, label: string): Promise<string> {
  const job = jobs.find((one) => one.label === label)
  if (job === undefined) throw new Error(`no job is called ${label}: ${jobs.map((one) => one.label).join(', ')}`)
  return await eventually(`the log of ${label} is there`, async () => {
    const response = await people.ask('GET', `/api/v1/jobs/${job.id}/log`)
    const text = await response.text()
    return response.ok && text !== '' ? text : null
  })
}

const byLabel = ({ jobs }: BuildView): Readonly<Record<string, JobView['state']>> => Object.fromEntries(jobs.map(({ label, state }) => [label ?? 'upload', state]))

test('a commit with a pipeline is built by its steps, in their order and environment', async () => {
  const { people, start } = await withPipeline(`
env:
  GREETING: hello from $BUILDKITE_BRANCH
steps:
  - label: Build
    key: build
    command: 'echo "$$GREETING, $$BUILDKITE_STEP_KEY of $$BUILDKITE_PIPELINE_SLUG"'
  - label: Test
    command: echo part $$BUILDKITE_PARALLEL_JOB of $$BUILDKITE_PARALLEL_JOB_COUNT
    parallelism: 2
  - wait
  - label: Deploy
    command: echo deployed
    env: { GREETING: mine }
`)
  const build = await (await start()).over()
  expect(build.state).toBe('passed')
  expect(build.jobs.map(({ label }) => label)).toEqual([null, 'Build', 'Test', 'Test', 'Deploy'])
  expect(await logOf(people, build, 'Build')).toMatch(/hello from main, build of p\d+\n/)
  const [tests, deploy] = [build.jobs.filter(({ label }) => label === 'Test'), build.jobs.find(({ label }) => label === 'Deploy')]
  expect(tests.map(({ parallel }) => parallel)).toEqual([{ index: 0, count: 2 }, { index: 1, count: 2 }])
  for (const { finished_at } of tests) expect(Date.parse(deploy?.started_at ?? '')).toBeGreaterThanOrEqual(Date.parse(finished_at ?? ''))
})

test('a failed step fails the build and breaks what waits for it, unless it may fail', async () => {
  const { start } = await withPipeline(`
steps:
  - label: Lint
    command: exit 3
    soft_fail: [{ exit_status: 3 }]
  - wait
  - label: Test
    command: exit 4
  - wait
  - label: Deploy
    command: echo never
  - wait: ~
    continue_on_failure: true
  - label: Report
    command: echo always
`)
  const build = await (await start()).over()
  expect(build.state).toBe('failed')
  expect(byLabel(build)).toMatchObject({ Lint: 'failed', Test: 'failed', Deploy: 'broken', Report: 'passed' })
})

test('a script uploads steps by the old name of the command, as it does under Buildkite', async () => {
  const { people, start } = await withPipeline(`
steps:
  - label: Generate
    command: |
      for i in 1 2 3; do
        printf '%s\\n' "- label: Part $$i" "  command: echo it is part $$i"
      done | buildkite-agent pipeline upload
  - wait
  - label: All
    command: echo all
`, { file: '.buildkite/pipeline.yml' })
  const build = await (await start()).over()
  expect(build.state).toBe('passed')
  expect(build.jobs.map(({ label }) => label).toSorted()).toEqual(['All', 'Generate', 'Part 1', 'Part 2', 'Part 3', null].toSorted())
  expect(await logOf(people, build, 'Part 2')).toContain('it is part 2')
  const at = (label: string) => build.jobs.find((job) => job.label === label)
  for (const part of ['Part 1', 'Part 2', 'Part 3']) expect(Date.parse(at('All')?.started_at ?? '')).toBeGreaterThanOrEqual(Date.parse(at(part)?.finished_at ?? ''))
})

test('a job replaces what has not begun by what it finds to be needed', async () => {
  const { people, start } = await withPipeline(`
steps:
  - label: Look
    command: "echo '{steps: [{label: Short, key: test, command: echo short}]}' | buildkite-agent pipeline upload --replace"
  - block: Is the long way needed?
  - label: Long
    key: test
    command: echo long
`)
  const build = await (await start()).over()
  expect(build.state).toBe('passed')
  expect(byLabel(build)).toEqual({ upload: 'passed', Look: 'passed', Short: 'passed', Long: 'skipped' })
  expect(build.jobs.find(({ label }) => label === 'Long')?.reason?.message).toBe('replaced by what "Look" uploaded')
  expect(await logOf(people, build, 'Look')).toContain('uploaded 1 step (1 job) from standard input, in place of all that had not begun')
})

test('a block holds up what stands behind it until somebody lets it pass', async () => {
  const { people, start } = await withPipeline('steps:\n  - label: Build\n    command: "true"\n  - block: Ship it?\n    key: ship\n  - label: Ship\n    command: echo "shipped by $$BUILDKITE_UNBLOCKER"\n')
  const build = await start()
  const blocked = await eventually('the build is blocked', async () => {
    const view = await build.view()
    return view.state === 'blocked' ? view : null
  })
  expect(blocked.jobs.find(({ label }) => label === 'Ship')).toMatchObject({ state: 'waiting', waiting: { code: 'block' } })
  expect((await people.ask('POST', `/api/v1/projects/${blocked.project}/builds/${blocked.number}/steps/ship/unblock`, {})).status).toBe(200)
  const over = await build.over()
  expect(over.state).toBe('passed')
  expect(await logOf(people, over, 'Ship')).toContain('shipped by admin token')
})

test('a mistake in the file fails the build, with the line of the file in the log', async () => {
  const { start } = await withPipeline('steps:\n  - label: Test\n    command: make\n    paralelism: 3\n  - command: make\n    retry: { automatic: { limit: many } }\n', { agents: 1 })
  const build = await start()
  expect((await build.over()).state).toBe('failed')
  const log = await eventually('the log is there', async () => (await build.log().catch(() => '')) || null)
  expect(log).toMatch(/^\.kedge\/pipeline\.yml:4:5: .*"paralelism".*did you mean "parallelism"\?/m)
  expect(log).toMatch(/^\.kedge\/pipeline\.yml:6:\d+: "many" is not how often/m)
  expect(log).toContain('.kedge/pipeline.yml was not uploaded: it has 2 mistakes.')
})

test('without a file the project\'s own command runs, and without either the build says what is missing', async () => {
  const own = await withPipeline('not a pipeline', { file: 'README.md', agents: 1, command: 'echo the own command' })
  const passed = await own.start()
  expect((await passed.over()).state).toBe('passed')
  expect(await eventually('the log is there', async () => (await passed.log().catch(() => '')) || null)).toContain('the own command')
  const none = await withPipeline('not a pipeline', { file: 'README.md', agents: 1 })
  const failed = await none.start()
  const view = await failed.over()
  expect(view.state).toBe('failed')
  expect(view.jobs[0]).toMatchObject({ state: 'errored', reason: { code: 'pipeline_missing', message: expect.stringContaining('.kedge/pipeline.yml') } })
})

test('conditions, branches and a 3 × 3 matrix with adjustments make the jobs that they should', async () => {
  const { people, start } = await withPipeline(`
steps:
  - label: Test {{matrix.os}} {{matrix.node}}
    command: echo "it is {{matrix.os}} with $$NODE"
    env: { NODE: "{{matrix.node}}" }
    matrix:
      setup:
        os: [linux, mac, bsd]
        node: [18, 20, 22]
      adjustments:
        - with: { os: bsd, node: 18 }
          skip: not there any more
        - with: { os: plan9, node: 22 }
          soft_fail: true
  - wait: ~
    if: build.branch == "release"
  - label: Only on release
    command: exit 1
    branches: release
  - label: Deploy
    command: echo deployed
    if: build.branch == "main" && build.env("DEPLOY") =~ /^y/
`, { agents: 1 })
  const build = await (await start({ env: { DEPLOY: 'yes' } })).over()
  expect(build.state).toBe('passed')
  const tests = build.jobs.map(({ label }) => label ?? '').filter((label) => label.startsWith('Test'))
  expect(tests).toHaveLength(9) // nine combinations, one skipped, one added
  expect(tests).toContain('Test plan9 22')
  expect(tests).not.toContain('Test bsd 18')
  expect(await logOf(people, build, 'Test mac 20')).toContain('it is mac with 20')
  expect(byLabel(build)).toMatchObject({ 'Only on release': 'skipped', Deploy: 'passed' })
})

test('of a monorepo only what a commit touches is built', async () => {
  const { people, repository, start } = await withPipeline(`
steps:
  - { label: App, command: echo app, if_changed: "app/**" }
  - { label: Docs, command: echo docs, if_changed: { include: "docs/**", exclude: "docs/drafts/**" } }
  - wait
  - { label: All, command: echo all }
`, { agents: 1 })
  await repository.commit({ 'app/a': '1', 'docs/drafts/b': '1' })
  const build = await (await start()).over()
  expect(byLabel(build)).toMatchObject({ App: 'passed', Docs: 'skipped', All: 'passed' })
  expect(build.steps.find(({ label }) => label === 'Docs')?.skipped).toBe('nothing that it looks at has changed')
  expect(await eventually('the log of the upload is there', async () => {
    const log = await (await people.ask('GET', `/api/v1/jobs/${build.jobs[0]?.id ?? ''}/log`)).text()
    return log.includes('uploaded') ? log : null
  })).toContain('2 files differ from')
})

test('a script fans out into fifty jobs, and what waits for it waits for them all', async () => {
  const { start } = await withPipeline(`
steps:
  - label: Fan out
    key: fan
    command: |
      for i in $$(seq 50); do printf '%s\\n' "- label: Part $$i" "  command: exit 0"; done | kedge pipeline upload
  - label: Collect
    command: echo all
    depends_on: fan
`, { slots: 4 })
  const build = await (await start()).over()
  expect(build.state).toBe('passed')
  const parts = build.jobs.filter(({ label }) => label?.startsWith('Part '))
  expect(parts.map(({ state }) => state)).toEqual(Array.from({ length: 50 }, () => 'passed'))
  expect(new Set(parts.map(({ label }) => label)).size).toBe(50)
  const collected = Date.parse(build.jobs.find(({ label }) => label === 'Collect')?.started_at ?? '')
  for (const { finished_at } of parts) expect(collected).toBeGreaterThanOrEqual(Date.parse(finished_at ?? ''))
})

test('a step is tried again for a lost agent only, groups stand between waits', async () => {
  const gate = await createGate()
  const { agents, start } = await withPipeline(`
steps:
  - group: Checks
    steps:
      - label: Flaky
        command: exit 1
        retry: { automatic: { exit_status: -1, limit: 2 } }
        soft_fail: true
      - wait
      - label: Long
        command: ${JSON.stringify(gate.command().replaceAll('$', () => '$$'))}
        retry: { automatic: { exit_status: -1, limit: 2 } }
  - wait
  - group: Ship
    key: ship
    steps:
      - label: Ship
        command: echo shipped
`)
  const build = await start()
  await gate.hasBegun()
  const holder = (await build.view()).jobs.find(({ label }) => label === 'Long')?.attempts[0]?.agent
  const lost = agents.find(({ name }) => name === holder)
  await lost?.kill9()
  await gate.hasBegun(2)
  gate.open()
  const over = await build.over()
  expect(over.state).toBe('passed')
  expect(byLabel(over)).toMatchObject({ Flaky: 'failed', Long: 'passed', Ship: 'passed' })
  expect(over.jobs.filter(({ label }) => label === 'Flaky')).toHaveLength(1)
  expect(over.jobs.find(({ label }) => label === 'Long')?.attempts.map(({ state }) => state)).toEqual(['lost', 'passed'])
  expect(over.steps.filter(({ kind }) => kind === 'group').map(({ label, outcome }) => [label, outcome])).toEqual([['Checks', 'passed'], ['Ship', 'passed']])
})

test('two builds ask for a release at once: each with its own answer, and one deploys after the other', async () => {
  const gate = await createGate()
  const alone = join(await ownFolder(), 'alone')
  const { people, start } = await withPipeline(`
steps:
  - label: Build
    key: build
    command: "true"
  - input: Which version?
    key: version
    depends_on: build
    fields:
      - { text: Version, key: version, format: "[0-9.]+" }
  - label: Deploy
    depends_on: version
    concurrency: 1
    concurrency_group: deploy/prod
    command: |
      mkdir '${alone}' || exit 9
      echo "deploys $$(kedge meta-data get version)"
      ${gate.command('').replaceAll('$', '$$')}
      rmdir '${alone}'
`, { agents: 3 })
  const [first, second] = [await start(), await start()]
  const deploy = async ({ view }: Build) => (await view()).jobs.find(({ label }) => label === 'Deploy')
  const answer = async ({ number, view }: Build, version: string) => {
    const { project } = await eventually('somebody is asked', async (saw) => {
      const now = await view()
      saw(now)
      return now.steps.some(({ state }) => state === 'blocked') ? now : null
    })
    return await people.ask('POST', `/api/v1/projects/${project}/builds/${number}/steps/version/unblock`, { fields: { version } })
  }
  // The older one waits for its answer longer than the newer one: nobody waits for that.
  expect((await answer(second, '1.5.0')).status).toBe(200)
  await gate.hasBegun()
  expect((await answer(first, 'one point four')).status).toBe(422)
  expect((await answer(first, '1.4.0')).status).toBe(200)
  const held = await deploy(first)
  expect(held).toMatchObject({ state: 'waiting', waiting: { code: 'concurrency', reason: expect.stringMatching(/^concurrency group deploy\/prod is full \(1 of 1\): held by p\d+#2$/) } })
  gate.open()
  const built = [await first.over(), await second.over()]
  expect(built.map(({ state }) => state)).toEqual(['passed', 'passed'])
  expect(await Promise.all(built.map((build) => logOf(people, build, 'Deploy')))).toEqual([expect.stringContaining('deploys 1.4.0'), expect.stringContaining('deploys 1.5.0')])
  expect(Date.parse((await deploy(first))?.started_at ?? '')).toBeGreaterThanOrEqual(Date.parse((await deploy(second))?.finished_at ?? ''))
})
