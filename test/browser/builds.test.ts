import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { jobId, parseJobId } from '../../schema/job.ts'
import { jobUuid } from '../../schema/job-uuid.ts'
import { client } from '../support/client.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgent, startCoordinator, testFolder } from '../support/installation.ts'
import { repositoryAt } from '../support/repository.ts'
import { countLoads, DEADLINE_MS, sharedBrowser, stateIn } from './browser.ts'

const coordinator = sharedCoordinator()
const people = sharedBrowser(coordinator)
const agentsOf = () => ({ url: coordinator().url, token: coordinator().registrationToken })

test('the list of builds shows how each gets on, and new ones, without being loaded again', async () => {
  const queue = ownQueue()
  const project = await client(coordinator()).project()
  const gate = await createGate()
  const build = await project.build({ command: gate.command(), message: 'Haul on the line', agents: { queue } })
  const page = await people.visit('/')
  const loads = countLoads(page)
  const row = `#build-${project.slug}-${build.number}`
  await stateIn(page, 'scheduled', row).waitFor()
  const later = await project.build({ command: 'exit 1', agents: { queue } })
  await stateIn(page, 'scheduled', `#build-${project.slug}-${later.number}`).waitFor()
  await startAgent({ ...agentsOf(), queue })
  await stateIn(page, 'running', row).waitFor()
  gate.open()
  await stateIn(page, 'passed', row).waitFor()
  await stateIn(page, 'failed', `#build-${project.slug}-${later.number}`).waitFor()
  expect(await page.locator('.builds .title').allInnerTexts()).toEqual([`Build ${later.number}`, 'Haul on the line'])
  expect(loads()).toBe(0)
})

test('a log appears while its command prints, in its colours, and whatever it prints stays text', async () => {
  const agent = await startAgent(agentsOf())
  const project = await client(coordinator()).project()
  const [first, second] = [await createGate(), await createGate()]
  const hostile = `printf '\\033[31mred\\033[0m <script>window.owned = 1</script><img src=x onerror="window.owned = 1">\\n'`
  const build = await project.build({ command: first.command(`${hostile}; ${second.command(`${hostile}; exit 3`)}`), agents: { queue: agent.queue } })
  await first.hasBegun()
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  const loads = countLoads(page)
  const red = page.locator('.lines .f1', { hasText: 'red' })
  const stayedText = async (lines: number) => {
    await red.nth(lines - 1).waitFor()
    expect(await red.count()).toBe(lines)
    expect(await red.first().evaluate((element) => getComputedStyle(element).color)).toBe('rgb(255, 123, 114)')
    expect(await page.locator('.lines').getByText('<script>window.owned = 1</script><img src=x onerror="window.owned = 1">').count()).toBe(lines)
    expect(await page.locator('.lines').locator('script, img').count()).toBe(0)
    expect(await page.evaluate(() => 'owned' in window)).toBe(false)
  }
  await page.locator('.lines').getByText('begun').waitFor()
  await stateIn(page, 'running').waitFor()
  expect(await red.count()).toBe(0)

  first.open()
  await second.hasBegun()
  await stayedText(1) // drawn in the browser, while the command waits
  await page.locator('.log-state', { hasText: 'live' }).waitFor()
  expect(loads()).toBe(0)
  await page.reload()
  await stayedText(1) // drawn by the server

  second.open()
  await stateIn(page, 'failed').waitFor()
  await page.locator('.attempts .how', { hasText: 'exit 3' }).waitFor()
  await stayedText(2)
  expect(await page.title()).toBe(`failed · ${project.slug} #${build.number} · Kedge`)
  await expect.poll(async () => await page.locator('.lines > div').allInnerTexts(), { timeout: DEADLINE_MS }).toHaveLength(6) // begun, through and red, twice each
  expect(loads()).toBe(1)
})

test('a log of many lines is kept at its end, until one scrolls up, and the button takes it up again', async () => {
  const agent = await startAgent(agentsOf())
  const project = await client(coordinator()).project()
  const [first, second] = [await createGate(), await createGate()]
  const lines = (from: number) => `seq -f 'line %g' ${from} ${from + 199}`
  const build = await project.build({ command: `${lines(1)}; ${first.command(`${lines(201)}; ${second.command(lines(401))}`)}`, agents: { queue: agent.queue } })
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  const line = (number: number) => page.locator('.lines').getByText(`line ${number}`, { exact: true })
  const inView = async (number: number) => await line(number).evaluate((element) => element.getBoundingClientRect().bottom <= (element.closest('.lines')?.getBoundingClientRect().bottom ?? 0))
  await line(200).waitFor()
  await expect.poll(async () => await inView(200), { timeout: DEADLINE_MS }).toBe(true)

  await page.locator('.lines').focus()
  await page.keyboard.press('Home')
  await page.getByRole('button', { name: 'Follow', pressed: false }).waitFor()
  first.open()
  await line(400).waitFor()
  expect(await inView(400)).toBe(false)

  await page.getByRole('button', { name: 'Follow' }).click()
  await expect.poll(async () => await inView(400), { timeout: DEADLINE_MS }).toBe(true)
  for (const height of [1100, 500]) {
    await page.setViewportSize({ width: 1000, height })
    await expect.poll(async () => await inView(400), { timeout: DEADLINE_MS }).toBe(true) // nobody wished to leave
  }
  second.open()
  await line(600).waitFor()
  await expect.poll(async () => await inView(600), { timeout: DEADLINE_MS }).toBe(true)
  await stateIn(page, 'passed').waitFor()
})

test('annotations appear on the open page, change and go with what jobs write, and none of them is a script', async () => {
  const agent = await startAgent(agentsOf())
  const project = await client(coordinator()).project()
  const [first, second] = [await createGate(), await createGate()]
  const hostile = '<script>window.owned = 1</script><img src=x onerror="window.owned = 1"> [x](javascript:window.owned=1) ![y](https://img.example/y.png) **seen**'
  const build = await project.build({ command: `kedge annotate --context stays '${hostile}'; kedge annotate --style error --context goes 'goes'; ${first.command(`kedge annotation remove --context goes; kedge annotate --append --context stays ' and more'; ${second.command()}`)}`, agents: { queue: agent.queue } })
  await first.hasBegun()
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  const loads = countLoads(page)
  await page.getByRole('article', { name: 'Note: stays' }).locator('strong', { hasText: 'seen' }).waitFor()
  await page.getByRole('article', { name: 'Error: goes' }).waitFor()
  first.open()
  await page.getByRole('article', { name: 'Note: stays' }).getByText('and more').waitFor()
  await expect.poll(async () => await page.getByRole('article').count(), { timeout: DEADLINE_MS }).toBe(1)
  second.open()
  await stateIn(page, 'passed').waitFor()
  expect(await page.evaluate(() => 'owned' in window)).toBe(false)
  expect(await page.locator('.annotation').evaluateAll((all) => all.flatMap((one) => [...one.querySelectorAll('script, img')]).length)).toBe(0)
  expect(loads()).toBe(0)
})

test('a build that is cancelled on its page ends, and the page says so', async () => {
  const agent = await startAgent(agentsOf())
  const project = await client(coordinator()).project()
  const gate = await createGate()
  const build = await project.build({ command: gate.command(), agents: { queue: agent.queue } })
  await gate.hasBegun()
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  await page.getByRole('button', { name: 'Cancel' }).click()
  await stateIn(page, 'canceled').waitFor()
  await page.getByRole('button', { name: 'Retry' }).waitFor()
  expect(await page.getByRole('button', { name: 'Cancel' }).count()).toBe(0)
  expect((await build.job()).state).toBe('canceled')
  expect(gate.passed()).toEqual([])
})

test('a retry makes a new job beside the old one, and shows that', async () => {
  const agent = await startAgent(agentsOf())
  const project = await client(coordinator()).project()
  const mark = join(await testFolder(), 'mark')
  const build = await project.build({ command: `[ -e '${mark}' ] && echo better || { touch '${mark}'; echo worse; exit 1; }`, agents: { queue: agent.queue } })
  await build.over()
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  await page.locator('.lines').getByText('worse').waitFor()
  const before = await build.job()
  await page.getByRole('button', { name: 'Retry' }).click()
  await stateIn(page, 'passed').waitFor()
  const after = (await build.view()).jobs.at(-1)
  expect(after?.retry_of).toBe(before.id)
  await page.locator('.lines').getByText('better').waitFor()
  await stateIn(page, 'passed', `#job-${after?.id}`).waitFor()
  await stateIn(page, 'failed', `#job-${before.id}`).waitFor()
  await page.locator(`#job-${before.id}`, { hasText: 'retried' }).locator('a').click()
  await page.locator('.lines').getByText('worse').waitFor()
})

test('a pipeline is one list that follows it: what may fail, what waits for a person, and who let it pass', async () => {
  const agent = await startAgent(agentsOf())
  const repository = await repositoryAt(await testFolder())
  const gate = await createGate()
  await repository.commit({ '.kedge/pipeline.yml': `
steps:
  - group: Checks
    steps:
      - { label: Lint, command: exit 3, soft_fail: [{ exit_status: 3 }] }
      - { label: Test, command: ${JSON.stringify(gate.command())} }
  - wait
  - { block: 'Ship?', fields: [{ text: Version, key: version }] }
  - { label: Deploy, command: echo deployed }
` })
  const project = await client(coordinator()).project({ checkout: true, repository: repository.path })
  const build = await project.build({ branch: 'main', agents: { queue: agent.queue } })
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  const loads = countLoads(page)
  const row = async (name: string, state: string) => await page.locator('.jobs .row', { has: page.locator('.title', { hasText: name }) }).locator('.state', { hasText: state }).waitFor()
  await row('Lint', 'failed (allowed)')
  await row('Checks', 'running')
  await row('Ship?', 'waiting')
  await gate.hasBegun()
  gate.open()
  await row('Checks', 'passed')
  await row('Ship?', 'blocked')
  expect(await page.locator('.jobs .title').allInnerTexts()).toEqual(['Pipeline upload', 'Checks', 'Lint', 'Test', 'Ship?', 'Deploy'])
  expect(loads()).toBe(0)

  await page.locator('.jobs').getByRole('link', { name: 'Ship?' }).press('Enter')
  await page.keyboard.press('Tab')
  await page.keyboard.type('1.2')
  await page.keyboard.press('Enter')
  await row('Deploy', 'passed')
  await page.locator('.jobs .row', { hasText: 'let pass by admin token' }).getByText('Version: 1.2').waitFor()

  // What is over is folded when the page is loaded anew, and opens with a key.
  await page.locator('.jobs').getByRole('link', { name: 'Deploy' }).click()
  await page.locator('.jobs summary', { hasText: '2 jobs, 1 failed (allowed)' }).waitFor()
  expect(await page.locator('.jobs').getByText('Lint').isVisible()).toBe(false)
  await page.locator('.jobs summary').press('Enter')
  await page.locator('.jobs').getByText('Lint').waitFor()
})

test('a group opens by itself when something begins in it, and what a person closed stays so until something fails', async () => {
  const agent = await startAgent({ ...agentsOf(), slots: 2 })
  const repository = await repositoryAt(await testFolder())
  const [before, passing, failing] = [await createGate(), await createGate(), await createGate()]
  const command = (label: string, gate: string) => `{ label: ${label}, command: ${JSON.stringify(gate)} }`
  await repository.commit({ '.kedge/pipeline.yml': `
steps:
  - ${command('First', before.command())}
  - wait
  - group: Checks
    steps:
      - ${command('Good', passing.command())}
      - ${command('Bad', failing.command('exit 1'))}
` })
  const project = await client(coordinator()).project({ checkout: true, repository: repository.path })
  const build = await project.build({ branch: 'main', agents: { queue: agent.queue } })
  await before.hasBegun()
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  const summary = page.locator('.jobs summary')
  const inside = page.locator('.jobs').getByText('Good')
  await summary.getByText('2 jobs').waitFor()
  expect(await inside.isVisible()).toBe(false)
  before.open()
  await inside.waitFor()
  await summary.click()
  passing.open()
  await summary.getByText('1 of 2 done').waitFor()
  expect(await inside.isVisible()).toBe(false)
  failing.open()
  await inside.waitFor()
})

test('a job that no agent can take says why it waits, until one comes that can', async () => {
  const plain = await startAgent(agentsOf())
  await client(coordinator()).agent(plain.name)
  const project = await client(coordinator()).project()
  const build = await project.build({ command: 'echo taken', agents: { queue: plain.queue, tags: ['gpu=yes'] } })
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  await page.getByText(`Waiting: no agent of the queue ${plain.queue} has the tag gpu=yes`).waitFor()
  await startAgent({ ...agentsOf(), queue: plain.queue, name: `${plain.queue}-able`, tags: ['gpu=yes'] })
  await stateIn(page, 'passed').waitFor()
  expect(await page.getByText('Waiting:').count()).toBe(0)
  await page.locator('.lines').getByText('taken').waitFor()
})

test('a page that is open while its coordinator restarts goes on by itself, its log without a gap', async () => {
  const own = await startCoordinator()
  const agent = await startAgent({ url: own.url, token: own.registrationToken })
  const project = await client(own).project()
  const gate = await createGate()
  const build = await project.build({ command: gate.command('echo after'), agents: { queue: agent.queue } })
  await gate.hasBegun()
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`, { at: own })
  const loads = countLoads(page)
  await page.locator('.lines').getByText('begun').waitFor()
  await page.locator('.log-state', { hasText: 'live' }).waitFor()
  await own.kill9()
  await page.locator('.log-state', { hasText: 'reconnecting' }).waitFor()
  await own.restart()
  gate.open()
  const longer = { timeout: 2 * DEADLINE_MS } // it asks less and less often: up to half a minute apart
  await stateIn(page, 'passed').waitFor(longer)
  await expect.poll(async () => await page.locator('.lines > div').allInnerTexts(), longer).toEqual(['begun', 'through', 'after'])
  expect(loads()).toBe(0)
  expect(people.takeComplaints().filter((text) => !text.includes('net::ERR_'))).toEqual([]) // but that nobody answered
})

test('a link that ends in BUILDKITE_JOB_ID leads to the job, as scripts for Buildkite make them', async () => {
  const project = await client(coordinator()).project()
  const build = await project.build({ command: 'true', agents: { queue: ownQueue() } })
  const key = parseJobId((await build.job()).id)
  if (key === null) throw new Error('the build has no job')
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}#${jobUuid(key, 'a'.repeat(64))}`)
  await page.waitForURL((url) => url.search === `?job=${jobId(key)}` && url.hash === '')
})

test('what a job uploaded is saved, and never shown as a page of ours', async () => {
  const agent = await startAgent(agentsOf())
  const project = await client(coordinator()).project()
  const build = await project.build({ command: `mkdir report && echo '<script>window.owned = 1</script>' > report/index.html && for i in $(seq 30); do echo $i > report/part-$i.txt; done && kedge artifact upload 'report/**'`, agents: { queue: agent.queue } })
  await build.over()
  const page = await people.visit(`/projects/${project.slug}/builds/${build.number}`)
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'report/index.html' }).click()])
  expect(download.suggestedFilename()).toBe('index.html')
  expect(readFileSync(await download.path(), 'utf8')).toBe('<script>window.owned = 1</script>\n')
  await page.goto(download.url()).catch(() => undefined) // it is a download there too
  expect(await page.evaluate(() => 'owned' in window)).toBe(false)
})
