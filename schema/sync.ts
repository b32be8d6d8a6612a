/**
 * The agent's one verb. `POST /v1/agent/sync` states what the agent holds; the reply says what should be. One call is
 * poll, heartbeat, claim, lease renewal and result delivery, so a lost, repeated or late message heals at the next one.
 *
 * A change of a shape here changes the wire: `test/schema/wire.test.ts` fails until someone decides about the protocol
 * number. Unknown fields from an agent are ignored [I25], so adding an optional field needs no new number.
 */
import { z } from 'zod'
import { AGENT_ID, parseAttemptId, type AgentId, type AttemptId } from './job.ts'

export const agentId = z.custom<AgentId>((value) => typeof value === 'string' && AGENT_ID.test(value), 'must be an agent id: a_ and 20 characters of a-z0-9')
export const attemptId = z.custom<AttemptId>((value) => typeof value === 'string' && parseAttemptId(value) !== null, 'must be an attempt id such as J1-82-1.3')

/** The largest sync body, in bytes; results that do not fit wait for the next sync. */
export const SYNC_BODY_BYTES = 64 * 1024
/** The largest spec that travels inside a sync, in bytes of JSON; a larger one is fetched from `/v1/attempts/{id}/spec`. */
export const INLINE_SPEC_BYTES = 32 * 1024

const count = z.number().int().nonnegative()
export const tag = z.string().regex(/^[A-Za-z0-9_.-]{1,64}=[^\s=\0]{1,128}$/, 'must be KEY=VALUE without spaces')
export const queueName = z.string().regex(/^[a-z0-9][a-z0-9_.-]{0,63}$/i, 'must be letters, digits, "_", "." or "-"')

/** What an agent can offer. It travels at registration and again whenever `offer_rev` changed or the coordinator asks. */
export const offer = z.object({
  name: z.string().min(1).max(128),
  queue: queueName,
  tags: z.array(tag).max(64),
  slots: z.number().int().min(1).max(256),
  host: z.object({ os: z.string().max(64), arch: z.string().max(64), hostname: z.string().max(255), version: z.string().max(64) }),
})
export type Offer = z.infer<typeof offer>

export const registerRequest = z.object({
  proto: z.number().int(),
  agent_id: agentId,
  /** SHA-256 of the agent's secret, in lower-case hex. The secret itself never leaves the agent but as a credential. */
  secret_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  offer,
})
export type RegisterRequest = z.infer<typeof registerRequest>

export const registerReply = z.object({
  agent_id: agentId,
  session: z.string(),
  next_sync_ms: count,
})
export type RegisterReply = z.infer<typeof registerReply>

/** What an attempt came to, exactly as the agent spooled it. Sent as raw JSON text so that its digest stays true. */
export const attemptResult = z.object({
  outcome: z.enum(['passed', 'failed', 'timed_out', 'canceled', 'errored']),
  /** Exit status of the command, or null when a signal ended it or it never started. */
  exit_status: z.number().int().nullable(),
  /** Name of the signal that ended the command, such as `SIGKILL`. */
  signal: z.string().max(32).nullable(),
  /** Why, where the outcome alone does not say: a checkout that failed, a timeout, who cancelled. One sentence for a person. */
  reason: z.object({ code: z.string().max(64), message: z.string().max(2000) }).nullable(),
  /** The commit that was checked out, 40 or 64 hex digits; null without a checkout. */
  commit: z.string().nullable(),
  /** The agent's wall clock, for display only: milliseconds since 1970. */
  started_at: count.nullable(),
  finished_at: count,
  log_bytes: count,
  log_sha256: z.string(),
})
export type AttemptResult = z.infer<typeof attemptResult>

export const syncRequest = z.object({
  proto: z.number().int(),
  features: z.array(z.string()).max(64).default([]),
  agent: agentId,
  /** Rises by one, fsynced, at each start of the agent process. */
  boot_seq: z.number().int().positive(),
  /** Random, new at each start: tells a cloned disk from a repeated message. */
  boot_id: z.string().min(8).max(64),
  /** Counts the syncs of this boot, from 1. */
  seq: z.number().int().positive(),
  state: z.enum(['ready', 'draining', 'unhealthy', 'standby']),
  /** Why it is not ready, for a person. */
  reason: z.string().max(500).nullable().default(null),
  slots: z.number().int().min(1).max(256),
  offer_rev: count,
  offer: offer.optional(),
  doorbell: z.boolean(),
  /** Every attempt that it holds and has not finished. */
  running: z
    .array(
      z.object({
        attempt: attemptId,
        phase: z.enum(['preparing', 'running', 'stopping']),
        commit: z.string().max(64).nullable().default(null),
        log_bytes: count.default(0),
      }),
    )
    .max(256),
  /** Results in the spool, oldest first, as many as fit. `result` is the spooled JSON text of an `attemptResult`. */
  finished: z.array(z.object({ attempt: attemptId, digest: z.string().max(80), result: z.string().max(16 * 1024), commit: z.string().max(64).nullable().default(null) })).max(256),
  /**
   * Attempts that hold a spooled result which did not fit this body. They are held, so they renew their lease and are
   * not redelivered, but they take no slot.
   */
  spooled: z.array(attemptId).max(1024).default([]),
  /** A courtesy: attempts that it knows it lost, or hands back unstarted while it drains. */
  lost: z.array(z.object({ attempt: attemptId, why: z.enum(['process_restart', 'corrupt_spool', 'handed_back', 'agent_stopping']) })).max(256).default([]),
})
export type SyncRequest = z.infer<typeof syncRequest>

/** What an agent is to run. Immutable for the attempt; its digest is `spec_sha256`. */
export const jobSpec = z.object({
  project: z.string(),
  build: count,
  job: z.string(),
  fence: count,
  command: z.string(),
  /** Environment asked for by people; the agent adds its own `CI` and `KEDGE_*`. */
  env: z.record(z.string(), z.string()),
  /** Null: no checkout; the command runs in an empty folder. */
  checkout: z
    .object({
      repository: z.string(),
      /** Null only until the first attempt of the build has reported one [I29]. */
      commit: z.string().nullable(),
      branch: z.string().nullable(),
      /** Throw the kept work tree away first. */
      fresh: z.boolean(),
      /** False: submodules stay empty folders. */
      submodules: z.boolean().optional(),
      /** Files kept with git-lfs. False: they stay pointers. True: it is an error when the agent cannot fetch them. */
      lfs: z.boolean().optional(),
    })
    .nullable(),
  timeout_s: z.number().int().positive(),
  cancel_grace_s: z.number().int().nonnegative(),
  /** `stop`: the agent kills the build before the coordinator could give it to another. */
  on_partition: z.enum(['continue', 'stop']),
  /** Where a person sees the build. */
  url: z.string(),
  /** Of the build, where it has one. */
  message: z.string().optional(),
  /** The commit's pipeline file (`pipeline/files.ts`) is uploaded instead of the command: where there is one, or else the job cannot run. */
  pipeline: z.enum(['if-present', 'required']).optional(),
  /** Of the project, where it has one. */
  default_branch: z.string().optional(),
  /** Of a job that a step became; `group`, where the step is in one, as it was uploaded. */
  step: z
    .object({
      id: z.string().optional(),
      key: z.string().nullable(),
      label: z.string().nullable(),
      parallel: z.object({ index: count, count }).nullable(),
      group: z.object({ id: z.string(), key: z.string().nullable(), label: z.string().nullable() }).optional(),
    })
    .optional(),
  /** How often a rule of its step had it tried again; absent: never. */
  retries: count.optional(),
  /** In the order in which they act; `source` in full, as `pipeline/steps.ts` has it. The command may be empty then. */
  plugins: z.array(z.object({ source: z.string(), configuration: z.unknown() })).optional(),
  /** Of a build that a trigger started: the build of that, and where a person sees it. */
  triggered_from: z.object({ project: z.string(), build: count, url: z.string() }).optional(),
  /** What is uploaded after the command, as `kedge artifact upload` takes it; in this order. */
  artifact_paths: z.array(z.string()).optional(),
  /** The name of who let the last block before it pass. */
  unblocker: z.string().optional(),
})
export type JobSpec = z.infer<typeof jobSpec>

export const assignment = z.object({
  attempt: attemptId,
  /** Proves to log endpoints that the caller holds this attempt. */
  token: z.string(),
  /** Absent when it is larger than `INLINE_SPEC_BYTES`: fetch it. */
  spec: jobSpec.optional(),
})
export type Assignment = z.infer<typeof assignment>

export const VERDICTS = ['accepted', 'superseded', 'final', 'conflict'] as const
export type Verdict = (typeof VERDICTS)[number]

export const syncReply = z.object({
  proto: z.number().int(),
  /** A new session token; presenting it is the proof that this reply was heard [C4.10]. */
  session: z.string(),
  /** Display only. */
  server_time: count,
  verdicts: z.array(z.object({ attempt: attemptId, verdict: z.enum(VERDICTS) })),
  /** No directive for a running attempt means: go on. An unknown one is ignored and logged [I25]. */
  directives: z.array(z.object({ attempt: attemptId, directive: z.string(), grace_ms: count.optional(), why: z.string().optional() })),
  assignments: z.array(assignment),
  next_sync_ms: count,
  /** Sync period while an attempt is held. */
  hb_ms: count,
  /** How often to send log bytes that nobody watches. */
  log_ms: count,
  /** Attempts whose log somebody watches: send at once. */
  watched: z.array(attemptId),
  /** `on_partition: stop`: begin to kill this long after the send of the last acknowledged sync. */
  self_fence_ms: count,
  /** From the coordinator to the agent: take no more work. */
  drain: z.boolean(),
  /** Not null: no work until then, and why, for the agent's terminal. */
  held_back: z.object({ code: z.string(), message: z.string() }).nullable(),
  /** `offer`: send it with the next sync. */
  need: z.array(z.string()),
})
export type SyncReply = z.infer<typeof syncReply>

/** `GET /v1/proto`, unauthenticated. */
export const protoReply = z.object({ min: z.number().int(), max: z.number().int(), features: z.array(z.string()) })
export type ProtoReply = z.infer<typeof protoReply>

/** The doorbell's only message. */
export const RING = '{"t":"ring"}'
