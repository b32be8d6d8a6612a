/** The examples of docs/pipelines.md are what people copy, so each is read as whoever checks a pipeline reads it. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { canonical } from '../../../schema/pipeline/canonical.ts'
import { readDocument } from '../../../schema/pipeline/document.ts'
import { graphOf } from '../../../schema/pipeline/graph.ts'
import { interpolatePipeline } from '../../../schema/pipeline/interpolate-pipeline.ts'
import { readPipeline } from '../../../schema/pipeline/read-steps.ts'
import { placeOfMistake } from '../../../schema/pipeline/show-mistake.ts'
import type { Mistake } from '../../../schema/pipeline/steps.ts'

interface Example {
  /** Of its fence in the page. */
  readonly line: number
  readonly text: string
  readonly isRefused: boolean
}

const page = readFileSync(new URL('../../../docs/pipelines.md', import.meta.url), 'utf8')
const examples: readonly Example[] = [...page.matchAll(/^```yaml(?<refused> refused)?\n(?<text>.*?)^```$/gms)].map(({ index, groups }) => ({
  line: page.slice(0, index).split('\n').length,
  text: groups?.['text'] ?? '',
  isRefused: groups?.['refused'] !== undefined,
}))

interface Told {
  readonly line: number
  readonly message: string
}

function mistakesOf(text: string): readonly Told[] {
  const read = readDocument(text)
  if (!read.ok) return read.mistakes.map(({ place, message }) => ({ line: place.line, message }))
  const { document } = read
  const interpolated = interpolatePipeline(document.value, {})
  if (interpolated.mistakes.length > 0) return interpolated.mistakes.map(({ path, error }) => ({ line: document.at(path).line, message: error.message }))
  const made = canonical(interpolated.value)
  if (!made.ok) return [{ line: document.at(made.path).line, message: made.message }]
  const told = (mistakes: readonly Mistake[]) => mistakes.map((mistake) => ({ line: placeOfMistake(mistake, { document, interpolated, canonical: made.canonical }).line, message: mistake.message }))
  const answer = readPipeline(made.canonical.pipeline)
  if (!answer.ok) return told(answer.mistakes)
  const graph = graphOf(answer.pipeline.steps)
  return [...(graph.ok ? [] : told(graph.mistakes)), ...made.canonical.warnings.map(({ path, message }) => ({ line: document.at(path).line, message }))]
}

describe('the reference of pipelines', () => {
  it('has examples of both sorts', () => {
    expect(examples.filter(({ isRefused }) => !isRefused).length).toBeGreaterThan(10)
    expect(examples.filter(({ isRefused }) => isRefused).length).toBeGreaterThan(5)
    expect(page.match(/^```yaml/gm)).toHaveLength(examples.length)
  })

  it.each(examples.filter(({ isRefused }) => !isRefused))('is right in its line $line', ({ text }) => {
    expect(mistakesOf(text)).toEqual([])
  })

  it.each(examples.filter(({ isRefused }) => isRefused))('refuses the example in its line $line, where its comment stands', ({ text }) => {
    const told = mistakesOf(text)
    expect(told).not.toEqual([])
    const commented = text.split('\n').findIndex((line) => / # /.test(line)) + 1
    if (commented > 0) expect(told.map(({ line }) => line)).toEqual([commented])
  })

  it.each(examples.filter(({ isRefused, text }) => isRefused && / # did you mean "/.test(text)))('advises in its line $line what it says there', ({ text }) => {
    expect(mistakesOf(text)[0]?.message).toContain(/ # (did you mean ".*"\?)$/m.exec(text)?.[1])
  })
})
