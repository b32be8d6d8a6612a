import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { changedFiles } from '../../../agent/cli/changed-files.ts'
import { withChanges } from '../../../agent/cli/if-changed.ts'
import { preparePipeline } from '../../../schema/pipeline/prepare.ts'
import { ownFolder } from '../../support/folder.ts'
import { plainEnvironment, repositoryAt, type Repository } from '../../support/repository.ts'

/** Which of the steps, by key, are skipped when these files differ. */
function skipped(pipeline: string, files: readonly string[] | null): readonly string[] {
  const answer = preparePipeline(pipeline, null)
  if (!answer.ok) throw new Error(answer.mistakes[0]?.message)
  const { steps } = withChanges(answer.prepared.canonical, answer.prepared.pipeline, files) as { readonly steps: readonly { readonly key: string; readonly skip?: string; readonly steps?: readonly { readonly key: string; readonly skip?: string }[] }[] } // what canonical makes
  expect(JSON.stringify(steps)).not.toContain('if_changed')
  return steps.flatMap((step) => [step, ...(step.steps ?? [])]).flatMap(({ key, skip }) => (skip === undefined ? [] : [`${key}: ${skip}`]))
}

const UNCHANGED = 'nothing that it looks at has changed'

describe('a step with if_changed', () => {
  const step = (condition: string) => `steps:\n  - { key: a, command: make, if_changed: ${condition} }\n`

  it.each<[string, string, boolean]>([
    ['"app/**"', 'app/src/x.ts', true], ['"app/**"', 'application/x', false], ['"*.md"', 'README.md', true], ['"*.md"', 'docs/x.md', false], ['"**/*.md"', 'README.md', true], ['"**/*.md"', 'docs/a/x.md', true],
    ['["a/*", "b/*"]', 'b/x', true], ['"{a,b}/**"', 'b/x/y', true], ['"**"', '.hidden/x', true], ['"./app/**"', 'app/x', true], ['"/app/**"', 'app/x', true], ['"docs/[ab].txt"', 'docs/b.txt', true], ['"a?c"', 'abc', true],
    ['{ include: "**", exclude: "**/*.md" }', 'docs/x.md', false], ['{ include: "**", exclude: ["*.md"] }', 'x.ts', true], ['"grüße/**"', 'grüße/x', true],
  ])('%s with %s: it runs: %s', (condition, file, runs) => {
    expect(skipped(step(condition), [file])).toEqual(runs ? [] : [`a: ${UNCHANGED}`])
  })

  it('runs when it cannot be told what has changed, and is skipped when nothing has', () => {
    expect(skipped(step('"x"'), null)).toEqual([])
    expect(skipped(step('"**"'), [])).toEqual([`a: ${UNCHANGED}`])
  })

  it('keeps the reason that it has, and stands for all of its group', () => {
    expect(skipped('steps:\n  - { key: a, command: make, if_changed: x, skip: own }\n  - { group: g, key: g, if_changed: "y/**", steps: [{ key: b, command: make }, { key: c, command: make, if_changed: "y/z" }] }\n  - { key: d, command: make }\n', ['q'])).toEqual(['a: own', `g: ${UNCHANGED}`, `c: ${UNCHANGED}`])
  })
})

describe('what has changed', () => {
  async function repository(): Promise<Repository> {
    const made = await repositoryAt(join(await ownFolder(), 'origin'))
    await made.commit({ 'app/a': '1', 'docs/b': '1' })
    await made.commit({ 'app/a': '2' })
    return made
  }
  const look = (folder: string, base?: string) => changedFiles(folder, { base, environment: plainEnvironment(folder) })

  it('on the default branch is what its last commit did', async () => {
    const { path } = await repository()
    expect(await look(path)).toMatchObject({ ok: true, files: ['app/a'] })
  })

  it('on another branch is all that it did, whatever happened on the default branch since, which is asked for', async () => {
    const origin = await repository()
    await origin.git('checkout', '--quiet', '-b', 'feature')
    await origin.commit({ 'docs/b': '2', 'new name': 'x' })
    await origin.commit({ 'app/a': null })
    await origin.git('checkout', '--quiet', 'main')
    await origin.commit({ 'elsewhere': '1' })
    const clone = join(await ownFolder(), 'clone')
    mkdirSync(clone)
    await origin.git('clone', '--quiet', '--no-local', '--single-branch', '--branch', 'feature', origin.path, clone)
    expect(await look(clone)).toMatchObject({ ok: true, files: ['app/a', 'docs/b', 'new name'] })
    expect(await look(clone, 'main')).toMatchObject({ ok: true, files: ['app/a', 'docs/b', 'new name'] })
    expect(await look(clone, 'HEAD^')).toMatchObject({ ok: true, files: ['app/a'] })
  })

  it('of a first commit, outside of a repository or since an unknown commit is not known, and says why', async () => {
    const alone = await repositoryAt(join(await ownFolder(), 'alone'))
    expect(await look(alone.path)).toEqual({ ok: false, why: 'there is no commit here' })
    await alone.commit({ a: '1' })
    expect(await look(alone.path)).toEqual({ ok: false, why: 'the commit has no parent here' })
    expect(await look(alone.path, 'nowhere')).toEqual({ ok: false, why: '"nowhere" is no commit or branch here, nor of the remote' })
    expect(await look(alone.path, '--upload-pack=touch x')).toMatchObject({ ok: false })
    expect(await look(await ownFolder())).toEqual({ ok: false, why: 'there is no commit here' })
  })
})
