import { expect, test } from 'vitest'
import { client, type Client } from '../support/client.ts'
import { ownFolder } from '../support/folder.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgent } from '../support/installation.ts'
import { commitFile, createRepository, repositoryAt } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'
import { DEADLINE_MS, sharedBrowser, stateIn } from './browser.ts'
import { hardToRead } from './contrast.ts'

const coordinator = sharedCoordinator()
const people = sharedBrowser(coordinator)
const agentsOf = () => ({ url: coordinator().url, token: coordinator().registrationToken })

async function signInLink(from: Client): Promise<string> {
  const { url } = (await (await from.ask('POST', '/api/v1/login-links')).json()) as { url: string } // the server's own type
  return url
}

test('a one-time link signs in, once', async () => {
  const link = await signInLink(client(coordinator()))
  const page = await people.visit(link, { signedIn: false })
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
  expect(new URL(page.url()).pathname).toBe('/')

  const late = await people.visit(link, { signedIn: false })
  await late.getByRole('button', { name: 'Sign in' }).click()
  await late.getByRole('alert').getByText('This sign-in link was used already').waitFor()
  expect(people.takeComplaints()).toEqual([expect.stringContaining('401')])
})

test('a pasted token signs in and leads to where one wanted to go; a wrong one is told what is wrong with it', async () => {
  const page = await people.visit('/agents', { signedIn: false })
  const paste = async (token: string) => {
    await page.getByLabel('Admin or API token').fill(token)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  await paste(coordinator().registrationToken)
  await page.getByRole('alert').getByText('the one presented is a registration token').waitFor()
  await paste('open sesame')
  await page.getByRole('alert').getByText('what was presented is neither').waitFor()
  await paste(coordinator().adminToken)
  await page.getByRole('heading', { name: 'Agents' }).waitFor()
  expect(people.takeComplaints()).toEqual(Array.from({ length: 3 }, () => expect.stringContaining('401')))

  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await page.goto('/')
  await page.getByLabel('Admin or API token').waitFor()
  expect(people.takeComplaints()).toEqual([expect.stringContaining('401')])
})

test('a build is started by the form of its project, which says what is wrong with what was typed', async () => {
  await startAgent({ ...agentsOf(), queue: 'default' })
  const project = await client(coordinator()).project({ command: 'echo by default' })
  const page = await people.visit(`/projects/${project.slug}`)
  await page.getByLabel('Message').fill('m'.repeat(10_001))
  await page.getByRole('button', { name: 'Start build' }).click()
  await page.getByRole('alert').getByText('The build was not started').waitFor()
  expect(people.takeComplaints()).toEqual([expect.stringContaining('422')])
  await page.getByLabel('Message').fill('Weigh anchor')
  await page.getByRole('button', { name: 'Start build' }).click()
  await page.getByRole('heading', { name: 'Weigh anchor' }).waitFor()
  await stateIn(page, 'passed').waitFor()
  await page.locator('.lines').getByText('by default').waitFor()
})

test('the agents page shows who is there, what each does, and who has gone', async () => {
  const agent = await startAgent({ ...agentsOf(), tags: ['arch=arm64'] })
  const project = await client(coordinator()).project()
  const gate = await createGate()
  const build = await project.build({ command: gate.command(), agents: { queue: agent.queue } })
  await gate.hasBegun()
  const { id } = await client(coordinator()).agent(agent.name, ({ running }) => running.length === 1)
  const page = await people.visit('/agents')
  const row = page.locator(`#agent-${id}`)
  await stateIn(page, 'busy', `#agent-${id}`).waitFor()
  for (const text of [agent.name, `queue=${agent.queue}`, 'arch=arm64', '1/1']) await row.getByText(text, { exact: true }).waitFor()
  expect(await row.getByRole('link', { name: `${project.slug} #${build.number}` }).getAttribute('href')).toBe(`/projects/${project.slug}/builds/${build.number}`)
  gate.open()
  await build.over()
  agent.signal('SIGTERM')
  await stateIn(page, 'offline', `#agent-${id}`).waitFor()
})

test('without JavaScript a page shows state and log, and its buttons work', async () => {
  const agent = await startAgent(agentsOf())
  const project = await client(coordinator()).project()
  const gate = await createGate()
  const build = await project.build({ command: `printf '\\033[32mgreen\\033[0m\\n'; ${gate.command()}`, agents: { queue: agent.queue } })
  await gate.hasBegun()
  const page = await people.visit(await signInLink(client(coordinator())), { signedIn: false, javaScriptEnabled: false })
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator(`#build-${project.slug}-${build.number} .title`).click()
  const reloaded = async (selector: string) => {
    await page.reload()
    return await page.locator(selector).allInnerTexts()
  }
  await expect.poll(() => reloaded('.lines .f2'), { timeout: DEADLINE_MS }).toEqual(['green'])
  await stateIn(page, 'running').waitFor()
  await page.getByRole('button', { name: 'Cancel' }).click()
  await expect.poll(() => reloaded('.build-head .state'), { timeout: DEADLINE_MS }).toEqual(['canceled'])
  expect(gate.passed()).toEqual([])
})

/** Builds of each kind and what belongs to them, with names and words as long as they may be; the paths of all pages that show them. */
async function everyPage(): Promise<readonly string[]> {
  const people = client(coordinator())
  const agent = await startAgent({ ...agentsOf(), name: `agent-${'n'.repeat(50)}`, tags: [`tag=${'v'.repeat(60)}`] })
  const repository = await createRepository()
  const commit = await commitFile(repository, 'file', 'text')
  const project = await people.project({ checkout: true, repository, default_branch: 'main', command: 'true' })
  const path = `/projects/${project.slug}`
  const colours = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [30, 40, 90, 100].map((base) => `\\033[${base + n}m${base + n}\\033[0m`)).join(' ')
  const failed = await project.build({ command: `printf '${colours} \\033[1mbold\\033[0m\\n'; echo ${'x'.repeat(400)}; exit 1`, message: `Fail${'ure'.repeat(100)}`, commit, branch: `topic/${'b'.repeat(120)}`, agents: { queue: agent.queue } })
  const passed = await project.build({ command: 'true', message: 'A message of words that are short, though of many of them, as most messages are', agents: { queue: agent.queue } })
  const styled = ['default', 'info', 'warning', 'error', 'success'].map((style) => `printf '# %s\n\n**b** \`c\` [l](https://a.example)\n\n> q\n\n| a | b |\n|--|--|\n| ${'x'.repeat(300)} | ${'y '.repeat(200)} |\n\n\`\`\`term\n${colours}\n\`\`\`\n\n\`\`\`\n${'z'.repeat(300)}\n\`\`\`\n' ${style} | kedge annotate --style ${style} --context ${style}`)
  const annotated = await project.build({ command: styled.join(' && '), agents: { queue: agent.queue } })
  for (const build of [failed, passed]) await build.over()
  expect((await annotated.over()).annotations).toHaveLength(styled.length)
  const steps = await pipelineOf(people, agent.queue)
  const gate = await createGate()
  const running = await project.build({ command: gate.command(), agents: { queue: agent.queue } })
  await gate.hasBegun()
  const waiting = await project.build({ command: 'true', agents: { queue: ownQueue(), tags: [`tag=${'w'.repeat(60)}`] } })
  const canceled = await project.build({ command: 'true', agents: { queue: ownQueue() } })
  await canceled.cancel()
  await people.ask('POST', `/api/v1${path}/builds/${passed.number}/retry`)
  return ['/', '/sign-in', '/?state=failed', '/?branch=nowhere', '/projects', '/agents', path, ...[failed, passed, annotated, running, waiting, canceled].map(({ number }) => `${path}/builds/${number}`), steps]
}

/** The path of a build with steps of each kind and state, a block that was let pass and one that was not reached among them. */
async function pipelineOf(people: Client, queue: string): Promise<string> {
  const repository = await repositoryAt(await ownFolder())
  await repository.commit({ '.kedge/pipeline.yml': `
steps:
  - group: Group${'g'.repeat(150)}
    steps:
      - { label: May fail, command: exit 1, soft_fail: true }
      - { label: '${'n'.repeat(150)}', command: 'true', skip: '${'w'.repeat(60)}' }
  - wait: '${'parted '.repeat(40)}'
  - block: '${'Ship '.repeat(40)}'
    key: ship
    fields: [{ text: Note, key: note }]
  - { label: Fails, command: exit 1, parallelism: 2 }
  - wait
  - group: Behind
    steps: [{ label: Not run, command: 'true' }]
  - block: Not reached
` })
  const project = await people.project({ checkout: true, repository: repository.path })
  const build = await project.build({ branch: 'main', agents: { queue } })
  const path = `/projects/${project.slug}/builds/${build.number}`
  const block = await eventually('the block is asked about', async () => (await build.view()).steps.find(({ state }) => state === 'blocked') ?? null)
  expect((await people.ask('POST', `/api/v1${path}/steps/${block.step}/unblock`, { fields: { note: 'x'.repeat(300) } })).ok).toBe(true)
  expect((await build.over()).state).toBe('failed')
  return path
}

test('no page is wider than its window, down to a telephone of 360 pixels, whatever it shows', async () => {
  const paths = await everyPage()
  const page = await people.visit('/', { isMobile: true })
  for (const path of paths) {
    await page.goto(path)
    for (const width of [1000, 700, 360]) {
      await page.setViewportSize({ width, height: 740 })
      expect([path, await page.evaluate(() => document.documentElement.scrollWidth)]).toEqual([path, width])
      expect(await page.locator('.lines').evaluateAll((all) => all.filter((one) => one.scrollWidth > one.clientWidth).length)).toBe(0)
    }
  }
})

test('all text can be read, in the light scheme and in the dark one', async () => {
  const paths = await everyPage()
  const page = await people.visit('/')
  for (const [colorScheme, ground] of [['light', 'rgb(247, 247, 245)'], ['dark', 'rgb(19, 21, 23)']] as const) {
    await page.emulateMedia({ colorScheme })
    expect(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe(ground)
    for (const path of paths) {
      await page.goto(path)
      expect([colorScheme, path, await page.evaluate(hardToRead, 4.5)]).toEqual([colorScheme, path, []])
    }
  }
})

test('a page that does not exist says so, and a script that no page brought does not run', async () => {
  const page = await people.visit('/projects/nowhere')
  await page.getByRole('heading').waitFor()
  await page.getByRole('link', { name: 'All builds', exact: true }).waitFor()
  expect(people.takeComplaints()).toEqual([expect.stringContaining('404')])
  await page.evaluate(() => {
    const script = document.createElement('script')
    script.textContent = 'window.owned = 1'
    document.body.append(script)
  })
  expect(await page.evaluate(() => 'owned' in window)).toBe(false)
  expect(people.takeComplaints()).toEqual([expect.stringContaining('Content Security Policy')])
})
