/** Meta-data of a build: set and read by real jobs, and answered by a person to a block. */
import { expect, test } from 'vitest'
import type { Problem } from '../../schema/api.ts'
import { client } from '../support/client.ts'
import { ownFolder } from '../support/folder.ts'
import { ownQueue, sharedCoordinator, startAgent } from '../support/installation.ts'
import { repositoryAt } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

const PIPELINE = `
steps:
  - label: Prepare
    command: |
      buildkite-agent meta-data set prepared-by "$$BUILDKITE_LABEL"
      printf 'two\\nlines' | kedge meta-data set notes
      buildkite-agent meta-data exists notes && echo "notes are there"
      buildkite-agent meta-data exists nothing || echo "nothing: $$?"
      buildkite-agent meta-data get nothing || echo "get: $$?"
  - block: Release?
    key: ask
    fields:
      - text: Version
        key: release/version
        format: '\\d+\\.\\d+'
      - select: Where
        key: where
        multiple: true
        options:
          - { label: Europe, value: eu }
          - { label: America, value: us }
  - label: Release
    command: |
      echo "release <$$(buildkite-agent meta-data get release/version)> to <$$(buildkite-agent meta-data get where | tr '\\n' ' ')>"
      echo "by <$$(buildkite-agent meta-data get prepared-by)>, <$$(kedge meta-data get nothing --default none)>"
      buildkite-agent meta-data keys
`

test('a block asks for values, and a later job reads the answers', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  const repository = await repositoryAt(await ownFolder())
  await repository.commit({ '.buildkite/pipeline.yml': PIPELINE })
  await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue })
  const project = await people.project({ checkout: true, repository: repository.path })
  const build = await project.build({ branch: 'main', agents: { queue } })
  const blocked = await eventually('the build is blocked', async () => {
    const view = await build.view()
    return view.state === 'blocked' ? view : null
  })

  const answer = (fields: Readonly<Record<string, unknown>>) => people.ask('POST', `/api/v1/projects/${blocked.project}/builds/${blocked.number}/steps/ask/unblock`, { fields })
  const refused = await answer({ 'release/version': 'next', where: ['mars'] })
  expect(refused.status).toBe(422)
  expect(((await refused.json()) as Problem).errors?.map(({ path }) => path)).toEqual(['fields.release/version', 'fields.where'])
  expect((await answer({ 'release/version': '2.1', where: ['us', 'eu'] })).status).toBe(200)

  const over = await build.over()
  expect(over.state).toBe('passed')
  const logOf = (label: string) =>
    eventually(`the log of ${label} is there`, async () => {
      const response = await people.ask('GET', `/api/v1/jobs/${over.jobs.find((job) => job.label === label)?.id ?? ''}/log`)
      return (response.ok && (await response.text())) || null
    })
  const prepared = await logOf('Prepare')
  for (const line of ['notes are there', 'nothing: 100', 'get: 1', 'kedge: the build has no meta-data "nothing".']) expect(prepared).toContain(line)
  const released = await logOf('Release')
  for (const line of ['release <2.1> to <eu us>', 'by <Prepare>, <none>', 'notes\nprepared-by\nrelease/version\nwhere\n']) expect(released.replaceAll('\r', '')).toContain(line)
})
