/**
 * Which processes there are, found in another way than the agent finds them: by a word in their arguments, or by the
 * folder that they were started for. A test that asked the agent's own process table would only prove that it agrees
 * with itself. Linux alone.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** Pids of all living processes that have `token` among their arguments. Zombies have no arguments any more. */
export function pidsWith(token: string): readonly number[] {
  return processes().filter((pid) => commandLine(pid).split('\0').includes(token))
}

/** Living processes that were started for this folder, named by their arguments or environment: an agent's own, its builds', and whatever those left behind. */
export function pidsOf(folder: string): readonly number[] {
  return processes().filter((pid) => pid !== process.pid && lives(pid) && ['environ', 'cmdline'].some((file) => procFile(pid, file).includes(folder)))
}

/** Neither gone nor only not yet waited for. */
export function lives(pid: number): boolean {
  const stat = procFile(pid, 'stat')
  return stat !== '' && !/^\S+ \(.*\) [ZX] /s.test(stat)
}

export function childrenOf(pid: number): readonly number[] {
  return processes().filter((other) => new RegExp(String.raw`^\d+ \(.*\) \S ${pid} `, 's').test(procFile(other, 'stat')))
}

/** Its arguments, each ended by a zero; empty when it is gone. */
export function commandLine(pid: number): string {
  return procFile(pid, 'cmdline')
}

/** Resident now, and the most that it ever was, in MiB; NaN when the process is gone. */
export function memoryOf(pid: number): { readonly mib: number; readonly peakMib: number } {
  const status = procFile(pid, 'status')
  const mib = (name: string) => Number(new RegExp(String.raw`^${name}:\s+(\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN) / 1024
  return { mib: mib('VmRSS'), peakMib: mib('VmHWM') }
}

/** Nothing, when it is gone already. */
export function endProcess(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch {
    // gone already
  }
}

/** Resolves when the condition holds; the test's own time limit is the only one. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

let tokens = 0

/** A number of seconds, some minutes, that no other process on this machine sleeps for. */
export function uniqueSeconds(): string {
  tokens += 1
  return `300.${process.pid}${String(tokens).padStart(4, '0')}`
}

function processes(): readonly number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)
}

function procFile(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return '' // gone, or another user's
  }
}
