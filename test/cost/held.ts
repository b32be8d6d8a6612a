/**
 * The figures that are held: `figures.json`, for each day all 24 hours and the sample of it that the tests live through.
 * Whatever differs is said as a sentence, also what got cheaper, so that the file stays true.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { flat, type Figures } from './figures.ts'
import { CAUSES } from './meter.ts'
import { markdown, number } from './table.ts'

const HELD = new URL('figures.json', import.meta.url)
export const DOCUMENT = new URL('../../docs/cost.md', import.meta.url)
const FROM = '<!-- figures: `npm run cost -- --accept` writes what is between these -->'
const TO = '<!-- end of the figures -->'

const count = z.number().int().nonnegative()
const byCause = z.record(z.enum(CAUSES), count)
const figures = z.object({ builds: count, worker_requests: byCause, object_requests: byCause, rows_written: byCause, rows_read: byCause, duration: z.object({ gb_s: count, gb_s_if_idle_counted: count }), r2: z.object({ class_a: count, class_b: count, kb_stored: count }), sqlite: z.object({ kb_stored: z.number().int() }) })
const held = z.record(z.string(), z.object({ day: figures, sample: figures }))
export type Held = Readonly<Record<string, { readonly day: Figures; readonly sample: Figures }>>

export function readHeld(): Held {
  return held.parse(JSON.parse(readFileSync(HELD, 'utf8')))
}

/** Also into the documentation, which shows them. */
export function writeHeld(all: Held): void {
  writeFileSync(HELD, `${JSON.stringify(all, null, 2)}\n`)
  const text = readFileSync(DOCUMENT, 'utf8')
  writeFileSync(DOCUMENT, `${text.slice(0, text.indexOf(FROM))}${shownFigures(all)}${text.slice(text.indexOf(TO) + TO.length)}`)
}

/** The part of the documentation that shows the figures of whole days. */
export function shownFigures(all: Held): string {
  return `${FROM}\n\n${markdown(new Map(Object.entries(all).map(([name, { day }]) => [name, day])))}\n\n${TO}`
}

const WHAT: Readonly<Record<string, string>> = {
  worker_requests: 'Worker requests', object_requests: 'object requests', rows_written: 'rows written', rows_read: 'rows read',
  'duration.gb_s': 'GB-s of object duration', 'duration.gb_s_if_idle_counted': 'GB-s of object duration if the idle 10 s were billed',
  'r2.class_a': 'R2 class A operations', 'r2.class_b': 'R2 class B operations', 'r2.kb_stored': 'KB stored in R2', 'sqlite.kb_stored': 'KB stored by objects',
}
const WHY: Readonly<Record<string, string>> = { sync: "for agents' syncs", log: 'for logs', people: 'for people and scripts', alarm: 'for alarms' }

function inWords(path: string): string {
  const [group = '', cause = ''] = path.split('.')
  return WHAT[path] ?? `${WHAT[group] ?? group} ${WHY[cause] ?? cause}`
}

/** One sentence for each figure that is not as held; none when all are. */
export function differences(name: string, before: Figures | undefined, now: Figures): readonly string[] {
  if (before === undefined) return [`No figures are held of ${name}.`]
  const held = flat(before)
  return [...flat(now)].flatMap(([path, value]) => {
    const was = held.get(path) ?? 0
    if (value === was) return []
    const change = was === 0 ? '' : ` (${value > was ? '+' : '−'}${number((100 * Math.abs(value - was)) / was, 1)} %)`
    return [`${name} got ${value > was ? 'dearer' : 'cheaper'}: ${inWords(path)} went from ${number(was)} to ${number(value)}${change}.`]
  })
}

/** What to do about them. */
export function advice(sentences: readonly string[]): string {
  const isDearer = sentences.some((sentence) => sentence.includes(' got dearer: '))
  return isDearer ? 'If that is meant, accept it with: npm run cost -- --accept' : 'Make the held figures true again with: npm run cost -- --accept'
}
