/**
 * The agent process: opens what is durable, joins the rooms together, and stops in three steps [C14]. Everything that can
 * go wrong out there is the loop's to wait out; this ends only when told to, when its state folder cannot be used, or
 * when the coordinator's first word is that this agent may not join.
 */
import { VERSION } from '../schema/version.ts'
import { jobSpec, type Assignment, type JobSpec, type Offer } from '../schema/sync.ts'
import { createAttemptLogs } from './attempt-logs.ts'
import { ask } from './exchange.ts'
import { LOG_LIMITS, type LogLimits } from './log/writer.ts'
import { createBackoff, pause } from './loop/backoff.ts'
import { startDoorbell, type Doorbell } from './loop/doorbell.ts'
import { HEALTH_LIMITS, startHealth, type HealthLimits } from './loop/health.ts'
import { createHoldings } from './loop/holdings.ts'
import { watchPartition } from './loop/partition.ts'
import { startSync } from './loop/sync.ts'
import type { Terminal } from './loop/terminal.ts'
import { agentTimes } from './loop/times.ts'
import type { Machine } from './machine.ts'
import type { Platform } from './platform.ts'
import { startAttempt, unended, type AttemptParts } from './runner/attempt.ts'
import { openState, StateError, type State } from './spool/identity.ts'
import { openSpool, type Spool } from './spool/results.ts'

export type { Terminal } from './loop/terminal.ts'

export interface AgentConfig {
  /** Of the coordinator, without a path. */
  readonly url: string
  /** Null: the agent has joined before, or cannot. */
  readonly registrationToken: string | null
  readonly name: string
  readonly slots: number
  readonly queue: string
  readonly tags: readonly string[]
  /** Absolute. Identity, spool, mirrors and work trees. */
  readonly stateFolder: string
  readonly doorbell: boolean
  /** Divides every compiled-in time; 1 but in tests (`KEDGE_TIME_SCALE`). */
  readonly timeScale: number
  readonly limits?: { readonly health?: Partial<HealthLimits>; readonly log?: LogLimits }
}

export interface Agent {
  /** Once: no more work, finish, deliver. Twice: end what runs and hand it back. Three times: exit 1 at once. */
  stop(): void
  /** The exit code: 0 stopped · 1 stopped at once · 2 the state folder cannot be used · 5 may not join. */
  readonly ended: Promise<number>
}

export function startAgent(config: AgentConfig, platform: Platform, terminal: Terminal, machine: Machine): Agent {
  let level = 0
  const listeners = new Set<() => void>()
  const stop = () => {
    level += 1
    for (const listen of listeners) listen()
  }
  return { stop, ended: live(config, platform, terminal, machine, { level: () => level, onStop: (listen) => void listeners.add(listen) }) }
}

interface Stops {
  level(): number
  onStop(listen: () => void): void
}

async function live(config: AgentConfig, platform: Platform, terminal: Terminal, machine: Machine, stops: Stops): Promise<number> {
  const { disk, clock } = platform
  let state: State | null = null
  let spool: Spool | null = null
  try {
    state = await openState(config.stateFolder, platform, machine.processes)
    spool = await openSpool(state.folder, disk, clock)
    // Nothing of an earlier boot may still run when its loss is told: the job may start elsewhere at once [I23].
    const left = await machine.killLeftovers(state.agentId, spool.replayed.lost.map(({ attempt, process }) => ({ attempt, process })))
    for (const { attempt, survivors } of left) if (survivors.length > 0) terminal.line(unended(attempt, survivors))
    for (const { attempt, detail } of spool.replayed.lost) {
      await spool.giveUp(attempt) // not before: another start must find what this one did not come to end
      terminal.line(`lost ${attempt}: ${detail}`)
    }
    return await work(config, platform, terminal, machine, stops, state, spool)
  } catch (error) {
    if (!(error instanceof StateError)) throw error
    terminal.line(error.message)
    return 2
  } finally {
    await spool?.close() // nothing is written to the folder once another process may take it
    await state?.release()
  }
}

async function work(config: AgentConfig, platform: Platform, terminal: Terminal, machine: Machine, stops: Stops, state: State, spool: Spool): Promise<number> {
  const { clock, chance, network, disk } = platform
  const times = agentTimes(config.timeScale)
  const url = config.url.replace(/\/+$/, '')
  const offer: Offer = { name: config.name, queue: config.queue, tags: [...config.tags], slots: config.slots, host: { ...machine.host, version: VERSION } }
  const retries = (capMs: number) => createBackoff({ clock, chance, baseMs: times.retryBaseMs, capMs, retryAfterFloorMs: times.retryAfterFloorMs, retryAfterCapMs: times.retryAfterCapMs })

  let logMs = times.logMs
  let selfFenceMs = times.selfFenceMs
  let isDrained = false
  /** A sync that said "draining" was heard, and it brought nothing. */
  let hasSaidGoodbye = false
  let bell: Doorbell | null = null
  let look = () => {} // whoever waits for the last delivery

  const logs = createAttemptLogs({
    spool,
    platform,
    url,
    limits: config.limits?.log ?? LOG_LIMITS,
    secrets: [state.secret, ...(config.registrationToken === null ? [] : [config.registrationToken])],
    callTimeoutMs: times.logCallTimeoutMs,
    newBackoff: () => retries(times.retryHoldingCapMs),
    pace: () => logMs,
    note: (text) => terminal.line(text),
    sealed: () => look(),
  })

  const partsOf = (slot: number): AttemptParts => ({
    clock,
    fetchSpec: (assignment, signal) => fetchSpec(assignment, signal),
    journal: (assignment) => spool.journal(assignment),
    markStarted: (attempt, leader) => spool.markStarted(attempt, leader),
    finish: async (attempt, result, log) => {
      for (;;) {
        // Leaves when the result is durable, and the log that it names: nothing else ends a finished attempt [I5, I16].
        try {
          await log?.harden()
          const spooled = await spool.finish(attempt, result)
          terminal.line(`${attempt} ${result.outcome}${result.reason === null || result.outcome === 'canceled' ? '' : `: ${result.reason.message}`}`)
          if (result.log_bytes === 0) void spool.logSealed(attempt)
          return spooled
        } catch (error) {
          terminal.waiting(`cannot write the result of ${attempt} (${error instanceof Error ? error.message : String(error)}); make room on the disk of ${state.folder}; trying again`)
          await pause(clock, times.retryHoldingCapMs)
        }
      }
    },
    isTaken: async () => {
      const isTaken = await state.isTaken()
      if (isTaken) health.suspect('another process has taken its state folder') // until that one has spoken, which ends this one's claim to anything
      return isTaken
    },
    openLog: async (assignment) => logs.open(assignment, machine.redactions?.(slot)),
    prepare: (spec, attempt, log, signal) => machine.prepare({ spec, attempt, slot, log, signal }),
    startCommand: (request) => machine.startCommand({ ...request, slot, agent: { id: state.agentId, name: config.name, queue: config.queue, tags: config.tags } }),
    note: (text) => terminal.line(text),
  })

  async function fetchSpec(assignment: Assignment, signal: AbortSignal): Promise<JobSpec | null> {
    const backoff = retries(times.retryHoldingCapMs)
    while (!signal.aborted) {
      // Leaves with the spec, when the coordinator says that there is none any more, or when the attempt is stopped.
      const answer = await ask({ network, clock, url: `${url}/v1/attempts/${assignment.attempt}/spec`, method: 'GET', credential: assignment.token, reply: jobSpec, timeoutMs: times.callTimeoutMs, signal })
      if (answer.kind === 'reply') return answer.value
      if (answer.kind === 'refused' && !answer.error.retry) return null
      await backoff.wait(signal, answer.retryAfterMs)
    }
    return null
  }

  const holdings = createHoldings(
    {
      pending: () => spool.pending(),
      settle: (attempt, verdict) => spool.settle(attempt, verdict),
      giveUp: async (attempt) => {
        await spool.giveUp(attempt)
        if (!logs.isOnItsWay(attempt)) await spool.logSealed(attempt) // there never was a log
      },
      start: (assignment, slot) => {
        terminal.line(`${assignment.attempt} begins${assignment.spec === undefined ? '' : `: ${assignment.spec.project} #${assignment.spec.build}`}`)
        return startAttempt(assignment, partsOf(slot))
      },
      watch: (attempt) => logs.watch(attempt),
      kick: () => sync.kick(),
      suspect: (why) => health.suspect(why),
      note: (text) => terminal.line(text),
    },
    spool.replayed.lost,
  )

  let wasUnfit = false
  const health = startHealth({
    disk,
    clock,
    folder: state.folder,
    limits: { ...HEALTH_LIMITS, ...config.limits?.health },
    everyMs: times.healthMs,
    spoolBytes: () => spool.bytes(),
    selfTest: () => machine.selfTest(),
    changed: (reason) => {
      if (reason !== null) terminal.line(`takes no work: ${reason}`)
      else if (wasUnfit && sync.acknowledged() !== null) terminal.line('is fit for work again') // not when the first look took longer than the first sync
      wasUnfit = reason !== null
      sync.kick()
    },
  })

  const sync = startSync({
    url,
    identity: state,
    registrationToken: config.registrationToken,
    offer,
    clock,
    chance,
    network,
    times,
    terminal,
    report: () => ({
      state: stops.level() > 0 ? 'draining' : health.reason() === null ? 'ready' : 'unhealthy',
      reason: stops.level() > 0 ? 'it is being stopped by its owner' : health.reason(),
      doorbell: bell?.isOpen() ?? false,
      running: holdings.running(),
      pending: holdings.pending(),
      lost: holdings.lost(),
    }),
    heard: ({ reply, lost, state: said }) => {
      selfFenceMs = reply.self_fence_ms
      logMs = reply.log_ms
      if (reply.drain !== isDrained) terminal.line(reply.drain ? 'gets no more work: it was told to drain' : 'takes work again')
      isDrained = reply.drain
      holdings.heard({ reply, lost })
      hasSaidGoodbye = said === 'draining' && reply.assignments.length === 0
      bell?.connect()
      void holdings.settled().then(() => look())
    },
    superseded: () => holdings.stop('superseded'),
  })
  const over = sync.ended.then((end) => end.refused)
  if (config.doorbell) bell = startDoorbell({ url, clock, chance, network, times, session: () => sync.session(), rang: () => sync.kick() })

  const partition = watchPartition({
    clock,
    times,
    acknowledged: () => sync.acknowledged(),
    selfFenceMs: () => selfFenceMs,
    fence: () => holdings.stop('self_fence', { graceMs: times.killGraceMs, only: (attempt) => attempt.onPartition() === 'stop' }),
    woke: () => sync.kick(),
  })
  logs.resume(spool.replayed.unsealedLogs)

  try {
    return await Promise.race([over.then(refused), untilStopped()])
  } finally {
    holdings.stop('agent_stopping', { graceMs: 0 }) // only after a mistake of ours does anything run here
    sync.stop()
    bell?.stop()
    health.stop()
    partition.stop()
    await logs.stop()
    await holdings.settled()
  }

  async function refused(why: string | null): Promise<number> {
    if (why === null) return await new Promise<number>(() => {}) // we ended it ourselves: the other side of the race decides
    terminal.line(why)
    return 5
  }

  /** The three steps of stopping [C14]. */
  function untilStopped(): Promise<number> {
    return new Promise((resolve, reject) => {
      const step = (level: number) => {
        if (level === 1) {
          holdings.closeDoor()
          const { length } = holdings.running()
          terminal.line(length === 0 ? 'stops: delivers what is left' : `stops: takes no more work and finishes ${length === 1 ? 'the build that runs' : `${length} builds`}; once more ends ${length === 1 ? 'it' : 'them'}`)
          sync.kick()
          drained().then(() => resolve(0), reject)
        } else if (level === 2) {
          holdings.stop('agent_stopping')
        } else if (level === 3) {
          holdings.stop('agent_stopping', { graceMs: 0 })
          void Promise.race([holdings.idle(), pause(clock, times.lastKillMs)]).then(() => resolve(1))
        }
      }
      stops.onStop(() => step(stops.level()))
      for (let level = 1; level <= stops.level(); level++) step(level) // told before it had begun
    })
  }

  /** Nothing runs, and all is delivered; or its time is over: what is left stays in the spool for the next start. */
  async function drained(): Promise<void> {
    await holdings.idle()
    const isHolding = () => holdings.pending().length > 0 || holdings.lost().length > 0 || logs.count() > 0
    // An assignment may be on its way in a reply: stay for as long as one can be [C14].
    const mayBeGiven = sync.acknowledged() !== null
    if (!isHolding() && !mayBeGiven) return
    await new Promise<void>((resolve) => {
      const since = clock.monotonic()
      // A sync that was in flight may still time out, and the next one bring what it would have.
      let takeBack = clock.after(isHolding() ? times.deliverMs : 2 * times.callTimeoutMs, function late() {
        const left = isHolding() ? since + times.deliverMs - clock.monotonic() : 0
        if (left > 0) takeBack = clock.after(left, late)
        else resolve()
      })
      look = () => {
        if (sync.isRefused() || (hasSaidGoodbye && !isHolding())) {
          takeBack()
          resolve()
        }
      }
      look()
    })
  }
}
