/** Whom an upload has told of its build, its groups and its steps: the notices that the build gets with it. */
import { pathOf, type Node } from '../../schema/pipeline/graph.ts'
import { PIPELINE_LIMITS } from '../../schema/pipeline/limits.ts'
import type { Mistake, Notification, Pipeline } from '../../schema/pipeline/steps.ts'
import type { BuildRow, Notice, StepRow } from './decision.ts'

export interface NoticesAsked {
  readonly build: Pick<BuildRow, 'notify'>
  /** Of the project. */
  readonly slug: string
  readonly pipeline: Pick<Pipeline, 'notify' | 'env'>
  /** Of the graph, and the rows that they become. */
  readonly nodes: readonly Node[]
  readonly rows: readonly StepRow[]
}

export type NoticesAnswer = { readonly ok: true; readonly notices: readonly Notice[] | null } | { readonly ok: false; readonly mistakes: readonly Mistake[] }

/** All that the build has then; those of an upload that asks for the same of the build again are there already. */
export function noticesOf({ build, slug, pipeline, nodes, rows }: NoticesAsked): NoticesAnswer {
  const all = new Notices(build.notify ?? [], pipeline.env)
  for (const [at, one] of pipeline.notify.entries()) all.add(one, { s: 0, context: `kedge/${slug}`, path: ['notify', at] })
  for (const [index, { step }] of nodes.entries()) {
    const row = rows[index]
    if (row === undefined || !('notify' in step)) continue
    for (const [at, one] of step.notify.entries()) all.add(one, { s: row.s, context: `kedge/${slug}/${step.key ?? step.label ?? `step-${row.s}`}`, path: [...pathOf(step), 'notify', at] })
  }
  if (all.mistakes.length > 0) return { ok: false, mistakes: all.mistakes }
  return { ok: true, notices: all.notices.length === 0 ? null : all.notices }
}

/** Where one stands, and the context of its status if it names none. */
interface Place {
  readonly s: number
  readonly context: string
  readonly path: Mistake['path']
}

/** GitHub and GitLab take no longer ones. */
const CONTEXT_CHARACTERS = 255

class Notices {
  readonly notices: Notice[]
  readonly mistakes: Mistake[] = []
  readonly #env: Readonly<Record<string, string>>
  #characters: number

  constructor(before: readonly Notice[], env: Readonly<Record<string, string>>) {
    this.notices = [...before]
    this.#env = env
    this.#characters = before.length === 0 ? 0 : JSON.stringify(before).length
  }

  add(one: Notification, place: Place): void {
    const context = (name: string | null) => (name !== null ? shortened(name) : place.s === 0 ? place.context : this.#unused(shortened(place.context)))
    const to: Notice['to'] = one.kind === 'webhook' ? { kind: 'webhook', url: one.url } : { kind: 'commit_status', context: context(one.context) }
    const notice: Notice = { s: place.s, to, if: one.if, env: this.#named(one.if), heldNot: null, blockedAsPending: one.kind === 'commit_status' && one.blockedAsPending, told: null, wanted: null, nth: 0, since: null, at: 0, tries: 0, gaveUp: null, problem: null }
    if (place.s === 0 && this.notices.some((other) => isSame(other, notice))) return
    this.#characters += JSON.stringify(notice).length
    const wrong = this.#whyNot(notice)
    if (wrong === null) this.notices.push(notice)
    else this.mistakes.push({ path: place.path, message: wrong })
  }

  #whyNot(notice: Notice): string | null {
    if (this.notices.length >= PIPELINE_LIMITS.noticesPerBuild) return `a build tells ${PIPELINE_LIMITS.noticesPerBuild} at most, and this is one more: tell of a group instead of each of its steps, or of the whole build.`
    if (this.#characters > PIPELINE_LIMITS.noticesCharacters) return `what the build is to tell is longer than ${PIPELINE_LIMITS.noticesCharacters} characters together: shorten the conditions.`
    const { to } = notice
    const other = to.kind === 'webhook' ? undefined : this.notices.find((one) => one.to.kind === 'commit_status' && one.to.context === to.context)
    // With conditions, at most one of them may be told.
    if (to.kind === 'webhook' || other === undefined || other.if !== null || notice.if !== null) return null
    return `the build tells the status "${to.context}" already, and each would overwrite the other: give this one a "context" of its own.`
  }

  /** Steps without a key may be called alike. */
  #unused(context: string): string {
    const isTaken = (name: string) => this.notices.some(({ to }) => to.kind === 'commit_status' && to.context === name)
    let name = context
    for (let nth = 2; isTaken(name); nth += 1) name = `${shortened(context, CONTEXT_CHARACTERS - 6)} (${nth})`
    return name
  }

  /** Variables that the condition names, since those of the pipeline are not kept with the build. */
  #named(condition: string | null): Readonly<Record<string, string>> {
    if (condition === null) return {}
    return Object.fromEntries(Object.entries(this.#env).filter(([name]) => condition.includes(name)))
  }
}

function isSame(a: Notice, b: Notice): boolean {
  return a.s === b.s && a.if === b.if && a.blockedAsPending === b.blockedAsPending && JSON.stringify(a.to) === JSON.stringify(b.to)
}

function shortened(text: string, most = CONTEXT_CHARACTERS): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…` // not half of a character
}
