/**
 * Runs one command of a job: a shell in a session of its own, its output handed on in order and with back pressure, its
 * time bounded, and at its end nobody left (`process-tree.ts`).
 *
 * The shell is `bash -e -c` where there is a bash, else `/bin/sh -e -c`: what users of CI expect (a script of several
 * lines ends at the first that fails). Without `pipefail`, as in Buildkite; a script that wants it says so. Input is
 * `/dev/null`: whoever asks a question gets the end of file instead of hanging until the time limit.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AgentId, AttemptId } from '../../schema/job.ts'
import type { Clock } from '../platform.ts'
import { createCgroup, type Cgroup } from './cgroup.ts'
import { openOutputPipe, type OutputPipe } from './output-pipe.ts'
import { cgroupName, markerOf, startTree } from './process-tree.ts'
import { thisMachine } from './this-machine.ts'

export interface CommandRequest {
  /** Shell text, of any length and number of lines. */
  readonly command: string
  readonly cwd: string
  /** The whole environment (`jobEnvironment`); the marker of the attempt is added to it. */
  readonly env: Readonly<Record<string, string>>
  readonly attempt: AttemptId
  readonly agent: AgentId
  readonly timeoutMs: number
  /** Between SIGTERM and SIGKILL, at the time limit and where `stop` does not say otherwise. */
  readonly graceMs: number
  readonly clock: Clock
  /** `none` does without a cgroup even where there could be one. */
  readonly cgroup?: 'where possible' | 'none'
  /** Takes one chunk of what was printed; while it has not resolved, nothing more is read and the command waits. */
  output(chunk: Uint8Array): Promise<void>
}

export type StopReason = 'canceled' | 'abandoned' | 'timed_out' | 'agent_stopping'

export interface CommandEnd {
  /** Null when a signal ended it. */
  readonly exitStatus: number | null
  /** Such as `SIGKILL`; null when it exited, or could not even be killed. */
  readonly signal: string | null
  /** Why it was stopped; null when it ended by itself. */
  readonly stoppedBy: StopReason | null
  /** What it had left running, and was ended. */
  readonly leftovers: readonly string[]
  /** What could not be ended: stuck in the kernel, or another user's. */
  readonly survivors: readonly string[]
}

export interface RunningCommand {
  readonly pid: number
  /** With `pid` it names the process for ever; for `killLeftovers` after a crash. */
  readonly startTime: string | null
  /** Ends the whole tree. The first reason is kept; later calls can only shorten the time. */
  stop(why: StopReason, graceMs?: number): void
  /** Resolves when nobody is left and all output was taken. Rejects only when `output` did; also then nobody is left. */
  readonly ended: Promise<CommandEnd>
}

/** The command could not be started at all. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  /** Too large an environment is the job's, and any machine's; all else may be this one's. */
  readonly code: 'agent_cannot_start' | 'environment_invalid'

  constructor(message: string, { cause }: { readonly cause?: unknown } = {}) {
    super(message, { cause })
    this.code = isTooLarge(cause) ? 'environment_invalid' : 'agent_cannot_start'
  }
}

/** The kernel takes no single argument above 128 KiB; longer text goes through a file. */
const ARGUMENT_BYTES = 120_000
/** Enters the cgroup and becomes the shell; where the kernel refuses, it does without. */
const ENTER = 'echo $$ 2>/dev/null >"$0"; exec "$@"'
/** A timer further away than this would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Starts it; throws a `CommandError` that says why when that is not possible. */
export function startCommand(request: CommandRequest): RunningCommand {
  const { attempt, agent, clock, timeoutMs } = request
  const births = thisMachine().births()
  const cgroup = request.cgroup === 'none' ? null : createCgroup(cgroupName(attempt, agent))
  const { child, pid, pipe, tidy } = start(cgroup, { ...request, env: { ...request.env, ...markerOf(attempt, agent) } })
  const tree = startTree({ pid, births, attempt, agent, output: pipe.path, cgroup, clock })
  const exited = new Promise<Pick<CommandEnd, 'exitStatus' | 'signal'>>((resolve) => child.once('exit', (exitStatus, signal) => resolve({ exitStatus, signal })))

  let stoppedBy: StopReason | null = null
  let hasExited = false
  function stop(why: StopReason, graceMs = request.graceMs): void {
    // A command that ended by itself keeps its own end; what it left behind is ended anyway.
    if (!hasExited) stoppedBy ??= why
    tree.terminate(graceMs)
  }

  let takeBack = (): void => undefined
  function limit(ms: number): void {
    const step = Math.min(ms, LONGEST_TIMER_MS)
    takeBack = clock.after(step, () => (ms > step ? limit(ms - step) : stop('timed_out')))
  }
  limit(timeoutMs)

  async function live(): Promise<CommandEnd> {
    let failure: { readonly error: unknown } | null = null
    const printed = pipe.read(async (chunk) => {
      if (failure !== null) return // read and dropped, so that nobody waits to print
      try {
        await request.output(chunk)
      } catch (error) {
        failure = { error }
        stop('canceled', 0) // a build whose output cannot be kept proves nothing
      }
    })
    const end = await Promise.race([exited, tree.gaveUp.then(() => ({ exitStatus: null, signal: null }))])
    hasExited = true
    takeBack()
    const { leftovers, survivors } = await tree.end()
    pipe.lastBytes(clock)
    await printed
    tidy()
    if (failure !== null) throw (failure as { readonly error: unknown }).error // the compiler does not see the callback's assignment
    return { ...end, stoppedBy, leftovers, survivors }
  }

  return { pid, startTime: tree.startTime, stop, ended: live() }
}

interface Started {
  readonly child: ChildProcess
  readonly pid: number
  readonly pipe: OutputPipe
  /** Removes what was only needed while it ran. */
  readonly tidy: () => void
}

function start(cgroup: Cgroup | null, { command, cwd, env }: Pick<CommandRequest, 'command' | 'cwd' | 'env'>): Started {
  let folder: string | null = null
  const tidy = (): void => {
    if (folder !== null) rmSync(folder, { recursive: true, force: true })
  }
  let pipe: OutputPipe | null = null
  try {
    if (!isFolder(cwd)) throw new Error('its folder is not there. Something removed it since it was prepared; a new build will make it again.')
    let text = ['-c', command]
    if (Buffer.byteLength(command) > ARGUMENT_BYTES) {
      folder = mkdtempSync(join(tmpdir(), 'kedge-command-'))
      writeFileSync(join(folder, 'command'), command, { mode: 0o600 })
      text = [join(folder, 'command')]
    }
    pipe = openOutputPipe()
    const shell = [findShell(env['PATH'] ?? ''), '-e', ...text]
    const [program = '', ...args] = cgroup === null ? shell : ['/bin/sh', '-c', ENTER, cgroup.entry, ...shell]
    const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', pipe.writeEnd, pipe.writeEnd] })
    child.once('error', () => undefined) // told by the missing pid, below
    if (child.pid === undefined) throw new Error('the system refused to start another process (too many processes or open files, or no memory)')
    return { child, pid: child.pid, pipe, tidy }
  } catch (error) {
    tidy()
    cgroup?.remove()
    void pipe?.read(() => Promise.resolve()) // nobody will write: this only closes it
    throw new CommandError(`cannot start the command in ${cwd}: ${explain(error)}`, { cause: error })
  } finally {
    pipe?.closeWriteEnd()
  }
}

/** The first bash on the job's own PATH, else the shell that every system has. */
export function findShell(path: string): string {
  const folders = ['/bin', '/usr/bin', ...path.split(':').filter((folder) => folder.startsWith('/'))]
  return folders.map((folder) => join(folder, 'bash')).find(isExecutable) ?? '/bin/sh'
}

function explain(error: unknown): string {
  if (isTooLarge(error)) return 'its environment is larger than the system allows, all variables together. Put large values into files.'
  return error instanceof Error ? error.message : String(error)
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && /\bE2BIG\b/.test(error.message)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
