/**
 * `npm run conformance -- --cases DIR`: holds Kedge's reading of Buildkite's dialect against a folder of cases, prints
 * each that is not right, and counts by kind. Exit status 1: one of them is not right for no reason that is known. Kinds that nobody judges here are left out.
 */
import { nearest } from '../../../schema/nearest.ts'
import { commandLine } from '../../support/command-line.ts'
import { casesOf, NoCases, type Case, type Judge, type Outcome } from './case.ts'
import { CONDITIONALS } from './conditionals.ts'
import { INTERPOLATION } from './interpolation.ts'
import { PIPELINES } from './pipelines.ts'
import { SCHEMA } from './schema.ts'

/** Of each family a file. */
const JUDGES: Readonly<Record<string, Judge>> = { ...PIPELINES, ...INTERPOLATION, ...CONDITIONALS, ...SCHEMA }

const USAGE = `usage: npm run conformance -- --cases DIR [--kind KIND] [--json]
kinds: ${Object.keys(JUDGES).join(', ')}`

const { values, positionals, bad } = commandLine('conformance', USAGE, { cases: { type: 'string' }, kind: { type: 'string' }, json: { type: 'boolean' } })
if (positionals[0] !== undefined) bad(`"${positionals[0]}" is no option; the folder is given by --cases\n${USAGE}`)
const folder = values.cases ?? bad(`no folder of cases is given\n${USAGE}`)
const { kind } = values
if (kind !== undefined && !Object.hasOwn(JUDGES, kind)) {
  const close = nearest(kind, Object.keys(JUDGES))
  bad(`there is no kind "${kind}"${close === null ? '' : `; did you mean "${close}"?`} There are: ${Object.keys(JUDGES).join(', ')}`)
}

interface Judged {
  readonly one: Case
  readonly outcome: Outcome
}

const judged = judgeAll()
if (values.json === true) console.log(JSON.stringify(asJson(judged)))
else print(judged)
process.exitCode = judged.every(({ outcome }) => outcome.right || outcome.reason !== undefined) ? 0 : 1

function judgeAll(): readonly Judged[] {
  try {
    const all = casesOf(folder).flatMap((one) => {
      const judge = Object.hasOwn(JUDGES, one.kind) && (kind === undefined || kind === one.kind) ? JUDGES[one.kind] : undefined
      return judge === undefined ? [] : [{ one, outcome: judge(one) }]
    })
    return all.length > 0 ? all : bad(`${folder} has no case${kind === undefined ? '' : ` of the kind ${kind}`} that could be judged`)
  } catch (error) {
    if (error instanceof NoCases) return bad(error.message)
    throw error
  }
}

function countsOf(all: readonly Judged[]): readonly { readonly kind: string; readonly right: number; readonly total: number }[] {
  return Object.keys(JUDGES).flatMap((name) => {
    const ofKind = all.filter(({ one }) => one.kind === name)
    return ofKind.length === 0 ? [] : [{ kind: name, right: ofKind.filter(({ outcome }) => outcome.right).length, total: ofKind.length }]
  })
}

/** What Kedge takes of the pipelines that people really use, and how many of the others each refusal concerns. */
function realOf(all: readonly Judged[]): { readonly taken: number; readonly needOthers: number; readonly total: number; readonly refusals: readonly (readonly [message: string, pipelines: number])[] } {
  const seen = all.flatMap(({ one, outcome }) => (one.kind === 'pipeline-real' && outcome.seen !== undefined ? [outcome.seen] : []))
  const counts = new Map<string, number>()
  for (const { refusals } of seen) {
    for (const message of new Set(refusals)) counts.set(message, (counts.get(message) ?? 0) + 1)
  }
  return { taken: seen.filter(({ refusals }) => refusals.length === 0).length, needOthers: seen.filter(({ needsOthers }) => needsOthers).length, total: seen.length, refusals: [...counts].toSorted(([, a], [, b]) => b - a) }
}

function asJson(all: readonly Judged[]): unknown {
  const notRight = all.flatMap(({ one: { id, kind: of }, outcome }) => {
    if (outcome.right) return []
    const { got, wanted, reason = null } = outcome
    return [{ id, kind: of, got, wanted, reason }]
  })
  return { kinds: Object.fromEntries(countsOf(all).map(({ kind: of, right, total }) => [of, { right, total }])), notRight, real: realOf(all) }
}

function print(all: readonly Judged[]): void {
  for (const { one, outcome } of all) {
    if (outcome.right) continue
    console.log(`${one.id} (${one.kind})`)
    console.log(`  got     ${outcome.got}\n  wanted  ${outcome.wanted}`)
    if (outcome.reason !== undefined) console.log(`  because ${outcome.reason}`)
  }
  const { taken, needOthers, total, refusals } = realOf(all)
  if (total > 0) {
    console.log(`Kedge takes ${taken} of ${total} real pipelines whose variables are set (${needOthers} of them wait for steps of other files)${refusals.length === 0 ? '.' : '; pipelines refused, by what is said of them:'}`)
    for (const [message, pipelines] of refusals) console.log(`${String(pipelines).padStart(4)}  ${message}`)
  }
  console.log(countsOf(all).map(({ kind: of, right, total: count }) => `${of} ${right}/${count}`).join(' '))
}
