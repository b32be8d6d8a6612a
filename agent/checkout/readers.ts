/**
 * Who may be given what lies in a mirror. All builds of a URL share one, whatever credentials they bring, so a commit
 * that is there already is no proof that this build may have it: its server has to have let these very credentials read,
 * once. What one would get wrong is to put them into the mirror's name instead: short-lived tokens would then fetch the
 * whole repository anew each hour, and a folder that every build sees would tell of a password.
 */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Source } from './source.ts'

export interface Readers {
  /** Whether the server has let the source's credentials read. */
  has(): Promise<boolean>
  /** To be called when it just did. */
  add(): Promise<void>
}

/** In the mirror, so that it goes with it. A line that is torn or gone costs one more question to the server. */
const READERS = 'kedge-readers'
/** The newest are kept; the others are asked about again. */
const MOST = 100

export function readersOf(mirror: string, source: Source): Readers {
  const path = join(mirror, READERS)
  const own = nameOf(source)
  const read = async () => (await readFile(path, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')
  return {
    has: async () => (await read()).includes(own),
    add: async () => {
      const all = await read()
      if (!all.includes(own)) await writeFile(path, [...all, own].slice(-MOST).map((line) => `${line}\n`).join(''))
    },
  }
}

/** Without given credentials it is the agent's user who reads, by keys and helpers that are the same for all builds. */
function nameOf({ url, credentials }: Source): string {
  if (credentials === null) return 'agent'
  return createHash('sha256').update(JSON.stringify([url, credentials.origin, credentials.username, credentials.password])).digest('hex')
}
