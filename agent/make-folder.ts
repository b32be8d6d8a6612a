/**
 * Makes a folder with all above it. Node's own way (`recursive`) never comes back where the kernel makes no folders, as
 * below /proc; whatever a person may name is made here. Throws the error of the file system, with the code ENOTDIR where
 * a part of the path is something else than a folder.
 */
import { mkdirSync, statSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

export async function makeFolder(path: string): Promise<void> {
  const error = await makeOne(path)
  if (error === null) return
  const folder = above(path, error)
  await makeFolder(folder).catch((why: unknown) => {
    throw explained(path, why)
  })
  const again = await makeOne(path)
  if (again !== null) throw again
}

/** The same for those that cannot wait. */
export function makeFolderNow(path: string, mode?: number): void {
  const error = makeOneNow(path, mode)
  if (error === null) return
  const folder = above(path, error)
  try {
    makeFolderNow(folder, mode)
  } catch (why) {
    throw explained(path, why)
  }
  const again = makeOneNow(path, mode)
  if (again !== null) throw again
}

/** Null when the folder is there. */
async function makeOne(path: string): Promise<NodeJS.ErrnoException | null> {
  try {
    await mkdir(path)
    return null
  } catch (error) {
    const why = error as NodeJS.ErrnoException // Node throws nothing else
    const isThere = why.code === 'EEXIST' && (await stat(path).then((found) => found.isDirectory(), () => false))
    return isThere ? null : why
  }
}

function makeOneNow(path: string, mode: number | undefined): NodeJS.ErrnoException | null {
  try {
    mkdirSync(path, mode)
    return null
  } catch (error) {
    const why = error as NodeJS.ErrnoException // as above
    return why.code === 'EEXIST' && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? null : why
  }
}

/** The folder above, where making that could help. */
function above(path: string, error: NodeJS.ErrnoException): string {
  const folder = dirname(path)
  if (error.code !== 'ENOENT' || folder === path) throw error
  return folder
}

function explained(path: string, why: unknown): unknown {
  const isFile = why instanceof Error && 'code' in why && why.code === 'EEXIST'
  return isFile ? Object.assign(new Error(`ENOTDIR: not a directory, mkdir '${path}'`, { cause: why }), { code: 'ENOTDIR' }) : why
}
