/**
 * Virtual time: a heap of what is to happen, and a loop that lets it happen in order. After each step everything that was
 * set going by it (the promises of agents) comes to rest before the next, so a run is the same each time.
 */

/** Whose step it is. What a dead one had planned does not happen; what a frozen one had planned happens when it thaws. */
export interface Owner {
  isAlive: boolean
  frozenUntil: number
}

/** Steps at one instant. */
const STILL_AT_MOST = 100_000

interface Step {
  readonly at: number
  readonly order: number
  readonly act: () => unknown
  readonly owner: Owner | null
  isTakenBack: boolean
}

export class VirtualTime {
  /** Milliseconds since the world began. */
  now = 0
  steps = 0
  readonly #heap: Step[] = []
  #order = 0
  #still = 0

  /** Happens once, after `ms`; the returned function takes it back. */
  after(ms: number, act: () => unknown, owner: Owner | null = null): () => void {
    const step: Step = { at: this.now + Math.max(0, ms), order: (this.#order += 1), act, owner, isTakenBack: false }
    this.#push(step)
    return () => {
      step.isTakenBack = true
    }
  }

  /** Until nothing is left, `isOver` says so after a step, or `until` has come. */
  async run(until: number, isOver: () => boolean): Promise<void> {
    for (let step = this.#pop(); step !== null; step = this.#pop()) {
      if (step.at > until) {
        this.#push(step)
        this.now = until
        return
      }
      if (step.isTakenBack || step.owner?.isAlive === false) continue
      if (step.owner !== null && step.owner.frozenUntil > this.now && step.owner.frozenUntil > step.at) {
        this.#push({ ...step, at: step.owner.frozenUntil })
        continue
      }
      this.#still = step.at > this.now ? 0 : this.#still + 1
      if (this.#still > STILL_AT_MOST) throw new Error(`time stands still at ${(this.now / 1000).toFixed(3)} s: something goes round in a circle`)
      this.now = Math.max(this.now, step.at)
      this.steps += 1
      const underway = step.act()
      if (underway instanceof Promise) await underway
      await rest()
      if (isOver()) return
    }
  }

  #push(step: Step): void {
    const heap = this.#heap
    let at = heap.push(step) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || !isBefore(step, above)) break
      heap[at] = above
      at = parent
    }
    heap[at] = step
  }

  #pop(): Step | null {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return null
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      let below = heap[child]
      if (below === undefined) break
      const other = heap[child + 1]
      if (other !== undefined && isBefore(other, below)) {
        child += 1
        below = other
      }
      if (!isBefore(below, last)) break
      heap[at] = below
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(one: Step, other: Step): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

/** A turn of Node's own loop costs more than most steps do: it looks for input that never comes here. So one turn lets many rest, and Node drains all promises after each. */
const RESTS_A_TURN = 64
const resting: (() => void)[] = []
/** Immediates that are still to come. */
let toCome = 0

/** When every promise that can go on has gone on. */
export function rest(): Promise<void> {
  return new Promise((resolve) => {
    resting.push(resolve)
    if (resting.length <= toCome) return
    toCome += RESTS_A_TURN
    for (let n = 0; n < RESTS_A_TURN; n += 1) setImmediate(goOn)
  })
}

function goOn(): void {
  toCome -= 1
  resting.shift()?.()
}
