/** Real jobs that ask about, change and cancel steps of their build. */
import { expect, test } from 'vitest'
import { client } from '../support/client.ts'
import { ownFolder } from '../support/folder.ts'
import { ownQueue, sharedCoordinator, startAgents } from '../support/installation.ts'
import { repositoryAt } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

const PIPELINE = `
steps:
  - { label: One, key: one, command: exit 3 }
  - { label: Endless, key: endless, command: sleep 600 }
  - label: Ender
    key: ender
    depends_on: [{ step: one, allow_failure: true }]
    command: |
      until [ "$$(buildkite-agent step get state --step endless)" = running ]; do sleep 0.1; done
      buildkite-agent step cancel --step endless --force
      buildkite-agent step update label " (done)" --append
  - label: Report
    depends_on: [{ step: endless, allow_failure: true }, { step: ender }]
    command: |
      echo "one is $$(buildkite-agent step get outcome --step one), endless $$(kedge step get outcome --step endless), ender $$(kedge step get label --step ender)"
      kedge step get --format json --step "$$BUILDKITE_STEP_ID"
      buildkite-agent step get notify || echo "refused: $$?"
`

test('a job learns how others ended, ends one that would not, and changes its label', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  const repository = await repositoryAt(await ownFolder())
  await repository.commit({ '.buildkite/pipeline.yml': PIPELINE })
  await startAgents(3, { url: coordinator().url, token: coordinator().registrationToken, queue })
  const project = await people.project({ checkout: true, repository: repository.path })
  const over = await (await project.build({ branch: 'main', agents: { queue } })).over()
  expect(over.jobs.map(({ label, state }) => `${label ?? 'upload'} ${state}`)).toEqual(['upload passed', 'One failed', 'Endless canceled', 'Ender (done) passed', 'Report passed'])
  expect(over.jobs.find(({ label }) => label === 'Endless')?.reason?.message).toBe('cancelled by "Ender"')
  const log = await eventually('the log of the report is there', async () => {
    const response = await people.ask('GET', `/api/v1/jobs/${over.jobs.find(({ label }) => label === 'Report')?.id ?? ''}/log`)
    return (response.ok && (await response.text())) || null
  })
  expect(log).toContain('one is hard_failed, endless errored, ender Ender (done)')
  expect(log).toMatch(/\{"id":"S\d+-\d+-5","key":null,"label":"Report","type":"command","state":"running","outcome":"neutral"\}/)
  expect(log).toContain('refused: 2')
})
