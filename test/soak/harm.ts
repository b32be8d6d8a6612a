/**
 * What is done to a soak: agents are killed or stopped and come back, some only when their leases have long ended; workerd
 * dies alone or with the process above it. All chance comes from the seed; the machine's own does not, so a seed repeats
 * what is done and not all that happens.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Dice } from '../simulation/chance.ts'
import type { Coordinator } from './coordinator.ts'
import type { Member } from './crowd.ts'
import type { HarmPlan } from './plan.ts'
import type { RealAgent } from './real-agents.ts'
import type { Record } from './record.ts'

/** Longer than a lease, so that its job runs elsewhere meanwhile. */
const LONG_AWAY_MS = [130_000, 170_000] as const
const LONG_SHARE = 0.1
const STOPPED_SHARE = 0.2
const BUILDING_SHARE = 0.95
const RUNTIME_SHARE = 0.6

export interface Victims {
  readonly members: readonly Member[]
  readonly real: readonly RealAgent[]
  readonly coordinator: Coordinator
}

/** Ends with the signal; whoever was away is back when it resolves. */
export async function doHarm({ members, real, coordinator }: Victims, { plan, dice, record, signal }: { readonly plan: HarmPlan; readonly dice: Dice; readonly record: Record; readonly signal: AbortSignal }): Promise<void> {
  const away = new Set<Promise<void>>()
  const ended = new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })))
  const rest = (ms: number) => pause(ms, undefined, { signal }).catch(() => undefined)

  async function again([least, most]: readonly [number, number], act: () => void | Promise<void>): Promise<void> {
    for (let times = 0; plan.atMost === null || times < plan.atMost; times += 1) {
      await rest(dice.between(least, most))
      if (signal.aborted) return
      await act()
    }
  }

  function leave(comesBack: () => Promise<void>): void {
    const absence = comesBack().finally(() => away.delete(absence))
    away.add(absence)
  }

  function harmMember(): void {
    const building = members.filter((member) => member.isBuilding)
    const there = building.length > 0 && dice.chance(BUILDING_SHARE) ? building : members.filter(({ isThere }) => isThere)
    const member = there[Math.floor(dice.next() * there.length)]
    if (member === undefined) return
    const isStopped = dice.chance(STOPPED_SHARE) && plan.atMost === null
    const awayMs = plan.isLongAway && dice.chance(LONG_SHARE) ? dice.between(...LONG_AWAY_MS) : dice.between(0, plan.awayMs)
    leave(async () => {
      if (isStopped) {
        record.harms.agentsStopped += 1
        await Promise.race([member.stop(), ended])
        if (member.isThere) return // all are to go now
      } else {
        record.harms.agentsKilled += 1
        member.kill()
      }
      await rest(awayMs)
      if (!member.isThere) member.start()
    })
  }

  function harmReal(): void {
    const there = real.filter(({ isThere }) => isThere)
    const agent = there[Math.floor(dice.next() * there.length)]
    if (agent === undefined) return
    const awayMs = dice.between(0, plan.awayMs)
    record.harms.realKilled += 1
    leave(async () => {
      await agent.kill()
      await rest(awayMs)
      agent.start()
    })
  }

  async function harmCoordinator(): Promise<void> {
    const isBack = record.outage()
    if (plan.atMost === null && dice.chance(RUNTIME_SHARE)) {
      record.harms.runtime += 1
      await coordinator.killRuntime()
    } else {
      record.harms.both += 1
      await coordinator.kill()
      await rest(dice.between(0, plan.awayMs))
      await coordinator.start()
    }
    isBack()
  }

  await Promise.all([again(plan.agentMs, harmMember), ...(real.length > 0 ? [again(plan.realMs, harmReal)] : []), again(plan.coordinatorMs, harmCoordinator)])
  await Promise.all(away)
}
