import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { whatToRun } from '../../../agent/runner/what-to-run.ts'
import type { JobSpec } from '../../../schema/sync.ts'
import { ownFolder } from '../../support/folder.ts'

const spec = (pipeline?: JobSpec['pipeline'], command = 'make') => ({ command, ...(pipeline === undefined ? {} : { pipeline }) }) as JobSpec // the rest is not looked at

async function commit(...files: readonly string[]): Promise<string> {
  const folder = await ownFolder()
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), 'steps: []')
  }
  return folder
}

it('the pipeline of a commit is uploaded, the first of those that are there', async () => {
  expect(whatToRun(spec('if-present'), await commit('.buildkite/pipeline.yml'))).toBe('kedge pipeline upload .buildkite/pipeline.yml')
  expect(whatToRun(spec('if-present'), await commit('buildkite.yaml', 'buildkite/pipeline.json'))).toBe('kedge pipeline upload buildkite/pipeline.json')
  expect(whatToRun(spec('if-present'), await commit('buildkite.yaml'))).toBe('kedge pipeline upload buildkite.yaml')
  expect(whatToRun(spec('required', ''), await commit('.buildkite/pipeline.yml', '.kedge/pipeline.json', '.kedge/pipeline.yaml'))).toBe('kedge pipeline upload .kedge/pipeline.yaml')
})

it('a build that was asked for with a command runs that, whatever the commit holds', async () => {
  expect(whatToRun(spec(), await commit('.kedge/pipeline.yml'))).toBe('make')
})

it('without a file the command of the project runs, and without that nothing, with the way out', async () => {
  expect(whatToRun(spec('if-present'), await commit())).toBe('make')
  const empty = await commit()
  expect(() => whatToRun(spec('required', ''), empty)).toThrow(expect.objectContaining({ code: 'pipeline_missing', message: expect.stringContaining('Add the file') }))
})

it('a folder of that name is no pipeline', async () => {
  const folder = await ownFolder()
  mkdirSync(join(folder, '.kedge/pipeline.yml'), { recursive: true })
  expect(whatToRun(spec('if-present'), folder)).toBe('make')
})
