/**
 * Whom builds of a world tell how they go: a webhook that is late, deaf for a while, or whose answer is lost. It keeps what
 * it heard of each build, so that at the end the last of it can be held to what has become of the build [I8]. What an
 * object sent before it died may come after what the next one sends: its number says that it is old.
 */
import type { Told } from '../../coordinator/core/notify.ts'
import type { Delivery } from '../../coordinator/objects/deliveries.ts'
import type { Notification } from '../../schema/pipeline/steps.ts'
import { Dice } from './chance.ts'
import type { Owner, VirtualTime } from './time.ts'

/** What an upload says of it. */
export const WEBHOOK: Notification = { kind: 'webhook', url: 'https://hook.example/builds', if: null }

const AWAY: Told = { kind: 'again', why: 'hook.example cannot be reached', afterMs: null }

export class Webhooks {
  /** By `slug#number`: the newest. */
  readonly heard = new Map<string, { readonly word: string; readonly nth: number }>()
  /** From now on everything arrives. */
  isMended = false
  readonly #time: VirtualTime
  readonly #dice: Dice

  constructor(time: VirtualTime, seed: number) {
    this.#time = time
    this.#dice = new Dice(seed, 'webhooks')
  }

  /** The request leaves an object, which may die before it hears what became of it. */
  carry({ project, build, word, notice: { nth } }: Delivery, sender: Owner, ended: (outcome: Told) => unknown): void {
    const dice = this.#dice
    const isLost = !this.isMended && dice.chance(0.2)
    const isUnanswered = !this.isMended && dice.chance(0.2)
    const there = dice.between(5, 4000)
    const back = dice.between(5, 4000)
    if (isLost) return void this.#time.after(10_000, () => ended(AWAY), sender)
    this.#time.after(there, () => {
      const name = `${project.slug}#${build.number}`
      if (nth >= (this.heard.get(name)?.nth ?? 0)) this.heard.set(name, { word, nth })
    })
    this.#time.after(isUnanswered ? 10_000 : there + back, () => ended(isUnanswered ? AWAY : { kind: 'told' }), sender)
  }
}
