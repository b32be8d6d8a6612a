/**
 * Every rule of the protocol, taken out of the real code one at a time. Each mutant is a text in one file and what stands
 * there instead; `npm run simulate -- --mutations` shows by which seed each is caught. One that is never caught says that
 * a check is missing here, or that the rule is not needed.
 *
 * Not in the list are rules that only a dishonest or broken agent could meet (a gap in a log, bytes after its seal:
 * they are shown in test/coordinator), that a log which differs is sent anew (only one whose attempt was lost can
 * differ; see test/agent/log), those that only one world in thousands needs (that a dropped alarm is set again, that
 * a ring answered in vain is passed on, that the name of a log is durable before its result, that a build which is
 * tried again takes its parent along, that no step waits for one that was replaced, that a new priority counts before
 * a gate: each has a test where it is), and
 * those that another rule makes harmless: an uploader that trusts what it sent is put right by the next refusal, and an
 * agent that does not jump after a
 * roll-back takes over when it has stood by [C1.8].
 */
import type { ProfileName } from './script.ts'

export interface Mutant {
  readonly name: string
  /** Of docs/protocol.md. */
  readonly rule: string
  readonly file: string
  readonly from: string
  readonly to: string
  /** In the same file, where one edit alone leaves another that does the same. */
  readonly and?: { readonly from: string; readonly to: string }
  /** Worlds in which the rule matters most. */
  readonly profile: ProfileName
}

const SYNC = 'coordinator/objects/sync.ts'
const LEASE = 'coordinator/core/lease.ts'
const UPKEEP = 'coordinator/objects/upkeep.ts'
const ATTEMPT = 'agent/runner/attempt.ts'
const HOLDINGS = 'agent/loop/holdings.ts'
const LOG_STORE = 'coordinator/objects/log-store.ts'

export const MUTANTS: readonly Mutant[] = [
  // Who may speak, and of what.
  { name: 'no fence', rule: 'C4.5', file: 'coordinator/core/judge.ts', from: 'job === null || job.fence !== key.fence', to: 'job === null', profile: 'network' },
  { name: 'a final job takes another result', rule: 'C5.1', file: 'coordinator/core/judge.ts', from: 'if (isFinal(job.state)) {', to: 'if (false) {', profile: 'network' },
  { name: 'the same result is not accepted again', rule: 'I2', file: 'coordinator/core/judge.ts', from: "if (job.digest === delivered.digest) return { verdict: 'accepted', set: null }", to: 'if (false) return { verdict: "accepted", set: null }', profile: 'network' },
  { name: 'stale boots are heard', rule: 'C1.5', file: 'coordinator/core/boot.ts', from: "if (sync.boot_seq < agent.bootSeq) return { kind: 'stale', current: agent.bootSeq }", to: "if (sync.boot_seq < agent.bootSeq) return { kind: 'same' }", profile: 'restarts' },
  { name: 'a stale boot is a new one', rule: 'C1.5', file: 'coordinator/core/boot.ts', from: "if (sync.boot_seq < agent.bootSeq) return { kind: 'stale', current: agent.bootSeq }", to: '', profile: 'network' },
  { name: 'stale messages are given work', rule: 'C1.7', file: SYNC, from: 'const isStale = !isNewBoot && presence !== undefined', to: 'const isStale = false && presence !== undefined', profile: 'network' },
  { name: 'the fence rises when a lease ends', rule: 'C1.4', file: LEASE, from: ": { state: 'queued', lostCount, avoidAgent: job.agent }", to: ": { state: 'queued', lostCount, avoidAgent: job.agent, fence: job.fence + 1 }", profile: 'network' },

  // Leases and silence.
  { name: 'a lease of the agent, not of the attempt', rule: 'C4.6', file: SYNC, from: '  const named: Lease[] = []\n', to: '  const named: Lease[] = []\n  for (const lease of event.memory.leases.of(agent.id)) lease.seenAt = now\n', profile: 'deaf' },
  { name: 'no redelivery', rule: 'C4.8', file: SYNC, from: '          assignments.push(assignmentOf(event, job, agent.id))\n', to: '', profile: 'network' },
  { name: 'no redelivery, and a lease of the agent', rule: 'C4.8', file: SYNC, from: '          assignments.push(assignmentOf(event, job, agent.id))\n', to: '          const other = event.memory.leases.get(jobId(job))\n          if (other) other.seenAt = now\n', profile: 'network' },
  { name: 'whoever missed work is not asked soon', rule: 'C8', file: 'coordinator/core/pacing.ts', from: ' || situation.hasMissedWork', to: '', profile: 'network' },
  { name: 'what may not run twice is delivered again when its lease ends soon', rule: 'C16.2', file: LEASE, from: "if (onPartition === 'continue' || lease === null) return 'again'", to: "if (onPartition !== undefined) return 'again'", profile: 'unheard' },
  { name: 'a doubled message misses no work', rule: 'C8', file: SYNC, from: 'let hasMissedWork = isStale && !areAllNamed', to: 'let hasMissedWork = false', profile: 'unheard' },
  { name: 'a late message gives away what may not run twice', rule: 'C16.2', file: 'coordinator/core/lease.ts', from: 'proof.issuedAt > sentUntil && proof.issuedAt <= now', to: 'proof.issuedAt <= now', profile: 'network' },
  { name: 'a new boot loses nothing', rule: 'C4.7', file: SYNC, from: 'if (job.bootSeq !== null && job.bootSeq < request.boot_seq) loseAttempt', to: 'if (false) loseAttempt', profile: 'restarts' },
  { name: 'what is reported lost is not', rule: 'C4.9', file: SYNC, from: 'else if (why !== undefined) loseAttempt(event, job, WHY_LOST[why]) // 9.', to: '', profile: 'people' },
  { name: 'no hearing gate', rule: 'C4.10', file: SYNC, from: "const isHearing = caller.via === 'session' && hears(caller, request.boot_seq, now, numbers)", to: 'const isHearing = true', profile: 'deaf' },
  { name: 'no gap rule', rule: 'C10.3', file: LEASE, from: 'return any && now - heard > numbers.gapMs ?', to: 'return any && now - heard > Infinity ?', profile: 'outages' },
  { name: 'the gap rule only in alarms', rule: 'C10.3', file: SYNC, from: '  // 2. Our own silence must not look like everybody\'s death.\n  applyGapRule(event)', to: '', profile: 'outages' },
  { name: 'a grace is given again and again', rule: 'C10.3', file: LEASE, from: 'let heard = grace?.givenAt ?? Number.NEGATIVE_INFINITY', to: 'let heard = Number.NEGATIVE_INFINITY', profile: 'mixed' },
  { name: 'waking renews leases', rule: 'C10.2', file: 'coordinator/store/memory.ts', from: 'this.#setLease(job, at, at)', to: 'this.#setLease(job, (job.assignedAt ?? 0) + 86_400_000, at)', profile: 'coordinator' },
  { name: 'last-seen only in memory', rule: 'C7.3', file: SYNC, from: '  flush(event.on, snapshot)\n', to: '', profile: 'coordinator' },
  { name: 'one flush for all', rule: 'C7.3', file: SYNC, from: 'if (mustFlush(named, now, numbers)', to: 'if (mustFlush([...event.memory.leases.values()].sort((a, b) => (b.storedAt ?? 0) - (a.storedAt ?? 0)).slice(0, 1), now, numbers)', profile: 'coordinator' },
  { name: 'no taking back', rule: 'C4.6', file: SYNC, from: "if (job.state === 'queued') for (const change of readopt(job, agent.id, agent.bootSeq, event.now).changes) event.apply(change)", to: "if (job.state === 'queued') return abandon('the lease has ended')", profile: 'network' },
  { name: 'no lost cap', rule: 'C5.2', file: LEASE, from: 'lostCount >= LOST_CAP', to: 'lostCount >= Infinity', profile: 'restarts' },
  { name: 'leases never end', rule: 'C7.2', file: LEASE, from: 'if (end <= now) due.push', to: 'if (end <= -1) due.push', profile: 'restarts' },

  // Alarms.
  { name: 'the alarm is not armed after an event', rule: 'C10.1', file: UPKEEP, from: '    this.#arm(outcome.deadline)\n    this.#parts', to: '    this.#parts', profile: 'mixed' },
  { name: 'the alarm is not armed again after it fired', rule: 'C10.1', file: UPKEEP, from: '      this.follow(cluster.alarm(now()))', to: '      cluster.alarm(now())', and: { from: '      // A deadline that this alarm did not handle keeps one armed, whatever happened.\n      this.#arm(cluster.peek().deadline)\n', to: '' }, profile: 'mixed' },
  { name: 'a missing alarm is not noticed', rule: 'C10.1', file: UPKEEP, from: '    this.#armed = await this.#parts.alarm.get()\n', to: '    this.#armed = this.cluster.peek().deadline\n', profile: 'coordinator' },
  { name: 'a clock that was set back keeps the leases of the dead', rule: 'C16.1', file: 'coordinator/store/memory.ts', from: 'if (!wasSetBack) return false', to: 'return false', profile: 'mixed' },
  { name: 'only the alarm ends what is due', rule: 'C4.11', file: 'coordinator/objects/cluster.ts', from: 'return synced.value.ok ? this.#events.withExpired(now, synced) : synced', to: 'return synced', profile: 'coordinator' },
  { name: 'who is refused ends what is due', rule: 'C4.1', file: 'coordinator/objects/cluster.ts', from: 'return synced.value.ok ? this.#events.withExpired(now, synced) : synced', to: 'return this.#events.withExpired(now, synced)', profile: 'copies' },
  { name: 'who is refused ends a silence', rule: 'C4.1', file: SYNC, from: "  if (boot.kind === 'stale' || boot.kind === 'conflict') return", to: "  applyGapRule(event)\n  if (boot.kind === 'stale' || boot.kind === 'conflict') return", profile: 'copies' },

  // Cancel, order, room.
  { name: 'a cancel is not told', rule: 'C13.1', file: SYNC, from: "return job.cancel ? { directive: 'cancel'", to: "return false ? { directive: 'cancel'", profile: 'people' },
  { name: 'a lost attempt of a cancelled job is queued', rule: 'C5.2', file: LEASE, from: 'const set: Partial<JobRow> = job.cancel\n', to: 'const set: Partial<JobRow> = false\n', profile: 'people' },
  { name: 'slots are given twice', rule: 'I15', file: SYNC, from: 'let free = Math.max(0, request.slots - occupied)', to: 'let free = request.slots', profile: 'mixed' },
  { name: 'the youngest first', rule: 'C4.10', file: 'coordinator/core/assign.ts', from: '.sort((a, b) => a.ord - b.ord', to: '.sort((a, b) => b.ord - a.ord', profile: 'mixed' },
  { name: 'unfit agents get work', rule: 'C4.10', file: SYNC, from: 'if (!isStale && isHearing && reasonUnfit === null && free > 0) {', to: 'if (!isStale && isHearing && free > 0) {', profile: 'stopping' },
  { name: 'a build is of no commit', rule: 'I29', file: SYNC, from: 'if (commit !== null && build.commit === null) event.apply', to: 'if (commit === "never") event.apply', profile: 'restarts' },
  { name: 'a build is made again when it is asked for again', rule: 'I2', file: 'coordinator/objects/starting.ts', from: 'if (before !== null) {', to: 'if (before === "never") {', and: { from: 'if (key !== null) load.dedups.insert', to: 'if (key === "never") load.dedups.insert' }, profile: 'people' },
  { name: 'nobody is rung', rule: 'C9', file: 'coordinator/objects/doorbell.ts', from: 'if (!this.#send(agent)) return', to: 'return', profile: 'calm' },
  { name: 'who does not answer is rung alone', rule: 'C9', file: 'coordinator/objects/doorbell.ts', from: 'if (ring.repeats === 0 && ring.call !== null) this.ringNext(ring.call, memory)', to: '', profile: 'sleepers' },
  { name: 'memory keeps the leases of what ended', rule: 'I15', file: 'coordinator/store/memory.ts', from: 'else this.leases.delete(jobId(job))', to: 'else this.leases.size', profile: 'mixed' },

  // Steps of a build.
  { name: 'a step waits for one of those before it', rule: 'I28', file: 'coordinator/core/step.ts', from: 'return { needs: to.needs - 1,', to: 'return { needs: 0,', profile: 'pipelines' },
  { name: 'a step does not mind that one before it failed', rule: 'I28', file: 'coordinator/core/step.ts', from: 'isBroken: to.isBroken || breaks(to, from, edge)', to: 'isBroken: to.isBroken', profile: 'pipelines' },
  { name: 'a block opens by itself', rule: 'I28', file: 'coordinator/core/step.ts', from: ": { state: 'blocked' }", to: ": { state: 'done', outcome: 'passed' }", profile: 'pipelines' },
  { name: 'a block forgets what a wait let pass', rule: 'I28', file: 'coordinator/core/step.ts', from: ' && remembers(to, from)', to: " && remembers(to, from) && to.kind === 'wait'", profile: 'pipelines' },
  { name: 'a step that is done lets nobody go', rule: 'I8', file: 'coordinator/core/step.ts', from: 'const openJobs = step.openJobs - 1', to: 'const openJobs = step.openJobs', profile: 'pipelines' },
  { name: 'an upload whose answer was lost is planned again', rule: 'I2', file: 'coordinator/objects/upload.ts', from: 'if (repeated !== null) return {', to: "if (repeated?.digest === 'never') return {", profile: 'pipelines' },
  { name: 'a later attempt uploads its steps anew', rule: 'I2', file: 'coordinator/objects/upload.ts', from: 'if (before === null || before.attempt !== attempt) return', to: 'if (before === null) return', profile: 'pipelines' },
  { name: 'a first job that is retried uploads its steps anew', rule: 'I2', file: 'coordinator/objects/upload.ts', from: 'jobId(rootOf(event, job))', to: 'jobId(job)', profile: 'pipelines' },
  { name: 'a retry holds back nobody who still waits', rule: 'I28', file: 'coordinator/core/retry-steps.ts', from: "if (to.state === 'waiting') waits.add(to.s)", to: '', profile: 'pipelines' },
  { name: 'a failed step is retried beside what it depends on', rule: 'I28', file: 'coordinator/core/retry-steps.ts', from: '|| isChosen(to.s))) continue', to: ')) continue', profile: 'pipelines' },
  { name: 'a job that was cancelled while it waited runs at once when it is tried again', rule: 'I28', file: 'coordinator/core/retry-by-hand.ts', from: 'if (step !== undefined && neverBegan(step)) return', to: 'if (step === null) return', profile: 'pipelines' },
  { name: 'a step that nobody may retry is retried', rule: 'I2', file: 'coordinator/core/retry-by-hand.ts', from: 'if (!manual.allowed) return', to: 'if (manual === null) return', profile: 'pipelines' },
  { name: 'what passed runs again with what failed', rule: 'I2', file: 'coordinator/core/intervene.ts', from: 'current.filter((job) => FAILED.has(job.state))', to: "current.filter((job) => FAILED.has(job.state) || job.state === 'passed')", profile: 'pipelines' },

  // Several jobs of one step, and groups.
  { name: 'a step is done when the first of its jobs is', rule: 'I28', file: 'coordinator/core/step.ts', from: 'const openJobs = step.openJobs - 1', to: 'const openJobs = Math.min(0, step.openJobs - 1)', profile: 'pipelines' },
  { name: 'a step is what the last of its jobs came to', rule: 'I28', file: 'coordinator/core/step.ts', from: 'return { openJobs, outcome: graver(step.outcome, outcome),', to: 'return { openJobs, outcome,', profile: 'pipelines' },
  { name: 'the failure of one job of several is as soft as its step says', rule: 'I28', file: 'coordinator/core/plan.ts', from: '(JSON.parse(spec) as StoredSpec).softFail ?? step.spec.softFail', to: '(JSON.parse(spec) === null ? null : step.spec.softFail)', profile: 'pipelines' },
  { name: 'a cancel forgets that a job of the step had failed', rule: 'I28', file: 'coordinator/core/intervene.ts', from: "const outcome = graver(step.outcome, 'canceled')", to: "const outcome = graver(null, 'canceled')", profile: 'pipelines' },
  { name: 'a group is done when its first step is', rule: 'I28', file: 'schema/pipeline/graph.ts', from: 'else node.waitsFor = members.map(', to: 'else node.waitsFor = members.slice(0, 1).map(', profile: 'pipelines' },
  { name: 'a group does not mind that a step of it failed', rule: 'I28', file: 'coordinator/core/step.ts', from: "return { state: 'done', outcome: step.isBroken ? 'failed' : 'passed' }", to: "return { state: 'done', outcome: 'passed' }", profile: 'pipelines' },
  { name: 'what a group depends on holds for its first step', rule: 'I28', file: 'schema/pipeline/graph.ts', from: 'const named = own ?? inherited', to: 'const named = step.dependsOn ?? (index === (group ?? 0) + 1 ? inherited : [])', profile: 'pipelines' },
  { name: 'a wait of a group waits for its own steps alone', rule: 'I28', file: 'schema/pipeline/graph.ts', from: 'base: own === null ? barrier.map(allow) : []', to: 'base: own === null ? barrier.slice(1).map(allow) : []', profile: 'pipelines' },
  { name: 'a dependency that is named twice may fail if either says so', rule: 'I28', file: 'schema/pipeline/graph.ts', from: '?.allowFailure !== false', to: ' !== null', profile: 'pipelines' },

  // Steps that steps upload.
  { name: 'nothing waits for what is uploaded later', rule: 'I28', file: 'coordinator/core/upload.ts', from: 'if (waits === undefined) continue', to: 'if (waits !== null) continue', profile: 'pipelines' },
  { name: 'a wait behind an upload waits for its last steps alone', rule: 'I28', file: 'coordinator/core/upload.ts', from: "for (const from of upload.graph.tail) this.#edge(this.#s(from), to, allowFailure)\n      if (waits.state === 'waiting') this.waiting.set(to, { needs: waits.needs + upload.graph.tail.length,", to: "for (const from of upload.graph.tail.slice(-1)) this.#edge(this.#s(from), to, allowFailure)\n      if (waits.state === 'waiting') this.waiting.set(to, { needs: waits.needs + 1,", profile: 'pipelines' },
  { name: 'what is uploaded later may fail', rule: 'I28', file: 'coordinator/core/upload.ts', from: 'for (const from of upload.graph.tail) this.#edge(this.#s(from), to, allowFailure)', to: 'for (const from of upload.graph.tail) this.#edge(this.#s(from), to, true)', profile: 'pipelines' },
  { name: 'what is uploaded waits for no step that was there', rule: 'I28', file: 'coordinator/core/upload.ts', from: "if (from.state === 'done') this.#change(index, letGo(this.#at(index), from, { allowFailure }))", to: 'this.#change(index, letGo(this.#at(index), from, { allowFailure }))', profile: 'pipelines' },
  { name: 'what is uploaded waits for what is over', rule: 'I8', file: 'coordinator/core/upload.ts', from: "if (from.state === 'done') this.#change(index, letGo(this.#at(index), from, { allowFailure }))", to: '', profile: 'pipelines' },
  { name: 'a later upload goes to the end, not behind its uploader', rule: 'I28', file: 'coordinator/core/upload.ts', from: '`${opened.place}/${number(9999 - this.#upload.before)}.${number(at)}`', to: '`9999/${number(this.#upload.before)}.${number(at)}`', profile: 'pipelines' },
  { name: 'of two uploads the first stands first', rule: 'I28', file: 'coordinator/core/upload.ts', from: 'number(9999 - this.#upload.before)', to: 'number(1 + this.#upload.before)', profile: 'pipelines' },
  { name: 'a cancelled step does not wait for what is uploaded meanwhile', rule: 'I28', file: 'coordinator/core/step.ts', from: "return step.state === 'waiting' || neverBegan(step)", to: "return step.state === 'waiting'", profile: 'pipelines' },

  // Steps that take the place of others, or cancel them.
  { name: 'an upload that replaces leaves what waits', rule: 'I28', file: 'coordinator/core/replace.ts', from: "state !== 'running' || (kind === 'command' && !begun.has(s))", to: "kind === 'command' && state === 'running' && !begun.has(s)", profile: 'pipelines' },
  { name: 'an upload that replaces takes what has begun', rule: 'I28', file: 'coordinator/core/replace.ts', from: "state !== 'running' || (kind === 'command' && !begun.has(s))", to: "state !== 'running' || kind === 'command'", profile: 'pipelines' },
  { name: 'what was replaced stays in the queue', rule: 'I28', file: 'coordinator/core/replace.ts', from: 'gone.has(was.step) && !isFinal(was.state)', to: "gone.has(was.step) && was.state === 'waiting'", profile: 'pipelines' },
  { name: 'a retry brings back what was replaced', rule: 'I28', file: 'coordinator/core/replace.ts', from: "outcome: 'skipped', openJobs: 0, key: null", to: "outcome: 'canceled', openJobs: 0, key: null", profile: 'pipelines' },
  { name: 'an upload that replaces does so again when it is repeated', rule: 'I28', file: 'coordinator/objects/upload.ts', from: '  if (before !== null) {\n', to: '  if (before !== null) {\n    const again = load.build(on, job.project, job.build)\n    if (replace && again !== null) for (const change of replacing(event, again, job).changes) event.apply(change)\n', profile: 'pipelines' },
  { name: 'a cancelled step begins', rule: 'I18', file: 'coordinator/core/cancel-step.ts', from: 'if (job.cancel) continue', to: "if (job.cancel || job.state === 'waiting') continue", profile: 'pipelines' },
  { name: 'a job that runs is not told that its step was cancelled', rule: 'I18', file: 'coordinator/core/cancel-step.ts', from: "job.state === 'live' ? { cancel: true } :", to: "job.state === 'live' ? {} :", profile: 'pipelines' },
  { name: 'a cancelled step lets nobody go', rule: 'I8', file: 'coordinator/objects/job-steps.ts', from: "if (build && after?.state === 'done') finishSteps(event, build, [after])", to: '', profile: 'pipelines' },
  { name: 'what waits for a cancelled step runs', rule: 'I28', file: 'coordinator/core/step.ts', from: "outcome === 'failed' || outcome === 'canceled' || outcome === 'broken'", to: "outcome === 'failed' || outcome === 'broken'", profile: 'pipelines' },
  { name: 'a job cannot cancel its build', rule: 'I18', file: 'coordinator/objects/job-steps.ts', from: 'if (build !== null) cancelBuild(event, build)', to: '', profile: 'pipelines' },

  // Concurrency groups.
  { name: 'a gate lets everybody in', rule: 'I28', file: 'coordinator/core/gate.ts', from: "if (turn === null) return { state: 'queued' }", to: "if (turn !== '') return { state: 'queued' }", profile: 'pipelines' },
  { name: 'only jobs in agents\' hands count', rule: 'I28', file: 'coordinator/store/load.ts', from: "in ('queued', 'live')`", to: "in ('live')`", profile: 'pipelines' },
  { name: 'only jobs in the queue count', rule: 'I28', file: 'coordinator/store/load.ts', from: "in ('queued', 'live')`", to: "in ('queued')`", profile: 'pipelines' },
  { name: 'a cancelled job lets nobody go', rule: 'I8', file: 'coordinator/core/gate.ts', from: 'change.set.state !== undefined && isFinal(change.set.state)', to: "change.set.state !== undefined && change.set.state !== 'canceled' && isFinal(change.set.state)", profile: 'pipelines' },
  { name: 'a job that breaks lets nobody go', rule: 'I8', file: 'coordinator/core/gate.ts', from: 'change.set.state !== undefined && isFinal(change.set.state)', to: "change.set.state !== undefined && change.set.state !== 'broken' && isFinal(change.set.state)", profile: 'pipelines' },
  { name: 'a gate opens only in syncs', rule: 'I8', file: 'coordinator/objects/event-runner.ts', from: '        openGates(event)\n        wantToTell', to: '        wantToTell', profile: 'pipelines' },
  { name: 'ordered jobs pass one that is not ready', rule: 'I28', file: 'coordinator/core/gate.ts', from: "holder !== null && (holder.turn ?? '') < turn", to: "holder === undefined && turn !== ''", profile: 'pipelines' },
  { name: 'ordered jobs wait for the answer to a block', rule: 'I8', file: 'coordinator/core/upload.ts', from: " || node.step.kind === 'block' || node.step.kind === 'input'", to: '', profile: 'pipelines' },
  { name: 'ordered jobs go as they were uploaded', rule: 'I28', file: 'coordinator/core/gate.ts', from: '${digits(build.createdAt, 14)}', to: '${digits(ord, 16)}', profile: 'pipelines' },
  { name: 'eager jobs look at no priority', rule: 'I28', file: 'coordinator/core/gate.ts', from: '`${TURNS.eager}${digits(ord, 16)}`', to: '`${TURNS.eager}${digits(ord % 2 ** 42, 16)}`', profile: 'pipelines' },
  { name: 'an eager job that is tried again keeps its old place', rule: 'I28', file: 'coordinator/core/plan.ts', from: 'turn: turnAfter(turn, ord)', to: 'turn: turn', profile: 'pipelines' },
  { name: 'the first limit of a group stays', rule: 'I28', file: 'coordinator/objects/gates.ts', from: 'if (known?.most !== most) event.apply', to: 'if (known === null) event.apply', profile: 'pipelines' },
  { name: 'a retry by a rule joins the line again', rule: 'I28', file: 'coordinator/core/plan.ts', from: "begins = { state: 'queued' } }: Succession", to: "begins = joinQueue(old) }: Succession", and: { from: "import { stepId, VERDICT } from './step.ts'", to: "import { joinQueue } from './gate.ts'\nimport { stepId, VERDICT } from './step.ts'" }, profile: 'pipelines' },

  // Builds that steps start.
  { name: 'the end of a build reaches no parent', rule: 'I8', file: 'coordinator/objects/event-runner.ts', from: "if (change.kind === 'build.set' && change.set.state !== undefined) turned.push(change)", to: '', profile: 'pipelines' },
  { name: 'the cancel of a build does not reach its parent', rule: 'I8', file: 'coordinator/objects/event-runner.ts', from: "if (change.kind === 'build.set' && change.set.state !== undefined) turned.push(change)", to: "if (change.kind === 'build.set' && change.set.state !== undefined && change.set.state !== 'canceled') turned.push(change)", profile: 'pipelines' },
  { name: 'a trigger waits for nobody', rule: 'I28', file: 'coordinator/core/trigger.ts', from: "outcome: trigger.async ? 'passed' : null }", to: "outcome: 'passed' }", profile: 'pipelines' },
  { name: 'a build that failed is a trigger that passed', rule: 'I28', file: 'coordinator/core/trigger.ts', from: "state === 'passed' || state === 'skipped' ? 'passed'", to: "state === 'passed' || state === 'failed' ? 'passed'", profile: 'pipelines' },
  { name: 'a build that was cancelled runs at once when it is tried again', rule: 'I28', file: 'coordinator/core/step.ts', from: "return outcome === 'canceled' && (needs > 0 ||", to: "return outcome === 'canceled' && needs < 0 && (needs > 0 ||", profile: 'pipelines' },

  { name: 'a cancelled trigger lets its build go on', rule: 'I18', file: 'coordinator/objects/cancel.ts', from: '  carryOut(event, decided)\n  cancelTriggered(event, step)', to: '  carryOut(event, decided)', profile: 'pipelines' },
  { name: 'a cancelled build lets those that it waits for go on', rule: 'I18', file: 'coordinator/objects/cancel.ts', from: "for (const step of steps) if (step.state === 'running') cancelTriggered(event, step)", to: '', profile: 'pipelines' },
  { name: 'one build of several is enough for a trigger', rule: 'I28', file: 'coordinator/core/trigger.ts', from: "...(openJobs === 0 ? { state: 'done', outcome }", to: "...(openJobs < trigger.builds.length ? { state: 'done', outcome }", profile: 'pipelines' },

  // Who is told.
  { name: 'what was told last is taken for the news', rule: 'I8', file: 'coordinator/core/notify.ts', from: 'notice.nth === nth && notice.wanted !== null', to: 'notice.wanted !== null', profile: 'pipelines' },
  { name: 'a message that did not arrive is not sent again', rule: 'I8', file: 'coordinator/core/notify.ts', from: 'return { ...notice, at: now + afterMs,', to: 'return { ...notice, wanted: null, at: now + afterMs,', profile: 'pipelines' },
  { name: 'an object that wakes forgets what it has to tell', rule: 'I8', file: 'coordinator/store/memory.ts', from: 'for (const row of load.buildsToTell(on)) this.#setToTell(row, row.notifyAt)', to: '', profile: 'pipelines' },

  // The agent's promises.
  { name: 'a command before its journal', rule: 'C15.1', file: ATTEMPT, from: "if ((await parts.journal({ ...assignment, spec })) === 'known') return { kind: 'known' }", to: 'void parts.journal({ ...assignment, spec }).catch(() => undefined)', profile: 'slow' },
  { name: 'a result is sent before it is durable', rule: 'C15.1', file: 'agent/spool/results.ts', from: "await durably(attempt, 'result.json', encodeResult(spooled))", to: "void durably(attempt, 'result.json', encodeResult(spooled)).catch(() => undefined)", profile: 'disks' },
  { name: 'a file is renamed without its bytes', rule: 'C15.1', file: 'agent/durable-write.ts', from: 'await files.writeSynced(temporary, bytes)', to: 'await files.write(temporary, bytes)', profile: 'disks' },
  { name: 'a name is not made durable', rule: 'C15.1', file: 'agent/durable-write.ts', from: '      await files.syncFolder(dirname(path))\n', to: '', profile: 'disks' },
  { name: 'the folder of a journal is not made durable', rule: 'C15.1', file: 'agent/spool/results.ts', from: 'await Promise.all([disk.syncFolder(spoolFolder), disk.writeDurably', to: 'await Promise.all([disk.writeDurably', profile: 'disks' },
  { name: 'a result does not wait until its log is durable', rule: 'C15.1', file: 'agent/agent.ts', from: '          await log?.harden()\n', to: '', profile: 'disks' },
  { name: 'any reply is taken for a verdict', rule: 'I5', file: HOLDINGS, from: 'for (const { attempt, verdict } of reply.verdicts) {', to: "for (const { attempt, verdict } of pending().map((result) => ({ attempt: result.attempt, verdict: 'accepted' as const }))) {", profile: 'mixed' },
  { name: 'the first no answer ends a result', rule: 'C2.1', file: 'agent/exchange.ts', from: 'const foreign = whoElse(question.url, response)', to: 'const foreign = null as ReturnType<typeof whoElse>', profile: 'network' },
  { name: 'no time limit on a call', rule: 'C7', file: 'agent/exchange.ts', from: 'question.clock.after(question.timeoutMs, () => {', to: 'question.clock.after(1e12, () => {', profile: 'network' },
  { name: 'an abandoned build goes on', rule: 'C4.6', file: HOLDINGS, from: "else if (directive === 'abandon') held?.life.stop('abandoned', graceMs)", to: "else if (directive === 'abandon') void held", profile: 'network' },
  { name: 'a cancelled build goes on', rule: 'C13.1', file: HOLDINGS, from: "      held.life.stop('canceled', graceMs)\n", to: '', profile: 'people' },
  { name: 'what an earlier boot left runs on', rule: 'I23', file: 'agent/agent.ts', from: 'spool.replayed.lost.map(({ attempt, process }) => ({ attempt, process }))', to: '[]', profile: 'restarts' },
  { name: 'a finish does not kick', rule: 'C8', file: HOLDINGS, from: '    parts.kick()\n    if (attempts.size === 0)', to: '    if (attempts.size === 0)', profile: 'calm' },
  { name: 'no self-fence', rule: 'C16.2', file: 'agent/agent.ts', from: "fence: () => holdings.stop('self_fence'", to: "fence: () => void ((..._: unknown[]) => undefined)('self_fence'", profile: 'partitions' },
  { name: 'a superseded process goes on', rule: 'C1.5', file: 'agent/agent.ts', from: "superseded: () => holdings.stop('superseded'),", to: 'superseded: () => undefined,', profile: 'copies' },
  { name: 'secrets are printed as they are', rule: 'C12.4', file: 'agent/attempt-logs.ts', from: 'mask: createGrowingMask([...secrets, token, jobTokenOf(token)], added)', to: 'mask: createGrowingMask([], added)', profile: 'calm' },
  { name: 'a draining agent takes work', rule: 'C14', file: HOLDINGS, from: '    if (isClosed) {', to: '    if (false) {', profile: 'stopping' },

  // Logs.
  { name: 'an overlap is appended', rule: 'C12.1', file: LOG_STORE, from: 'const fresh = bytes.subarray(size - offset)', to: 'const fresh = bytes', profile: 'network' },
  { name: 'a seal is believed', rule: 'C12.2', file: LOG_STORE, from: '!== sha256) return', to: '=== null) return', profile: 'disks' },
]

/** Seeds that caught a mutant once, to be tried first. When the code or the worlds change, others are searched for. */
export const CAUGHT_BY: Readonly<Record<string, readonly [ProfileName, number]>> = {
  'whoever missed work is not asked soon': ['mixed', 190080],
  'what may not run twice is delivered again when its lease ends soon': ['unheard', 6644],
  'a doubled message misses no work': ['unheard', 594],
  'a late message gives away what may not run twice': ['network', 141354],
  'a job that was cancelled while it waited runs at once when it is tried again': ['pipelines', 402005],
  'a step that nobody may retry is retried': ['pipelines', 3],
  'what passed runs again with what failed': ['pipelines', 4],
  'a step is done when the first of its jobs is': ['pipelines', 2],
  'a step is what the last of its jobs came to': ['pipelines', 5],
  'the failure of one job of several is as soft as its step says': ['pipelines', 18],
  'a group is done when its first step is': ['pipelines', 3],
  'a dependency that is named twice may fail if either says so': ['pipelines', 52],
  'a cancel forgets that a job of the step had failed': ['pipelines', 311],
  'a group does not mind that a step of it failed': ['pipelines', 26],
  'what a group depends on holds for its first step': ['pipelines', 2],
  'a wait of a group waits for its own steps alone': ['pipelines', 3],
  'nothing waits for what is uploaded later': ['pipelines', 12],
  'a wait behind an upload waits for its last steps alone': ['pipelines', 41],
  'what is uploaded waits for no step that was there': ['pipelines', 2],
  'what is uploaded later may fail': ['pipelines', 41],
  'what is uploaded waits for what is over': ['pipelines', 29],
  'an upload that replaces leaves what waits': ['pipelines', 9],
  'an upload that replaces takes what has begun': ['pipelines', 9],
  'what was replaced stays in the queue': ['pipelines', 13],
  'a cancelled step begins': ['pipelines', 17],
  'a job that runs is not told that its step was cancelled': ['pipelines', 9],
  'a cancelled step lets nobody go': ['pipelines', 9],
  'a job cannot cancel its build': ['pipelines', 2],
  'what waits for a cancelled step runs': ['pipelines', 23],
  'an upload that replaces does so again when it is repeated': ['pipelines', 38],
  'a retry holds back nobody who still waits': ['pipelines', 618],
  'ordered jobs go as they were uploaded': ['pipelines', 45],
  'a block forgets what a wait let pass': ['pipelines', 195],
  'a later attempt uploads its steps anew': ['pipelines', 3],
  'a first job that is retried uploads its steps anew': ['pipelines', 9],
  'the cancel of a build does not reach its parent': ['pipelines', 1],
  'a later upload goes to the end, not behind its uploader': ['pipelines', 41],
  'of two uploads the first stands first': ['pipelines', 29],
  'a retry brings back what was replaced': ['pipelines', 57],
  'a cancelled step does not wait for what is uploaded meanwhile': ['pipelines', 300695],
  'an eager job that is tried again keeps its old place': ['pipelines', 302590],
  'a build that was cancelled runs at once when it is tried again': ['pipelines', 409],
  'a failed step is retried beside what it depends on': ['pipelines', 100],
  'a cancelled job lets nobody go': ['pipelines', 6],
  'a job that breaks lets nobody go': ['pipelines', 535],
  'eager jobs look at no priority': ['pipelines', 45],
  'a result does not wait until its log is durable': ['mixed', 118171],
  'a command before its journal': ['slow', 269],
  'a seal is believed': ['disks', 20],
  'a draining agent takes work': ['stopping', 2],
  'no fence': ['network', 1],
  'a final job takes another result': ['network', 152],
  'the same result is not accepted again': ['network', 2],
  'stale boots are heard': ['restarts', 10],
  'a stale boot is a new one': ['network', 24],
  'stale messages are given work': ['network', 3],
  'the fence rises when a lease ends': ['network', 1],
  'a lease of the agent, not of the attempt': ['deaf', 18],
  'no redelivery': ['network', 28],
  'no redelivery, and a lease of the agent': ['network', 3],
  'a new boot loses nothing': ['restarts', 3],
  'what is reported lost is not': ['coordinator', 501526],
  'no hearing gate': ['deaf', 18],
  'no gap rule': ['outages', 1],
  'the gap rule only in alarms': ['outages', 24],
  'a grace is given again and again': ['copies', 500021],
  'waking renews leases': ['deaf', 500003],
  'last-seen only in memory': ['coordinator', 2],
  'one flush for all': ['coordinator', 52],
  'no taking back': ['network', 2],
  'no lost cap': ['restarts', 12],
  'leases never end': ['restarts', 5],
  'the alarm is not armed after an event': ['mixed', 1],
  'the alarm is not armed again after it fired': ['mixed', 1],
  'a missing alarm is not noticed': ['coordinator', 1],
  'a clock that was set back keeps the leases of the dead': ['mixed', 629],
  'only the alarm ends what is due': ['coordinator', 105],
  'who is refused ends what is due': ['copies', 19],
  'who is refused ends a silence': ['copies', 8],
  'a cancel is not told': ['people', 30],
  'a lost attempt of a cancelled job is queued': ['pipelines', 500023],
  'slots are given twice': ['mixed', 1],
  'the youngest first': ['mixed', 1],
  'unfit agents get work': ['stopping', 1],
  'a build is of no commit': ['restarts', 2],
  'a build is made again when it is asked for again': ['people', 1],
  'nobody is rung': ['calm', 6],
  'who does not answer is rung alone': ['sleepers', 69],
  'memory keeps the leases of what ended': ['mixed', 2],
  'a result is sent before it is durable': ['disks', 1361],
  'a file is renamed without its bytes': ['disks', 1],
  'a name is not made durable': ['disks', 10],
  'the folder of a journal is not made durable': ['disks', 286],
  'any reply is taken for a verdict': ['mixed', 2],
  'the first no answer ends a result': ['network', 8],
  'no time limit on a call': ['network', 3],
  'an abandoned build goes on': ['network', 16],
  'a cancelled build goes on': ['people', 30],
  'what an earlier boot left runs on': ['restarts', 2],
  'a finish does not kick': ['calm', 1],
  'no self-fence': ['partitions', 4],
  'a superseded process goes on': ['copies', 3],
  'secrets are printed as they are': ['calm', 1],
  'an overlap is appended': ['network', 2],
  'a gate lets everybody in': ['pipelines', 3],
  'only jobs in agents\' hands count': ['pipelines', 6],
  'only jobs in the queue count': ['pipelines', 6],
  'ordered jobs pass one that is not ready': ['pipelines', 500023],
  'ordered jobs wait for the answer to a block': ['pipelines', 34],
  'a retry by a rule joins the line again': ['pipelines', 4],
  'a build that failed is a trigger that passed': ['pipelines', 2],
  'what was told last is taken for the news': ['pipelines', 3],
}
