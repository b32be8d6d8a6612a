/** A build tells a forge and a webhook how it goes, from a real coordinator, through an outage of the forge and a restart of its own. */
import { expect, test } from 'vitest'
import { answeringServer } from '../support/answering-server.ts'
import { client } from '../support/client.ts'
import { fakeForge } from '../support/fake-forge.ts'
import { ownFolder } from '../support/folder.ts'
import { serveGit } from '../support/git-server.ts'
import { startAgent, startCoordinator, ownQueue } from '../support/installation.ts'
import { repositoryAt } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const PIPELINE = `
notify:
  - github_commit_status: { context: ci/all }
  - webhook: HOOK
steps:
  - label: Test
    command: "true"
    notify: [ github_commit_status ]
  - block: Release?
    key: ask
  - label: Release
    command: "false"
`

test('a build tells its forge and a webhook how it goes', async () => {
  const folder = await ownFolder()
  const hook = await answeringServer(() => ({ status: 204 }))
  const source = await repositoryAt(`${folder}/team/app.git`)
  const sha = await source.commit({ '.buildkite/pipeline.yml': PIPELINE.replace('HOOK', hook.url) })
  const git = await serveGit(folder)
  const token = 'ghp_of-this-test'
  const forge = await fakeForge({ repository: 'team/app', shas: [sha], token })
  forge.answerNext({ status: 503, headers: { 'retry-after': '1' } })
  const coordinator = await startCoordinator({ env: { KEDGE_FORGES: JSON.stringify([{ url: forge.url, kind: 'github', token }]) } })
  const people = client(coordinator)
  const queue = ownQueue()
  await startAgent({ url: coordinator.url, token: coordinator.registrationToken, queue })
  const project = await people.project({ checkout: true, repository: `${git.origin}/team/app.git` })
  const build = await project.build({ branch: 'main', agents: { queue } })
  await eventually('the build waits for a person', async () => (await build.view()).state === 'blocked')
  const states = (context: string) => forge.told.filter((one) => one.context === context).map(({ state }) => state)
  await eventually('the forge knows', (saw) => {
    saw(forge.told)
    return states('ci/all').at(-1) === 'success' && states(`kedge/${project.slug}/Test`).at(-1) === 'success'
  })
  await eventually('all of it is confirmed', async () => (await build.view()).notifications.every(({ to_tell }) => to_tell === null))

  await coordinator.restart()
  forge.reopen()
  const view = await build.view()
  expect((await people.ask('POST', `/api/v1/projects/${view.project}/builds/${view.number}/steps/ask/unblock`, {})).status).toBe(200)
  const over = await build.over()
  expect(over.state).toBe('failed')
  await eventually('the forge knows the end', () => states('ci/all').at(-1) === 'failure')
  const events = () => hook.asked.map(({ headers, body }) => [headers['x-kedge-event'], (body as { build: { state: string } }).build.state])
  await eventually('the webhook knows the end', () => events().at(-1)?.[1] === 'failed')

  expect(forge.wrong).toEqual([])
  expect(forge.told.at(-1)).toEqual({ context: 'ci/all', state: 'failure', description: `Build #${over.number} failed`, url: over.url })
  expect(states(`kedge/${project.slug}/Test`)).toEqual(['pending', 'success'])
  expect(events().slice(-1)).toEqual([['build.finished', 'failed']])
  expect(events()).toContainEqual(['build.finished', 'blocked'])
  const ids = hook.asked.map(({ headers }) => headers['x-kedge-delivery'])
  expect(new Set(ids).size).toBe(ids.length)
  expect(JSON.stringify([hook.asked, (await build.view()).notifications])).not.toContain(token)
})
