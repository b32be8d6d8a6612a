/**
 * The life of one attempt: spec, journal, folder, command, log, result in the spool. It ends as `finished` only when the
 * result is durable, and as `dropped` without any result when the build was taken away rather than ended: a result of
 * such a build could still be accepted while nobody else has the job yet, and would be a lie.
 *
 * Order is safety here [C15.1]: the journal is durable before anything starts, the result before anybody hears of it.
 */
import type { Assignment, AttemptResult, JobSpec } from '../../schema/sync.ts'
import type { AttemptId } from '../../schema/job.ts'
import type { Clock } from '../platform.ts'
import type { SpooledResult } from '../spool/results.ts'

/** `agent_stopping`, `self_fence`, `superseded` and `abandoned` take the build away: no result. */
export type StopWhy = 'canceled' | 'agent_stopping' | 'self_fence' | 'superseded' | 'abandoned'

export type AttemptEnd =
  | { readonly kind: 'finished'; readonly result: SpooledResult }
  | { readonly kind: 'dropped'; readonly why: Exclude<StopWhy, 'canceled'> }
  /** The journal knows it: it was started here once, and nothing may start it twice [C4]. */
  | { readonly kind: 'known' }
  /** It could not even be journalled: nothing was started, another agent may. */
  | { readonly kind: 'refused'; readonly message: string }

export interface AttemptLog {
  write(chunk: Uint8Array): Promise<void>
  /** Bytes so far, for the sync's report. */
  bytes(): number
  end(): Promise<{ readonly bytes: number; readonly sha256: string }>
  /** After `end`: whatever a disk in trouble kept from being durable then. Rejects when the disk still does. */
  harden(): Promise<void>
}

export interface RunningCommand {
  readonly pid: number
  readonly startTime: string | number | null
  stop(why: 'canceled' | 'abandoned' | 'agent_stopping', graceMs?: number): void
  readonly ended: Promise<{ readonly exitStatus: number | null; readonly signal: string | null; readonly stoppedBy: string | null; readonly leftovers: readonly string[]; readonly survivors: readonly string[] }>
}

/** What a life needs of the other rooms. */
export interface AttemptParts {
  readonly clock: Clock
  /** Resolves null when the coordinator says that the attempt is not current any more, or the signal aborts. */
  fetchSpec(assignment: Assignment, signal: AbortSignal): Promise<JobSpec | null>
  journal(assignment: Assignment): Promise<'new' | 'known'>
  markStarted(attempt: AttemptId, leader: { readonly pid: number; readonly startTime: RunningCommand['startTime'] }): Promise<void>
  /** `log`: is durable before the result that names it; null: there is none. */
  finish(attempt: AttemptId, result: AttemptResult, log: Pick<AttemptLog, 'harden'> | null): Promise<SpooledResult>
  /** Another process has taken the state folder by force. */
  isTaken(): Promise<boolean>
  /** Opens the log and begins to upload it. */
  openLog(assignment: Assignment): Promise<AttemptLog>
  /** The folder that the command runs in, and the commit in it; throws an error with `code` and `message`. */
  prepare(spec: JobSpec, attempt: AttemptId, log: (text: string) => void, signal: AbortSignal): Promise<{ readonly folder: string; readonly commit: string | null }>
  startCommand(request: { readonly spec: JobSpec; readonly attempt: AttemptId; readonly token: string; readonly folder: string; readonly commit: string | null; readonly timeoutMs: number; readonly graceMs: number; output(chunk: Uint8Array): Promise<void> }): RunningCommand | Promise<RunningCommand>
  /** Something that a person at the agent should know, but that changes nothing. */
  note(text: string): void
}

export interface RunningAttempt {
  readonly attempt: AttemptId
  readonly phase: () => 'preparing' | 'running' | 'stopping'
  readonly commit: () => string | null
  readonly logBytes: () => number
  /** Null until the spec is known. */
  readonly onPartition: () => JobSpec['on_partition'] | null
  stop(why: StopWhy, graceMs?: number): void
  /** Never rejects. */
  readonly ended: Promise<AttemptEnd>
}

/** A reason in the result that blames the machine begins with `agent_`: three in a row hold the agent back [C15.3]. */
const DISK = 'agent_disk'

export function startAttempt(assignment: Assignment, parts: AttemptParts): RunningAttempt {
  const { attempt } = assignment
  const { clock } = parts
  const aborting = new AbortController()
  const state: { phase: 'preparing' | 'running' | 'stopping'; commit: string | null; log: AttemptLog | null; command: RunningCommand | null; spec: JobSpec | null; stop: StopWhy | null; graceMs: number | undefined; timedOut: boolean; logError: string | null; startedAt: number | null } = {
    phase: 'preparing', commit: null, log: null, command: null, spec: null, stop: null, graceMs: undefined, timedOut: false, logError: null, startedAt: null,
  }

  function stop(why: StopWhy, graceMs?: number): void {
    if (state.stop === why && state.graceMs === graceMs) return
    // A build that is taken away stays taken away; a cancel may still become that.
    if (state.stop === null || state.stop === 'canceled') state.stop = why
    state.graceMs = graceMs
    state.phase = 'stopping'
    aborting.abort()
    state.command?.stop(commandsWord(state.stop), graceMs)
  }

  async function live(): Promise<AttemptEnd> {
    const spec = assignment.spec ?? (await parts.fetchSpec(assignment, aborting.signal))
    if (spec === null) return state.stop === 'canceled' ? await cancelUnread() : { kind: 'dropped', why: takenAway(state.stop) ?? 'abandoned' }
    state.spec = spec
    try {
      if ((await parts.journal({ ...assignment, spec })) === 'known') return { kind: 'known' }
    } catch (error) {
      return { kind: 'refused', message: `cannot write its journal: ${messageOf(error)}` }
    }
    const result = await work(spec)
    // Whoever takes the folder ends what it finds running, before the coordinator hears of it: no end here is the build's own [D3].
    if (await parts.isTaken()) {
      parts.note(`drops ${attempt}: the state folder was taken by another process`)
      await endLog()
      return { kind: 'dropped', why: 'superseded' }
    }
    const why = takenAway(state.stop)
    // A command that ended by itself, just before it could be stopped, has a true result: the fence will judge it.
    if (why !== null && (why === 'abandoned' || result.isStopped)) {
      await endLog()
      return { kind: 'dropped', why }
    }
    const { bytes, sha256 } = await endLog()
    const verdict = state.logError === null ? result.ending : withoutItsLog(result, state.logError)
    const spooled = await parts.finish(attempt, { ...verdict, commit: state.commit, started_at: state.startedAt, finished_at: clock.wall(), log_bytes: bytes, log_sha256: sha256 }, state.log)
    return { kind: 'finished', result: spooled }
  }

  /** Cancelled before it was even known what to run: the job still waits for a result that says so. */
  async function cancelUnread(): Promise<AttemptEnd> {
    if ((await parts.journal(assignment)) === 'known') return { kind: 'known' }
    const ending = { outcome: 'canceled' as const, exit_status: null, signal: null, reason: { code: 'canceled', message: SENTENCES.canceled } }
    return { kind: 'finished', result: await parts.finish(attempt, { ...ending, commit: null, started_at: null, finished_at: clock.wall(), log_bytes: 0, log_sha256: EMPTY_SHA256 }, null) }
  }

  /** From journalled to the end of the last process. Never throws. */
  async function work(spec: JobSpec): Promise<Ending> {
    const deadline = clock.monotonic() + spec.timeout_s * 1000
    state.startedAt = clock.wall()
    const takeBack = clock.after(spec.timeout_s * 1000, () => {
      if (state.command !== null) return // from there on the command keeps the time
      state.timedOut = true
      aborting.abort()
    })
    try {
      state.log = await parts.openLog(assignment)
      if (aborting.signal.aborted) return stopped(spec) // nothing need be prepared any more
      const { folder, commit } = await parts.prepare(spec, attempt, say, aborting.signal)
      state.commit = commit
      if (aborting.signal.aborted) return stopped(spec)
      return await command(spec, folder, Math.max(1, deadline - clock.monotonic()))
    } catch (error) {
      if (aborting.signal.aborted) return stopped(spec)
      const code = codeOf(error)
      say(`${messageOf(error)}`)
      return errored(/^(ENOSPC|EROFS|EDQUOT|EMFILE|ENFILE)$/.test(code) ? DISK : code === '' || /^E[A-Z]+$/.test(code) ? 'agent_cannot_start' : code, messageOf(error))
    } finally {
      takeBack()
    }
  }

  async function command(spec: JobSpec, folder: string, timeoutMs: number): Promise<Ending> {
    const started = await parts.startCommand({ spec, attempt, token: assignment.token, folder, commit: state.commit, timeoutMs, graceMs: spec.cancel_grace_s * 1000, output: write })
    state.command = started
    if (state.stop !== null) started.stop(commandsWord(state.stop), state.graceMs)
    else if (state.logError !== null) started.stop('canceled') // a line of the preparation could not be kept
    else state.phase = 'running'
    // Only helps to find leftovers at the next start, so nothing waits for it; the journal is what forbids a second one.
    void parts.markStarted(attempt, { pid: started.pid, startTime: started.startTime }).catch((error: unknown) => parts.note(`cannot note the process of ${attempt}: ${messageOf(error)}`))
    const end = await started.ended
    state.phase = 'stopping'
    if (end.leftovers.length > 0) say(`ended what the command had left running: ${end.leftovers.join(', ')}`)
    if (end.survivors.length > 0) {
      say(unended(attempt, end.survivors))
      parts.note(unended(attempt, end.survivors))
    }
    if (end.stoppedBy === 'timed_out') {
      state.timedOut = true
      return stopped(spec, end)
    }
    if (end.stoppedBy !== null) return stopped(spec, end)
    return { isStopped: false, ending: { outcome: end.exitStatus === 0 ? 'passed' : 'failed', exit_status: end.exitStatus, signal: end.signal, reason: null } }
  }

  function stopped(spec: JobSpec, end: { readonly exitStatus: number | null; readonly signal: string | null } = { exitStatus: null, signal: null }): Ending {
    const status = { exit_status: end.exitStatus, signal: end.signal }
    if (state.logError !== null && state.stop === null) return errored(DISK, `its log cannot be written: ${state.logError}`)
    if (state.timedOut && state.stop === null) {
      const message = `stopped at its time limit of ${spec.timeout_s} s`
      say(message)
      return { isStopped: true, ending: { outcome: 'timed_out', ...status, reason: { code: 'timed_out', message } } }
    }
    say(SENTENCES[state.stop ?? 'canceled'])
    return { isStopped: true, ending: { outcome: 'canceled', ...status, reason: { code: 'canceled', message: SENTENCES.canceled } } }
  }

  async function write(chunk: Uint8Array): Promise<void> {
    if (state.logError !== null) return
    try {
      await state.log?.write(chunk)
    } catch (error) {
      // A build whose output cannot be kept proves nothing: it ends as a failure of this machine.
      state.logError = messageOf(error)
      state.command?.stop('canceled')
    }
  }

  /** A line of the agent's own in the build's log. */
  function say(text: string): void {
    void write(new TextEncoder().encode(text.endsWith('\n') ? text : `kedge: ${text}\n`))
  }

  async function endLog(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    try {
      if (state.log !== null) return await state.log.end()
    } catch (error) {
      state.logError ??= messageOf(error)
    }
    return { bytes: 0, sha256: EMPTY_SHA256 }
  }

  return {
    attempt,
    phase: () => state.phase,
    commit: () => state.commit,
    logBytes: () => state.log?.bytes() ?? 0,
    onPartition: () => state.spec?.on_partition ?? null,
    stop,
    ended: live().catch((error: unknown) => ({ kind: 'refused', message: messageOf(error) })),
  }
}

interface Ending {
  /** We ended it; otherwise it ended by itself. */
  readonly isStopped: boolean
  readonly ending: Pick<AttemptResult, 'outcome' | 'exit_status' | 'signal' | 'reason'>
}

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

const SENTENCES: Readonly<Record<StopWhy, string>> = {
  canceled: 'cancelled',
  agent_stopping: 'stopped, because the agent is being stopped; the job goes back to the queue',
  self_fence: 'stopped, because the coordinator could not be reached and the job must not run in two places (on_partition: stop)',
  superseded: 'stopped, because another process is this agent now',
  abandoned: 'stopped, because the job is not this attempt\'s any more',
}

/** Somebody has to look at the machine: what is left still uses it, and maybe the folder that the next build gets. */
export function unended(attempt: AttemptId, survivors: readonly string[]): string {
  return `could not end ${survivors.join(', ')}, which ${attempt} had started: stuck in the kernel, or another user's. End it by hand, or restart this machine`
}

function errored(code: string, message: string): Ending {
  return { isStopped: false, ending: { outcome: 'errored', exit_status: null, signal: null, reason: { code: code.slice(0, 64), message: message.slice(0, 2000) } } }
}

/** What was stopped stays what it is, and says that its log is not all of it; what ended by itself proves nothing without its log. */
function withoutItsLog({ isStopped, ending }: Ending, why: string): Ending['ending'] {
  if (!isStopped) return errored(DISK, `its log cannot be written: ${why}`).ending
  return { ...ending, reason: ending.reason && { ...ending.reason, message: `${ending.reason.message}; its log is not whole: ${why}`.slice(0, 2000) } }
}

function takenAway(why: StopWhy | null): Exclude<StopWhy, 'canceled'> | null {
  return why === 'canceled' ? null : why
}

function commandsWord(why: StopWhy): 'canceled' | 'abandoned' | 'agent_stopping' {
  return why === 'canceled' || why === 'agent_stopping' ? why : 'abandoned'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
