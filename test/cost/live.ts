/**
 * Lives through a day, or a part of it, and says what it came to. It begins when all agents have joined and work has gone
 * on for a while, and is the same at every run: all chance comes from seeds. A part is not quite a cut of its day, as the
 * builds in it have other numbers, and so other dice.
 */
import { Dice } from '../simulation/chance.ts'
import { CostAgent } from './agents.ts'
import { fiveMinuteBuild, type BuildScript } from './builds.ts'
import type { Day, Part } from './days.ts'
import { figuresOf, type Figures } from './figures.ts'
import { Site } from './site.ts'
import { Timeline } from './timeline.ts'

/** Midnight, UTC. */
const EPOCH = Date.UTC(2027, 0, 12)
const SECOND = 1000
/** Agents join, then work begins, and nobody counts yet. */
const BEFORE = 600 * SECOND
const WORK_BEFORE = 300 * SECOND

export async function live(day: Day, part: Part): Promise<Figures> {
  const timeline = new Timeline(EPOCH + part.from - BEFORE)
  const site = new Site(timeline)
  const scripts = new Map<number, BuildScript>()
  const scriptOf = (build: number) => {
    let script = scripts.get(build)
    if (script === undefined) scripts.set(build, (script = (day.builds ?? fiveMinuteBuild)(new Dice(build, 'build'))))
    return script
  }
  await site.setUp()
  for (const person of day.people ?? []) await site.signIn(person)
  for (let i = 0; i < day.agents; i += 1) {
    const agent = new CostAgent({ site, name: `agent${1000 + i}`, hasDoorbell: day.hasDoorbells, dice: new Dice(i, 'agent'), scriptOf })
    timeline.after(i * SECOND, () => agent.start())
  }
  let builds = 0
  site.asked = () => {
    if (site.meter.isOn) builds += 1
  }
  // Days that differ only in who watches, or how agents are called, have the same builds.
  const dice = new Dice(20_270_112, day.name.replace(/-.*/, ''))
  const at = (time: number, act: () => Promise<void>) => {
    if (time >= part.from - WORK_BEFORE && time < part.to) timeline.at(EPOCH + time, act)
  }
  day.script?.({ site, dice, at, time: () => timeline.now - EPOCH })
  await timeline.turnTo(EPOCH + part.from)
  const bytesBefore = site.bytes()
  site.meter.isOn = true
  await timeline.turnTo(EPOCH + part.to)
  return figuresOf(site.meter, { sqliteBytes: site.bytes() - bytesBefore + site.logs.bytes, builds })
}
