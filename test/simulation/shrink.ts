/** Makes a script that breaks a rule as short as it can: happenings, then agents, are left out while the same rule still breaks. */
import type { Script } from './script.ts'
import { live as liveReally, type Report } from './world.ts'

export interface Shrunk {
  readonly script: Script
  readonly report: Report
  readonly runs: number
}

export interface ShrinkOptions {
  readonly rule: string
  /** There is no more time. */
  until(): boolean
  /** Lives through a script; else the world itself. */
  readonly live?: typeof liveReally
}

export async function shrink(script: Script, { rule, until, live = liveReally }: ShrinkOptions): Promise<Shrunk> {
  let best = script
  let runs = 0
  const breaks = async (candidate: Script): Promise<boolean> => {
    runs += 1
    const { violations } = await live(candidate).catch((error: unknown) => ({ violations: [{ rule: 'crash', at: 0, text: String(error) }] }))
    return violations.some((violation) => violation.rule === rule)
  }
  const first = await live(best)
  const endedAt = first.violations[0]?.at ?? Infinity
  const early = { ...best, happenings: best.happenings.filter(({ at }) => at <= endedAt) }
  if (early.happenings.length < best.happenings.length && (await breaks(early))) best = early
  for (let size = Math.ceil(best.happenings.length / 2); size >= 1 && !until(); size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.happenings.length && !until(); ) {
      const candidate = { ...best, happenings: [...best.happenings.slice(0, at), ...best.happenings.slice(at + size)] }
      if (await breaks(candidate)) best = candidate
      else at += size
    }
  }
  for (const { name } of best.agents.slice(1)) {
    if (until()) break
    const candidate = { ...best, agents: best.agents.filter((agent) => agent.name !== name), happenings: best.happenings.filter(({ what }) => !('agent' in what) || what.agent !== name) }
    if (await breaks(candidate)) best = candidate
  }
  return { script: best, report: await live(best, { trace: true }), runs }
}
