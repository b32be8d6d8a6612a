/**
 * What is going to happen in a world, written down before it begins: who lives there, what people ask for, and every
 * fault with its time. A script is data, so a failing one can be made shorter by leaving happenings out.
 */
import { planActs } from './acts.ts'
import { Dice } from './chance.ts'
import type { JobPlan } from './job-plan.ts'
import type { Link } from './link.ts'
import { shapeSteps } from './shapes.ts'
import type { Act, StepPlan } from './step-plan.ts'
import { planSteps } from './steps.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND

export interface AgentPlan {
  readonly name: string
  readonly slots: number
  readonly queue: string
  readonly tags: readonly string[]
  readonly doorbell: boolean
  readonly registrationToken: string
}

export interface BuildPlan {
  readonly kind: 'build'
  readonly key: string
  readonly job: JobPlan
  readonly queue: string
  readonly tags: readonly string[]
  readonly priority: number
  readonly project: 'app' | 'bare'
  /** By branch: the first attempt says which commit it is. */
  readonly byBranch: boolean
  readonly onPartition: 'continue' | 'stop'
  /** The first answers are lost and the person asks again with the same key. */
  readonly repeats: number
  /** What its first job uploads while it runs; none: nothing. */
  readonly steps: readonly StepPlan[]
  /** And what it does to its build after that. */
  readonly acts: readonly Act[]
}

export type Happening =
  | BuildPlan
  | { readonly kind: 'push' }
  /** `key` is the build's. */
  | { readonly kind: 'cancel' | 'retry' | 'watch'; readonly key: string }
  /** One job alone: its place among those of the build, as a share. */
  | { readonly kind: 'retry job'; readonly key: string; readonly share: number }
  | { readonly kind: 'drain' | 'resume' | 'revoke'; readonly agent: string }
  | { readonly kind: 'kill' | 'power'; readonly agent: string; readonly awayMs: number }
  /** It dies within its `acts`-th write from now. */
  | { readonly kind: 'die at disk'; readonly agent: string; readonly acts: number; readonly awayMs: number; readonly power: boolean }
  | { readonly kind: 'freeze' | 'suspend'; readonly agent: string; readonly forMs: number }
  | { readonly kind: 'stop'; readonly agent: string; readonly times: number; readonly awayMs: number }
  | { readonly kind: 'second process'; readonly agent: string }
  | { readonly kind: 'clone'; readonly agent: string; readonly forMs: number }
  | { readonly kind: 'snapshot' | 'roll back'; readonly agent: string }
  | { readonly kind: 'link'; readonly agent: string; readonly change: Partial<Link>; readonly forMs: number }
  | { readonly kind: 'rings'; readonly agent: string; readonly count: number; readonly everyMs: number }
  | { readonly kind: 'wall clock'; readonly agent: string | null; readonly byMs: number }
  | { readonly kind: 'disk full' | 'disk read-only'; readonly agent: string; readonly forMs: number }
  | { readonly kind: 'disk failing'; readonly agent: string; readonly share: number; readonly forMs: number }
  | { readonly kind: 'disk slow'; readonly agent: string; readonly atMostMs: number; readonly forMs: number }
  | { readonly kind: 'outage'; readonly forMs: number }
  | { readonly kind: 'evict' }
  /** The object dies within the next event, at its n-th write; null: after them all, before anybody hears of it. */
  | { readonly kind: 'die in event'; readonly writes: number | null }
  | { readonly kind: 'alarm'; readonly how: 'twice' | 'early' | 'lost' }
  | { readonly kind: 'late alarms'; readonly byMs: number; readonly forMs: number }
  | { readonly kind: 'blob store away'; readonly forMs: number }

export interface Script {
  readonly seed: number
  readonly profile: ProfileName
  readonly agents: readonly AgentPlan[]
  readonly happenings: readonly { readonly at: number; readonly what: Happening }[]
  /** From here on nothing goes wrong any more. */
  readonly faultsUntil: number
}

/** How often each kind of fault comes, against the others. */
interface Profile {
  readonly says: string
  readonly weights: Partial<Record<Happening['kind'], number>>
  readonly faults: readonly [number, number]
  readonly builds: readonly [number, number]
  readonly agents?: readonly [number, number]
  readonly lengthMs?: number
  readonly outages?: readonly [number, number]
  /** Share of jobs that run for longer than any lease. */
  readonly long?: number
  /** Share of builds whose first job uploads steps. */
  readonly pipelines?: number
  /** Share of jobs that may run in one place only. */
  readonly once?: number
}

const ANY: Profile['weights'] = {
  kill: 10, power: 4, 'die at disk': 8, freeze: 5, suspend: 2, stop: 4, 'second process': 1, clone: 1, 'roll back': 2, link: 18, rings: 1, 'wall clock': 2,
  'disk full': 2, 'disk read-only': 1, 'disk failing': 1, 'disk slow': 3, outage: 7, evict: 8, 'die in event': 6, alarm: 4, 'late alarms': 1, 'blob store away': 1,
  cancel: 8, retry: 5, watch: 3, drain: 1, resume: 1, revoke: 0.4, push: 4,
}

export const PROFILES = {
  mixed: { says: 'everything, a little', weights: ANY, faults: [6, 26], builds: [25, 50] },
  calm: { says: 'nothing goes wrong', weights: { push: 1 }, faults: [0, 2], builds: [30, 50] },
  restarts: { says: 'agents die and come back', weights: { kill: 10, power: 6, 'die at disk': 14, stop: 4, 'roll back': 2, evict: 2, cancel: 3, 'die in event': 2 }, faults: [10, 30], builds: [25, 45] },
  network: { says: 'messages are lost, late, doubled, cut and answered by strangers', weights: { link: 30, freeze: 6, suspend: 2, kill: 4, evict: 3, cancel: 4, rings: 3 }, faults: [8, 20], builds: [25, 45], long: 0.12 },
  coordinator: { says: 'the object dies, sleeps, is away, and its alarms go wrong', weights: { outage: 14, evict: 12, 'die in event': 14, alarm: 8, 'late alarms': 4, kill: 3, 'wall clock': 2, cancel: 3, 'blob store away': 3 }, faults: [8, 24], builds: [25, 45], long: 0.15 },
  outages: { says: 'only the coordinator goes away, once in a while', weights: { outage: 1 }, faults: [1, 3], builds: [20, 35], outages: [500, 400_000], long: 0.15 },
  disks: { says: 'disks fill, tear, fail and forget', weights: { 'disk full': 8, 'disk read-only': 3, 'disk failing': 4, 'disk slow': 6, 'die at disk': 20, power: 12, kill: 4, link: 4, cancel: 3 }, faults: [8, 24], builds: [25, 45] },
  slow: { says: 'disks are slow, and agents die meanwhile', weights: { 'disk slow': 12, kill: 14, power: 4, cancel: 2 }, faults: [14, 30], builds: [30, 45] },
  sleepers: { says: 'machines fall asleep behind open connections', weights: { suspend: 6, freeze: 6 }, faults: [3, 8], builds: [12, 20] },
  people: { says: 'people change their minds at any moment', weights: { cancel: 20, retry: 12, drain: 3, resume: 3, revoke: 1, watch: 6, push: 6, kill: 4, link: 6, evict: 4, outage: 2, 'die in event': 3 }, faults: [15, 35], builds: [25, 45] },
  stopping: { says: 'agents are stopped once, twice and thrice, while messages are late', weights: { stop: 16, link: 8, kill: 2, evict: 2, cancel: 4 }, faults: [12, 30], builds: [30, 50] },
  partitions: { says: 'machines are cut off for longer than a lease, while they run what may run in one place only', weights: { link: 8, evict: 1 }, faults: [4, 9], builds: [15, 25], long: 0.5 },
  copies: { says: 'state folders are copied, rolled back and used twice, also while the coordinator is away', weights: { clone: 6, 'roll back': 3, 'second process': 3, kill: 3, outage: 2 }, faults: [4, 10], builds: [20, 35], long: 0.3 },
  deaf: { says: 'requests arrive and replies do not', weights: { link: 20, kill: 2, evict: 2 }, faults: [4, 10], builds: [30, 60], agents: [1, 3] },
  unheard: { says: 'what was given away is not heard of for a while, whoever had it is cut off then, and it may run in one place only', weights: { link: 1 }, faults: [20, 50], builds: [25, 45], agents: [5, 10], long: 0.3, once: 0.7 },
  flood: { says: 'a thousand jobs at once', weights: ANY, faults: [2, 8], builds: [1000, 1000], agents: [4, 8] },
  pipelines: { says: 'builds have steps, and all else goes wrong too', weights: { ...ANY, cancel: 20, retry: 30 }, faults: [6, 24], builds: [6, 14], pipelines: 0.8 },
  day: { says: 'the coordinator is away for a day', weights: { outage: 1 }, faults: [1, 1], builds: [10, 20], agents: [1, 2], outages: [0.5 * 24 * 60 * MINUTE, 24 * 60 * MINUTE] },
} as const satisfies Record<string, Profile>

export type ProfileName = keyof typeof PROFILES

const USUAL: readonly [ProfileName, ...ProfileName[]] = ['mixed', 'mixed', 'mixed', 'mixed', 'restarts', 'restarts', 'network', 'network', 'coordinator', 'coordinator', 'disks', 'disks', 'people', 'outages', 'partitions', 'copies', 'slow', 'sleepers', 'deaf', 'stopping', 'calm']

/** The profile of a seed when none is asked for: most are mixed; one in fourteen is of pipelines, a flood and a day come once in a thousand, and `unheard` when it is asked for. */
export function profileOf(seed: number): ProfileName {
  const dice = new Dice(seed, 'profile')
  const rare = dice.next()
  return rare < 0.001 ? 'flood' : rare < 0.0015 ? 'day' : rare >= 0.93 ? 'pipelines' : dice.pick(USUAL)
}

export function writeScript(seed: number, name: ProfileName = profileOf(seed)): Script {
  const profile: Profile = PROFILES[name]
  const dice = new Dice(seed, 'script')
  const agents = Array.from({ length: dice.whole(...(profile.agents ?? [2, 4])) }, (_, at): AgentPlan => ({
    name: `agent-${at + 1}`,
    slots: dice.pick([1, 1, 2, 2, 3]),
    queue: 'default',
    tags: at === 0 || dice.chance(0.4) ? ['os=linux'] : [],
    doorbell: name === 'deaf' ? false : dice.chance(0.6),
    registrationToken: 'kdg_reg_of-the-simulation',
  }))
  const names = agents.map(({ name: own }) => own) as [string, ...string[]] // there are always some
  const lengthMs = profile.lengthMs ?? dice.between(4, 10) * MINUTE
  const happenings: { at: number; what: Happening }[] = []
  const builds = dice.whole(...profile.builds)
  const keys: string[] = []
  const groups = new Dice(seed, 'groups') // a die of its own: it changes nothing of what else is drawn
  const haveGroups = groups.chance(0.75)
  const acts = new Dice(seed, 'from within') // likewise
  const haveActs = profile.pipelines !== undefined && acts.chance(0.4)
  const shapes = new Dice(seed, 'shapes') // likewise
  const haveShapes = profile.pipelines !== undefined && shapes.chance(0.7)
  for (let n = 1; n <= builds; n += 1) {
    const key = `b${n}`
    keys.push(key)
    const shaping = haveShapes ? { dice: shapes, planJob: () => planJob(key, shapes, profile.long ?? 0) } : null
    const flat = planBuild(key, dice, { ...profile, groups: haveGroups ? groups : null })
    const planned = shaping === null ? flat : { ...flat, steps: shapeSteps(flat.steps, shaping) }
    const plan = haveActs && planned.steps.length > 0 && acts.chance(0.6) ? { ...planned, ...planActs(acts, planned.steps, { planJob: () => planJob(key, acts, profile.long ?? 0), haveGroups, shaping }) } : planned
    // People also change their minds about builds that a trigger started.
    keys.push(...plan.steps.flatMap((step) => (step.kind === 'trigger' ? [`${key}/${step.key}`] : [])))
    if (haveShapes && shapes.chance(0.35)) happenings.push({ at: shapes.between(0, lengthMs), what: { kind: 'retry job', key: shapes.pick([key, ...plan.steps.flatMap((step) => (step.kind === 'trigger' ? [`${key}/${step.key}`] : []))]), share: shapes.next() } })
    happenings.push({ at: name === 'flood' ? dice.between(0, MINUTE) : dice.between(0, lengthMs), what: plan })
  }
  const weights = Object.entries(profile.weights) as [Happening['kind'], number][] // the keys are kinds
  const sum = weights.reduce((all, [, weight]) => all + weight, 0)
  for (let count = dice.whole(...profile.faults); count > 0; count -= 1) {
    let at = dice.next() * sum
    const kind = weights.find(([, weight]) => (at -= weight) < 0)?.[0] ?? 'evict'
    const begins = dice.between(0, lengthMs)
    const what = planFault(kind, { dice, names, keys, name, profile, lengthMs })
    if (what.kind === 'roll back') happenings.push({ at: dice.between(0, begins), what: { kind: 'snapshot', agent: what.agent } })
    happenings.push({ at: begins, what })
  }
  happenings.sort((one, other) => one.at - other.at)
  const longest = profile.outages === undefined ? 0 : profile.outages[1]
  return { seed, profile: name, agents, happenings, faultsUntil: lengthMs + longest }
}

function planBuild(key: string, dice: Dice, { long = 0, pipelines = 0, once, groups = null }: Pick<Profile, 'long' | 'pipelines' | 'once'> & { readonly groups?: Dice | null }): BuildPlan {
  const job = planJob(key, dice, long)
  return {
    kind: 'build',
    key,
    job,
    queue: 'default',
    tags: dice.chance(0.25) ? ['os=linux'] : [],
    priority: dice.chance(0.2) ? dice.whole(-3, 3) : 0,
    project: dice.chance(0.75) ? 'app' : 'bare',
    byBranch: dice.chance(0.5),
    onPartition: dice.chance(once ?? (job.runMs > 100 * SECOND ? 0.5 : 0.1)) ? 'stop' : 'continue',
    repeats: dice.chance(0.1) ? dice.whole(1, 2) : 0,
    steps: pipelines > 0 && dice.chance(pipelines) ? planSteps(dice, { planJob: () => planJob(key, dice, long), groups }) : [],
    acts: [],
  }
}

function planJob(key: string, dice: Dice, long: number): JobPlan {
  const runMs = dice.chance(long) ? dice.between(130, 500) * SECOND : dice.chance(0.25) ? dice.between(0, 1500) : dice.chance(0.85) ? dice.between(1, 25) * SECOND : dice.between(25, 150) * SECOND
  const lines = Array.from({ length: dice.chance(0.2) ? 0 : dice.whole(1, 6) }, (_, at) => ({ atMs: dice.between(0, runMs), text: `line ${at} of ${key}${dice.chance(0.05) ? ' long'.repeat(400) : ''}`, isSecret: dice.chance(0.08) }))
  return {
    prepareMs: dice.chance(0.5) ? dice.between(0, 50) : dice.between(50, 4000),
    prepareFails: dice.chance(0.03),
    runMs,
    exitStatus: dice.chance(0.8) ? 0 : dice.whole(1, 255),
    lines: lines.sort((one, other) => one.atMs - other.atMs),
    heedsTermAfterMs: dice.chance(0.85) ? dice.between(1, 800) : null,
    killsAgentAfterMs: dice.chance(0.015) ? dice.between(0, runMs) : null,
  }
}

interface Setting {
  readonly dice: Dice
  readonly names: [string, ...string[]]
  readonly keys: readonly string[]
  readonly name: ProfileName
  readonly profile: Profile
  readonly lengthMs: number
}

function planFault(kind: Happening['kind'], { dice, names, keys, name, profile }: Setting): Happening {
  const agent = dice.pick(names)
  const key = keys[dice.whole(0, Math.max(0, keys.length - 1))] ?? 'b1'
  const awayMs = dice.chance(0.6) ? dice.between(100, 6000) : dice.between(6, 300) * SECOND
  const forMs = name === 'unheard' ? (dice.chance(0.6) ? dice.between(3, 45) : dice.between(60, 300)) * SECOND : name === 'partitions' ? dice.between(90, 400) * SECOND : name === 'deaf' ? dice.between(30, 600) * SECOND : dice.chance(0.6) ? dice.between(1, 40) * SECOND : dice.between(40, 320) * SECOND
  switch (kind) {
    case 'build':
      return planBuild(key, dice, {})
    case 'push':
    case 'evict':
      return { kind }
    case 'cancel':
    case 'retry':
    case 'watch':
      return { kind, key }
    case 'retry job':
      return { kind, key, share: dice.next() }
    case 'drain':
    case 'resume':
    case 'revoke':
    case 'second process':
    case 'snapshot':
    case 'roll back':
      return { kind, agent }
    case 'kill':
    case 'power':
      return { kind, agent, awayMs }
    case 'die at disk':
      return { kind, agent, acts: dice.whole(1, 40), awayMs, power: dice.chance(0.5) }
    case 'freeze':
    case 'suspend':
    case 'clone':
      return { kind, agent, forMs }
    case 'stop':
      return { kind, agent, times: dice.pick([1, 1, 2, 3]), awayMs }
    case 'link':
      return { kind, agent, change: planLink(name, dice), forMs }
    case 'rings':
      return { kind, agent, count: dice.whole(1, 200), everyMs: dice.pick([1, 10, 1000]) }
    case 'wall clock':
      return { kind, agent: dice.chance(0.5) ? null : agent, byMs: dice.between(-1, 1) * (dice.chance(0.5) ? 5 * MINUTE : 60 * MINUTE) }
    case 'disk full':
    case 'disk read-only':
      return { kind, agent, forMs }
    case 'disk failing':
      return { kind, agent, share: dice.between(0.05, 0.5), forMs: forMs / 2 }
    case 'disk slow':
      return { kind, agent, atMostMs: dice.chance(0.7) ? dice.between(5, 300) : dice.between(300, 8000), forMs }
    case 'outage':
      return { kind, forMs: profile.outages === undefined ? (dice.chance(0.6) ? dice.between(500, 20_000) : dice.between(20, 400) * SECOND) : dice.between(...profile.outages) }
    case 'die in event':
      return { kind, writes: dice.chance(0.3) ? null : dice.whole(1, 6) }
    case 'alarm':
      return { kind, how: dice.pick(['twice', 'early', 'lost']) }
    case 'late alarms':
      return { kind, byMs: dice.between(1, 60) * SECOND, forMs }
    case 'blob store away':
      return { kind, forMs }
    default:
      return kind satisfies never
  }
}

function planLink(name: ProfileName, dice: Dice): Partial<Link> {
  if (name === 'partitions') return { requests: 'lost', replies: 'lost' }
  if (name === 'stopping') return { late: dice.between(0.3, 1), lateMs: dice.between(500, 8000) }
  if (name === 'deaf') return dice.chance(0.8) ? { replies: 'lost' } : { requests: 'lost' }
  const kind = dice.next()
  if (name === 'unheard') return kind < 0.35 ? { replies: 'lost' } : kind < 0.7 ? { requests: 'lost', replies: 'lost' } : { double: dice.between(0.3, 1), late: 0.5, lateMs: dice.between(50, 500) }
  if (kind < 0.15) return { requests: 'lost', replies: 'lost' }
  if (kind < 0.25) return { replies: 'lost' }
  if (kind < 0.3) return { requests: 'lost' }
  if (kind < 0.5) return { lose: dice.between(0.05, 0.5) }
  if (kind < 0.7) return { late: dice.between(0.05, 0.5), double: dice.between(0, 0.4), lateMs: dice.chance(0.6) ? dice.between(100, 5000) : dice.between(5, 100) * SECOND }
  if (kind < 0.8) return { cut: dice.between(0.1, 0.9) }
  if (kind < 0.9) return { strange: dice.between(0.2, 1) }
  if (kind < 0.95) return { newer: 1 }
  return { deafness: 1 }
}
