/**
 * Which steps wait for which. A wait stands between those before it and those behind it, as a step of its own, so that a
 * thousand steps before one and a thousand behind it are two thousand arrows and not a million.
 *
 * The graph is of one upload. A step may name a key that the build has already (`known`), and whatever waits for the
 * uploading step waits for the upload's `tail` too: that is how later uploads are put between steps that are there.
 */
import { nearest } from '../nearest.ts'
import { PIPELINE_LIMITS } from './limits.ts'
import { shownName } from './read/reading.ts'
import type { Dependency, GroupStep, Mistake, Step } from './steps.ts'

export interface Node {
  readonly step: Step
  /** Index of the group's node, which is done when all its steps are. */
  readonly group: number | null
  readonly waitsFor: readonly Arrow[]
  /** Of the steps that the build had before. */
  readonly waitsForKnown: readonly Dependency[]
}

export interface Arrow {
  /** Index of a node. */
  readonly node: number
  readonly allowFailure: boolean
}

export interface Graph {
  /** In the order of the pipeline; a group's node goes before those of its steps. */
  readonly nodes: readonly Node[]
  /** Nodes after which all of it is done. */
  readonly tail: readonly number[]
}

export type GraphAnswer = { readonly ok: true; readonly graph: Graph } | { readonly ok: false; readonly mistakes: readonly Mistake[] }

export interface GraphOptions {
  /** Keys of steps that the build has already. */
  readonly known?: ReadonlySet<string>
  /** Steps that do not run: a wait or block among them stands between nothing. */
  readonly leftOut?: { has(step: Step): boolean }
}

export function graphOf(steps: readonly Step[], { known = new Set(), leftOut = new Set() }: GraphOptions = {}): GraphAnswer {
  const building = new Building(steps, known, leftOut)
  building.walk(steps, { group: null, base: [], inherited: [] })
  const mistakes = building.mistakes.length > 0 ? building.mistakes : circles(building.nodes)
  return mistakes.length > 0 ? { ok: false, mistakes } : { ok: true, graph: { nodes: building.nodes, tail: building.tail } }
}

interface Scope {
  readonly group: number | null
  /** What its first steps wait for. */
  readonly base: readonly Arrow[]
  /** What each of its steps waits for beside its own dependencies. */
  readonly inherited: readonly Dependency[]
}

type Draft = { -readonly [Name in keyof Node]: Node[Name] }

class Building {
  readonly nodes: Draft[] = []
  readonly mistakes: Mistake[] = []
  tail: readonly number[] = []
  readonly #indexes = new Map<string, number>()
  /** Of keys that no step has: where they stand, since a step may name one a thousand times, and what was said of them, since to look for what was meant costs. */
  readonly #told = new Set<string>()
  readonly #advice = new Map<string, string>()
  readonly #known: ReadonlySet<string>
  readonly #leftOut: { has(step: Step): boolean }
  #arrows = 0

  constructor(steps: readonly Step[], known: ReadonlySet<string>, leftOut: { has(step: Step): boolean }) {
    this.#known = known
    this.#leftOut = leftOut
    // A step may depend on one that stands behind it, so every key has its index before anything is looked up.
    let index = 0
    for (const step of steps) {
      for (const one of step.kind === 'group' ? [step, ...step.steps] : [step]) {
        if (one.key !== null) this.#indexes.set(one.key, index)
        index += 1
      }
    }
  }

  walk(steps: readonly Step[], { group, base, inherited }: Scope): readonly number[] {
    /** What stands between this place and all before it. */
    let barrier: readonly Arrow[] = base
    let since: number[] = []
    const all: number[] = []
    for (const step of steps) {
      const { allowDependencyFailure: allowFailure } = step
      const own = step.dependsOn === null ? null : [...step.dependsOn, ...inherited]
      const index = this.nodes.length
      all.push(index)
      if (step.kind === 'group') {
        this.#group(step, own, barrier)
        since.push(index)
        continue
      }
      const stands = step.kind === 'wait' || step.kind === 'block'
      const acts = stands && !this.#leftOut.has(step)
      const implicit = step.kind === 'input' ? [] : acts ? [...barrier, ...since.map((node) => ({ node, allowFailure: false }))] : barrier
      const named = own ?? inherited
      this.nodes.push({ step, group, ...this.#resolve(step, named, own === null ? implicit.map((arrow) => ({ ...arrow, allowFailure: arrow.allowFailure || allowFailure })) : [], allowFailure) })
      if (acts) {
        // One with dependencies of its own does not wait for what stands before it, so that still has to be waited for.
        barrier = step.dependsOn === null ? [{ node: index, allowFailure: false }] : [...barrier, { node: index, allowFailure: false }]
        if (step.dependsOn === null) since = []
      } else if (!stands && step.kind !== 'input') since.push(index)
    }
    if (group === null) this.tail = [...barrier.map(({ node }) => node), ...since]
    return all
  }

  #group(step: GroupStep, own: readonly Dependency[] | null, barrier: readonly Arrow[]): void {
    const index = this.nodes.length
    const node: Draft = { step, group: null, waitsFor: [], waitsForKnown: [] }
    this.nodes.push(node)
    const allow = (arrow: Arrow): Arrow => ({ ...arrow, allowFailure: arrow.allowFailure || step.allowDependencyFailure })
    const inherited = (own ?? []).map((one) => ({ ...one, allowFailure: one.allowFailure || step.allowDependencyFailure }))
    const members = this.walk(step.steps, { group: index, base: own === null ? barrier.map(allow) : [], inherited })
    // One without steps is done when they would have begun.
    if (members.length === 0) Object.assign(node, this.#resolve(step, own ?? [], own === null ? barrier : [], step.allowDependencyFailure))
    else node.waitsFor = members.map((member) => ({ node: member, allowFailure: false }))
  }

  #resolve(step: Step, named: readonly Dependency[], implicit: readonly Arrow[], allowAll: boolean): Pick<Node, 'waitsFor' | 'waitsForKnown'> {
    const waitsFor = new Map(implicit.map((arrow) => [arrow.node, arrow]))
    const waitsForKnown = new Map<string, Dependency>()
    for (const { step: key, allowFailure: allowOne } of named) {
      const node = this.#indexes.get(key)
      // Named twice, by the step and its group, or by one of them: each wants it.
      const allowFailure = (allowOne || allowAll) && (node === undefined ? waitsForKnown.get(key) : waitsFor.get(node))?.allowFailure !== false
      if (node !== undefined) waitsFor.set(node, { node, allowFailure })
      else if (this.#known.has(key)) waitsForKnown.set(key, { step: key, allowFailure })
      else this.#unknown(step, key)
    }
    const count = waitsFor.size + waitsForKnown.size
    this.#arrows += count
    if (this.#arrows <= PIPELINE_LIMITS.arrowsPerUpload) return { waitsFor: [...waitsFor.values()], waitsForKnown: [...waitsForKnown.values()] }
    if (this.#arrows - count <= PIPELINE_LIMITS.arrowsPerUpload) this.mistakes.push({ path: pathOf(step), message: `up to this step, steps wait for each other more than ${PIPELINE_LIMITS.arrowsPerUpload} times, the most that one upload may bring. Put a "wait" between those that come first and those that wait for all of them.` })
    return { waitsFor: [], waitsForKnown: [] }
  }

  #unknown(step: Step, key: string): void {
    const path = [...pathOf(step), 'depends_on']
    const place = JSON.stringify([path, key])
    if (this.mistakes.length >= PIPELINE_LIMITS.mistakes || this.#told.has(place)) return
    this.#told.add(place)
    const advice = this.#advice.get(key) ?? this.#adviceOn(key)
    this.#advice.set(key, advice)
    this.mistakes.push({ path, message: `no step has the key "${shownName(key)}"; ${advice}` })
  }

  #adviceOn(key: string): string {
    const keys = [...this.#indexes.keys(), ...this.#known]
    const close = this.#advice.size < MOST_GUESSES ? nearest(key, keys) : null
    return close !== null ? `did you mean "${close}"?` : keys.length === 0 ? 'no step has a key yet: give the one that it waits for "key: …".' : `the keys are: ${keys.slice(0, 10).join(', ')}${keys.length > 10 ? ', …' : ''}.`
  }
}

/** Of how many keys it is said what was meant. */
const MOST_GUESSES = 20

/** Of the step within the canonical pipeline. */
export function pathOf(step: Step): readonly (string | number)[] {
  return step.path.flatMap((index) => ['steps', index])
}

/** One mistake for each circle that is found, up to those that are told; a graph without is empty. */
function circles(nodes: readonly Node[]): readonly Mistake[] {
  const state = new Uint8Array(nodes.length) // 0 not seen, 1 on the way, 2 done
  const mistakes: Mistake[] = []
  for (let start = 0; start < nodes.length; start += 1) {
    if (state[start] !== 0) continue
    const way = [{ node: start, next: 0 }]
    state[start] = 1
    for (let at = way.at(-1); at !== undefined; at = way.at(-1)) {
      const arrow = nodes[at.node]?.waitsFor[at.next]
      at.next += 1
      if (arrow === undefined) {
        state[at.node] = 2
        way.pop()
      } else if (state[arrow.node] === 1) {
        const circle = way.slice(way.findIndex(({ node }) => node === arrow.node)).map(({ node }) => node)
        mistakes.push(circleMistake(nodes, circle))
        if (mistakes.length >= PIPELINE_LIMITS.mistakes) return mistakes
      } else if (state[arrow.node] === 0) {
        state[arrow.node] = 1
        way.push({ node: arrow.node, next: 0 })
      }
    }
  }
  return mistakes
}

/** Of the steps of a circle: nobody reads a thousand. */
const MOST_NAMED = 20

function circleMistake(nodes: readonly Node[], circle: readonly number[]): Mistake {
  const names = circle.flatMap((index) => {
    const step = nodes[index]?.step
    return step === undefined ? [] : [step.key ?? step.label ?? `step ${step.path.map((at) => at + 1).join('.')}`]
  })
  const named = names.length <= MOST_NAMED ? names : [...names.slice(0, MOST_NAMED - 1), `${names.length - MOST_NAMED} others`, ...names.slice(-1)]
  const at = circle.map((index) => nodes[index]?.step).find((step) => step?.dependsOn !== null && step !== undefined) ?? nodes[circle[0] ?? 0]?.step
  return { path: at === undefined ? [] : [...pathOf(at), 'depends_on'], message: `these steps wait for each other: ${[...named, names[0]].join(' → ')}. Take one of the dependencies away.` }
}
