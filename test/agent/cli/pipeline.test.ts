/** `kedge pipeline`, as a person and a script meet it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT, Failure, type ExitCode, type Surroundings } from '../../../agent/cli/output.ts'
import { checkPipeline } from '../../../agent/cli/pipeline-check.ts'
import { uploadPipeline } from '../../../agent/cli/pipeline-upload.ts'
import { ownFolder } from '../../support/folder.ts'
import { surroundings } from '../../support/surroundings.ts'
import { answeringServer, problem } from '../../support/answering-server.ts'

interface Place {
  readonly surroundings: Surroundings
  readonly printed: string[]
  readonly noted: string[]
}

/** A folder with these files, and what is said in it. */
async function place({ files = {}, input, environment = {} }: { readonly files?: Readonly<Record<string, string | Uint8Array>>; readonly input?: string; readonly environment?: Readonly<Record<string, string>> } = {}): Promise<Place> {
  const folder = await ownFolder()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const printed: string[] = []
  const noted: string[] = []
  const around = surroundings({
    environment, folder, home: folder,
    input: { isPiped: () => input !== undefined, read: () => new TextEncoder().encode(input ?? '') },
    print: (line) => void printed.push(line),
    note: (line) => void noted.push(line),
    excerpt: (text) => void noted.push(text),
  })
  return { surroundings: around, printed, noted }
}

const UPLOAD = { format: 'json', interpolation: true }
const CHECK = { interpolation: true }

const failureOf = async (work: Promise<ExitCode>): Promise<Failure> => {
  const failure: unknown = await work.then(() => null, (error: unknown) => error)
  if (!(failure instanceof Failure)) throw new Error('it did not fail')
  return failure
}

describe('check', () => {
  it('tells what would run and after what', async () => {
    const { surroundings, printed } = await place({ files: { '.buildkite/pipeline.yml': 'steps:\n  - { label: Build, command: make $WHAT }\n  - wait\n  - group: Tests\n    steps:\n      - { key: unit, command: make unit, parallelism: 3 }\n      - { command: make lint, depends_on: elsewhere }\n' }, environment: { WHAT: 'nothing' } })
    expect(await checkPipeline(undefined, { ...CHECK, env: ['WHAT=all'], known: ['elsewhere'] }, surroundings)).toBe(EXIT.ok)
    expect(printed).toEqual([
      '.buildkite/pipeline.yml: 5 steps, 5 jobs',
      '   1  Build      make all  at once',
      '   2  wait       after 1',
      '   3  Tests      after 4, 5',
      '   4    unit     make unit  × 3  after 2',
      '   5    command  make lint  after elsewhere',
    ])
  })

  it('tells how many of a concurrency group run at a time', async () => {
    const { surroundings, printed } = await place({ input: 'steps:\n  - { command: make deploy, concurrency: 1, concurrency_group: "$APP/deploy" }\n', environment: { APP: 'web' } })
    expect(await checkPipeline('-', CHECK, surroundings)).toBe(EXIT.ok)
    expect(printed[1]).toBe('   1  command  make deploy  at once  at most 1 at a time of web/deploy')
  })

  it('tells each job of a matrix, and counts them', async () => {
    const { surroundings, printed } = await place({ input: 'steps:\n  - label: "{{matrix.os}}"\n    command: make {{matrix.os}} V={{matrix.v}}\n    matrix:\n      setup: { os: [linux, mac], v: [1, 2] }\n      adjustments: [ { with: { os: mac, v: 1 }, skip: true } ]\n' })
    expect(await checkPipeline('-', CHECK, surroundings)).toBe(EXIT.ok)
    expect(printed).toEqual(['standard input: 1 step, 3 jobs', '   1  {{matrix.os}}  × 3  at once', '        linux  make linux V=1', '        linux  make linux V=2', '        mac  make mac V=2'])
  })

  it.each([
    ['if: build.branch == "main"', 'only if build.branch == "main"'],
    ['branches: [ main, "v*" ]', 'only on main v*'],
    ['if_changed: { include: src/**, exclude: "*.md" }', 'only if src/** changed (*.md aside)'],
    ['skip: Not today', 'is skipped: Not today'],
    ['skip: true', 'is skipped'],
  ])('tells when a step runs: %s', async (attribute, told) => {
    const { surroundings, printed } = await place({ input: `steps:\n  - command: make\n    ${attribute}\n` })
    expect(await checkPipeline('-', CHECK, surroundings)).toBe(EXIT.ok)
    expect(printed[1]).toBe(`   1  command  make  at once  ${told}`)
  })

  it('answers scripts with one line of JSON, also of mistakes', async () => {
    const right = await place({ input: '- command: make\n' })
    expect(await checkPipeline(undefined, { ...CHECK, json: true }, right.surroundings)).toBe(EXIT.ok)
    expect(right.printed.map((line) => JSON.parse(line) as unknown)).toEqual([{ file: 'standard input', ok: true, steps: [{ step: 1, kind: 'command', label: null, key: null, command: 'make', jobs: 1, matrix: [], only: [], after: [], group: null, concurrency: null }] }])
    const wrong = await place({ input: 'steps:\n  - command: make\n    retri: {}\n' })
    expect(await checkPipeline('-', { ...CHECK, json: true }, wrong.surroundings)).toBe(EXIT.usage)
    expect(JSON.parse(wrong.printed[0] ?? '')).toMatchObject({ ok: false, mistakes: [{ line: 3, column: 5, message: expect.stringContaining('"retry"') }] })
  })

  it('tells every mistake at once, by its place', async () => {
    const { surroundings, noted, printed } = await place({ files: { 'p.yml': 'steps:\n  - command: make\n    retri: {}\n  - command: make\n    priority: high\n' } })
    expect(await checkPipeline('p.yml', CHECK, surroundings)).toBe(EXIT.usage)
    expect(noted).toEqual([expect.stringMatching(/^p\.yml:3:5: .*did you mean "retry"\?\n +retri: \{\}\n +\^~~~~$/), expect.stringMatching(/^p\.yml:5:15: .*"high".*\n +priority: high\n +\^~~~$/)])
    expect(printed).toEqual([])
  })

  it.each([
    ['a key that no step has', 'steps:\n  - command: make\n    depends_on: other\n', /^p\.yml:3:17: no step has the key "other"/],
    ['a variable that must be set', 'steps:\n  - command: echo ${NAME?is needed}\n', /^p\.yml:2:19: \$NAME: is needed/],
    ['what cannot be run yet', 'steps:\n  - command: make\n    secrets: [ API_KEY ]\n', /^p\.yml:3:\d+: this version does not run secrets yet; until then let an environment hook/],
    ['text that is no YAML', 'steps:\n\t- make\n', /^p\.yml:2:1: a tab/],
  ])('finds %s', async (_what, text, line) => {
    const { surroundings, noted } = await place({ files: { 'p.yml': text } })
    expect(await checkPipeline('p.yml', CHECK, surroundings)).toBe(EXIT.usage)
    expect(noted).toEqual([expect.stringMatching(line)])
  })

  it('says where it looked when there is nothing', async () => {
    const { surroundings } = await place()
    expect(await failureOf(checkPipeline(undefined, CHECK, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringMatching(/no pipeline here: .*\.kedge\/pipeline\.yml.*\.buildkite\/pipeline\.json/) })
    expect(await failureOf(checkPipeline('other.yml', CHECK, surroundings))).toMatchObject({ message: 'cannot read other.yml: there is no such file.' })
    expect(await failureOf(checkPipeline('.', CHECK, surroundings))).toMatchObject({ message: 'cannot read .: it is a folder.' })
    expect(await failureOf(checkPipeline(undefined, { ...CHECK, env: ['=x'] }, (await place({ input: '- wait' })).surroundings))).toMatchObject({ message: '--env must be NAME=VALUE, not "=x".' })
  })

  it('takes no bytes for text', async () => {
    const { surroundings } = await place({ files: { 'p.yml': new Uint8Array([0x73, 0xff, 0xfe]) } })
    expect(await failureOf(checkPipeline('p.yml', CHECK, surroundings))).toMatchObject({ message: 'p.yml is not UTF-8. Save it as UTF-8.' })
  })
})

describe('upload', () => {
  const inJob = (server: { readonly url: string }) => ({ KEDGE_URL: server.url, KEDGE_JOB_TOKEN: 'kdg_job_x', KEDGE_ATTEMPT: 'J1-1-1.1' })

  it('sends the one spelling of the file, its variables filled in, with a key', async () => {
    const server = await answeringServer(() => ({ body: { steps: 1, jobs: 1 } }))
    const { surroundings, noted } = await place({ files: { '.kedge/pipeline.yml': 'steps:\n  - name: Test $WHAT\n    commands: [a, b]\n' }, environment: { ...inJob(server), WHAT: 'all' } })
    expect(await uploadPipeline(undefined, UPLOAD, surroundings)).toBe(EXIT.ok)
    expect(server.asked).toMatchObject([{ method: 'POST', path: '/v1/attempts/J1-1-1.1/pipeline', headers: { authorization: 'Bearer kdg_job_x', 'idempotency-key': expect.stringMatching(/./) }, body: { pipeline: { steps: [{ command: 'a\nb', label: 'Test all' }] } } }])
    expect(noted).toEqual(['uploaded 1 step (1 job) from .kedge/pipeline.yml'])
  })

  it.each([
    ['the flag', { replace: true }, {}],
    ['the variable', {}, { BUILDKITE_PIPELINE_REPLACE: 'true' }],
  ])('by %s it asks to take the place of what has not begun', async (_, flags, variables) => {
    const server = await answeringServer(() => ({ body: { steps: 1, jobs: 1 } }))
    const { surroundings, noted } = await place({ input: '- command: make', environment: { ...inJob(server), ...variables } })
    expect(await uploadPipeline(undefined, { ...UPLOAD, ...flags }, surroundings)).toBe(EXIT.ok)
    expect(server.asked[0]?.body).toEqual({ pipeline: { steps: [{ command: 'make' }] }, replace: true })
    expect(noted).toEqual(['uploaded 1 step (1 job) from standard input, in place of all that had not begun'])
  })

  it('tells by the line of the file what only the coordinator can know', async () => {
    const server = await answeringServer(() => problem(422, 'x', [{ path: 'steps[1].key', message: 'the build has it already.' }]))
    const { surroundings, noted } = await place({ input: 'steps:\n  - wait\n  - identifier: build\n    command: make\n', environment: inJob(server) })
    expect(await uploadPipeline(undefined, UPLOAD, surroundings)).toBe(EXIT.usage)
    expect(noted).toEqual(['standard input:3:17: the build has it already.\n    - identifier: build\n                  ^~~~~', 'standard input was not uploaded: it has a mistake.'])
  })

  it('prints what it would send, and sends nothing', async () => {
    const { surroundings, printed } = await place({ input: '- command: echo $WHO', environment: { WHO: 'you' } })
    expect(await uploadPipeline('-', { ...UPLOAD, dryRun: true, interpolation: false }, surroundings)).toBe(EXIT.ok)
    expect(JSON.parse(printed.join('\n'))).toEqual({ steps: [{ command: 'echo $WHO' }] })
    expect(await uploadPipeline('-', { ...UPLOAD, dryRun: true, format: 'yaml' }, surroundings)).toBe(EXIT.ok)
    expect(printed.at(-1)).toBe('steps:\n  - command: echo you')
    expect(await failureOf(uploadPipeline('-', { ...UPLOAD, format: 'xml' }, surroundings))).toMatchObject({ message: '--format must be json or yaml, not "xml".' })
  })

  it('takes what has changed from a file when it is named, and asks no git', async () => {
    const files = { 'p.yml': 'steps:\n  - { key: go, command: make go, if_changed: "**.go" }\n  - { key: docs, command: make docs, if_changed: docs/** }\n', 'changed.txt': 'docs/a.md\r\n\n README.md\n' }
    for (const by of ['flag', 'variable']) {
      const { surroundings, printed, noted } = await place({ files, environment: by === 'variable' ? { BUILDKITE_CHANGED_FILES_PATH: 'changed.txt' } : {} })
      expect(await uploadPipeline('p.yml', { ...UPLOAD, dryRun: true, ...(by === 'flag' ? { changedFilesPath: 'changed.txt' } : {}) }, surroundings)).toBe(EXIT.ok)
      expect(JSON.parse(printed[0] ?? '')).toMatchObject({ steps: [{ key: 'go', skip: expect.any(String) }, { key: 'docs' }] })
      expect(JSON.parse(printed[0] ?? '').steps[1]).not.toHaveProperty('skip')
      expect(noted).toEqual(['2 files changed, by changed.txt'])
    }
    const { surroundings } = await place({ files })
    expect((await failureOf(uploadPipeline('p.yml', { ...UPLOAD, dryRun: true, changedFilesPath: 'none.txt' }, surroundings))).message).toBe('cannot read "none.txt", which --changed-files-path names: there is no such file. Name a file with the path of a changed file on each line, or leave --changed-files-path away to ask git.')
  })

  it('refuses a pipeline with a secret in it when it is told to', async () => {
    const { surroundings } = await place({ input: '- command: curl -H $API_TOKEN', environment: { API_TOKEN: 'hush "hush"' } })
    const failure = await failureOf(uploadPipeline('-', { ...UPLOAD, dryRun: true, rejectSecrets: true }, surroundings))
    expect(failure.message).toContain('the value of API_TOKEN')
    expect(failure.message).not.toContain('hush')
  })

  it('outside a job says what is missing', async () => {
    const { surroundings } = await place({ input: '- command: make' })
    expect(await failureOf(uploadPipeline(undefined, UPLOAD, surroundings))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('inside a job only') })
  })
})
