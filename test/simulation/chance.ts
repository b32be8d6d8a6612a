/**
 * All chance of a simulated world comes from its seed, in streams of their own: who draws from one does not move another,
 * so that a fault can be taken out of a run and the rest stays as it was.
 */
import type { Chance } from '../../agent/platform.ts'

export class Dice {
  #a: number
  #b: number
  #c: number
  #d = 1

  /** The same for the same seed and name, on any machine. */
  constructor(seed: number, name: string) {
    let hash = 2166136261 ^ seed
    for (let at = 0; at < name.length; at += 1) hash = Math.imul(hash ^ name.charCodeAt(at), 16777619)
    this.#a = hash | 0
    this.#b = Math.imul(hash ^ 0x9e3779b9, 0x85ebca6b) | 0
    this.#c = seed | 0
    for (let warm = 0; warm < 12; warm += 1) this.next()
  }

  /** In [0, 1): Chris Doty-Humphrey's sfc32. */
  next(): number {
    const sum = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0
    return (sum >>> 0) / 4294967296
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor((high - low + 1) * this.next())
  }

  chance(share: number): boolean {
    return this.next() < share
  }

  pick<T>(from: readonly [T, ...T[]]): T {
    return from[Math.floor(this.next() * from.length)] ?? from[0]
  }

  /** As an agent is given it. */
  asChance(): Chance {
    return { random: () => this.next(), bytes: (length) => Uint8Array.from({ length }, () => Math.floor(this.next() * 256)) }
  }
}
