/**
 * Which files the paths of an upload mean, and what each is stored as. Patterns are those of Buildkite's agent: `*` and
 * `?` within a name, `**` over folders, `{a,b}`, `[abc]`, `\` before what is meant as it stands, `~/`.
 *
 * What one would get wrong: a commit may hold a link to anything that the agent's user can read. What a pattern finds must
 * really lie where the pattern looks, or the upload is refused.
 */
import { readdirSync, realpathSync, statSync, lstatSync, type Dirent, type Stats } from 'node:fs'
import { dirname, isAbsolute, join, posix, relative, resolve } from 'node:path'
import picomatch from 'picomatch'
import { mistakeInArtifactPath } from '../../schema/artifacts.ts'

export interface FindOptions {
  /** Absolute: where relative patterns begin. */
  readonly folder: string
  /** Absolute: links may lead anywhere in it. The job's checkout, or `folder`. */
  readonly root: string
  readonly home: string
  /** `literal`: every path names one file, whatever characters it has. */
  readonly as: 'patterns' | 'literal'
  /** Whether patterns enter folders that are links, and whether files that are links are found. */
  readonly links: { readonly toFolders: 'entered' | 'left'; readonly toFiles: 'found' | 'left' }
}

export interface FoundFile {
  /** Absolute. */
  readonly file: string
  /** What it is stored as. */
  readonly path: string
}

export interface Found {
  /** By path. */
  readonly files: readonly FoundFile[]
  /** For a person: what was met and is no artifact. */
  readonly notes: readonly string[]
}

/** A path that will not be uploaded; a sentence for a person. */
export class FindError extends Error {
  override readonly name = 'FindError'
}

/** Throws a `FindError`. A path that finds nothing is none. */
export function findFiles(paths: readonly string[], options: FindOptions): Found {
  const files = new Map<string, FoundFile>()
  const notes: string[] = []
  for (const given of paths.map((path) => path.trim()).filter((path) => path !== '')) {
    const { base, names } = options.as === 'literal' ? { base: given, names: null } : patternOf(given, options)
    if (/^\.\.(?:\/|$)/.test(posix.normalize(base))) throw new FindError(`will not upload "${given}": ".." leads out of ${options.folder}. Change to the folder first, or give its absolute path.`)
    const look: Look = { ...options, notes, from: resolve(options.folder, base), root: isAbsolute(base) ? null : options.root }
    for (const file of names === null ? oneFile(look, given) : walk(look, isAbsolute(base) ? '/' : options.folder, names)) files.set(file, { file, path: storedPath(file, options.folder) })
  }
  return { files: [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1)), notes }
}

interface Pattern {
  /** The folder below which it looks, or the one file that it names. */
  readonly base: string
  /** Null: it names one file. */
  readonly names: { matches(path: string): boolean; readonly depth: number } | null
}

function patternOf(given: string, { home }: FindOptions): Pattern {
  const pattern = posix.normalize(given.startsWith('~/') ? join(home, given.slice(2)) : given)
  const { base, isGlob } = picomatch.scan(pattern)
  const plain = base.replace(/\\(.)/g, '$1')
  if (!isGlob) return { base: plain, names: null }
  const matches = picomatch(pattern, { dot: true, nonegate: true, noextglob: true, strictSlashes: true })
  return { base: plain, names: { matches: (path) => matches(path), depth: /\*\*|\{/.test(pattern) ? Number.POSITIVE_INFINITY : pattern.split('/').length } }
}

interface Look extends Omit<FindOptions, 'root'> {
  readonly notes: string[]
  /** Absolute: where it begins. */
  readonly from: string
  /** Null: whoever gave an absolute path means that place. */
  readonly root: string | null
}

function* oneFile(look: Look, given: string): Generator<string> {
  const stat = statOf(look.from, look)
  if (stat === undefined) return
  if (stat.isDirectory()) look.notes.push(`"${given}" is a folder, of which nothing is uploaded: "${given.replace(/\/+$/, '')}/**/*" means its files`)
  else if (isWanted(look, look.from, stat)) {
    if (look.root !== null) assertWithin(look.from, look.root)
    yield look.from
  }
}

function* walk(look: Look, relativeTo: string, { matches, depth }: NonNullable<Pattern['names']>): Generator<string> {
  const root = look.root ?? look.from
  const [begins, ends] = [realpathOf(look.from), realpathOf(root)]
  /** Else a part of the pattern before its first `*` is a link out. */
  const beginsWithin = begins !== null && ends !== null && isWithin(begins, ends)
  /** With the real folders that links led to, on the way there. */
  const line: { readonly folder: string; readonly linked: readonly string[] }[] = [{ folder: look.from, linked: [] }]
  for (let next = line.pop(); next !== undefined; next = line.pop()) {
    const { folder, linked } = next
    const folders: (typeof line)[number][] = []
    for (const entry of entriesOf(folder, look)) {
      const file = join(folder, entry.name)
      const name = relativeTo === '/' ? file : relative(relativeTo, file)
      const stat = entry.isSymbolicLink() ? statOf(file, look) : entry
      if (stat?.isDirectory() === true) {
        if (name.split('/').length >= depth) continue
        if (!entry.isSymbolicLink()) folders.push({ folder: file, linked })
        else if (look.links.toFolders === 'entered') {
          const real = realpathOf(file)
          // A link to where it stands, or to where one came from by links, would be entered for ever.
          if (real !== null && !linked.includes(real) && !isWithin(realpathOf(folder) ?? folder, real)) folders.push({ folder: file, linked: [...linked, real] })
        }
      } else if (stat !== undefined && matches(name) && isWanted(look, file, stat)) {
        if (entry.isSymbolicLink() || linked.length > 0 || !beginsWithin) assertWithin(file, root) // asking it of every file costs more than finding it
        yield file
      }
    }
    line.push(...folders.reverse())
  }
}

function entriesOf(folder: string, { from, notes }: Look): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (folder !== from || !['ENOENT', 'ENOTDIR'].includes(code)) notes.push(`cannot look into ${folder} (${code || String(error)}), so nothing of it is uploaded`)
    return []
  }
}

/** What it leads to. Undefined: nothing, be it that a link leads to itself or may not be followed. */
function statOf(file: string, { notes }: Look): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false })
  } catch (error) {
    notes.push(`cannot look at ${file} (${error instanceof Error && 'code' in error ? String(error.code) : String(error)}), so it is not uploaded`)
    return undefined
  }
}

function isWanted({ links, notes }: Look, file: string, stat: Pick<Stats, 'isFile'>): boolean {
  if (links.toFiles === 'left' && lstatSync(file).isSymbolicLink()) return false
  if (stat.isFile()) return true
  notes.push(`${file} is no file that can be read to its end (a pipe, socket or device), so it is not uploaded`)
  return false
}

function assertWithin(file: string, root: string): void {
  const [real, within] = [realpathOf(file), realpathOf(root)]
  if (real === null || within === null || isWithin(real, within)) return // one that went away fails when it is read
  throw new FindError(`will not upload ${file}: it is a link to ${real}, outside of ${root}. Upload that file by its own absolute path, or leave links out with --upload-skip-symlinks.`)
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`)
}

function realpathOf(path: string): string | null {
  try {
    return realpathSync(path)
  } catch {
    return null // gone, or a link to nothing
  }
}

/** Relative to the folder where it lies in it, else its absolute path without the slash that it begins with. */
function storedPath(file: string, folder: string): string {
  const path = isWithin(file, folder) ? relative(folder, file) : file.replace(/^\/+/, '')
  const mistake = mistakeInArtifactPath(path)
  if (mistake !== null) throw new FindError(`will not upload ${JSON.stringify(file)}: the path of an artifact ${mistake}. Rename the file${dirname(path) === '.' ? '' : ' or its folder'}.`)
  return path
}
