/** A spool that holds what it did not write. */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { A, assignmentOf, bench, finished, id, resultOf } from '../../support/spool-bench.ts'

describe('damage [D34]', () => {
  const damages: readonly (readonly [string, string, string])[] = [
    ['cut off', 'result.json', '{"format":1,"attempt":"J1-82-1.1","dig'],
    ['empty', 'result.json', ''],
    ['of a newer version', 'result.json', '{"format":2,"shape":"unknown"}'],
    ['changed', 'result.json', JSON.stringify({ format: 1, attempt: A, digest: `sha256:${'0'.repeat(64)}`, result: JSON.stringify(resultOf()) })],
    ['of another attempt', 'result.json', JSON.stringify({ format: 1, attempt: id(5), digest: 'x', result: '{}' })],
    ['not text', 'spec.json', '\u0000\u0001'],
    ['of a newer version', 'spec.json', '{"format":7}'],
  ]
  test.each(damages)('%s: %s goes to corrupt/, its attempt is lost, the others are delivered', async (_, name, text) => {
    const { open, folder } = await bench()
    const spool = await open()
    if (name === 'result.json') await finished(spool, A)
    else await spool.journal(assignmentOf(A))
    await finished(spool, id(2))
    await writeFile(join(folder, 'spool', A, name), text)
    const next = await open()
    expect(next.replayed.lost).toMatchObject([{ attempt: A, why: 'corrupt_spool' }])
    expect(next.pending().map(({ attempt }) => attempt)).toEqual([id(2)])
    expect((await readdir(join(folder, 'corrupt')))[0]).toMatch(`${A}@`)
    expect(await next.journal(assignmentOf(A))).toBe('known')
  })

  test('a whole result is delivered although its journal, its start and its verdict are damaged', async () => {
    const { open, folder } = await bench()
    await finished(await open(), A)
    for (const name of ['spec.json', 'started', 'verdict']) await writeFile(join(folder, 'spool', A, name), '{')
    expect((await open()).pending().map(({ attempt }) => attempt)).toEqual([A])
  })

  test('strangers in the spool are moved aside and lose nobody\'s attempt', async () => {
    const { open, folder } = await bench()
    await mkdir(join(folder, 'spool', 'lost+found'), { recursive: true })
    await writeFile(join(folder, 'spool', 'J1-1-1.1'), 'a file where a folder should be')
    const spool = await open()
    expect(spool.replayed.lost.map(({ attempt, why }) => [attempt, why])).toEqual([['J1-1-1.1', 'corrupt_spool']])
    expect((await readdir(join(folder, 'corrupt'))).map((name) => name.split('@')[0]).sort()).toEqual(['J1-1-1.1', 'lost+found'])
  })
})
