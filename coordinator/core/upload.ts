/**
 * A job uploads steps into its build: the rows that they become, and what of the build's own steps now waits for them.
 * Whatever waits for the uploading step waits for the uploaded ones too, so that a wait behind an upload stands behind
 * all that it brought.
 *
 * Rows are made as if nothing had happened yet, and then whatever waits for nobody is let go by the same rules that let
 * go later (`step.ts`); so a step that is skipped at once lets pass what waits for it as any other does.
 */
import type { Graph, Node } from '../../schema/pipeline/graph.ts'
import type { CommandStep, Concurrency, Step } from '../../schema/pipeline/steps.ts'
import type { BuildRow, Change, EdgeRow, JobRow, StepRow, StoredStep, StoredTrigger } from './decision.ts'
import type { Offered } from './matching.ts'
import { joinQueue, turnOf } from './gate.ts'
import { blankJob, BROKEN, order, told, type StoredSpec } from './plan.ts'
import { breaks, letGo, mayWait, pendingBits, ready, stepDone } from './step.ts'

/** One job that a command step is executed as. */
export interface PlannedJob {
  readonly command: string
  readonly label: string | null
  readonly env: Readonly<Record<string, string>>
  readonly requirement: Offered
  readonly softFail: CommandStep['softFail']
  readonly parallel: { readonly index: number; readonly count: number } | null
  readonly plugins: CommandStep['plugins']
  readonly artifactPaths: CommandStep['artifactPaths']
}

/** What becomes of a step at its upload; by the index of its node. */
export interface PlannedStep {
  /** Why it does not run; null: it does. */
  readonly skipped: string | null
  readonly jobs: readonly PlannedJob[]
  /** Of a trigger. */
  readonly trigger?: StoredTrigger
}

export interface Upload {
  readonly build: BuildRow
  readonly uploader: JobRow
  /** The uploader's step; null in a build that has none yet. */
  readonly step: StepRow | null
  /** Steps of the build, for keys and places; and what waits for the uploader's. */
  readonly steps: readonly StepRow[]
  readonly dependants: readonly EdgeRow[]
  readonly graph: Graph
  readonly planned: readonly PlannedStep[]
  /** For jobs of steps without a time limit of their own, seconds. */
  readonly timeoutS: number
  readonly lastJob: number
  /** How many uploads this job made before. */
  readonly before: number
  readonly now: number
}

/** Ids of its class and gate are not known to a decision: the row is without them. */
export interface NewJob {
  readonly row: Omit<JobRow, 'class' | 'gate'>
  readonly requirement: Offered
  readonly concurrency: Concurrency | null
}

export interface UploadPlan {
  readonly changes: readonly Change[]
  readonly jobs: readonly NewJob[]
  readonly steps: number
}

export function planUpload(upload: Upload): UploadPlan {
  const { build, uploader, now } = upload
  const changes: Change[] = []
  const opened = upload.step ?? openUploader(upload)
  if (upload.step === null) changes.push({ kind: 'step.insert', row: opened }, { kind: 'job.set', was: uploader, set: { step: opened.s } })

  const first = Math.max(opened.s, ...upload.steps.map(({ s }) => s)) + 1
  const drafts = new Draft(upload, opened, first)
  const rows = drafts.settle()
  for (const row of rows) changes.push({ kind: 'step.insert', row })
  for (const row of drafts.edges) changes.push({ kind: 'edge.insert', row })
  for (const [s, set] of drafts.waiting) changes.push({ kind: 'step.set', key: { project: build.project, build: build.number, s }, set })
  const pending = rows.reduce((bits, row) => (row.state === 'done' ? bits : bits | pendingBits(row)), build.verdict)
  const counts = rows.filter(({ state }) => state === 'done').reduce(stepDone, { openSteps: (build.openSteps ?? 1) + rows.length, verdict: pending })
  changes.push({ kind: 'build.set', was: build, set: { ...counts, startedAt: build.startedAt ?? uploader.assignedAt ?? now } })
  return { changes, jobs: drafts.jobs, steps: rows.length }
}

/** The first job of a build becomes a step when it brings others. */
function openUploader({ build, uploader }: Upload): StepRow {
  return { project: build.project, build: build.number, s: 1, place: '0001', kind: 'command', key: null, label: 'Pipeline upload', groupStep: null, state: 'running', outcome: null, needs: 0, isBroken: false, firstJob: uploader.n, jobs: 1, openJobs: 1, spec: PLAIN }
}

const PLAIN: StoredStep = { softFail: 'none', retry: null, continueOnFailure: false, remembers: false, block: null, unblocked: null, skipped: null }

class Draft {
  readonly edges: EdgeRow[] = []
  readonly jobs: NewJob[] = []
  /** Steps of the build that wait for some of the new ones: for how many, and whether one of those cannot succeed any more. */
  readonly waiting = new Map<number, { needs: number; isBroken: boolean }>()
  readonly #upload: Upload
  readonly #rows: StepRow[] = []
  readonly #first: number
  readonly #holders: ReadonlySet<number>

  constructor(upload: Upload, opened: StepRow, first: number) {
    this.#upload = upload
    this.#first = first
    this.#holders = holders(upload)
    const known = new Map(upload.steps.flatMap((step) => (step.key === null ? [] : [[step.key, step] as const])))
    for (const [index, node] of upload.graph.nodes.entries()) this.#rows.push(this.#row(node, index, opened)) // a group's before those of its steps
    for (const [index, node] of upload.graph.nodes.entries()) {
      for (const { node: from, allowFailure } of node.waitsFor) this.#edge(this.#s(from), this.#s(index), allowFailure)
      for (const { step: key, allowFailure } of node.waitsForKnown) {
        const from = known.get(key)
        if (from === undefined) continue
        this.#edge(from.s, this.#s(index), allowFailure)
        if (from.state === 'done') this.#change(index, letGo(this.#at(index), from, { allowFailure }))
      }
    }
    for (const { to, allowFailure } of upload.dependants) {
      const waits = upload.steps.find((step) => step.s === to && mayWait(step))
      if (waits === undefined) continue
      for (const from of upload.graph.tail) this.#edge(this.#s(from), to, allowFailure)
      if (waits.state === 'waiting') this.waiting.set(to, { needs: waits.needs + upload.graph.tail.length, isBroken: waits.isBroken })
    }
  }

  #s(index: number): number {
    return this.#first + index
  }

  #at(index: number): StepRow {
    const row = this.#rows[index]
    if (row === undefined) throw new Error(`the graph names a node ${index} that it does not have`)
    return row
  }

  #change(index: number, set: Partial<StepRow>): void {
    this.#rows[index] = { ...this.#at(index), ...set }
  }

  #edge(from: number, to: number, allowFailure: boolean): void {
    const { build } = this.#upload
    this.edges.push({ project: build.project, build: build.number, from, to, allowFailure })
  }

  #row({ step, group, waitsFor, waitsForKnown }: Node, index: number, opened: StepRow): StepRow {
    const { build, planned } = this.#upload
    const { jobs = [], skipped = null, trigger } = planned[index] ?? {}
    const { unblocker } = opened.spec
    const at = index + 1
    const firstJob = this.#upload.lastJob + this.jobs.length + 1
    const concurrency = step.kind === 'command' && skipped === null ? step.concurrency : null
    const row: StepRow = {
      project: build.project,
      build: build.number,
      s: this.#s(index),
      // The upload made last stands right behind its uploader, before those made earlier.
      place: group === null ? `${opened.place}/${number(9999 - this.#upload.before)}.${number(at)}` : `${this.#at(group).place}.${number(at)}`,
      kind: kindOf(step),
      key: step.key,
      label: step.label,
      groupStep: group === null ? opened.groupStep : this.#s(group),
      state: 'waiting',
      outcome: null,
      needs: waitsFor.length + waitsForKnown.length,
      isBroken: false,
      firstJob: jobs.length === 0 ? 0 : firstJob,
      jobs: jobs.length,
      openJobs: jobs.length,
      spec: { ...storedOf(step, { group: group === null ? null : (this.#upload.graph.nodes[group]?.step ?? null), skipped }), ...(trigger === undefined ? {} : { trigger }), ...(unblocker === undefined ? {} : { unblocker }) },
    }
    for (const [nth, job] of jobs.entries()) this.jobs.push({ row: this.#jobRow(step, row, job, { n: firstJob + nth, concurrency, holds: this.#holders.has(index) }), requirement: job.requirement, concurrency })
    return row
  }

  #jobRow(step: Step, row: StepRow, job: PlannedJob, { n, concurrency, holds }: { readonly n: number; readonly concurrency: Concurrency | null; readonly holds: boolean }): NewJob['row'] {
    const { build, uploader, now, timeoutS } = this.#upload
    const own = JSON.parse(uploader.spec) as StoredSpec // written by `openBuild` or an upload
    const priority = uploader.priority + (step.kind === 'command' ? step.priority : 0)
    const spec: StoredSpec = {
      command: job.command,
      env: job.env,
      checkout: step.kind === 'command' && own.checkout !== null ? checkoutOf(step, own.checkout.repository) : null,
      timeoutS: step.kind === 'command' && step.timeoutMinutes !== null ? step.timeoutMinutes * 60 : timeoutS,
      onPartition: own.onPartition,
      url: own.url,
      key: step.key,
      label: job.label,
      parallel: job.parallel,
      ...this.#groupOf(row),
      ...(job.plugins.length === 0 ? {} : { plugins: job.plugins }),
      ...(job.artifactPaths.length === 0 ? {} : { artifactPaths: job.artifactPaths }),
      ...(job.softFail === row.spec.softFail ? {} : { softFail: job.softFail }),
      ...(own.triggeredFrom === undefined ? {} : { triggeredFrom: own.triggeredFrom }),
    }
    const ord = order(priority, now)
    const turn = concurrency === null ? null : turnOf({ method: concurrency.method, holds, build, place: row.place, ord })
    return { ...blankJob(now), state: 'waiting', project: row.project, build: row.build, n, priority, ord, spec: JSON.stringify(spec), step: row.s, turn }
  }

  /** A group of this upload, or the one that its uploader is in. */
  #groupOf({ groupStep }: StepRow): Pick<StoredSpec, 'group'> {
    if (groupStep === null) return {}
    const group = this.#rows[groupStep - this.#first] ?? this.#upload.steps.find(({ s }) => s === groupStep)
    return group === undefined ? {} : { group: { s: groupStep, key: group.key, label: group.label } }
  }

  /** Lets go whatever waits for nobody; the rows as they are to be stored. */
  settle(): readonly StepRow[] {
    const to = Map.groupBy(this.edges, ({ from }) => from)
    const line = this.#rows.flatMap((row, index) => (row.needs === 0 || row.spec.skipped !== null ? [index] : []))
    for (let index = line.shift(); index !== undefined; index = line.shift()) {
      const row = this.#at(index)
      if (row.state === 'done') continue
      const set: Partial<StepRow> = row.spec.skipped !== null ? { state: 'done', outcome: 'skipped', openJobs: 0 } : row.state === 'waiting' && row.needs === 0 ? ready(row) : {}
      this.#change(index, set)
      const after = this.#at(index)
      if (set.state !== undefined) this.#moveJobs(after)
      if (after.state !== 'done') continue
      for (const edge of to.get(after.s) ?? []) {
        const next = edge.to - this.#first
        const waits = this.#rows[next]
        if (waits === undefined) this.#letGoOld(edge, after)
        else if (waits.state !== 'done') {
          this.#change(next, letGo(waits, after, edge))
          if (this.#at(next).needs === 0) line.push(next)
        }
      }
    }
    return this.#rows
  }

  /** A step that the build had before need not wait for this one; it still waits for the uploader. */
  #letGoOld({ to, allowFailure }: EdgeRow, from: StepRow): void {
    const old = this.waiting.get(to)
    if (old === undefined) return
    old.needs -= 1
    const row = this.#upload.steps.find(({ s }) => s === to)
    old.isBroken ||= row !== undefined && breaks(row, from, { allowFailure })
  }

  #moveJobs(step: StepRow): void {
    const end = { state: step.outcome === 'skipped' ? 'skipped' : 'broken', finishedAt: this.#upload.now, result: step.outcome === 'skipped' ? null : BROKEN } as const
    for (let at = step.firstJob - this.#upload.lastJob - 1, left = step.jobs; left > 0; at += 1, left -= 1) {
      const job = this.jobs[at]
      if (job !== undefined) this.jobs[at] = { ...job, row: { ...job.row, ...(step.state === 'running' ? { ...joinQueue(job.row), ...told(job.row, step) } : end) } }
    }
  }
}

function checkoutOf({ checkout: { skip, submodules, lfs, fresh } }: CommandStep, repository: string): StoredSpec['checkout'] {
  return skip ? null : { repository, fresh, ...(submodules === null ? {} : { submodules }), ...(lfs === null ? {} : { lfs }) }
}

/** Inputs ask as blocks do; whom they hold up is in the graph. */
function kindOf(step: Step): StepRow['kind'] {
  return step.kind === 'input' ? 'block' : step.kind
}

function storedOf(step: Step, { group, skipped }: { readonly group: Step | null; readonly skipped: string | null }): StoredStep {
  const isAsking = step.kind === 'block' || step.kind === 'input'
  return {
    softFail: step.kind === 'command' || step.kind === 'trigger' ? step.softFail : 'none',
    retry: step.kind === 'command' ? step.retry : null,
    continueOnFailure: step.kind === 'wait' && step.continueOnFailure,
    remembers: (step.kind === 'wait' || isAsking) && step.dependsOn === null && (group === null || group.dependsOn === null || 'group'),
    block: isAsking ? { prompt: step.prompt, submit: step.submit, fields: step.fields, state: step.blockedState } : null,
    unblocked: null,
    skipped,
    ...(step.kind === 'command' && step.cancelOnBuildFailing ? { cancelOnBuildFailing: true as const } : {}),
  }
}

/** So that text sorts as numbers do. */
function number(n: number): string {
  return String(n).padStart(4, '0')
}

/**
 * Nodes that an ordered job may stand in the line of its group with before it is ready: all that they wait for, directly
 * or through others, stands before them in this upload, and no person is asked on the way (`gate.ts`).
 */
function holders({ graph: { nodes }, steps }: Upload): ReadonlySet<number> {
  const open = new Set(steps.flatMap(({ key, state }) => (key === null || state === 'done' ? [] : [key])))
  const found = new Set<number>()
  /** Members stand behind the node of their group. */
  const isBefore = (from: number, index: number): boolean => {
    const node = nodes[from]
    if (node === undefined || from >= index || node.step.kind === 'block' || node.step.kind === 'input' || node.step.kind === 'trigger') return false
    return node.step.kind === 'group' ? node.waitsFor.every((member) => member.node < index && isBefore(member.node, index)) : found.has(from)
  }
  for (const [index, { step, waitsFor, waitsForKnown }] of nodes.entries()) {
    if (step.kind !== 'group' && waitsForKnown.every(({ step: key }) => !open.has(key)) && waitsFor.every(({ node }) => isBefore(node, index))) found.add(index)
  }
  return found
}
