/**
 * Watches for the two silences that only the agent itself can notice: it cannot reach the coordinator for so long that a
 * build which must not run twice has to end (`on_partition: stop`), and the machine slept.
 *
 * Counted from the *send* of the last acknowledged sync. The monotonic clock may stand still while a machine sleeps, so
 * the larger of both differences counts [C16.2]; a wall clock set forward can therefore end such a build too early, which
 * is the safe mistake.
 */
import type { Clock } from '../platform.ts'
import type { AgentTimes } from './times.ts'

export interface PartitionOptions {
  readonly clock: Clock
  readonly times: AgentTimes
  acknowledged(): { readonly monotonic: number; readonly wall: number } | null
  /** As the last reply said. */
  selfFenceMs(): number
  /** End what must not run in two places. Called again while the silence lasts. */
  fence(): void
  /** The machine slept: ask at once what is still ours. */
  woke(): void
}

export function watchPartition({ clock, times, acknowledged, selfFenceMs, fence, woke }: PartitionOptions): { stop(): void } {
  let last = { monotonic: clock.monotonic(), wall: clock.wall() }
  let takeBack = clock.after(times.watchMs, look)
  function look(): void {
    const now = { monotonic: clock.monotonic(), wall: clock.wall() }
    const slept = now.wall - last.wall - (now.monotonic - last.monotonic)
    const late = now.monotonic - last.monotonic - times.watchMs
    if (Math.max(slept, late) > times.heartbeatMs) woke()
    last = now
    const since = acknowledged()
    // One look early: the next one would be too late.
    if (since !== null && Math.max(now.monotonic - since.monotonic, now.wall - since.wall) >= selfFenceMs() - times.watchMs) fence()
    takeBack = clock.after(times.watchMs, look)
  }
  return { stop: () => takeBack() }
}
