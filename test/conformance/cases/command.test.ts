import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ownFolder } from '../../support/folder.ts'

function conformance(...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', new URL('main.ts', import.meta.url).pathname, ...words], { encoding: 'utf8' })
  return { status, stdout, stderr, last: stdout.trimEnd().split('\n').at(-1) }
}

interface Written {
  readonly id: string
  readonly kind: string
  readonly valid?: boolean
  readonly input: string
  readonly wanted?: unknown
}

async function folderOf(cases: readonly Written[]): Promise<string> {
  const folder = await ownFolder()
  await mkdir(join(folder, 'any'))
  const index = []
  for (const { id, kind, valid, input, wanted } of cases) {
    const files = [{ path: `any/${id}.yml` }, ...(wanted === undefined ? [] : [{ path: `any/${id}.expected.json` }])]
    await writeFile(join(folder, `any/${id}.yml`), input)
    if (wanted !== undefined) await writeFile(join(folder, `any/${id}.expected.json`), JSON.stringify(wanted))
    index.push({ id, kind, ...(valid === undefined ? {} : { valid }), files })
  }
  await writeFile(join(folder, 'index.json'), JSON.stringify({ cases: index }))
  return folder
}

const parse = (id: string, input: string, wanted: unknown): Written => ({ id, kind: 'go-pipeline-parse', input, wanted })

function real(id: string, input: string, command: string): Written {
  const json = { steps: [{ command }] }
  return { id, kind: 'pipeline-real', input, wanted: { interpolation_env: { WHAT: 'all' }, parsed: { json: { steps: [{ command: 'make $WHAT' }] } }, interpolated: { json } } }
}

describe('cases that are all right', () => {
  it('are only counted, by kind, and the command succeeds', async () => {
    const cases = [parse('p1', 'steps: [ wait ]', { json: { steps: ['wait'] } }), parse('p2', 'steps: [', { error: 'no' }), real('r1', '- command: make $WHAT', 'make all'), { id: 's1', kind: 'schema-fixture', valid: false, input: 'steps: [ hold ]' }]
    expect(conformance('--cases', await folderOf(cases))).toMatchObject({ status: 0, last: 'pipeline-real 1/1 go-pipeline-parse 2/2 schema-fixture 1/1' })
  })

  it('may stand beside kinds that nobody judges here', async () => {
    const folder = await folderOf([parse('p1', 'steps: []', { json: { steps: [] } }), { id: 'w1', kind: 'webhook-of-the-future', input: '{}' }])
    expect(conformance('--cases', folder)).toMatchObject({ status: 0, last: 'go-pipeline-parse 1/1' })
  })
})

describe('a case that is not right', () => {
  it('is shown at what differs, and the command fails', async () => {
    const { status, stdout } = conformance('--cases', await folderOf([real('r1', '- command: make $WHAT', 'make some')]))
    expect(status).toBe(1)
    expect(stdout).toContain('r1 (pipeline-real)\n  got     interpolated: steps.0.command "make all"\n  wanted  "make some"\n')
  })

  it('has its reason, when Kedge refuses on purpose', async () => {
    const { status, stdout } = conformance('--cases', await folderOf([{ id: 's1', kind: 'schema-fixture', valid: true, input: '[ { command: make, image: alpine } ]' }]))
    expect(status).toBe(0)
    expect(stdout).toContain('because Kedge does not do that, and says so (unsupported)')
  })

  it('has the reason that it is no interpolation, when it was cut out of another test', async () => {
    const input = JSON.stringify({ test: 'TestExtractingIdentifiers', env: {}, input: 'LLAMAS', expected: 'ROCK' })
    expect(conformance('--cases', await folderOf([{ id: 'i1', kind: 'interpolation', input }])).stdout).toContain('because no interpolation')
  })

  it('stands in the JSON with its kind', async () => {
    const { stdout } = conformance('--json', '--cases', await folderOf([parse('p1', 'steps: []', { json: {} }), parse('p2', 'steps: []', { json: { steps: [] } })]))
    expect(JSON.parse(stdout)).toMatchObject({ kinds: { 'go-pipeline-parse': { right: 1, total: 2 } }, notRight: [{ id: 'p1', kind: 'go-pipeline-parse', got: 'steps []', wanted: 'nothing there', reason: null }] })
  })
})

it('says how many real pipelines Kedge takes, and why it refuses others', async () => {
  const refused = { id: 'r2', kind: 'pipeline-real', input: 'image: alpine\nsteps: []', wanted: { interpolation_env: {}, parsed: { json: { image: 'alpine', steps: [] } }, interpolated: { json: { image: 'alpine', steps: [] } } } }
  const { status, stdout } = conformance('--cases', await folderOf([real('r1', '- command: make $WHAT', 'make all'), refused]))
  expect(status).toBe(0)
  expect(stdout).toMatch(/^Kedge takes 1 of 2 real pipelines.*\n {3}1 {2}\(unsupported\) Kedge runs commands/)
})

describe('the command line is refused with a sentence', () => {
  it.each([
    [[], 'no folder of cases is given'],
    [['--cases', '/nowhere'], 'cannot read /nowhere/index.json (ENOENT): a folder of cases has an "index.json" that lists them'],
    [['--cases', '/nowhere', '--kind', 'pipeline-rael'], 'there is no kind "pipeline-rael"; did you mean "pipeline-real"? There are:'],
    [['--case', '/nowhere'], 'did you mean --cases?'],
    [['/nowhere'], '"/nowhere" is no option; the folder is given by --cases'],
  ])('%j', (words, sentence) => {
    const { status, stderr } = conformance(...words)
    expect(status).toBe(2)
    expect(stderr).toContain(sentence)
  })

  it('when the index is none, or names what is not there', async () => {
    const folder = await ownFolder()
    await writeFile(join(folder, 'index.json'), '{ "cases": [ { "id": 1 } ] }')
    expect(conformance('--cases', folder)).toMatchObject({ status: 2, stderr: expect.stringContaining('is no list of cases: cases.0.id') })
    await writeFile(join(folder, 'index.json'), JSON.stringify({ cases: [{ id: 'p1', kind: 'go-pipeline-parse', files: [{ path: 'gone.yml' }] }] }))
    expect(conformance('--cases', folder)).toMatchObject({ status: 2, stderr: expect.stringContaining('gone.yml (ENOENT): the index names it') })
  })

  it('when no case could be judged', async () => {
    const folder = await folderOf([{ id: 'w1', kind: 'webhook', input: '' }])
    expect(conformance('--cases', folder, '--kind', 'interpolation')).toMatchObject({ status: 2, stderr: expect.stringContaining('has no case of the kind interpolation') })
  })
})
