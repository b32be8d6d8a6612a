/**
 * What the Scheduler stores. Only `coordinator/store` imports this file. Every table with a natural key is
 * `WITHOUT ROWID` (one written row instead of two), and every index is partial, so that history costs nothing; drizzle
 * cannot express the former, so the generated migration is amended by hand (`docs/decisions`).
 *
 * Instants are integers, milliseconds since 1970 by the object's clock. JSON columns are text.
 */
import { sql } from 'drizzle-orm'
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'

export const project = sqliteTable(
  'project',
  {
    id: integer().primaryKey(),
    slug: text().notNull(),
    repository: text(),
    defaultBranch: text('default_branch'),
    command: text(),
    checkout: integer({ mode: 'boolean' }).notNull(),
    timeoutS: integer('timeout_s').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [uniqueIndex('project_slug').on(table.slug)],
)

/** One build. `state` is null until it is final: an unfinished build's state derives from its jobs. */
export const build = sqliteTable(
  'build',
  {
    project: integer().notNull(),
    number: integer().notNull(),
    state: text(),
    commit: text('commit_sha'),
    branch: text(),
    message: text(),
    /** JSON of the environment that it was asked for with; null: empty. */
    env: text(),
    /** Steps that are not done; null while nobody uploaded any, and its jobs alone make the build. */
    openSteps: integer('open_steps'),
    /** What its steps came to so far: 1 one failed, 2 one was cancelled, 4 one ran, 8 one is to end when another fails. */
    verdict: integer().notNull().default(0),
    createdAt: integer('created_at').notNull(),
    startedAt: integer('started_at'),
    finishedAt: integer('finished_at'),
    /** JSON of the step that started it, of another build: `{project, build, s}`; null: a person did. */
    parent: text(),
    /** JSON of whom it tells how it goes, and how far that is told; null: nobody. */
    notify: text(),
    /** When something is due to be told; beyond all time while nothing is, but the build goes on; null: nothing will be. */
    notifyAt: integer('notify_at'),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.number] }),
    index('build_notify').on(table.notifyAt).where(sql`${table.notifyAt} is not null`),
  ],
)

/** What a job asks of an agent, once per distinct requirement. Agents match classes, not jobs. */
export const jobClass = sqliteTable(
  'class',
  { id: integer().primaryKey(), queue: text().notNull(), tags: text().notNull() },
  (table) => [uniqueIndex('class_requirement').on(table.queue, table.tags)],
)

/** One job with its current attempt; `attempt` holds only those that ended and were not the accepted one's. */
export const job = sqliteTable(
  'job',
  {
    project: integer().notNull(),
    build: integer().notNull(),
    n: integer().notNull(),
    /** `StoredJobState` of `schema/job.ts`. */
    state: text().notNull(),
    /** Number of the newest attempt ever assigned; 0 before the first [C1.4]. */
    fence: integer().notNull(),
    class: integer().notNull(),
    /** Sort key within the class: priority first, then age; smaller runs first. */
    ord: integer().notNull(),
    priority: integer().notNull(),
    /** JSON of the spec's fixed part (`core/plan.ts`). */
    spec: text().notNull(),
    cancel: integer({ mode: 'boolean' }).notNull(),
    /** Attempts that were lost and count; the third ends the job [C5.2]. */
    lostCount: integer('lost_count').notNull(),
    /** Who lost the last attempt: avoided while another agent can run the job. */
    avoidAgent: text('avoid_agent'),
    createdAt: integer('created_at').notNull(),
    /** Holder of the current attempt; kept when its lease ends so that it can be re-adopted. */
    agent: text(),
    bootSeq: integer('boot_seq'),
    assignedAt: integer('assigned_at'),
    /** Of the accepted result: its fence is `fence`. */
    digest: text(),
    result: text(),
    finishedAt: integer('finished_at'),
    retryOf: integer('retry_of'),
    retriedBy: integer('retried_by'),
    /** Number of its step; null: the one job of a build without steps. */
    step: integer(),
    /** Its concurrency group; null: none. */
    gate: integer(),
    /** Where it stands before the gate of its group (`core/gate.ts`). */
    turn: text(),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.build, table.n] }),
    index('job_queue').on(table.class, table.ord).where(sql`${table.state} = 'queued'`),
    index('job_live').on(table.agent).where(sql`${table.state} = 'live'`),
    index('job_gate').on(table.gate, table.state, table.turn).where(sql`${table.gate} is not null and ${table.finishedAt} is null`),
  ],
)

/** A concurrency group: how many of its jobs may be in the queue or in agents' hands at once, over all builds of the cluster. */
export const gate = sqliteTable(
  'gate',
  { id: integer().primaryKey(), name: text().notNull(), most: integer().notNull() },
  (table) => [uniqueIndex('gate_name').on(table.name)],
)

/** One step of an uploaded pipeline: what stands between its jobs and those of the steps that need it. */
export const step = sqliteTable(
  'step',
  {
    project: integer().notNull(),
    build: integer().notNull(),
    s: integer().notNull(),
    /** Sorts as the steps stand in the pipeline; a step that was uploaded later sorts right behind its uploader. */
    place: text().notNull(),
    kind: text().notNull(),
    key: text(),
    label: text(),
    /** Number of the group that it is in. */
    groupStep: integer('group_step'),
    /** `waiting` for others, `running` (its jobs may run), `blocked` until a person answers, `done`. */
    state: text().notNull(),
    /** Once it is done, and what its jobs came to so far. */
    outcome: text(),
    /** Steps that it waits for. */
    needs: integer().notNull(),
    /** One of those failed, and it does not allow that. */
    isBroken: integer('is_broken', { mode: 'boolean' }).notNull(),
    /** Its jobs have consecutive numbers, so that they are found by key; those that succeeded one of them have others. */
    firstJob: integer('first_job').notNull(),
    jobs: integer().notNull(),
    /** Jobs of it that are not final. */
    openJobs: integer('open_jobs').notNull(),
    /** JSON of what else is needed of it once it was uploaded. */
    spec: text().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.project, table.build, table.s] }),
    index('step_blocked').on(table.project, table.build).where(sql`${table.state} = 'blocked'`),
  ],
)

/** One step waits for another. The key begins with the one that is waited for, because its end is what is looked up by. */
export const edge = sqliteTable(
  'edge',
  {
    project: integer().notNull(),
    build: integer().notNull(),
    from: integer('from_step').notNull(),
    to: integer('to_step').notNull(),
    allowFailure: integer('allow_failure', { mode: 'boolean' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.build, table.from, table.to] })],
)

/** Meta-data of a build: what its jobs and the answers of people set. */
export const metadata = sqliteTable(
  'metadata',
  {
    project: integer().notNull(),
    build: integer().notNull(),
    key: text().notNull(),
    /** Of key and value in UTF-8; before the value, so that summing them reads no value. */
    bytes: integer().notNull(),
    value: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.build, table.key] })],
)

/** What jobs wrote onto the page of their build. */
export const annotation = sqliteTable(
  'annotation',
  {
    project: integer().notNull(),
    build: integer().notNull(),
    /** Number of the job that it is about; 0: it is about the whole build. */
    n: integer().notNull(),
    /** Tells the annotations of one build or job apart. */
    context: text().notNull(),
    style: text().notNull(),
    /** From 1 to 10; the page shows the greatest first. */
    priority: integer().notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
    /** Of the body in UTF-8; before the body, so that a view of the build reads none. */
    bytes: integer().notNull(),
    /** Markdown. */
    body: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.build, table.n, table.context] })],
)

/** A file that an attempt uploaded, once all its bytes are in R2. By its path, so that registering it twice is once. */
export const artifact = sqliteTable(
  'artifact',
  {
    project: integer().notNull(),
    build: integer().notNull(),
    n: integer().notNull(),
    fence: integer().notNull(),
    path: text().notNull(),
    bytes: integer().notNull(),
    sha256: text().notNull(),
    sha1: text().notNull(),
    contentType: text('content_type').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.build, table.n, table.fence, table.path] })],
)

/** An attempt that ended without being its job's accepted one (lost), or the accepted one's own record. */
export const attempt = sqliteTable(
  'attempt',
  {
    project: integer().notNull(),
    build: integer().notNull(),
    n: integer().notNull(),
    fence: integer().notNull(),
    agent: text().notNull(),
    bootSeq: integer('boot_seq').notNull(),
    assignedAt: integer('assigned_at').notNull(),
    endedAt: integer('ended_at').notNull(),
    /** `lost`, or the outcome of the accepted result. */
    state: text().notNull(),
    /** JSON of the result, or of `{code, message}` for a lost one. */
    detail: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.project, table.build, table.n, table.fence] })],
)

export const agent = sqliteTable('agent', {
  id: text().primaryKey(),
  secretSha256: text('secret_sha256').notNull(),
  /** Rises when sessions must end (secret rotated, agent revoked). */
  credentialVersion: integer('credential_version').notNull(),
  bootSeq: integer('boot_seq').notNull(),
  bootId: text('boot_id').notNull(),
  /** JSON of the last `offer`, and its revision. */
  offer: text().notNull(),
  offerRev: integer('offer_rev').notNull(),
  /** JSON array of the instants of its last boots, newest last: the flapping rule [C1.6]. */
  boots: text().notNull(),
  heldBackUntil: integer('held_back_until'),
  heldBackFor: integer('held_back_for'),
  drain: integer({ mode: 'boolean' }).notNull(),
  /** Infrastructure failures in a row [C15.3]. */
  failures: integer().notNull(),
  revokedAt: integer('revoked_at'),
  registeredAt: integer('registered_at').notNull(),
  /** Last state it announced, and why; written only when it changes. */
  state: text().notNull(),
  reason: text(),
  slots: integer().notNull(),
  /** Since when a process that stands by has asked without the holder being heard; null while none has [C1.8]. */
  rivalAt: integer('rival_at'),
})

/** One row (`id` 1): JSON of when each live attempt and its agent were last heard [C7.3]. */
export const heartbeat = sqliteTable('heartbeat', { id: integer().primaryKey(), seen: text().notNull() })

/** Small facts of the object itself, such as the grace of the gap rule [C10.3]. */
export const fact = sqliteTable('fact', { name: text().primaryKey(), value: text().notNull() })

/** Credentials of people and of joining agents; only hashes are stored. */
export const token = sqliteTable(
  'token',
  {
    id: text().primaryKey(),
    /** `registration`, `api`, `login` (one use) or `session`. */
    kind: text().notNull(),
    sha256: text().notNull(),
    name: text().notNull(),
    scope: text(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at'),
    maxUses: integer('max_uses'),
    /** JSON array of agent ids that joined with it: the same agent may repeat itself after a lost reply [C1.2]. */
    usedBy: text('used_by').notNull(),
    lastUsedAt: integer('last_used_at'),
    revokedAt: integer('revoked_at'),
    /** Of a session or sign-in link: the token that it was made from, and ends with. */
    parent: text(),
  },
  (table) => [uniqueIndex('token_sha256').on(table.sha256)],
)

/** Requests of people that must happen once: Idempotency-Key, later webhook deliveries. */
export const dedup = sqliteTable('dedup', { key: text().primaryKey(), answer: text().notNull(), at: integer().notNull() })
