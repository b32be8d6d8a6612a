/**
 * `kedge artifact upload`: finds, measures, sends what is not stored yet, and registers. Everything may happen twice, so
 * each call is repeated while the network fails, and the same command again goes on where it was.
 */
import { statSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { ARTIFACT_LIMITS, bytesOfPiece, contentType, PIECE_BYTES, registerArtifactsReply, storedPiecesReply, type RegisterArtifacts, type UploadedFile } from '../../schema/artifacts.ts'
import { bytesInWords } from '../../schema/bytes.ts'
import { contentTypeOf } from '../artifacts/content-type.ts'
import { FindError, findFiles, type Found, type FoundFile } from '../artifacts/find.ts'
import { assertUnchanged, FileChanged, measureFile, type MeasuredFile } from '../artifacts/measure.ts'
import { createClient, untilAnswered } from './client.ts'
import { inParallel } from './in-parallel.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { replyOf } from './replies.ts'
import { isThisJob, runningJob, type RunningJob } from './running-job.ts'
import { present, whyUnread } from './settings.ts'
import { sendPiece, STALL_MS, TRANSFER_TRIES } from './transfer.ts'

export interface UploadFlags {
  readonly job?: string
  readonly contentType?: string
  readonly literal?: boolean
  readonly delimiter: string
  readonly globResolveFollowSymlinks?: boolean
  readonly uploadSkipSymlinks?: boolean
}

/** Files at a time, and pieces at a time of each: enough to be busy while another waits, and little to hold. */
const AT_ONCE = 4

export async function uploadArtifacts({ paths, destination }: { readonly paths: string; readonly destination: string | undefined }, flags: UploadFlags, surroundings: Surroundings): Promise<ExitCode> {
  const { environment, note } = surroundings
  const job = runningJob(environment, 'Artifacts belong to a job.')
  refuseElsewhere(destination, flags, surroundings)
  if (flags.contentType !== undefined && !contentType.safeParse(flags.contentType).success) throw new Failure(EXIT.usage, `--content-type must be a content type, such as text/plain, not "${flags.contentType}".`)
  const { files, notes } = find(paths, flags, surroundings)
  for (const one of notes) note(one)
  if (files.length === 0) {
    note(`no file is called as "${paths}" says, so nothing was uploaded`)
    return EXIT.ok
  }
  if (files.length > ARTIFACT_LIMITS.files) throw new Failure(EXIT.usage, `"${paths}" finds ${files.length} files, and a job may have ${ARTIFACT_LIMITS.files} artifacts. Pack them into an archive, such as with tar, and upload that.`)
  for (const { file, path } of files) {
    const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0
    if (bytes > ARTIFACT_LIMITS.bytes) throw new Failure(EXIT.usage, `"${path}" has ${bytesInWords(bytes)}, and an artifact may have ${bytesInWords(ARTIFACT_LIMITS.bytes)}. Compress it, or split it.`)
  }
  const uploads = createUploads(job)
  const failures: Failure[] = []
  let bytes = 0
  // In batches, so that what is whole counts also when the job is ended in between.
  for (let at = 0; at < files.length; at += ARTIFACT_LIMITS.batch) {
    const sent = await inParallel(files.slice(at, at + ARTIFACT_LIMITS.batch), AT_ONCE, async (file) => {
      try {
        return await uploads.send(file, flags.contentType)
      } catch (error) {
        if (!(error instanceof Failure) || error.exitCode !== EXIT.failed) throw error // it would be so for each of them
        failures.push(error)
        return null
      }
    })
    const whole = sent.filter((file) => file !== null)
    if (whole.length > 0) await uploads.register(whole)
    bytes += whole.reduce((sum, file) => sum + file.bytes, 0)
  }
  if (failures.length > 0) {
    for (const { message } of failures) note(message)
    throw new Failure(EXIT.failed, `${failures.length} of ${files.length} files ${failures.length === 1 ? 'was' : 'were'} not uploaded, as said above${failures.length < files.length ? '; the others were' : ''}.`)
  }
  note(`uploaded ${files.length === 1 ? files[0]?.path : `${files.length} files`} (${bytesInWords(bytes)})`)
  return EXIT.ok
}

/** Buildkite's agent can send to stores of one's own, and for other jobs. */
function refuseElsewhere(given: string | undefined, { job }: UploadFlags, { environment }: Surroundings): void {
  const destination = given ?? present(environment['BUILDKITE_ARTIFACT_UPLOAD_DESTINATION'])
  if (destination !== undefined) throw new Failure(EXIT.usage, `will not upload to "${destination}": artifacts go to the coordinator. Take the destination away (also BUILDKITE_ARTIFACT_UPLOAD_DESTINATION), and put quotes around the paths if the shell has filled them in; for a store of your own, use its own program.`)
  if (job !== undefined && !isThisJob(job, environment)) throw new Failure(EXIT.usage, `--job cannot name another job: artifacts belong to the job that uploads them, ${environment['KEDGE_JOB_ID']}.`)
}

function find(paths: string, { literal = false, delimiter, globResolveFollowSymlinks = false, uploadSkipSymlinks = false }: UploadFlags, { folder, home, environment }: Surroundings): Found {
  const checkout = present(environment['KEDGE_WORKSPACE'])
  try {
    return findFiles(delimiter === '' ? [paths] : paths.split(delimiter), {
      folder,
      root: checkout !== undefined && `${folder}/`.startsWith(`${checkout}/`) ? checkout : folder,
      home,
      as: literal ? 'literal' : 'patterns',
      links: { toFolders: globResolveFollowSymlinks ? 'entered' : 'left', toFiles: uploadSkipSymlinks ? 'left' : 'found' },
    })
  } catch (error) {
    throw error instanceof FindError ? new Failure(EXIT.usage, error.message, { cause: error }) : error
  }
}

const STORED = replyOf(storedPiecesReply)
const REGISTERED = replyOf(registerArtifactsReply)

/** The uploads of one job. */
export function createUploads({ url, token, attempt }: RunningJob, { stallMs = STALL_MS } = {}) {
  const client = createClient({ url, token })
  const path = `/v1/attempts/${attempt}/artifacts`
  const patiently = <T>(ask: () => Promise<T>) => untilAnswered(ask, pause, TRANSFER_TRIES)
  /** By whole file and piece: what is stored or on its way. */
  let known: Promise<Map<string, Promise<void>>> | undefined

  async function stored(): Promise<Map<string, Promise<void>>> {
    const all = new Map<string, Promise<void>>()
    for (let after = ''; ; ) {
      const { pieces, next } = await patiently(() => client.get(`${path}/pieces${after}`, STORED))
      for (const { sha256, piece } of pieces) all.set(`${sha256}/${piece}`, Promise.resolve())
      if (next === null) return all
      after = `?after=${encodeURIComponent(next)}`
    }
  }

  async function piece({ file, path: called }: FoundFile, measured: MeasuredFile, index: number): Promise<void> {
    const { bytes, sha256, pieces } = measured
    try {
      await patiently(async () => {
        await assertUnchanged(file, measured)
        await sendPiece({ url: client.url, token, path: `${path}/${sha256}/pieces/${index}?sha256=${pieces[index]}`, file, from: index * PIECE_BYTES, bytes: bytesOfPiece(bytes, index), stallMs })
      })
    } catch (error) {
      await assertUnchanged(file, measured) // then that is why
      throw error instanceof Failure && error.code === 'piece-damaged' ? new Failure(EXIT.failed, `"${called}" arrives damaged at the coordinator, again and again. Something between here and there changes it, or the disk does.`, { cause: error }) : error
    }
  }

  return {
    /** Sends what of the file is not stored. A `Failure` of `EXIT.failed` is of this file alone. */
    async send(found: FoundFile, type: string | undefined): Promise<UploadedFile> {
      try {
        const measured = await measureFile(found.file)
        const { bytes, sha256, sha1, pieces } = measured
        const there = await (known ??= stored())
        await inParallel([...pieces.keys()], AT_ONCE, (index) => {
          const name = `${sha256}/${index}`
          const sending = there.get(name) ?? piece(found, measured, index)
          there.set(name, sending) // another file of the same content waits for it, and fails with it
          return sending
        })
        return { path: found.path, bytes, sha256, sha1, content_type: type ?? contentTypeOf(found.path) }
      } catch (error) {
        if (error instanceof FileChanged) throw new Failure(EXIT.failed, error.message, { cause: error })
        if (error instanceof Error && 'syscall' in error) throw new Failure(EXIT.failed, `cannot read ${found.file}: ${whyUnread(error)}. It is not uploaded.`, { cause: error })
        throw error
      }
    },
    async register(files: readonly UploadedFile[]): Promise<void> {
      await patiently(() => client.post(path, REGISTERED, { files: [...files] } satisfies RegisterArtifacts))
    },
  }
}
