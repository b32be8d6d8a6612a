/** What builds do: how long they take, what they print and when. Everything by the dice of the day. */
import type { Dice } from '../simulation/chance.ts'

export interface BuildScript {
  readonly durationMs: number
  readonly outcome: 'passed' | 'failed'
  readonly commit: string
  /** In order of time. */
  readonly prints: readonly Print[]
}

export interface Print {
  readonly atMs: number
  readonly bytes: number
}

const SECOND = 1000
const MINUTE = 60 * SECOND

/** Five minutes, a hundred kilobytes, a line or some every few seconds. */
export function fiveMinuteBuild(dice: Dice): BuildScript {
  return scripted(dice, { durationMs: 5 * MINUTE, bytes: 100_000, everyMs: 3 * SECOND })
}

/**
 * As a team's builds are spread: most take some minutes and print tens of kilobytes, some half a minute, a few twenty;
 * one in twelve prints more than a megabyte. Some print all the time, some now and then.
 */
export function teamBuild(dice: Dice): BuildScript {
  const durationMs = Math.min(20 * MINUTE, Math.max(30 * SECOND, 150 * SECOND * spread(dice, 1)))
  const bytes = Math.min(8_000_000, Math.max(2_000, 40_000 * spread(dice, 1.7) * Math.sqrt(durationMs / (150 * SECOND))))
  return scripted(dice, { durationMs, bytes: Math.round(bytes), everyMs: dice.pick([0.5, 2, 5, 15]) * SECOND })
}

/** Around 1, as many above as below, further away by `sigma`. */
function spread(dice: Dice, sigma: number): number {
  const [u, v] = [1 - dice.next(), dice.next()]
  return Math.exp(sigma * Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * v))
}

function scripted(dice: Dice, { durationMs, bytes, everyMs }: { readonly durationMs: number; readonly bytes: number; readonly everyMs: number }): BuildScript {
  const times: number[] = []
  for (let at = everyMs * dice.next(); at < durationMs; at -= everyMs * Math.log(1 - dice.next())) times.push(at)
  if (times.length === 0) times.push(durationMs / 2)
  const each = Math.max(1, Math.floor(bytes / times.length))
  return {
    durationMs,
    outcome: dice.chance(0.85) ? 'passed' : 'failed',
    commit: Array.from({ length: 40 }, () => dice.whole(0, 15).toString(16)).join(''),
    prints: times.map((atMs) => ({ atMs, bytes: each })),
  }
}
