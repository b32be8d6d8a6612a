/** `kedge env`, as a script meets it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dumpEnv, getEnv, setEnv, unsetEnv } from '../../../agent/cli/env-calls.ts'
import { EXIT } from '../../../agent/cli/output.ts'
import { readChanges } from '../../../agent/runner/env-changes.ts'
import { failureOf } from '../../support/failure-of.ts'
import { ownFolder } from '../../support/folder.ts'
import { surroundings } from '../../support/surroundings.ts'

async function job({ environment = {}, input }: { readonly environment?: Readonly<Record<string, string>>; readonly input?: string } = {}) {
  const file = join(await ownFolder(), 'changes')
  writeFileSync(file, '')
  const [printed, noted] = [[] as string[], [] as string[]]
  const around = surroundings({
    environment: { KEDGE_ENV_CHANGES: file, KEDGE_ATTEMPT: 'J1-1-1.1', NODE_OPTIONS: '', ...environment },
    input: { isPiped: () => input !== undefined, read: () => new TextEncoder().encode(input) },
    print: (line) => void printed.push(line),
    note: (line) => void noted.push(line),
  })
  const taken = () => printed.splice(0)
  return { around, file, noted, taken }
}

describe('set', () => {
  it('keeps variables for the next phase, says which are new, and get shows them at once', async () => {
    const { around, file, taken } = await job({ environment: { ALPACA: 'here' } })
    expect(setEnv(['LLAMA=Kuzco', 'ALPACA=Geronimo the Incredible', 'EMPTY='], {}, around)).toBe(EXIT.ok)
    expect(taken()).toEqual(['Added:', '+ EMPTY', '+ LLAMA', 'Updated:', '~ ALPACA'])
    expect([...readChanges(file)]).toEqual([['LLAMA', 'Kuzco'], ['ALPACA', 'Geronimo the Incredible'], ['EMPTY', '']])
    expect(getEnv(['LLAMA'], {}, around)).toBe(EXIT.ok)
    expect(getEnv(['LLAMA', 'ALPACA', 'EMPTY'], {}, around)).toBe(EXIT.ok)
    expect(taken()).toEqual(['Kuzco', 'ALPACA=Geronimo the Incredible', 'EMPTY=', 'LLAMA=Kuzco'])
    setEnv(['LLAMA=again'], { outputFormat: 'json' }, around)
    setEnv([], {}, around)
    expect(taken()).toEqual(['{"added":[],"updated":["LLAMA"]}', 'No variables added or updated.'])
  })

  it('reads standard input for "-", by lines or as JSON', async () => {
    const lines = await job({ input: 'A=1\r\nB=2=3\n\n' })
    setEnv(['-'], { outputFormat: 'quiet' }, lines.around)
    expect([...readChanges(lines.file)]).toEqual([['A', '1'], ['B', '2=3']])
    const json = await job({ input: '{\n "A": "x\\ny",\n "B": ""}' })
    setEnv(['-'], { inputFormat: 'json' }, json.around)
    expect([...readChanges(json.file)]).toEqual([['A', 'x\ny'], ['B', '']])
    expect([lines.taken(), json.taken()]).toEqual([[], ['Added:', '+ A', '+ B']])
  })

  it.each<[string, readonly string[], Parameters<typeof setEnv>[1], string]>([
    ['what is protected', ['A=1', 'KEDGE_JOB_TOKEN=x', 'BUILDKITE_AGENT_ACCESS_TOKEN=x'], {}, '"KEDGE_JOB_TOKEN" is protected: it says which job this is and what its agent gave it; "BUILDKITE_AGENT_ACCESS_TOKEN" is protected'],
    ['what is no name', ['A-B=1'], {}, '"A-B" is no name of a variable'],
    ['what has no value', ['A'], {}, '"A" is not of the form NAME=value.'],
    ['a value that no process can be given', [`A=${'x'.repeat(128 * 1024)}`], {}, '"A" is larger than a process can be given'],
    ['other JSON', ['["A"]'], { inputFormat: 'json' }, 'not a JSON object of texts'],
    ['values that are no texts', ['{"A": 1}'], { inputFormat: 'json' }, 'the value of "A" must be a text.'],
    ['a zero byte', ['{"A": "x\\u0000y"}'], { inputFormat: 'json' }, 'cannot hold a zero byte'],
    ['a format that is none', ['A=1'], { outputFormat: 'yaml' }, '--output-format must be plain, json, json-pretty or quiet, not "yaml".'],
    ['input that is not there', ['-'], {}, 'nothing is piped there'],
  ])('refuses %s, and changes nothing', async (_what, given, flags, sentence) => {
    const { around, file } = await job()
    expect(failureOf(() => setEnv(given, flags, around))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining(sentence) })
    expect(readFileSync(file, 'utf8')).toBe('')
  })
})

describe('unset', () => {
  it('takes variables away for the next phase, and says which were there', async () => {
    const { around, file, taken } = await job({ environment: { A: '1' }, input: 'B\nC\n' })
    setEnv(['B=2'], { outputFormat: 'quiet' }, around)
    expect(unsetEnv(['A', '-'], {}, around)).toBe(EXIT.ok)
    expect(taken()).toEqual(['Unset:', '- A', '- B'])
    expect(readChanges(file)).toEqual(new Map([['B', null], ['A', null], ['C', null]]))
    expect(getEnv(['A'], {}, around)).toBe(EXIT.failed)
    unsetEnv(['["X"]'], { inputFormat: 'json' }, around)
    unsetEnv(['["X"]'], { inputFormat: 'json', outputFormat: 'json' }, around)
    expect(taken()).toEqual(['No variables unset.', '[]'])
  })

  it('refuses what is protected', async () => {
    expect(failureOf(() => unsetEnv(['PWD'], {}, { ...surroundings(), environment: { KEDGE_ENV_CHANGES: '/dev/null' } }))).toMatchObject({ message: expect.stringContaining('"PWD" is protected') })
  })
})

describe('get and dump', () => {
  it('a variable that is not set is named, and is exit status 1', async () => {
    const { around, noted, taken } = await job({ environment: { A: '1' } })
    expect(getEnv(['A', 'NOPE'], { format: 'json' }, around)).toBe(EXIT.failed)
    expect([taken(), noted]).toEqual([['{"A":"1"}'], ['"NOPE" is not set.']])
  })

  it('show the whole environment sorted, with the NODE_OPTIONS that the job has and kedge was kept from', async () => {
    const { around, file, taken } = await job({ environment: { Z: '1', A: '2', KEDGE_NODE_OPTIONS: '--stack-size=900' } })
    const whole = { A: '2', KEDGE_ATTEMPT: 'J1-1-1.1', KEDGE_ENV_CHANGES: file, NODE_OPTIONS: '--stack-size=900', Z: '1' }
    getEnv([], {}, around)
    dumpEnv({}, around)
    dumpEnv({ format: 'json-pretty' }, around)
    expect(taken()).toEqual([...Object.entries(whole).map(([name, value]) => `${name}=${value}`), JSON.stringify(whole), JSON.stringify(whole, null, 2)])
  })

  it('outside a job only dump works', () => {
    expect(dumpEnv({}, surroundings({ environment: { A: '1' } }))).toBe(EXIT.ok)
    for (const work of [() => getEnv([], {}, surroundings()), () => setEnv(['A=1'], {}, surroundings()), () => unsetEnv(['A'], {}, surroundings())]) expect(failureOf(work)).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining('inside a job only') })
  })
})
