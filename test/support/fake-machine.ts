/**
 * A machine without processes, for tests of the agent's own rules. The command's text is its script: `true`, `exit N` and
 * `say TEXT` end by themselves, `wait` ends when the test says so, `stubborn` also ignores being stopped until the grace
 * is over. Whatever was started and stopped is on record.
 */
import { nodeProcesses } from '../../agent/node-platform.ts'
import type { CommandRequest, Machine } from '../../agent/machine.ts'
import type { RunningCommand } from '../../agent/runner/attempt.ts'

export interface FakeCommand {
  readonly request: CommandRequest
  readonly stops: { readonly why: string; readonly graceMs: number | undefined }[]
  isOver: boolean
  end(exitStatus: number): void
}

export interface FakeMachine extends Machine {
  readonly commands: FakeCommand[]
  readonly killed: string[]
  /** Each `prepare` waits for it. */
  preparing: Promise<void>
  prepareError: Error | null
  unfit: string | null
  /** What cannot be ended, at the end of each command and of each earlier attempt. */
  survivors: readonly string[]
  /** The lock's view: the process is gone, as after `kill -9`. */
  die(): void
}

/** Pids above any real one; those that died free the lock. */
let pids = 2 ** 30
const living = new Set<number>()

export function fakeMachine(): FakeMachine {
  const pid = (pids += 1)
  living.add(pid)
  const machine: FakeMachine = {
    host: { os: 'linux', arch: 'x64', hostname: 'a-machine' },
    commands: [],
    killed: [],
    preparing: Promise.resolve(),
    prepareError: null,
    unfit: null,
    survivors: [],
    die: () => void living.delete(pid),
    processes: { ...nodeProcesses(), pid, startTime: async (asked) => (living.has(asked) ? `started ${asked}` : null) },
    selfTest: async () => machine.unfit,
    killLeftovers: async (_, attempts) => {
      machine.killed.push(...attempts.map(({ attempt }) => attempt))
      return attempts.map(({ attempt }) => ({ attempt, survivors: machine.survivors }))
    },
    prepare: async ({ spec, signal }) => {
      signal.throwIfAborted() // one that is aborted already tells it no more
      await Promise.race([machine.preparing, new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))])
      if (machine.prepareError) throw machine.prepareError
      return { folder: '/nowhere', commit: spec.checkout?.commit ?? null }
    },
    startCommand: (request) => start(machine, request),
  }
  return machine
}

function start(machine: FakeMachine, request: CommandRequest): RunningCommand {
  const [verb, ...words] = request.spec.command.split(' ')
  let stoppedBy: string | null = null
  let resolve: (end: Awaited<RunningCommand['ended']>) => void = () => {}
  const ended = new Promise<Awaited<RunningCommand['ended']>>((settle) => {
    resolve = settle
  })
  const over = (exitStatus: number | null, signal: string | null) => {
    if (command.isOver) return
    command.isOver = true
    resolve({ exitStatus, signal, stoppedBy, leftovers: [], survivors: machine.survivors })
  }
  const stop = (why: string, graceMs?: number) => {
    command.stops.push({ why, graceMs })
    stoppedBy ??= why
    if (verb !== 'stubborn') over(null, 'SIGTERM')
    else setTimeout(() => over(null, 'SIGKILL'), graceMs ?? request.graceMs)
  }
  const command: FakeCommand = { request, stops: [], isOver: false, end: (exitStatus) => over(exitStatus, null) }
  machine.commands.push(command)
  if (verb === 'true') over(0, null)
  else if (verb === 'exit') over(Number(words[0]), null)
  else if (verb === 'say') void request.output(new TextEncoder().encode(`${words.join(' ')}\n`)).then(() => over(0, null))
  else setTimeout(() => stop('timed_out'), Math.min(request.timeoutMs, 2 ** 31 - 1)).unref()
  return { pid: 1, startTime: null, stop, ended }
}
