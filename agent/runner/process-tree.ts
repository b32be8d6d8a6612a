/**
 * Every process that a command started, and the only place in the agent that ends processes. A build leaves nothing
 * behind [I23], also when it passed.
 *
 * Killing the group is not enough: a program may fork twice, take a new session, drop its environment. So a process
 * belongs to the tree when it is in a group or session of the tree, was started by a process of the tree, carries the
 * attempt's marker in its environment, holds the command's output, or is in its cgroup where there is one; and looking is
 * repeated until a look finds nobody [C14.2]. What one would get wrong is the opposite: a pid, a group or a session may be a stranger's by now [D40], so each
 * is believed only together with a start time, or while a living process of ours keeps it from being used again.
 *
 * Not found, where there is no cgroup: a process that dropped its environment, its session, its output and its parents
 * between two looks.
 */
import type { Clock } from '../platform.ts'
import type { AgentId, AttemptId } from '../../schema/job.ts'
import { findCgroup, type Cgroup } from './cgroup.ts'
import type { Birth, ProcessRow, ProcessTable, Snapshot } from './process-table.ts'
import { thisMachine } from './this-machine.ts'

/** What outlives a command may end by itself within this: `exec > >(tee build.log)` still has the last lines to print. */
const LINGER_MS = 500
/** Then it is asked to end, and has this long. */
const LEFTOVER_GRACE_MS = 1000
/** A process that SIGKILL has not ended after this sits in the kernel, or belongs to another user. [C7] */
const GIVE_UP_MS = 5000
/** Looks at a running command, so that a process is known before it cuts its ties: as often as costs 2 % of the time, within these. */
const LOOK_MS = { shortest: 50, longest: 3200 } as const
const LOOK_SHARE = 0.02
const PAUSE_MS = { shortest: 4, longest: 50 } as const
/** Pauses between looks that may have missed somebody; on a machine where others come and go all the time, the last must do. */
const UNSURE_MS = [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64]
const CGROUP_AGAIN_MS = 3200
const NAMES = 20

export interface Remains {
  /** Outlived the command, and had to be ended: `sleep (pid 4711)`. */
  readonly leftovers: readonly string[]
  /** Could not even be killed. */
  readonly survivors: readonly string[]
}

export interface ProcessTree {
  /** The leader's, in a form that never comes again for the same pid; null when it was gone at once. */
  readonly startTime: string | null
  /** SIGTERM to all, SIGKILL to who is left after `graceMs`. Called again, it can only shorten the time. */
  terminate(graceMs: number): void
  /** To be called once the leader was reaped; resolves when nobody is left, or cannot be killed. */
  end(): Promise<Remains>
  /** The leader itself could not be killed: it will not be reaped. */
  readonly gaveUp: Promise<void>
}

export interface TreeOptions {
  readonly pid: number
  /** `ProcessTable.births()` from before the leader was started. */
  readonly births: number
  readonly attempt: AttemptId
  readonly agent: AgentId
  /** Path of the pipe that it writes to. */
  readonly output: string | null
  readonly clock: Clock
  readonly table?: ProcessTable
  /** Which its leader entered first of all; null where there is none. */
  readonly cgroup: Cgroup | null
}

/** The environment by which the processes of an attempt are known. Two agents on one machine may hold attempts of the same name, for two coordinators. */
export function markerOf(attempt: AttemptId, agent: AgentId): { readonly KEDGE_ATTEMPT: string; readonly KEDGE_AGENT_ID: string } {
  return { KEDGE_ATTEMPT: attempt, KEDGE_AGENT_ID: agent }
}

function entriesOf(marker: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(marker).map(([name, value]) => `${name}=${value}`)
}

/** Watches over the process `pid`, just started as leader of a session of its own. */
export function startTree({ pid, births, attempt, agent, output, cgroup, clock, table = thisMachine() }: TreeOptions): ProcessTree {
  const leader = leaderOf(table, pid)
  const marker = entriesOf(markerOf(attempt, agent))
  const membership = membershipOf({ leader: leader ?? { pid, startedAt: 0 }, since: { pid, births }, marker, output, cgroup, clock, table })
  const ending = endingOf(membership, pid, clock)
  let takeBack = (): void => undefined
  function watch(stepMs: number): void {
    // At round times, so that the looks of several trees fall together and share a snapshot.
    takeBack = clock.after(stepMs - (clock.monotonic() % stepMs), async () => {
      const began = clock.monotonic()
      await membership.look().catch(() => undefined) // only to know more: the looks that must succeed come at the end
      const affordableMs = (clock.monotonic() - began) / LOOK_SHARE
      if (!ending.isUnderWay()) watch(affordableMs > stepMs ? Math.min(stepMs * 2, LOOK_MS.longest) : affordableMs < stepMs / 4 ? Math.max(stepMs / 2, LOOK_MS.shortest) : stepMs)
    })
  }
  watch(LOOK_MS.shortest)
  return {
    startTime: leader === null ? null : startTimeOf(leader, table),
    gaveUp: ending.gaveUp,
    terminate(graceMs) {
      takeBack()
      ending.hurry(graceMs)
    },
    async end() {
      takeBack()
      membership.leaderIsReaped()
      const remains = await ending.run()
      removeCgroup(cgroup, clock)
      return remains
    },
  }
}

/** Null also when the table cannot be read (too many open files): the process runs already, and is known by its marker then. */
function leaderOf(table: ProcessTable, pid: number): ProcessRow | null {
  try {
    return table.row(pid)
  } catch {
    return null
  }
}

/** A killed process is on the list until the kernel has taken it apart; nobody needs to wait for that. */
function removeCgroup(cgroup: Cgroup | null, clock: Clock, againMs = 50): void {
  if (cgroup === null || cgroup.remove() || againMs > CGROUP_AGAIN_MS) return
  clock.after(againMs, () => removeCgroup(cgroup, clock, againMs * 2))
}

/**
 * Ends what an earlier agent process left of an attempt [C14.3]. The recorded leader is believed only with its start
 * time; all others by their marker.
 */
export async function killLeftovers(attempt: AttemptId, recorded: { readonly pid: number; readonly startTime: string | number | null } | null, { agent, clock, table = thisMachine() }: Pick<TreeOptions, 'agent' | 'clock' | 'table'>): Promise<Remains> {
  const row = recorded === null ? null : table.row(recorded.pid)
  const leader = row !== null && startTimeOf(row, table) === recorded?.startTime ? row : null
  const cgroup = findCgroup(cgroupName(attempt, agent))
  const membership = membershipOf({ leader, since: null, marker: entriesOf(markerOf(attempt, agent)), output: null, cgroup, clock, table })
  membership.leaderIsReaped() // by whom does not matter: nobody here waits for it
  const ending = endingOf(membership, null, clock)
  ending.hurry(LEFTOVER_GRACE_MS)
  const remains = await ending.run()
  removeCgroup(cgroup, clock)
  return remains
}

/** What an attempt's cgroup is called, also after a restart of the agent. */
export function cgroupName(attempt: AttemptId, agent: AgentId): string {
  return `kedge-${agent}-${attempt}`
}

function startTimeOf(row: ProcessRow, table: ProcessTable): string {
  return `${row.startedAt}@${table.machineStart}`
}

interface Membership {
  /** Everybody who is alive and belongs, after looking as often as it takes to have missed nobody. */
  look(): Promise<readonly ProcessRow[]>
  /** From now on only members keep the leader's pid, group and session from being used again. */
  leaderIsReaped(): void
  /** To the groups of the tree as a whole (nobody can fork out of that), and to each who left them. */
  signal(rows: readonly ProcessRow[], signal: NodeJS.Signals): void
  signalLeader(signal: NodeJS.Signals): void
}

interface MembershipOptions extends Pick<TreeOptions, 'output'> {
  /** Environment entries (`NAME=value`) that only this tree carries. */
  readonly marker: readonly string[]
  readonly cgroup: Cgroup | null
  readonly clock: Clock
  readonly leader: Pick<ProcessRow, 'pid' | 'startedAt'> | null
  readonly since: Birth | null
  readonly table: ProcessTable
}

function membershipOf({ leader, since, marker, output, cgroup, clock, table }: MembershipOptions): Membership {
  const snapshot = sharedSnapshots(table)
  let isReaped = false
  /** Who belonged at the last look, and the groups and sessions that they keep alive. Older knowledge is dropped: pids come again. */
  let known = new Map<number, number>(leader === null ? [] : [[leader.pid, leader.startedAt]])
  let ids = new Set<number>(leader === null ? [] : [leader.pid])

  function choose({ rows, carries, holds }: Snapshot): { readonly found: Map<number, ProcessRow>; readonly isSure: boolean } {
    const found = new Map<number, ProcessRow>()
    const untouchable = ancestors(rows)
    const open = new Set([...rows.values()].filter((row) => row.startedAt >= (leader?.startedAt ?? 0) && !untouchable.has(row.pid)))
    const isOurs = (id: number): boolean => (ids.has(id) || found.has(id)) && (!rows.has(id) || found.has(id) || known.get(id) === rows.get(id)?.startedAt)
    const take = (belongs: (row: ProcessRow) => boolean): boolean => {
      const taken = [...open].filter(belongs)
      for (const row of taken) {
        found.set(row.pid, row)
        open.delete(row)
      }
      return taken.length > 0
    }
    // Asked after the snapshot was taken: whoever is on the list but not in the snapshot was born in between.
    const listed = new Set(cgroup?.pids())
    let isSure = [...listed].every((pid) => rows.has(pid))
    const bySign = (row: ProcessRow): boolean => {
      const isMarked = carries(row, marker)
      if (isMarked === null) isSure = false
      return isMarked === true || (output !== null && holds(row, output))
    }
    const byTies = (row: ProcessRow): boolean => listed.has(row.pid) || known.get(row.pid) === row.startedAt || isOurs(row.session) || isOurs(row.group) || found.has(row.parent)
    let grows = true
    while (grows) grows = take(byTies) // leaves when nobody else has a tie to somebody found
    grows = take(bySign)
    while (grows) grows = take(byTies)
    return { found, isSure }
  }

  async function lookOnce(): Promise<{ readonly rows: readonly ProcessRow[]; readonly isSure: boolean }> {
    const taken = await snapshot(since)
    const { found, isSure } = choose(taken)
    const kept = new Set<number>()
    for (const { group, session } of found.values()) for (const id of [group, session]) if (ids.has(id) || found.has(id)) kept.add(id)
    if (!isReaped && leader !== null) kept.add(leader.pid)
    ids = kept
    known = new Map([...found.values()].map((row) => [row.pid, row.startedAt]))
    return { rows: [...found.values()], isSure: isSure && taken.isComplete }
  }

  async function look(): Promise<readonly ProcessRow[]> {
    for (let tries = 0; ; tries += 1) {
      const { rows, isSure } = await lookOnce()
      const pauseMs = UNSURE_MS[tries]
      // Leaves: somebody was found, or surely nobody is there, or it was tried often enough.
      if (rows.length > 0 || isSure) return rows
      // The cgroup needs no trying: a process that changes its pid faster than we look is on its list all the same.
      if (pauseMs === undefined) return cgroup === null || cgroup.pids().length === 0 ? [] : [nobodyKnown('a process that keeps changing its pid')]
      if (pauseMs > 0) await pause(clock, pauseMs)
    }
  }

  return {
    look,
    leaderIsReaped: () => {
      isReaped = true
    },
    signal(rows, signal) {
      if (signal === 'SIGKILL') cgroup?.killAll()
      const groups = new Set(rows.map((row) => row.group).filter((group) => ids.has(group)))
      for (const group of groups) send(-group, signal)
      for (const row of rows) if (!groups.has(row.group)) send(row.pid, signal)
    },
    signalLeader(signal) {
      if (leader !== null && !isReaped) send(-leader.pid, signal)
    },
  }
}

interface Ending {
  isUnderWay(): boolean
  hurry(graceMs: number): void
  run(): Promise<Remains>
  readonly gaveUp: Promise<void>
}

/** Asks, waits, kills; one loop, whoever starts it. */
function endingOf(membership: Membership, leaderPid: number | null, clock: Clock): Ending {
  const leftovers = new Map<number, string>()
  const asked = new Set<number>()
  /** When to ask (null: a command that ended by itself gives its children a moment), and when to kill. */
  let killAt: number | null = null
  let isStopped = false
  let isLeaderAsked = false
  let hasAsked = false
  let hasLeaderEnded = false
  let running: Promise<Remains> | null = null
  let giveUp = (): void => undefined
  const gaveUp = new Promise<void>((resolve) => {
    giveUp = resolve
  })

  async function loop(): Promise<Remains> {
    const began = clock.monotonic()
    let killedAt: number | null = null
    for (let pauseMs: number = PAUSE_MS.shortest; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)) {
      const rows = await membership.look().catch((error: unknown) => unseen(error))
      const now = clock.monotonic()
      // Leaves: nobody is there, or nobody who can be killed.
      if (rows.length === 0 && hasLeaderEnded) return remains([])
      if (killedAt !== null && now - killedAt >= GIVE_UP_MS) {
        giveUp()
        return remains(rows)
      }
      if (killAt === null && now - began >= LINGER_MS) killAt = now + LEFTOVER_GRACE_MS
      if (killAt !== null && now >= killAt) {
        killedAt ??= now
        for (const row of rows) if (hasLeaderEnded || asked.has(row.pid)) note(row)
        membership.signal(rows, 'SIGKILL')
        pauseMs = Math.min(pauseMs, PAUSE_MS.shortest)
      } else if (killAt !== null) {
        if (!hasAsked) ask(rows)
      }
      await pause(clock, pauseMs)
    }
  }

  /** The leader is the command itself, not something that it left. */
  function note(row: ProcessRow): void {
    if (row.pid !== leaderPid) leftovers.set(row.pid, nameOf(row))
  }

  function remains(survivors: readonly ProcessRow[]): Remains {
    return { leftovers: shorten([...leftovers.values()]), survivors: shorten(survivors.map(nameOf)) }
  }

  /** Once: what is started later may be what tidies up (a trap). */
  function ask(rows: readonly ProcessRow[]): void {
    hasAsked = true
    for (const row of rows) {
      asked.add(row.pid)
      if (!isStopped) note(row)
    }
    const others = rows.filter((row) => !isLeaderAsked || row.group !== leaderPid)
    membership.signal(others, 'SIGTERM')
    membership.signal(others, 'SIGCONT') // one that was stopped could not heed
  }

  return {
    gaveUp,
    isUnderWay: () => running !== null,
    hurry(graceMs) {
      const at = clock.monotonic() + graceMs
      killAt = killAt === null ? at : Math.min(killAt, at)
      // The leader and its group at once, without looking: a cancel is to be quick.
      if (graceMs <= 0) membership.signalLeader('SIGKILL')
      else if (!isLeaderAsked && !hasLeaderEnded) {
        isLeaderAsked = true
        membership.signalLeader('SIGTERM')
        membership.signalLeader('SIGCONT')
      }
      isStopped = true
      running ??= loop()
    },
    run() {
      hasLeaderEnded = true
      return (running ??= loop())
    },
  }
}

/** Looks asked for in the same moment share one snapshot: several jobs often end at once. It is taken after all of them asked. */
function sharedSnapshots(table: ProcessTable): (since: Birth | null) => Promise<Snapshot> {
  return (since) => {
    const waiting = waitingFor.get(table)
    if (waiting !== undefined) {
      waiting.since.push(since)
      return waiting.taken
    }
    const all = [since]
    const taken = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      waitingFor.delete(table)
      return table.snapshot(all)
    })
    waitingFor.set(table, { since: all, taken })
    return taken
  }
}

const waitingFor = new WeakMap<ProcessTable, { readonly since: (Birth | null)[]; readonly taken: Promise<Snapshot> }>()

/** This process, those it descends from, and the first of the machine: never ended, whatever they carry. */
function ancestors(rows: ReadonlyMap<number, ProcessRow>): ReadonlySet<number> {
  const line = new Set([0, 1, process.pid, process.ppid])
  for (let pid = process.ppid; ; ) {
    const parent = rows.get(pid)?.parent
    if (parent === undefined || line.has(parent)) return line
    line.add(parent)
    pid = parent
  }
}

/** Stands for whoever may be there while the process table cannot be read (too many open files): not nobody. */
function unseen(error: unknown): ProcessRow[] {
  return [nobodyKnown(`unknown, as the process table cannot be read: ${error instanceof Error ? error.message : String(error)}`)]
}

/** Somebody, though nobody knows whom; a signal to it goes nowhere. */
function nobodyKnown(name: string): ProcessRow {
  return { pid: 0, parent: 0, group: 0, session: 0, startedAt: 0, name }
}

/** A log is not helped by the names of a thousand processes. */
function shorten(names: readonly string[]): readonly string[] {
  return names.length <= NAMES ? names : [...names.slice(0, NAMES), `${names.length - NAMES} more`]
}

function nameOf({ name, pid }: ProcessRow): string {
  return pid === 0 ? name : `${name} (pid ${pid})`
}

/** Ends the group of a program of our own, such as git, whose leader the caller knows to be still there. */
export function endGroup(leader: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (leader > 1) send(-leader, signal)
}

function send(pid: number, signal: NodeJS.Signals): void {
  // 0 would be our own group, -1 everybody.
  if (pid === 0 || pid === -1 || pid === 1) return
  try {
    process.kill(pid, signal)
  } catch {
    // ESRCH: gone already. EPERM: another user's; the next look finds it again, and it is named as a survivor.
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve))
}
