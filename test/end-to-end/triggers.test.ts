/** A build that starts another, with real agents: what that one finds, and how its end comes back. */
import { expect, test } from 'vitest'
import type { BuildView } from '../../schema/api.ts'
import { client } from '../support/client.ts'
import { ownFolder } from '../support/folder.ts'
import { ownQueue, sharedCoordinator, startAgents } from '../support/installation.ts'
import { repositoryAt } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

test('a trigger waits for the build that it starts, which knows who started it', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  await startAgents(2, { url: coordinator().url, token: coordinator().registrationToken, queue })
  const other = await people.project({ checkout: false, command: 'echo "from $BUILDKITE_TRIGGERED_FROM_BUILD_PIPELINE_SLUG #$BUILDKITE_TRIGGERED_FROM_BUILD_NUMBER by $BUILDKITE_SOURCE, $(kedge meta-data get version) to $REGION, id $BUILDKITE_TRIGGERED_FROM_BUILD_ID"; test "$REGION" = eu' })
  const repository = await repositoryAt(await ownFolder())
  await repository.commit({
    '.buildkite/pipeline.yml': `
steps:
  - { label: Build, command: echo "I am $$BUILDKITE_BUILD_ID" }
  - wait
  - label: Deploy
    trigger: ${other.slug}
    build: { message: Ship it, env: { REGION: eu }, meta_data: { version: "1.4" } }
  - label: Elsewhere
    trigger: ${other.slug}
    soft_fail: true
    build: { meta_data: { version: "1.4" }, env: { REGION: mars } }
  - wait
  - { label: After, command: "true" }
`,
  })
  const project = await people.project({ checkout: true, repository: repository.path })
  const over = await (await project.build({ branch: 'main', agents: { queue } })).over()
  expect(over.state).toBe('passed')
  expect(over.steps.flatMap(({ label, outcome, trigger }) => (trigger === null ? [] : [[label, outcome, trigger.builds.map(({ state }) => state)]]))).toEqual([['Deploy', 'passed', ['passed']], ['Elsewhere', 'soft_failed', ['failed']]])
  const logOf = (job: string) =>
    eventually(`the log of ${job} is there`, async () => {
      const response = await people.ask('GET', `/api/v1/jobs/${job}/log`)
      return (response.ok && (await response.text())) || null
    })
  const number = over.steps.find(({ label }) => label === 'Deploy')?.trigger?.builds[0]?.number ?? 0
  const child = (await (await people.ask('GET', `/api/v1/projects/${other.slug}/builds/${number}`)).json()) as BuildView
  expect(child).toMatchObject({ message: 'Ship it', triggered_from: { project: project.slug, number: over.number } })
  const own = /I am (\S+)/.exec(await logOf(over.jobs.find(({ label }) => label === 'Build')?.id ?? ''))?.[1]
  expect(await logOf(child.jobs[0]?.id ?? '')).toContain(`from ${project.slug} #${over.number} by trigger_job, 1.4 to eu, id ${own}\n`)
})
