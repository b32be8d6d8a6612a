/** Artifacts, from job to job across agents and to people: real agents, the real Worker, R2 as Miniflare has it. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import type { ArtifactPage } from '../../schema/artifacts.ts'
import { client } from '../support/client.ts'
import { ownFolder } from '../support/folder.ts'
import { ownQueue, sharedCoordinator, startAgents } from '../support/installation.ts'
import { repositoryAt } from '../support/repository.ts'
import { eventually } from '../support/wait.ts'

const coordinator = sharedCoordinator()

async function withPipeline(pipeline: string, files: Readonly<Record<string, string>> = {}) {
  const people = client(coordinator())
  const queue = ownQueue()
  const repository = await repositoryAt(await ownFolder())
  await repository.commit({ '.buildkite/pipeline.yml': pipeline, ...files })
  await startAgents(2, { url: coordinator().url, token: coordinator().registrationToken, queue })
  const project = await people.project({ checkout: true, repository: repository.path })
  const build = await project.build({ branch: 'main', agents: { queue } })
  const over = await build.over()
  const logOf = (label: string) =>
    eventually(`the log of ${label} is there`, async () => {
      const response = await people.ask('GET', `/api/v1/jobs/${over.jobs.find((job) => job.label === label)?.id ?? ''}/log`)
      return (response.ok && (await response.text())) || null
    })
  return { people, over, logOf, path: `/api/v1/projects/${over.project}/builds/${over.number}/artifacts` }
}

test('files of one job are there for another on another agent, and for people', async () => {
  const { people, over, logOf, path } = await withPipeline(`
steps:
  - label: Make
    key: make
    command: |
      mkdir -p dist/deep logs
      head -c 70000000 /dev/zero | openssl enc -aes-128-ctr -K 00000000000000000000000000000001 -iv 00000000000000000000000000000000 -out dist/large.bin
      printf 'hello' > dist/deep/small.txt
      : > logs/empty.log
      sha256sum dist/large.bin
    artifact_paths: "dist/**/*;logs/*.log"
  - wait
  - label: Take
    command: |
      buildkite-agent artifact download "dist/*" . --step make
      sha256sum dist/large.bin
      cat dist/deep/small.txt && echo " of another agent"
      kedge artifact search "*.log" --format "%p has %s bytes\\\\n"
      test "$$(buildkite-agent artifact shasum dist/deep/small.txt)" = "$$(sha1sum dist/deep/small.txt | cut -d' ' -f1)" && echo same SHA-1
      buildkite-agent artifact download nothing . || echo "nothing: $$?"
`)
  expect(await logOf('Make')).toContain('kedge: uploaded 3 files (66.8 MiB)')
  const taken = await logOf('Take')
  const sum = /^([0-9a-f]{64}) {2}dist\/large.bin$/m.exec((await logOf('Make')).replaceAll('\r', ''))?.[1]
  for (const line of [`${sum}  dist/large.bin`, 'hello of another agent', 'logs/empty.log has 0 bytes', 'same SHA-1', 'nothing: 1']) expect(taken).toContain(line)
  expect(over.state).toBe('passed')

  const { artifacts } = (await (await people.ask('GET', path)).json()) as ArtifactPage
  expect(artifacts.map((one) => [one.path, one.bytes])).toEqual([['dist/deep/small.txt', 5], ['dist/large.bin', 70_000_000], ['logs/empty.log', 0]])
  const large = artifacts.find((one) => one.path === 'dist/large.bin')
  const response = await people.ask('GET', new URL(large?.url ?? '').pathname)
  expect(createHash('sha256').update(new Uint8Array(await response.arrayBuffer())).digest('hex')).toBe(sum)
  expect(response.headers.get('content-disposition')).toContain('attachment')
})

test('a command that fails uploads what it has made, and an upload that is refused fails a job that has passed', async () => {
  const { people, over, logOf, path } = await withPipeline(`
steps:
  - label: Fails
    command: |
      echo "what went wrong" > {{matrix}}.log
      exit 3
    matrix: [ report ]
    artifact_paths: "{{matrix}}.log"
  - label: Passes
    command: |
      ln -s /etc/hostname name.txt
      touch fine.txt
    artifact_paths: [ "*.txt" ]
`)
  const jobs = Object.fromEntries(over.jobs.map(({ label, state, exit_status }) => [label ?? 'upload', [state, exit_status]]))
  expect(jobs).toEqual({ upload: ['passed', 0], 'Fails (report)': ['failed', 3], Passes: ['failed', 2] })
  expect(await logOf('Passes')).toMatch(/^~~~ Uploading artifacts\r?\nkedge: will not upload \S+\/name\.txt: it is a link to \/etc\/hostname, outside of \S+\. Upload that file by its own absolute path, or leave links out with --upload-skip-symlinks\.$/m)
  expect(((await (await people.ask('GET', path)).json()) as ArtifactPage).artifacts.map((one) => one.path)).toEqual(['report.log'])
})
