/**
 * What a build can leave in a work tree that git neither resets nor cleans: permissions other than the executable bit,
 * repositories inside of tracked folders (`.git` is invisible to git), sockets and pipes. Found by one look through the
 * tree, beside git's own, and put right afterwards.
 */
import { chmod, lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

export interface Offence {
  /** Bytes, as names need not be UTF-8. */
  readonly path: Buffer
}

/**
 * For `find`, to be run in the folder: names what is not as git would have left it, the `.git` at the top left out. To
 * ask for the permissions of every file takes longer than all the rest, so it can be left out.
 */
export function driftExpression({ withFiles }: { readonly withFiles: boolean }): readonly string[] {
  const { file, program, directory } = expectedModes()
  const octal = (mode: number) => mode.toString(8).padStart(4, '0')
  return [
    '.', '-path', './.git', '-prune',
    '-o', '-name', '.git', '-prune', '-print0',
    '-o', '-type', 'd', '!', '-perm', octal(directory), '!', '-perm', octal(directory | SETGID), '-print0',
    ...(withFiles ? ['-o', '-type', 'f', '!', '-perm', octal(file), '!', '-perm', octal(program), '-print0'] : []),
    '-o', '!', '-type', 'd', '!', '-type', 'f', '!', '-type', 'l', '-print0',
  ] // prettier-ignore
}

/** From what `find` printed in the folder. */
export function offencesFrom(folder: string, output: Buffer): readonly Offence[] {
  const top = Buffer.from(`${folder}/`)
  const offences: Offence[] = []
  for (let from = 0; from < output.length; ) {
    const end = output.indexOf(0, from)
    offences.push({ path: Buffer.concat([top, output.subarray(from, end)]) })
    from = end + 1
  }
  return offences
}

/** Those of the files, named below the folder, whose permissions are not as git would have left them. */
export async function driftedFiles(folder: string, names: readonly Buffer[]): Promise<readonly Offence[]> {
  const { file, program } = expectedModes()
  const top = Buffer.from(`${folder}/`)
  const looked = await Promise.all(names.map(async (name) => {
    const path = Buffer.concat([top, name])
    const found = await lstat(path).catch(() => null) // gone: git sees that
    const mode = found === null || !found.isFile() ? file : found.mode & 0o7777
    return mode === file || mode === program ? [] : [{ path }]
  }))
  return looked.flat()
}

/** Puts them right; what is gone by now, or was cleaned away, needs nothing. */
export async function amend(offences: readonly Offence[]): Promise<void> {
  const { file, program, directory } = expectedModes()
  for (const { path } of offences) {
    const found = await lstat(path).catch(() => null)
    if (found === null) continue
    if (path.subarray(-5).toString() === '/.git' || !(found.isDirectory() || found.isFile() || found.isSymbolicLink())) await removeWhole(path)
    else if (found.isDirectory()) await chmod(path, directory | (found.mode & SETGID))
    else if (found.isFile()) await chmod(path, (found.mode & 0o100) === 0 ? file : program)
  }
}

const SETGID = 0o2000 // where the parent folder has it, folders inherit it

/** Those that git gives to new files. */
function expectedModes(): { readonly file: number; readonly program: number; readonly directory: number } {
  const mask = process.umask()
  return { file: 0o666 & ~mask, program: 0o777 & ~mask, directory: 0o777 & ~mask }
}

/** Removes a file or folder with all in it, also where a build took the right to (Go keeps its modules read-only). */
export async function removeWhole(path: string | Buffer): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 2 })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM'))) throw error
    await makeWritable(String(path))
    await rm(path, { recursive: true, force: true, maxRetries: 2 })
  }
}

/** Gives us back all folders below. Links are not followed. */
export async function makeWritable(folder: string): Promise<void> {
  const found = await lstat(folder)
  if (!found.isDirectory()) return
  if ((found.mode & 0o700) !== 0o700) await chmod(folder, (found.mode | 0o700) & 0o7777)
  for (const entry of await readdir(folder, { withFileTypes: true })) if (entry.isDirectory()) await makeWritable(join(folder, entry.name))
}
