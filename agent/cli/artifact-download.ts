/**
 * `kedge artifact download`, and how every command saves artifacts: beside its place each file grows under another name, and has its own only when its SHA-256 is
 * right; so nobody ever sees half a file, and one that was there stays until then.
 */
import { createHash, randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { ArtifactView } from '../../schema/artifacts.ts'
import { bytesInWords } from '../../schema/bytes.ts'
import { makeRoom, targetOf, TargetError } from '../artifacts/target.ts'
import { diskTrouble } from '../disk-trouble.ts'
import { findArtifacts, newestOfEach, nothingFound, type SearchFlags } from './artifact-search.ts'
import { untilAnswered, type Client } from './client.ts'
import { inParallel } from './in-parallel.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { fetchFrom, STALL_MS, TRANSFER_TRIES } from './transfer.ts'

/** Files at a time. */
const AT_ONCE = 4

export async function downloadArtifacts({ query, destination }: { readonly query: string; readonly destination: string }, flags: SearchFlags, surroundings: Surroundings): Promise<ExitCode> {
  const { found, client, attempt } = await findArtifacts(query, flags, surroundings)
  const artifacts = newestOfEach(found)
  if (artifacts.length === 0) throw nothingFound(query, flags)
  const place = ({ attempt: uploader, sha256, bytes }: ArtifactView) => `/v1/attempts/${attempt}/artifacts/of/${encodeURIComponent(uploader)}/${encodeURIComponent(sha256)}?bytes=${bytes}`
  await saveAll(client, artifacts, { destination: absolute(destination, surroundings), called: destination, place })
  surroundings.note(`downloaded ${artifacts.length === 1 ? artifacts[0]?.path : `${artifacts.length} files`} (${bytesInWords(artifacts.reduce((sum, { bytes }) => sum + bytes, 0))})`)
  return EXIT.ok
}

export interface Saving {
  /** Absolute; as `targetOf` takes it. */
  readonly destination: string
  /** As the person wrote it. */
  readonly called: string
  /** Where the coordinator gives its bytes. */
  readonly place: (artifact: ArtifactView) => string
}

/** All of them, some at a time, or a `Failure`: what was written until then stays. */
export async function saveAll(client: Client, artifacts: readonly ArtifactView[], { destination, called, place }: Saving): Promise<void> {
  try {
    // All of them before any: a path that no artifact may have is a reason to trust none.
    const targets = artifacts.map((artifact) => ({ artifact, target: targetOf(artifact.path, destination) }))
    await inParallel(targets, AT_ONCE, ({ artifact, target }) => download(client, { place: place(artifact), artifact, file: makeRoom(target) }))
  } catch (error) {
    if (error instanceof TargetError) throw new Failure(EXIT.failed, error.message, { cause: error })
    if (error instanceof Error && 'syscall' in error) {
      const { why, remedy } = diskTrouble(error)
      throw new Failure(EXIT.failed, `cannot write below ${called}: ${why}; ${remedy}, or name another folder.`, { cause: error })
    }
    throw error
  }
}

/** As it was given, but for where it begins: a slash at its end means something. */
function absolute(destination: string, { folder }: Surroundings): string {
  if (destination.startsWith('/')) return destination
  const relative = destination.replace(/^(?:\.\/+)+/, '').replace(/^\.$/, '')
  return relative === '' ? `${folder}/` : `${folder}/${relative}`
}

interface Download {
  /** Where the coordinator gives its bytes. */
  readonly place: string
  readonly artifact: ArtifactView
  /** Absolute, in a folder that is there. */
  readonly file: string
}

export async function download(client: Client, { place, artifact, file }: Download, { stallMs = STALL_MS } = {}): Promise<void> {
  const { bytes, sha256 } = artifact
  const growing = join(dirname(file), `.kedge-${randomUUID()}`)
  const into = await open(growing, 'wx')
  try {
    const hash = createHash('sha256')
    let at = 0
    const heard = (chunk: Uint8Array) => {
      at += chunk.byteLength
      hash.update(chunk)
    }
    // As long as some of it comes, it goes on: only tries that bring nothing are counted.
    for (let before = -1; at < bytes && before < at; ) {
      before = at
      await untilAnswered(async () => {
        const start = at
        await fetchFrom({ client, path: place, into, from: at, stallMs, heard }).catch((error: unknown) => (at > start && at < bytes ? undefined : Promise.reject(error)))
      }, pause, TRANSFER_TRIES)
    }
    if (bytes === 0) await untilAnswered(() => fetchFrom({ client, path: place, into, from: 0, stallMs, heard }), pause, TRANSFER_TRIES) // whether it is still kept
    const got = hash.digest('hex')
    if (at !== bytes || got !== sha256) throw new Failure(EXIT.failed, `"${artifact.path}" is not what was uploaded: ${at} bytes with the SHA-256 ${got} came, and ${bytes} with ${sha256} were promised. Nothing was written to ${file}; upload it again.`)
    await into.close()
    await rename(growing, file)
  } catch (error) {
    await into.close().catch(() => undefined) // closed already
    await rm(growing, { force: true })
    throw error instanceof Failure && error.code === 'artifact-gone' ? new Failure(EXIT.failed, error.message.replace(sha256, artifact.path), { cause: error }) : error
  }
}
