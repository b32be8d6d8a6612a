/**
 * The scripted days: who works, who watches, and when. A day's `sample` is the part of it that the tests live through at
 * every run; `live.ts` does either.
 */
import type { Dice } from '../simulation/chance.ts'
import { fiveMinuteBuild, teamBuild, type BuildScript } from './builds.ts'
import { lookAtBuilds, watchBuild } from './people.ts'
import type { Site } from './site.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

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
export interface Part {
  readonly from: number
  readonly to: number
}

export interface Happening {
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
