/**
 * Reads from git's index file what else would take another command of git: where attributes are, what each folder holds,
 * and which files are young. What one would get wrong is why that matters: git notices by a file's change time that its
 * permissions were changed, but counts whole seconds, so a change in the second in which the file was written goes by.
 * All later ones it sees. The format is in gitformat-index(5); `git.ts` sees to it that git writes version 2.
 */
import type { Holdings } from './folder-stamps.ts'

export interface IndexSummary {
  /** Files that name attributes, each as `git ls-files --stage -z` prints it. */
  readonly attributes: string
  /** Names of files that were changed last at `since` or later; bytes, as names need not be UTF-8. */
  readonly young: readonly Buffer[]
  /** The names in each folder, by its path, empty for the top; `latin1`. Null when some are not in the index, but in a submodule's. */
  readonly folders: Holdings | null
}

const HEADER_BYTES = 12
const MODE_AT = 24
const ID_AT = 40
const KIND = 0o170000
const REGULAR = 0o100000
const SUBMODULE = 0o160000
/** Version 3 differs from version 2 by two more bytes in entries with this flag. */
const EXTENDED = 0x4000

/** `since` in seconds of the file system's clock; `idBytes` is the length of an object's id. */
export function readIndex(bytes: Buffer, { idBytes, since }: { readonly idBytes: number; readonly since: number }): IndexSummary {
  const version = bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, 4) !== 'DIRC' ? 0 : bytes.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw new Error(`git wrote an index of a version that this agent cannot read (${version})`)
  let attributes = ''
  const young: Buffer[] = []
  const folders = new Map<string, string[]>([['', []]])
  let hasSubmodule = false
  let at = HEADER_BYTES
  for (let left = bytes.readUInt32BE(8); left > 0; left -= 1) {
    const flagsAt = at + ID_AT + idBytes
    const flags = bytes.readUInt16BE(flagsAt)
    const nameAt = flagsAt + ((flags & EXTENDED) === 0 ? 2 : 4)
    const end = bytes.indexOf(0, nameAt)
    const mode = bytes.readUInt32BE(at + MODE_AT)
    if (bytes.readUInt32BE(at) >= since && (mode & KIND) === REGULAR) young.push(bytes.subarray(nameAt, end))
    if ((mode & KIND) === SUBMODULE) hasSubmodule = true
    enter(folders, bytes.toString('latin1', nameAt, end))
    if (isAttributes(bytes, nameAt, end)) attributes += `${mode.toString(8)} ${bytes.toString('hex', at + ID_AT, flagsAt)} ${(flags >> 12) & 3}\t${bytes.toString('utf8', nameAt, end)}\0`
    at += (end - at + 8) & ~7 // at least one zero, up to a multiple of eight
  }
  return { attributes, young, folders: hasSubmodule ? null : folders }
}

/** Adds the name to its folder, and its folder to the one above when it is the first there. */
function enter(folders: Map<string, string[]>, path: string): void {
  const slash = path.lastIndexOf('/')
  const folder = slash === -1 ? '' : path.slice(0, slash)
  const names = folders.get(folder)
  if (names === undefined) {
    folders.set(folder, [path.slice(slash + 1)])
    enter(folders, folder)
  } else names.push(path.slice(slash + 1))
}

const ATTRIBUTES = Buffer.from('.gitattributes')
const SLASH = 0x2f

function isAttributes(bytes: Buffer, from: number, to: number): boolean {
  const at = to - ATTRIBUTES.length
  return at >= from && (at === from || bytes[at - 1] === SLASH) && bytes.compare(ATTRIBUTES, 0, ATTRIBUTES.length, at, to) === 0
}
