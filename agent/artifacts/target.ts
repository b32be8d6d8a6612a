/**
 * Where a download puts an artifact. The path was made by a job that may be hostile, through a coordinator that may be,
 * and the folder may hold links that a commit brought: nothing is ever written outside of the destination.
 */
import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { mistakeInArtifactPath } from '../../schema/artifacts.ts'
import { makeFolderNow } from '../make-folder.ts'

/** Nothing was written; a sentence for a person. */
export class TargetError extends Error {
  override readonly name = 'TargetError'
}

/**
 * As Buildkite's agent: the path below the destination. Where the last part of the destination is the first of the path,
 * they are the same folder, so that "dist/*" goes to "dist" as well as to "."; a slash at the end says that they are not.
 * Throws a `TargetError` for a path that no artifact may have.
 */
export function targetOf(path: string, destination: string): { readonly file: string; readonly within: string } {
  const mistake = mistakeInArtifactPath(path)
  if (mistake !== null) throw new TargetError(`will not write the artifact ${JSON.stringify(path)}: its path ${mistake}.`)
  const within = destination === path.split('/')[0] || destination.endsWith(`/${path.split('/')[0] ?? ''}`) ? join(destination, '..') : destination
  return { file: join(within, path), within }
}

/** Makes the folders that it needs; absolute. Throws a `TargetError` when they lead out of the destination. */
export function makeRoom({ file, within }: { readonly file: string; readonly within: string }): string {
  const [root, path] = [resolve(within), resolve(file)]
  try {
    makeFolderNow(root)
    const real = realpathSync(root)
    // One after the other: making them all at once would follow a link and make folders behind it.
    let folder = root
    for (const name of dirname(path).slice(root.length).split(sep)) {
      folder = join(folder, name)
      makeFolderNow(folder)
      const there = realpathSync(folder)
      if (there !== real && !there.startsWith(real === '/' ? '/' : `${real}/`)) throw new TargetError(`will not write ${path}: ${folder} is a link to ${there}, outside of ${root}. Remove the link, or name another destination.`)
    }
    return join(folder, basename(path))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === 'EEXIST' || code === 'ENOTDIR') throw new TargetError(`cannot write ${path}: a part of its path is a file already. Remove that, or name another destination.`)
    throw error
  }
}
