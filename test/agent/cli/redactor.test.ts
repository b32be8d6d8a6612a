/** `kedge redactor add`, as a script meets it, and what the agent reads of it. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { addRedactions } from '../../../agent/cli/redactor-calls.ts'
import { EXIT } from '../../../agent/cli/output.ts'
import { newRedactions, REDACTION_BYTES } from '../../../agent/runner/redactions.ts'
import { failureOf } from '../../support/failure-of.ts'
import { ownFolder } from '../../support/folder.ts'
import { surroundings } from '../../support/surroundings.ts'

async function job(input?: string) {
  const folder = await ownFolder()
  const file = join(folder, 'redactions')
  writeFileSync(file, '')
  const noted: string[] = []
  const around = surroundings({ folder, environment: { KEDGE_REDACTIONS: file }, input: { isPiped: () => input !== undefined, read: () => new TextEncoder().encode(input) }, note: (line) => void noted.push(line) })
  return { folder, file, noted, around, added: newRedactions(file) }
}

describe('redactor add', () => {
  it('tells the agent of a value from standard input or a file, once each', async () => {
    const { folder, around, added } = await job(' llamasecret\n')
    expect(added()).toEqual([])
    expect(addRedactions(undefined, {}, around)).toBe(EXIT.ok)
    writeFileSync(join(folder, 'key'), 'two\nlines\n')
    addRedactions('key', {}, around)
    expect(added()).toEqual(['llamasecret', 'two\nlines'])
    expect(added()).toEqual([])
    addRedactions('key', {}, around)
    expect(added()).toEqual(['two\nlines'])
  })

  it('takes each value of a JSON object', async () => {
    const { around, added } = await job('{"a": "secret-1", "b": "", "c": "secret-2"}')
    addRedactions(undefined, { format: 'json' }, around)
    expect(added()).toEqual(['secret-1', 'secret-2'])
  })

  it('says of a value that is too short that it is not hidden, without showing it', async () => {
    const { around, noted } = await job('abc')
    expect(addRedactions(undefined, {}, around)).toBe(EXIT.ok)
    expect(noted).toEqual(['a value of fewer than 6 characters is not hidden: half of the log would be.'])
  })

  it.each<[string, string | undefined, string | undefined, Parameters<typeof addRedactions>[1], string]>([
    ['nothing', undefined, undefined, {}, 'there is nothing to hide'],
    ['a file that is not there', undefined, 'nowhere', {}, 'cannot read nowhere: there is no such file.'],
    ['a list', '["a"]', undefined, { format: 'json' }, 'not a JSON object of texts'],
    ['a format that is none', 'x', undefined, { format: 'yaml' }, '--format must be none or json, not "yaml".'],
    ['a zero byte', 'a\0b', undefined, {}, 'a value with a zero byte cannot be hidden.'],
    ['more than a job may have', 'x'.repeat(REDACTION_BYTES), undefined, {}, 'Nothing was added.'],
  ])('refuses %s', async (_what, input, file, flags, sentence) => {
    const { around, added } = await job(input)
    expect(failureOf(() => addRedactions(file, flags, around))).toMatchObject({ exitCode: EXIT.usage, message: expect.stringContaining(sentence) })
    expect(added()).toEqual([])
  })
})

it('a job that spoils its own file hides nothing more, and harms nobody', async () => {
  const { file, added } = await job()
  writeFileSync(file, `${'x'.repeat(REDACTION_BYTES * 2)}`)
  expect(added()).toEqual([])
  rmSync(file)
  expect(added()).toEqual([])
  mkdirSync(file)
  expect(added()).toEqual([])
})
