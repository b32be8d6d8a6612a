/**
 * Why a folder cannot be written, and what to do about it: the codes of the file system in a person's words. Node calls
 * many things ENOENT, also that a folder cannot be made in one that is read-only.
 */

export interface DiskTrouble {
  /** Ends "cannot write FOLDER: ". */
  readonly why: string
  /** Goes before ", or name another". */
  readonly remedy: string
}

const WRITABLE = 'make it writable for this user'
const SPACE = 'free some space'

const TROUBLES: Readonly<Record<string, DiskTrouble>> = {
  EACCES: { why: 'permission denied', remedy: WRITABLE },
  EPERM: { why: 'permission denied', remedy: WRITABLE },
  EROFS: { why: 'its file system is read-only', remedy: WRITABLE },
  ENOSPC: { why: 'its disk is full', remedy: SPACE },
  EDQUOT: { why: 'its quota is used up', remedy: SPACE },
  ENOTDIR: { why: 'a part of the path is a file or a broken link', remedy: 'correct the path' },
  EEXIST: { why: 'a file is in its place', remedy: 'move that file away' },
  ENOENT: { why: 'it is not there and cannot be made', remedy: 'make it' },
}

export function diskTrouble(error: unknown): DiskTrouble {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return TROUBLES[code] ?? { why: error instanceof Error ? error.message : String(error), remedy: WRITABLE }
}
