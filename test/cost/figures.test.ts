/** What the days cost is held: whatever makes one dearer, or cheaper, is noticed here and said in a sentence. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { DAYS } from './days.ts'
import { flat, type Figures } from './figures.ts'
import { advice, differences, DOCUMENT, readHeld, shownFigures } from './held.ts'
import { live } from './live.ts'

const held = readHeld()

describe('what a day costs [C18]', () => {
  it('is held of each day that is scripted', () => {
    expect(Object.keys(held)).toEqual(DAYS.map(({ name }) => name))
  })

  it.each(DAYS.map((day) => [day.name, day] as const))('is as it was held: %s', async (name, day) => {
    const different = differences(`the sample of ${name}`, held[name]?.sample, await live(day, day.sample))
    expect(different.length === 0 ? '' : [...different, advice(different)].join('\n')).toBe('')
  })

  it('is what docs/cost.md shows', () => {
    expect(readFileSync(DOCUMENT, 'utf8')).toContain(shownFigures(held))
  })
})

describe('a difference', () => {
  const before = held['team']?.day as Figures // the first test says so

  it('that is dearer is named, with what to do if it is meant', () => {
    const sentences = differences('team', before, { ...before, rows_written: { ...before.rows_written, log: before.rows_written.log + 1000 } })
    expect(sentences).toHaveLength(1)
    expect(sentences[0]).toMatch(/^team got dearer: rows written for logs went from [\d,]+ to [\d,]+ \(\+[\d.]+ %\)\.$/)
    expect(advice(sentences)).toBe('If that is meant, accept it with: npm run cost -- --accept')
  })

  it('that is cheaper is named too, so that the file is made true', () => {
    const sentences = differences('team', before, { ...before, r2: { ...before.r2, class_a: before.r2.class_a - 1 } })
    expect(sentences[0]).toMatch(/^team got cheaper: R2 class A operations went from [\d,]+ to [\d,]+ \(−[\d.]+ %\)\.$/)
    expect(advice(sentences)).toBe('Make the held figures true again with: npm run cost -- --accept')
  })

  it('of any figure is seen', () => {
    for (const path of flat(before).keys()) {
      const [group = '', name = ''] = path.split('.')
      const changed = structuredClone(before) as unknown as Record<string, Record<string, number>> // groups of numbers
      const figures = changed[group]
      if (figures !== undefined) figures[name] = (figures[name] ?? 0) + 1
      expect(differences('team', before, changed as unknown as Figures)).toHaveLength(1)
    }
  })
})
