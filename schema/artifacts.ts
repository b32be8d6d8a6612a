/**
 * Artifacts: files that jobs hand to other jobs and to people. What one may be called and how large it may be, and what a
 * job says and hears about them. Their bytes lie in R2 in pieces of `pieceBytes`, each of which is checked on its way in;
 * the coordinator hears of an artifact only when all of its pieces are there.
 */
import { z } from 'zod'
import { attemptId } from './sync.ts'
import { utf8Bytes } from './utf8.ts'

export const ARTIFACT_LIMITS = {
  /** Of one file. */
  bytes: 10 * 1024 ** 3,
  /** Of one attempt of a job. */
  files: 5000,
  /** Of one request that registers them. */
  batch: 200,
  pathBytes: 1024,
  contentTypeCharacters: 200,
  queryCharacters: 512,
  /** How many are looked at for one page of a search. */
  page: 1000,
} as const

/** A Worker takes at most 100 MB in one request, and what is lost of a piece is sent again whole. */
export const PIECE_BYTES = 32 * 1024 ** 2

/** How many pieces a file has; an empty one has one too. */
export function piecesOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / PIECE_BYTES))
}

/** Bytes of one of its pieces, which are counted from 0. */
export function bytesOfPiece(bytes: number, piece: number): number {
  return Math.min(PIECE_BYTES, bytes - piece * PIECE_BYTES)
}

// Also what makes text run backwards: `gnp.exe` must not be shown as `exe.png`.
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069\uFFFD]/u

/**
 * What is wrong with the path of an artifact, as it goes on after its name; null: nothing. It is the one rule for the
 * agent that uploads, the coordinator, and the agent that downloads, none of which believes the others.
 */
export function mistakeInArtifactPath(path: string): string | null {
  if (path === '') return 'must not be empty'
  if (utf8Bytes(path) > ARTIFACT_LIMITS.pathBytes) return `must be at most ${ARTIFACT_LIMITS.pathBytes} bytes`
  if (!path.isWellFormed() || UNSEEN.test(path)) return 'must not hold control characters, nor what is not UTF-8'
  if (path.startsWith('/')) return 'must not begin with "/"'
  const segments = path.split('/')
  if (segments.includes('..')) return 'must not hold ".."'
  if (segments.some((segment) => segment === '' || segment === '.')) return 'must not hold "//" or "." as a folder, nor end with "/"'
  return segments.some((segment) => utf8Bytes(segment) > 255) ? 'must not hold a name of more than 255 bytes' : null
}

const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`), `must be ${digits} hex digits in lower case`)
export const sha256Digits = hex(64)

const artifactPath = z.string().superRefine((text, context) => {
  const message = mistakeInArtifactPath(text)
  if (message !== null) context.addIssue({ code: 'custom', message })
})

export const contentType = z
  .string()
  .max(ARTIFACT_LIMITS.contentTypeCharacters)
  .regex(/^[\w.+-]+\/[\w.+-]+(?:; ?[\w.+-]+=(?:[\w.+-]+|"[\w .+-]*"))*$/, 'must be a content type, such as text/plain')

export const uploadedFile = z.strictObject({
  path: artifactPath,
  bytes: z.number().int().nonnegative().max(ARTIFACT_LIMITS.bytes),
  sha256: sha256Digits,
  /** Nobody checks it but scripts that compare: Buildkite's `artifact shasum` prints it. */
  sha1: hex(40),
  content_type: contentType,
})
export type UploadedFile = z.infer<typeof uploadedFile>

/** `POST /v1/attempts/{id}/artifacts`: all of them or none; the same again changes nothing, another file of the same path takes its place. */
export const registerArtifacts = z.strictObject({ files: z.array(uploadedFile).min(1).max(ARTIFACT_LIMITS.batch) })
export type RegisterArtifacts = z.infer<typeof registerArtifacts>
export const registerArtifactsReply = z.object({ files: z.number().int().nonnegative() })

/** `GET /v1/attempts/{id}/artifacts/pieces[?after=…]`: what is stored of this attempt, so that nothing is sent twice. */
export const storedPiecesReply = z.object({
  pieces: z.array(z.object({ sha256: sha256Digits, piece: z.number().int().nonnegative(), bytes: z.number().int().nonnegative() })),
  /** Ask on with it; null at the end. */
  next: z.string().nullable(),
})
export type StoredPiecesReply = z.infer<typeof storedPiecesReply>

/** `POST /v1/attempts/{id}/artifacts/search`: of the build that the attempt belongs to, or another of its project. */
export const searchArtifacts = z.strictObject({
  /** `*` is any text, also over `/`; nothing else is special. */
  query: z.string().max(ARTIFACT_LIMITS.queryCharacters),
  build: z.number().int().positive().max(999_999_999).optional(),
  /** Key or label of a step, or the id of a job. */
  step: z.string().min(1).max(300).optional(),
  /** Of jobs that were tried again, and of attempts that were lost, too. */
  with_retried: z.boolean().default(false),
  after: z.string().max(1500).optional(),
})
export type SearchArtifacts = z.infer<typeof searchArtifacts>

export const artifactView = z.object({
  /** `{attempt}/{path}`: tells it apart within its build. */
  id: z.string(),
  job: z.string(),
  attempt: attemptId,
  path: z.string(),
  bytes: z.number().int().nonnegative(),
  sha256: sha256Digits,
  sha1: z.string(),
  /** As its job declared it. */
  content_type: z.string(),
  created_at: z.string(),
  /** Where a person downloads it. */
  url: z.string(),
})
export type ArtifactView = z.infer<typeof artifactView>

/** Of one build, by job, attempt and path; `next_cursor` is null at the end. */
export const artifactPage = z.object({ artifacts: z.array(artifactView), next_cursor: z.string().nullable() })
export type ArtifactPage = z.infer<typeof artifactPage>
