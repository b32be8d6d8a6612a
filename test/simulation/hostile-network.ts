/**
 * The real steps of the Scheduler on real SQLite, and small agents that keep their side of the protocol, in a world that
 * drops, doubles and delays messages, kills and freezes agents, evicts the object and takes it away. Virtual time; one
 * seed is one run, the same each time. The invariants of docs/protocol.md are checked as it goes.
 */
import { attemptId, isFinal, parseAttemptId, type AttemptId } from '../../schema/job.ts'
import type { SyncReply } from '../../schema/sync.ts'
import { TestCluster, type TestAgent } from '../support/cluster.ts'

const SECOND = 1000
const FAULTS_UNTIL = 2400 * SECOND
const HEALED_UNTIL = FAULTS_UNTIL + 3600 * SECOND

export interface Report {
  readonly violations: readonly string[]
  readonly syncs: number
  readonly jobs: number
  readonly lost: number
}

interface Node {
  readonly agent: TestAgent
  up: boolean
  /** Rises when the process dies: what an older one had planned does not happen. */
  life: number
  failures: number
  inFlight: boolean
  kick: boolean
  /** Messages of its network that get lost: none, replies only, or all. */
  cut: 'none' | 'replies' | 'all'
  frozenUntil: number
  /** Attempts ever started by it [C4]. */
  readonly journal: Set<AttemptId>
  readonly ends: Map<AttemptId, number>
  timer: number
}

function chance(seed: number): () => number {
  let state = (seed * 2654435761 + 7) >>> 0 || 1
  return () => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 4294967296
  }
}

export function simulate(seed: number): Report {
  const random = chance(seed)
  const between = (low: number, high: number) => low + (high - low) * random()
  const c = new TestCluster()
  const start = c.now
  const violations: string[] = []
  const violate = (rule: string) => {
    if (violations.length < 5) violations.push(`${((c.now - start) / SECOND).toFixed(1)} s: ${rule}`)
  }
  const events: { at: number; order: number; act: () => void }[] = []
  let order = 0
  const after = (ms: number, act: () => void) => {
    const event = { at: c.now + Math.ceil(ms), order: order++, act }
    // Kept sorted; runs are short enough for insertion by binary search.
    let low = 0
    let high = events.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = events[middle]
      if (other && (other.at > event.at || (other.at === event.at && other.order > event.order))) low = middle + 1
      else high = middle
    }
    events.splice(low, 0, event)
  }

  let isUp = true
  let loss = 0
  let syncs = 0
  const owners = new Map<AttemptId, string>()
  const accepted = new Map<string, string>()
  const finals = new Map<string, string>()
  c.project()

  const nodes: Node[] = Array.from({ length: 2 + Math.floor(random() * 3) }, (_, i) => ({
    agent: c.agent(`agent${i}`, { slots: 1 + Math.floor(random() * 2) }),
    up: false,
    life: 0,
    failures: 0,
    inFlight: false,
    kick: false,
    cut: 'none' as const,
    frozenUntil: 0,
    journal: new Set<AttemptId>(),
    ends: new Map<AttemptId, number>(),
    timer: 0,
  }))

  const deliver = (node: Node, message: { request: ReturnType<TestAgent['request']>; caller: ReturnType<TestAgent['caller']> }): SyncReply | 'refused' => {
    syncs += 1
    const answer = c.sync(message.request, message.caller)
    if (!answer.ok) return 'refused'
    for (const { attempt } of answer.value.assignments) {
      const holder = `${message.request.agent}/${message.request.boot_seq}`
      const before = owners.get(attempt)
      if (before !== undefined && before !== holder) violate(`I1 ${attempt} was given to ${before} and to ${holder}`)
      owners.set(attempt, holder)
    }
    for (const { attempt, verdict } of answer.value.verdicts) {
      const key = parseAttemptId(attempt)
      const delivered = message.request.finished.find((one) => one.attempt === attempt)
      if (!key || !delivered) continue
      const job = `${key.build}`
      const mark = `${attempt} ${delivered.digest}`
      if (verdict === 'accepted') {
        const before = accepted.get(job)
        if (before !== undefined && before !== mark) violate(`I2 build ${job} accepted ${before} and ${mark}`)
        accepted.set(job, mark)
      } else if (verdict === 'superseded') {
        const view = c.view(key.build).jobs[0]
        const newest = view?.attempts.at(-1)?.fence ?? 0
        if (view && !isFinal(view.state) && newest <= key.fence) violate(`I5 the current result of ${attempt} was refused`)
      }
    }
    void node
    return answer.value
  }

  const complete = (node: Node, attempt: AttemptId, outcome: 'passed' | 'canceled') => {
    node.ends.delete(attempt)
    node.agent.finish(attempt, outcome, { finished_at: Math.floor(random() * 1e9) })
    kick(node)
  }
  const kick = (node: Node) => {
    if (node.inFlight) node.kick = true
    else loop(node)
  }
  const take = (node: Node, reply: SyncReply) => {
    const { agent } = node
    agent.session = reply.session
    for (const { attempt } of reply.verdicts) agent.spool.delete(attempt)
    for (const { attempt, directive } of reply.directives) {
      if (!agent.running.has(attempt)) continue
      if (directive === 'abandon') {
        agent.running.delete(attempt)
        node.ends.delete(attempt)
      } else complete(node, attempt, 'canceled')
    }
    for (const { attempt } of reply.assignments) {
      if (agent.running.has(attempt) || agent.spool.has(attempt) || node.journal.has(attempt)) continue
      node.journal.add(attempt)
      agent.running.add(attempt)
      const life = node.life
      const duration = random() < 0.2 ? between(100, 3000) : between(5 * SECOND, 240 * SECOND)
      const end = () => {
        if (node.life !== life || !agent.running.has(attempt)) return
        if (c.now < node.frozenUntil) after(node.frozenUntil - c.now + 10, end)
        else complete(node, attempt, 'passed')
      }
      after(duration, end)
    }
  }
  const loop = (node: Node) => {
    const { agent } = node
    const life = node.life
    node.timer += 1
    if (!node.up || node.inFlight) return
    if (c.now < node.frozenUntil) {
      const timer = node.timer
      after(node.frozenUntil - c.now, () => node.life === life && node.timer === timer && loop(node))
      return
    }
    node.inFlight = true
    const message = { request: agent.request({ lost: [...node.journal].filter((a) => !agent.running.has(a) && !agent.spool.has(a)).slice(-20).map((attempt) => ({ attempt, why: 'process_restart' as const })) }), caller: agent.caller() }
    let answered = false
    const finish = (reply: SyncReply | 'refused' | null) => {
      if (answered || node.life !== life) return
      if (c.now < node.frozenUntil) return after(node.frozenUntil - c.now + 1, () => finish(reply))
      answered = true
      node.inFlight = false
      if (reply === null || reply === 'refused') {
        node.failures += 1
        if (reply === 'refused') agent.session = null
        const cap = agent.running.size > 0 || agent.spool.size > 0 ? 15 : 30
        const timer = ++node.timer
        after(between(200, Math.min(cap, 2 ** Math.min(node.failures, 6)) * SECOND), () => node.life === life && node.timer === timer && loop(node))
        return
      }
      node.failures = 0
      take(node, reply)
      if (node.inFlight) return // a completion within `take` already began the next sync
      if (node.kick) {
        node.kick = false
        loop(node)
        return
      }
      const pace = agent.running.size > 0 ? Math.min(reply.next_sync_ms, reply.hb_ms) : reply.next_sync_ms
      const timer = ++node.timer
      after(pace * between(0.8, 1), () => node.life === life && node.timer === timer && loop(node))
    }
    after(10 * SECOND, () => finish(null))
    const send = (isFirst: boolean) => {
      if (node.cut === 'all' || random() < loss) return
      const delay = between(20, 400) + (random() < loss / 2 ? between(0, 60 * SECOND) : 0)
      after(delay, () => {
        if (!isUp) return
        const reply = deliver(node, message)
        if (node.cut !== 'none' || random() < loss) return
        after(between(20, 400), () => isFirst && finish(reply))
      })
    }
    send(true)
    if (random() < loss / 2) after(between(0, 40 * SECOND), () => send(false))
  }

  const startNode = (node: Node) => {
    if (node.up) return
    node.up = true
    node.life += 1
    node.inFlight = false
    node.kick = false
    node.failures = 0
    if (node.life > 1) node.agent.restart()
    loop(node)
  }
  const crash = (node: Node) => {
    node.up = false
    node.life += 1
    node.agent.running.clear()
  }

  let jobs = 0
  const enqueue = () => {
    if (c.now - start > FAULTS_UNTIL) return
    if (isUp) {
      c.build({ command: 'make' })
      jobs += 1
    }
    after(between(5 * SECOND, 120 * SECOND), enqueue)
  }
  after(SECOND, enqueue)
  for (const node of nodes) after(between(0, 20 * SECOND), () => startNode(node))

  const isServerOnly = seed % 4 === 0
  const fault = () => {
    if (c.now - start > FAULTS_UNTIL) return
    const kind = isServerOnly ? 0.5 + 0.26 * random() : random()
    const node = nodes[Math.floor(random() * nodes.length)]
    if (!node) return
    if (kind < 0.22) {
      if (node.up) {
        crash(node)
        after(random() < 0.5 ? between(500, 6 * SECOND) : between(6 * SECOND, 400 * SECOND), () => startNode(node))
      }
    } else if (kind < 0.4) {
      node.cut = random() < 0.5 ? 'all' : 'replies'
      after(between(5 * SECOND, 300 * SECOND), () => (node.cut = 'none'))
    } else if (kind < 0.5) {
      node.frozenUntil = Math.max(node.frozenUntil, Math.min(start + FAULTS_UNTIL, c.now + between(5 * SECOND, 300 * SECOND)))
    } else if (kind < 0.68) {
      if (isUp) {
        isUp = false
        after(random() < 0.6 ? between(500, 20 * SECOND) : between(20 * SECOND, 400 * SECOND), () => {
          isUp = true
          c.restart()
        })
      }
    } else if (kind < 0.76) {
      if (isUp) c.restart()
    } else if (kind < 0.9) {
      loss = between(0.05, 0.4)
      after(between(20 * SECOND, 200 * SECOND), () => (loss = 0))
    } else if (isUp && jobs > 0) {
      c.cancel(1 + Math.floor(random() * jobs))
    }
    after(between(5 * SECOND, 90 * SECOND), fault)
  }
  after(60 * SECOND, fault)
  after(FAULTS_UNTIL, () => {
    isUp = true
    loss = 0
    c.restart()
    for (const node of nodes) {
      node.cut = 'none'
      startNode(node)
    }
  })

  const check = () => {
    if (!isUp) return
    const { deadline } = c.cluster.peek()
    if (deadline !== null && (c.alarmAt === null || c.alarmAt > deadline)) violate(`I20 a deadline at ${deadline} and the alarm at ${c.alarmAt}`)
  }
  // Final states are compared now and then: reading every view after every event would take most of the time.
  const compare = () => {
    for (let number = 1; number <= jobs; number++) {
      const job = c.view(number).jobs[0]
      if (!job) continue
      const before = finals.get(job.id)
      if (before !== undefined && before !== job.state) violate(`I4 ${job.id} was ${before} and is ${job.state}`)
      if (isFinal(job.state)) finals.set(job.id, job.state)
    }
    for (const agent of c.cluster.agents(c.now)) if (agent.running.length > agent.slots) violate(`I15 ${agent.name} holds ${agent.running.length} attempts in ${agent.slots} slots`)
  }
  after(300 * SECOND, function again() {
    if (isUp) compare()
    if (c.now - start < HEALED_UNTIL) after(300 * SECOND, again)
  })

  for (let event = events.pop(); event && event.at <= start + HEALED_UNTIL && violations.length === 0; event = events.pop()) {
    c.pass(Math.max(0, event.at - c.now), { away: !isUp })
    event.act()
    check()
  }
  compare()
  if (violations.length === 0) {
    for (let number = 1; number <= jobs; number++) {
      const job = c.view(number).jobs[0]
      if (job && !isFinal(job.state)) violate(`I8 ${job.id} is still ${job.state} long after the faults`)
    }
    for (const node of nodes) if (node.agent.spool.size > 0) violate(`I5 ${node.agent.offer.name} still holds ${node.agent.spool.size} results`)
  }
  let lost = 0
  for (let number = 1; number <= jobs; number++) lost += c.view(number).jobs[0]?.attempts.filter(({ state }) => state === 'lost').length ?? 0
  void attemptId
  c.sql.database.close()
  return { violations, syncs, jobs, lost }
}
