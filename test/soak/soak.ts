/**
 * The course of a soak: ask for everything, let the agents join, do harm while they work, let everybody finish and go,
 * and only then look at what is stored. Ctrl-C skips to the end: all is killed, and what was done so far is judged.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import type { BuildPage } from '../../schema/api.ts'
import { Dice } from '../simulation/chance.ts'
import { createAsking, type Asking } from './asking.ts'
import { openCoordinator, type Coordinator } from './coordinator.ts'
import { Member } from './crowd.ts'
import { doHarm } from './harm.ts'
import { judge } from './judge.ts'
import { watchMemory } from './memory.ts'
import { openPlace, type Place } from './place.ts'
import { DOORBELL_ONE_IN, SHORT_ONE_IN, SHORT_WAITING, TWO_SLOTS_ONE_IN, type Plan } from './plan.ts'
import { createRealAgent, startedFile, type RealAgent } from './real-agents.ts'
import { Record } from './record.ts'
import type { Outcome } from './report.ts'
import { readStored } from './stored.ts'

const LOOK_EVERY_MS = 300
const SAY_EVERY_MS = 10_000
/** The longest job, and the delivery of what it came to. */
const GOING_MS = 180_000
/** After Ctrl-C: a coordinator that is just being started has to be there before it can be ended. */
const CUT_MS = 20_000
const LOGS_LOOKED_AT = 50
const SHORT_MS = 60_000
const SHORT_WAITS = '/api/v1/projects/short/builds?state=scheduled&limit=100'
/** Of the measure of this process's own waits. */
const LAG_MS = 20

export interface Speaker {
  say(sentence: string): void
}

/** Throws when something stands in the way that is nobody's fault under test; nothing is left behind then either. */
export async function soak(plan: Plan, { say }: Speaker, cut: AbortSignal): Promise<Outcome> {
  const place = await openPlace()
  try {
    return await live(plan, place, say, cut)
  } finally {
    await place.clear()
  }
}

async function live(plan: Plan, place: Place, say: Speaker['say'], cut: AbortSignal): Promise<Outcome> {
  const record = new Record()
  const dice = (name: string) => new Dice(plan.seed, name)
  const coordinator = await openCoordinator(place)
  const started = startedFile(place, record)
  const asking = createAsking({ ...coordinator, record, dice: dice('jobs'), lasts: { deep: plan.lasts, short: plan.shortLasts }, printsOneIn: plan.printsOneIn, note: started.path })
  const lag = monitorEventLoopDelay({ resolution: LAG_MS })

  say(`asking for ${plan.jobs} builds`)
  const askedSince = performance.now()
  await asking.project('deep')
  await asking.project('short')
  const telling = setInterval(() => say(record.startedBuilds.deep.size === 0 ? `asked for ${record.asked.deep.size} of ${plan.jobs} builds` : progress(record, members)), SAY_EVERY_MS)
  const members = Array.from({ length: plan.agents }, (_, i) => memberOf(plan, i, coordinator, record))
  const real = Array.from({ length: plan.real }, (_, i) => createRealAgent({ place, name: `real-${i + 1}`, url: coordinator.url, registrationToken: coordinator.registrationToken, record }))
  await asking.builds('deep', plan.jobs, cut)
  const asked = { count: record.asked.deep.size, seconds: (performance.now() - askedSince) / 1000 }

  say(`${plan.agents + plan.real} agents join`)
  const since = performance.now()
  lag.enable()
  const memory = watchMemory(coordinator, real)
  const over = new AbortController()
  const end = () => over.abort()
  cut.addEventListener('abort', end, { once: true })
  if (cut.aborted) end()
  try {
    await join(plan, members, real, over.signal)
    const work = Promise.all([
      doHarm({ members, real, coordinator }, { plan: plan.harm, dice: dice('harm'), record, signal: over.signal }),
      keepShortQueue(record, asking, started, over.signal),
      untilOver(plan, since, record, over),
    ])
    await Promise.race([work, aborted(cut).then(() => pause(CUT_MS))])
  } finally {
    end()
    clearInterval(telling)
    lag.disable()
  }
  const seconds = (performance.now() - since) / 1000
  memory.stop()
  for (const member of members) member.closeGaps()

  const leftovers: string[] = []
  if (!cut.aborted) {
    await untilNoneWaits(asking, cut)
    say('everybody finishes and goes')
    const late = await Promise.race([Promise.all([...members, ...real].map((agent) => agent.stop())).then(() => []), pause(GOING_MS, ['late'], { signal: cut }).catch(() => [])])
    if (late.length > 0) leftovers.push(`${members.filter(({ isThere }) => isThere).length} agents and ${real.filter(({ isThere }) => isThere).length} real ones have not ended ${GOING_MS / 1000} s after SIGTERM`)
  }
  for (const member of members) {
    member.kill()
    member.endCommands()
  }
  await Promise.all(real.map((agent) => agent.kill()))
  started.read()
  const wasCut = cut.aborted
  const logs = wasCut ? { looked: 0, wrong: [] } : await lookAtLogs(asking, record)
  asking.close()
  await coordinator.stop()
  const stored = readStored(coordinator.state)
  const { found, isGone } = await place.clear()
  if (!wasCut) leftovers.push(...found)
  if (!isGone) leftovers.push(`${place.folder} could not be cleared away`)
  return {
    plan, record, seconds, logs, leftovers, wasCut, asking: asked, samples: memory.samples,
    judgement: judge(stored, record, { wasCut }),
    lagMs: { p99: lag.percentile(99) / 1e6 - LAG_MS, most: lag.max / 1e6 - LAG_MS },
  }
}

function memberOf(plan: Plan, index: number, { url, registrationToken }: Coordinator, record: Record): Member {
  return new Member({
    name: `soak-${index + 1}`,
    url,
    registrationToken,
    queue: index % SHORT_ONE_IN === 0 ? 'short' : 'deep',
    slots: index % TWO_SLOTS_ONE_IN === 1 ? 2 : 1,
    doorbell: index % DOORBELL_ONE_IN === 0,
    seed: plan.seed,
    record,
  })
}

async function join({ joinMs }: Plan, members: readonly Member[], real: readonly RealAgent[], signal: AbortSignal): Promise<void> {
  const all = [...real, ...members]
  const eachMs = joinMs / all.length
  for (const agent of all) {
    if (signal.aborted) return
    agent.start()
    await pause(eachMs)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })))
}

/** A few jobs wait in the short queue, never many: asked for as others begin. */
async function keepShortQueue(record: Record, asking: Asking, started: { read(): void }, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    started.read()
    const missing = SHORT_WAITING - record.waiting('short')
    if (missing > 0) await asking.builds('short', missing, signal)
    await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
}

/** The minutes are over, or all that was asked for has begun and ended. */
async function untilOver({ minutes, jobs }: Plan, since: number, record: Record, over: AbortController): Promise<void> {
  while (!over.signal.aborted) {
    if (record.done.size >= jobs || performance.now() - since > minutes * 60_000) return over.abort()
    await pause(LOOK_EVERY_MS, undefined, { signal: over.signal }).catch(() => undefined)
  }
}

function progress(record: Record, members: readonly Member[]): string {
  return `${record.accepted.size} results accepted, ${record.depth} jobs wait, ${record.syncs.length} syncs, ${members.filter(({ isThere }) => !isThere).length} agents away`
}

/** What stands in the short queue is a moment's work. */
async function untilNoneWaits(asking: Asking, signal: AbortSignal): Promise<void> {
  const until = performance.now() + SHORT_MS
  for (let path = SHORT_WAITS; !signal.aborted && performance.now() < until; ) {
    const page = await asking.get(path).then(({ text }) => JSON.parse(text) as BuildPage, () => null) // the server's own type
    if (page?.builds.length === 0 && page.next_cursor === null) return
    if (page?.builds.length === 0) path = `${SHORT_WAITS}&cursor=${page.next_cursor}`
    else await pause(LOOK_EVERY_MS)
  }
}

/** Some of those that printed: the coordinator has every byte. */
async function lookAtLogs(asking: Asking, { printed, accepted }: Record): Promise<Outcome['logs']> {
  const all = [...printed].filter(([attempt]) => accepted.has(attempt))
  const some = all.filter((_, at) => at % Math.ceil(all.length / LOGS_LOOKED_AT) === 0)
  const wrong: string[] = []
  for (const [attempt, text] of some) {
    const [job = '', fence = ''] = attempt.split('.')
    const reply = await asking.get(`/api/v1/jobs/${job}/log?attempt=${fence}`)
    if (reply.status !== 200 || reply.text !== text) wrong.push(`the log of ${attempt} has ${reply.text.length} characters (${reply.status}), and ${text.length} were printed`)
  }
  return { looked: some.length, wrong }
}
