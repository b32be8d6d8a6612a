/**
 * The scripted days. Each begins when its agents have joined and idled for a while, lasts 24 hours, and is the same at
 * every run: all chance comes from seeds. A day's `sample` is the part that the tests live through at every run; what
 * happens in it, happens in the day as well, but with other dice.
 */
import { Dice } from '../simulation/chance.ts'
import { CostAgent } from './agents.ts'
import { fiveMinuteBuild, teamBuild, type BuildScript } from './builds.ts'
import { figuresOf, type Figures } from './figures.ts'
import { lookAtBuilds, watchBuild } from './people.ts'
import { Site } from './site.ts'
import { Timeline } from './timeline.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** Midnight, UTC. */
const EPOCH = Date.UTC(2027, 0, 12)
/** Agents join, then work begins, and nobody counts yet. */
const BEFORE = 10 * MINUTE
const WORK_BEFORE = 5 * MINUTE

export interface Day {
  readonly name: string
  /** For people: what happens on it. */
  readonly says: string
  readonly agents: number
  readonly hasDoorbells: boolean
  readonly people?: readonly string[]
  readonly sample: Part
  readonly script?: (happening: Happening) => void
  readonly builds?: (dice: Dice) => BuildScript
}

/** Of a day, in milliseconds after midnight. */
interface Part {
  readonly from: number
  readonly to: number
}

interface Happening {
  readonly site: Site
  readonly dice: Dice
  /** Calls at that time of the day, if it is lived through. */
  readonly at: (time: number, act: () => Promise<void>) => void
  readonly time: () => number
}

const PEOPLE = Array.from({ length: 10 }, (_, i) => `person ${i}`)

export const DAYS: readonly Day[] = [
  { name: 'one-agent', says: 'One agent, busy for three quarters of the day with five-minute builds; nobody watches', agents: 1, hasDoorbells: true, builds: fiveMinuteBuild, script: (happening) => buildsAllDay(happening, 1), sample: { from: 0, to: HOUR } },
  { name: 'ten-agents', says: 'Ten agents, busy for three quarters of the day with five-minute builds; nobody watches', agents: 10, hasDoorbells: true, builds: fiveMinuteBuild, script: (happening) => buildsAllDay(happening, 10), sample: { from: 0, to: 10 * MINUTE } },
  { name: 'idle', says: 'Fifty agents that idle behind their doorbells', agents: 50, hasDoorbells: true, sample: { from: 0, to: 20 * MINUTE } },
  { name: 'idle-polling', says: 'The same without doorbells', agents: 50, hasDoorbells: false, sample: { from: 0, to: 10 * MINUTE } },
  { name: 'team', says: 'Fifty agents and 2,000 builds of 30 s to 20 min, most of them in working hours; ten people look at the list for half an hour each and follow some 130 builds live', agents: 50, hasDoorbells: true, people: PEOPLE, builds: teamBuild, script: teamDay, sample: { from: 10 * HOUR, to: 10 * HOUR + 8 * MINUTE } },
  { name: 'team-unwatched', says: 'The same, with nobody at the pages', agents: 50, hasDoorbells: true, builds: teamBuild, script: teamBuilds, sample: { from: 10 * HOUR, to: 10 * HOUR + 4 * MINUTE } },
  { name: 'team-polling', says: 'The same as that, without doorbells', agents: 50, hasDoorbells: false, builds: teamBuild, script: teamBuilds, sample: { from: 10 * HOUR, to: 10 * HOUR + 4 * MINUTE } },
]

export const WHOLE_DAY: Part = { from: 0, to: DAY }

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

/** So many that the agents are busy for three quarters of the time, day and night. */
function buildsAllDay({ site, at }: Happening, agents: number): void {
  const everyMs = (5 * MINUTE) / 0.75 / agents
  for (let time = 0; time < DAY; time += everyMs) at(time, async () => void (await site.startBuild()))
}

function teamDay(happening: Happening): void {
  const { site, at, time, dice } = happening
  let started = 0
  teamBuilds(happening, async (number) => {
    started += 1
    // Whoever follows opens the page some seconds after the build was asked for, and has seen enough after some minutes.
    const person = PEOPLE[started % PEOPLE.length]
    const isInOffice = time() > 8.5 * HOUR && time() < 18 * HOUR
    if (person !== undefined && isInOffice && started % 14 === 0) site.timeline.after(5 * SECOND, () => watchBuild(site, person, number, 5 * MINUTE))
  })
  // Half an hour of looking, in pieces.
  for (const person of PEOPLE) for (let look = 0; look < 15; look += 1) at((8.5 + dice.next() * 9) * HOUR, () => lookAtBuilds(site, person, 2 * MINUTE))
}

/** 2,000 a day: most in ten working hours with two peaks, some in the evening, a few nightly ones at once. */
function teamBuilds({ site, at, dice }: Happening, started?: (number: number) => Promise<void>): void {
  for (let i = 0; i < 2000; i += 1) {
    const kind = dice.next()
    const hour = kind < 0.45 ? around(dice, 10.5, 1.3) : kind < 0.88 ? around(dice, 15, 1.6) : kind < 0.97 ? 8 + 14 * dice.next() : 2 + 0.05 * dice.next()
    at(hour * HOUR, async () => {
      const number = await site.startBuild()
      await started?.(number)
    })
  }
}

function around(dice: Dice, hour: number, spread: number): number {
  return hour + spread * (dice.next() + dice.next() + dice.next() - 1.5) * 2
}
