/**
 * The kernel's own list of the processes of an attempt, where this agent may keep one: Linux with cgroup v2, in a part of
 * the tree that was delegated to it (systemd: `Delegate=yes`; or root). No process gets off that list by what it does, so
 * with it even one that dropped environment, session, output and parents at once is found [C14.2].
 *
 * It is an extra: where it cannot be had there is none, and the other signs decide. A command puts itself on the list
 * before it does anything else: put there from outside, it would have had time to start a child that is not.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Cgroup {
  /** A process that writes its pid into this file is on the list, and all that it starts. */
  readonly entry: string
  pids(): readonly number[]
  /** All at once; nobody can fork out of it. For `process-tree.ts` alone, as every kill. */
  killAll(): void
  /** When everybody is gone; false while somebody is still on the list, if only dying. */
  remove(): boolean
}

/** Null until the first try; false after one that showed that there is nothing to be had here. */
let ownFolder: string | false | null = null

/** A new list, called `name`; null where that is not possible. */
export function createCgroup(name: string): Cgroup | null {
  return openCgroup(name, { create: true })
}

/** The list that an earlier agent process made; null when there is none. */
export function findCgroup(name: string): Cgroup | null {
  return openCgroup(name, { create: false })
}

function openCgroup(name: string, { create }: { readonly create: boolean }): Cgroup | null {
  if (process.platform !== 'linux') return null
  ownFolder ??= findOwnFolder()
  if (ownFolder === false) return null
  const folder = join(ownFolder, name)
  try {
    if (create) mkdirSync(folder)
    else readdirSync(folder)
  } catch (error) {
    if (create && codeOf(error) !== 'EEXIST') ownFolder = false
    if (codeOf(error) !== 'EEXIST') return null
  }
  return {
    entry: join(folder, 'cgroup.procs'),
    pids: () => pidsIn(folder),
    killAll() {
      if (pidsIn(folder).includes(process.pid)) return
      try {
        writeFileSync(join(folder, 'cgroup.kill'), '1')
      } catch {
        // Linux before 5.14 has no such file, and it is gone with the folder: the caller kills one by one as well.
      }
    },
    remove: () => removeFolders(folder),
  }
}

/** A build may have made lists of its own below (another agent in it does). */
function pidsIn(folder: string): number[] {
  try {
    const pids = readFileSync(join(folder, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean).map(Number)
    return [...pids, ...foldersIn(folder).flatMap(pidsIn)]
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP'].includes(codeOf(error))) return [] // removed, or threaded by the build's own doing
    throw error
  }
}

function removeFolders(folder: string): boolean {
  try {
    for (const below of foldersIn(folder)) removeFolders(below)
    rmdirSync(folder)
    return true
  } catch (error) {
    return codeOf(error) === 'ENOENT' // otherwise EBUSY
  }
}

function foldersIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => join(folder, entry.name))
}

/** The cgroup v2 folder that this process is in. Columns of mountinfo: proc_pid_mountinfo(5). */
function findOwnFolder(): string | false {
  try {
    const path = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1]
    const mount = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').find((line) => line.includes(' - cgroup2 '))?.split(' ')
    const [root, point] = [mount?.[3], mount?.[4]]
    if (path === undefined || root !== '/' || point === undefined) return false
    return join(point, path)
  } catch {
    return false // no cgroups here
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
