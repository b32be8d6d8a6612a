/**
 * One run of vitest, and a folder that everything of it lives in: who works in that folder when the run is over, or is
 * stopped, belongs to it and is ended. Ctrl-C reaches only the command itself, which then ends the rest in order.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ROOT } from './names.ts'
import type { Told } from './reporter.ts'

export interface RunRequest {
  readonly files: readonly string[]
  /** Regular expressions, one of which the full name of a test must fit. */
  readonly names: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  told(told: Told): void
}

export interface Run {
  /** What the run printed besides; empty when all went well. */
  readonly ended: Promise<string>
  /** Ends it and all that belongs to it. */
  stop(): Promise<void>
}

export function startRun({ files, names, environment, told }: RunRequest): Run {
  const folder = mkdtempSync(join(tmpdir(), 'kedge-faults-'))
  const words = ['run', ...files, '--testNamePattern', names.map((name) => `(?:${name})`).join('|'), '--reporter', join(import.meta.dirname, 'reporter.ts')]
  const child = spawn(join(ROOT, 'node_modules/.bin/vitest'), words, { cwd: ROOT, detached: true, env: { ...process.env, ...environment, TMPDIR: folder, NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] })
  let rest = ''
  let other = ''
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('{"file":')) told(JSON.parse(line) as Told) // printed by our own reporter
      else other += `${line}\n`
    }
  })
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (other += piece))
  const closed = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      other += error.message
      resolve(null)
    })
    child.once('close', resolve)
  })
  const ended = closed.then(async (status) => {
    await clearAway(folder)
    return status === 0 ? '' : other
  })
  return {
    ended,
    stop: async () => {
      if (child.pid !== undefined && child.exitCode === null) kill(-child.pid)
      await ended
    },
  }
}

/** Ends whoever works in the folder until nobody does, takes small disks out of it, and removes it. */
async function clearAway(folder: string): Promise<void> {
  for (;;) {
    const pids = pidsIn(folder)
    if (pids.length === 0) break
    for (const pid of pids) kill(pid)
    await pause(50)
  }
  for (const line of readLines('/proc/mounts').reverse()) {
    const place = line.split(' ')[1] ?? ''
    if (place.startsWith(`${folder}/`)) execFileSync('umount', ['--lazy', place])
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}

function pidsIn(folder: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && [text(`/proc/${name}/environ`), text(`/proc/${name}/cmdline`), target(`/proc/${name}/cwd`)].some((found) => found.includes(folder)))
    .map(Number)
}

function readLines(path: string): string[] {
  return text(path).split('\n')
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // gone, or another user's
  }
}

function target(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // gone already
  }
}
