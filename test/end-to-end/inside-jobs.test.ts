/** What a job calls for itself and its page, by both names of the command: annotate, env, lock, and the cache of its project. */
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { AnnotationView } from '../../schema/api.ts'
import { client } from '../support/client.ts'
import { ownFolder } from '../support/folder.ts'
import { createGate } from '../support/gate.ts'
import { ownQueue, sharedCoordinator, startAgent } from '../support/installation.ts'
import { repositoryAt } from '../support/repository.ts'

const coordinator = sharedCoordinator()

test('jobs annotate their build, change the environment of later phases, do work once, and find their cache again', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  const hooks = join(await ownFolder(), 'hooks')
  await mkdir(hooks)
  await writeFile(join(hooks, 'pre-command'), 'kedge env set FROM_HOOK="two words" PATH="/extra:$PATH" >/dev/null\nexport GONE=1\nkedge env unset GONE\n')
  await writeFile(join(hooks, 'pre-exit'), 'echo "at exit: $FROM_COMMAND"\n')
  await chmod(join(hooks, 'pre-command'), 0o755)
  const work = String.raw`
if [ "$$(buildkite-agent lock do "prepare-$$BUILDKITE_BUILD_NUMBER")" = do ]; then
  token=$$(kedge lock acquire cache)
  buildkite-agent annotate --append 'prepared by one; '
  touch "$$KEDGE_CACHE_DIR/prepared-by-$$BUILDKITE_BUILD_NUMBER"
  kedge lock release cache "$$token"
  kedge lock done "prepare-$$BUILDKITE_BUILD_NUMBER"
fi
echo "hook: $$FROM_HOOK, $$(buildkite-agent env get FROM_HOOK), <$$${'{'}GONE-gone}>, $$PATH" | cut -d: -f1-2
ls "$$KEDGE_CACHE_DIR"
buildkite-agent env set FROM_COMMAND=yes
kedge env set KEDGE_JOB_TOKEN=x || echo "refused: $$?"
kedge secret get x || echo "secret: $$?"
printf open-sesame | kedge redactor add
echo "hidden: open-sesame"
kedge annotate --scope job --style error "of $$BUILDKITE_PARALLEL_JOB"
`
  const pipeline = { steps: [{ label: 'Work', parallelism: 2, command: work }, { wait: null }, { label: 'Tell', command: "printf '# Done\\n' | kedge annotate --style success --context result --priority 10; kedge annotation remove --context nothing" }] }
  const repository = await repositoryAt(await ownFolder())
  await repository.commit({ '.buildkite/pipeline.json': JSON.stringify(pipeline) })
  await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue, slots: 2, env: { KEDGE_HOOKS_PATH: hooks } })
  const project = await people.project({ checkout: true, repository: repository.path })
  const build = await (await project.build({ branch: 'main', agents: { queue } })).over()
  expect(build.state, JSON.stringify(build.jobs.map(({ reason }) => reason))).toBe('passed')
  const annotations = (await (await people.ask('GET', `/api/v1/projects/${build.project}/builds/${build.number}/annotations`)).json()) as readonly AnnotationView[] // the server's own type
  expect(annotations.map(({ job, context, style, body }) => [job === null ? 'build' : 'job', context, style, body])).toEqual([
    ['build', 'result', 'success', '# Done\n'], // of the greatest priority
    ['build', 'default', 'default', 'prepared by one; '],
    ['job', 'default', 'error', expect.stringMatching(/^of [01]$/)],
    ['job', 'default', 'error', expect.stringMatching(/^of [01]$/)],
  ])
  for (const { id } of build.jobs.filter(({ parallel }) => parallel !== null)) {
    const log = await (await people.ask('GET', `/api/v1/jobs/${id}/log`)).text()
    for (const line of ['hook: two words, two words, <gone>, /', 'Added:\n+ FROM_COMMAND\n', 'refused: 2', 'secret: 1', 'hidden: ***', 'at exit: yes', 'prepared-by-1\n']) expect(log).toContain(line)
  }
  const later = await project.build({ branch: 'main', command: 'ls "$KEDGE_CACHE_DIR"', agents: { queue } })
  await later.over()
  expect(await later.log()).toContain('prepared-by-1\n')
})

test('a lock of a job that was cancelled is free for the next', async () => {
  const people = client(coordinator())
  const queue = ownQueue()
  await startAgent({ url: coordinator().url, token: coordinator().registrationToken, queue, slots: 2 })
  const project = await people.project()
  const gate = await createGate()
  const holding = await project.build({ command: `kedge lock acquire llama; ${gate.command()}`, agents: { queue } })
  await gate.hasBegun()
  const waiting = await project.build({ command: 'kedge lock acquire llama && echo "got it"', agents: { queue } })
  await waiting.running()
  await holding.cancel()
  expect((await waiting.over()).state).toBe('passed')
  expect(await waiting.log()).toContain('got it')
})
