/** A clock that is turned from one event to the next, in order of time and then of asking. Events may be asynchronous; the next waits. */

interface Entry {
  readonly at: number
  readonly order: number
  readonly act: () => void | Promise<void>
}

export class Timeline {
  now: number
  #order = 0
  /** A binary heap: the earliest is first. */
  readonly #entries: Entry[] = []

  constructor(now: number) {
    this.now = now
  }

  at(when: number, act: Entry['act']): void {
    const entries = this.#entries
    entries.push({ at: Math.max(when, this.now), order: (this.#order += 1), act })
    for (let child = entries.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1
      if (!this.#isBefore(child, parent)) break
      this.#swap(child, parent)
      child = parent
    }
  }

  after(ms: number, act: Entry['act']): void {
    this.at(this.now + ms, act)
  }

  /** Lives through everything that is due before `until`, and stands there. */
  async turnTo(until: number): Promise<void> {
    for (let first = this.#entries[0]; first !== undefined && first.at < until; first = this.#entries[0]) {
      this.#removeFirst()
      this.now = first.at
      const pending = first.act()
      if (pending !== undefined) await pending
    }
    this.now = until
  }

  #removeFirst(): void {
    const entries = this.#entries
    const last = entries.pop()
    if (last === undefined || entries.length === 0) return
    entries[0] = last
    for (let parent = 0; ; ) {
      let earliest = parent
      for (const child of [2 * parent + 1, 2 * parent + 2]) if (child < entries.length && this.#isBefore(child, earliest)) earliest = child
      if (earliest === parent) return
      this.#swap(parent, earliest)
      parent = earliest
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#entries[a], this.#entries[b]]
    if (one === undefined || other === undefined) return false
    return one.at < other.at || (one.at === other.at && one.order < other.order)
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#entries[a], this.#entries[b]]
    if (one === undefined || other === undefined) return
    this.#entries[a] = other
    this.#entries[b] = one
  }
}
