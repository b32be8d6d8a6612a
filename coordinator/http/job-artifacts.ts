/**
 * Artifacts as jobs send and fetch them, with the job's own token. All that concerns bytes is between the Worker and R2:
 * the Scheduler is asked only when a whole file is registered, and when somebody looks for one.
 */
import { Hono } from 'hono'
import { PIECE_BYTES, piecesOf, ARTIFACT_LIMITS, registerArtifacts, searchArtifacts, sha256Digits, type ArtifactPage, type StoredPiecesReply } from '../../schema/artifacts.ts'
import { areOfOneProject, isPlace, putPiece, readArtifact, storedFiles, storedPieces } from '../artifact-store.ts'
import { artifactGone, byteRange } from './artifact-bytes.ts'
import { ownOrigin, scheduler, type HttpEnvironment } from './context.ts'
import { readBody } from './input.ts'
import { callerOf } from './job.ts'
import { problem, valueOf } from './problem.ts'

export const jobArtifactRoutes = new Hono<HttpEnvironment>()

jobArtifactRoutes.get('/v1/attempts/:attempt/artifacts/pieces', async (c) => {
  const attempt = callerOf(c)
  const after = c.req.query('after') ?? null
  if (after !== null && !isPlace(after)) throw problem(400, { code: 'query-invalid', detail: '"after" must be the "next" of an earlier answer, unchanged.' })
  return c.json((await storedPieces(c.env, attempt, after)) satisfies { [Name in keyof StoredPiecesReply]: unknown })
})

jobArtifactRoutes.put('/v1/attempts/:attempt/artifacts/:sha256/pieces/:piece', async (c) => {
  const attempt = callerOf(c)
  const sha256 = digestOf(c.req.param('sha256'), 'the path')
  const piece = pieceOf(c.req.param('piece'))
  const digest = digestOf(c.req.query('sha256') ?? '', '"sha256" of the query, that of the piece,')
  const length = lengthOf(c.req.header('content-length'))
  const came = await putPiece(c.env, { attempt, sha256, piece }, length === 0 ? new Uint8Array() : (c.req.raw.body ?? new Uint8Array()), digest)
  if (came === 'broken-off') throw problem(503, { code: 'piece-incomplete', detail: `Piece ${piece} broke off, so it was not stored. Send it again.` })
  if (came === 'damaged') throw problem(422, { code: 'piece-damaged', detail: `Piece ${piece} is not what its SHA-256 says, so it was not stored. Send it again.` })
  return c.body(null, 204)
})

jobArtifactRoutes.post('/v1/attempts/:attempt/artifacts', async (c) => {
  const attempt = callerOf(c)
  const { files } = await readBody(c, registerArtifacts)
  const stored = await storedFiles(c.env, attempt)
  const missing = files.find(({ sha256, bytes }) => stored.get(sha256) !== bytes)
  if (missing !== undefined) throw problem(409, { code: 'bytes-missing', detail: `Not all ${missing.bytes} bytes of "${missing.path}" (SHA-256 ${missing.sha256}) are stored, so none of these files was taken. Send its pieces first.` })
  return c.json({ files: valueOf(await scheduler(c.env).addArtifacts(attempt, files)) })
})

jobArtifactRoutes.post('/v1/attempts/:attempt/artifacts/search', async (c) => {
  const attempt = callerOf(c)
  const search = await readBody(c, searchArtifacts)
  return c.json(valueOf(await scheduler(c.env).searchArtifacts(attempt, search, ownOrigin(c))) satisfies ArtifactPage)
})

/** Bytes by where they lie: a job of the same project may read whatever it can name. */
jobArtifactRoutes.get('/v1/attempts/:attempt/artifacts/of/:uploader/:sha256', async (c) => {
  const attempt = callerOf(c)
  const uploader = c.req.param('uploader')
  if (!areOfOneProject(attempt, uploader)) throw problem(403, { code: 'other-project', detail: `A job may read the artifacts of its own project; "${uploader.slice(0, 80)}" is no attempt of it.` })
  const sha256 = digestOf(c.req.param('sha256'), 'the path')
  const bytes = sizeOf(c.req.query('bytes'))
  const { range, headers, status } = byteRange(c.req.header('range'), bytes)
  const body = await readArtifact(c.env, { attempt: uploader, sha256, bytes }, range)
  if (body === null) throw artifactGone(sha256, c.env)
  return new Response(body, { status, headers: { ...headers, 'content-type': 'application/octet-stream' } })
})

function digestOf(text: string, where: string): string {
  if (sha256Digits.safeParse(text).success) return text
  throw problem(400, { code: 'digest-invalid', detail: `In ${where} a SHA-256 is needed: 64 hex digits in lower case, not "${text.slice(0, 80)}".` })
}

function pieceOf(text: string): number {
  const most = piecesOf(ARTIFACT_LIMITS.bytes)
  if (/^(?:0|[1-9]\d{0,3})$/.test(text) && Number(text) < most) return Number(text)
  throw problem(400, { code: 'piece-invalid', detail: `A piece is a number from 0 to ${most - 1}: a file has at most ${ARTIFACT_LIMITS.bytes / 1024 ** 3} GiB, in pieces of ${PIECE_BYTES / 1024 ** 2} MiB.` })
}

function lengthOf(text: string | undefined): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw problem(400, { code: 'length-missing', detail: 'A piece needs its length in Content-Length: it is stored as it comes.' })
  if (Number(text) > PIECE_BYTES) throw problem(413, { code: 'piece-too-large', detail: `The piece has ${text} bytes; one has at most ${PIECE_BYTES}.` })
  return Number(text)
}

function sizeOf(text: string | undefined): number {
  if (text !== undefined && /^\d{1,11}$/.test(text) && Number(text) <= ARTIFACT_LIMITS.bytes) return Number(text)
  throw problem(400, { code: 'query-invalid', detail: `"bytes" must be the artifact's size in bytes, at most ${ARTIFACT_LIMITS.bytes}.` })
}
