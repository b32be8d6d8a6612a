/** The list of faults against the tests and the documentation: no row without its test, no test of a row that is not listed. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { choose, namesIn, patternOf, processTests, ROOT } from './names.ts'
import { ROWS } from './rows.ts'
import { markdown } from './table.ts'

const tests = processTests()

describe('the list of faults', () => {
  it('goes from D1 to D54, each once', () => {
    expect(ROWS.map(({ id }) => id)).toEqual(Array.from({ length: 54 }, (_, i) => `D${i + 1}`))
  })

  it.each(ROWS.map((row) => [row.id, row] as const))('%s has its tests', (id, { shown }) => {
    for (const proof of shown) {
      switch (proof.by) {
        case 'processes':
          expect(tests.filter(({ rows }) => rows.includes(id)).map(({ name }) => name), `no test in test/faults or test/end-to-end ends with [${id}]`).not.toEqual([])
          break
        case 'unit':
        case 'workers':
          expect(namesIn(proof.file), `${proof.file} has no such test`).toContain(proof.test)
          break
        case 'bench':
          expect(readFileSync(join(ROOT, 'test/bench', `${proof.bar}.ts`), 'utf8')).toContain(`name: '${proof.bar}'`)
          break
        case 'simulation':
        case 'later':
          break
        default:
          proof satisfies never
      }
    }
  })

  it('says of each row that a test with real processes names that it is shown so', () => {
    const named = new Set(tests.flatMap(({ rows }) => rows))
    const said = ROWS.filter(({ shown }) => shown.some(({ by }) => by === 'processes')).map(({ id }) => id as string)
    expect([...named].toSorted()).toEqual(said.toSorted())
  })

  it('is what docs/faults.md shows (`npm run -s faults -- --list` prints it)', () => {
    expect(readFileSync(join(ROOT, 'docs/faults.md'), 'utf8')).toContain(markdown(ROWS))
  })
})

describe('a name of the command', () => {
  const ids = (...words: readonly string[]) => {
    const chosen = choose(words)
    return 'rows' in chosen ? chosen.rows.map(({ id }) => id) : chosen
  }

  it.each([
    [['D12'], ['D12']],
    [['d3-D5', 'D1'], ['D1', 'D3', 'D4', 'D5']],
    [['captive'], ['D2']],
    [['STARVES'], ['D46']],
  ])('%j is %j', (words, rows) => {
    expect(ids(...words)).toEqual(rows)
  })

  it('that means nothing is refused with the nearest that does', () => {
    expect(ids('D1', 'D99')).toMatchObject({ unknown: 'D99' })
    expect(ids('doorbel1')).toEqual({ unknown: 'doorbel1', meant: 'doorbell' })
    expect(ids('xyzzyxyzzy')).toEqual({ unknown: 'xyzzyxyzzy', meant: null })
  })
})

it('a pattern finds the test that it was made of, and no other', () => {
  const pattern = new RegExp(patternOf('away for ${seconds} s (%i): [D19, I10]'))
  expect(pattern.test('away for 40 s (3): [D19, I10]')).toBe(true)
  expect(pattern.test('away for 40 s (3): D19')).toBe(false)
})
