/**
 * The faults that Kedge has to survive, each with where that is shown. One place a row: with real processes wherever a
 * machine can show it, otherwise by the test that is named here, with the reason. `rows.test.ts` holds this list to the
 * tests, and `docs/faults.md` to this list.
 */

/** Tests of these folders show a row by naming it in their last brackets: `… [D12, I27]`. */
export const PROCESS_FOLDERS = ['test/faults', 'test/end-to-end'] as const

export type Proof =
  /** Real workerd, agents, git, disks: every test that names the row. */
  | { readonly by: 'processes' }
  /** One test of another project, as it is written in its file. */
  | { readonly by: 'unit' | 'workers'; readonly file: string; readonly test: string; readonly why: string }
  /** A bar of `npm run bench`. */
  | { readonly by: 'bench'; readonly bar: string; readonly why: string }
  | { readonly by: 'simulation'; readonly why: string }
  /** Of something that the product does not have yet. */
  | { readonly by: 'later'; readonly why: string }

export interface FaultRow {
  readonly id: `D${number}`
  /** What goes wrong, and what becomes of it. */
  readonly fault: string
  readonly shown: readonly [Proof, ...Proof[]]
}

const processes: Proof = { by: 'processes' }

export const ROWS: readonly FaultRow[] = [
  { id: 'D1', fault: 'The reply to joining is lost, and the token was for one use: asked again, the answer is the same', shown: [processes] },
  { id: 'D2', fault: 'No coordinator at the start (refused, no such name, no TLS, a captive portal): the agent waits, and joins when there is one', shown: [processes] },
  { id: 'D3', fault: 'Two processes on one state folder: the second is refused; where that is forced, the older one stands by', shown: [processes] },
  { id: 'D4', fault: 'A copied state folder: its holder is told of the conflict, and no job is touched', shown: [processes] },
  { id: 'D5', fault: 'A state folder rolled back to an older copy: one jump of the boot number, then work as before', shown: [processes] },
  { id: 'D6', fault: 'Syncs lost, replies lost, both doubled: each job runs once', shown: [processes] },
  { id: 'D7', fault: 'A sync arrives 100 s late, after newer ones and after a restart: it gives nothing and takes nothing', shown: [processes] },
  {
    id: 'D8',
    fault: 'An agent killed at any line between journal and end of its folder: requeued, or its spooled result delivered once',
    shown: [processes, { by: 'unit', file: 'test/agent/spool/kill.test.ts', test: 'kill -9 at any instant loses no finished result, sends no settled one again, and starts nothing twice [D8, I5]', why: 'hundreds of kills of the spool alone reach instants that whole agents rarely do' }],
  },
  { id: 'D9', fault: 'A machine dead for good in the middle of a build: requeued within the lease, by the alarm alone', shown: [processes] },
  { id: 'D10', fault: 'An agent restarted at once: its build is requeued by its first sync', shown: [processes] },
  { id: 'D11', fault: 'An agent frozen for 30 s goes on; frozen for ten minutes it abandons what another has', shown: [processes] },
  { id: 'D12', fault: 'Requests arrive, replies do not: what runs goes on, and no more work is given into the void', shown: [processes] },
  { id: 'D13', fault: 'Replies arrive, requests do not: the lease ends, and at the end the build is gone on with or abandoned', shown: [processes] },
  { id: 'D14', fault: 'A partition longer than the lease, and nobody took the job: no work is lost', shown: [processes] },
  { id: 'D15', fault: 'A partition longer than the lease, and another took the job: the newest wins, the logs stay apart', shown: [processes] },
  { id: 'D16', fault: '`on_partition: stop`: the build is dead before its job can be given away', shown: [processes] },
  {
    id: 'D17',
    fault: 'The coordinator forgets its memory between any two requests: nothing changes',
    shown: [processes, { by: 'unit', file: 'test/conformance/leases.test.ts', test: 'keeps a build that is named through evictions between all messages', why: 'workerd on a machine evicts when it likes; here it happens between all messages' }],
  },
  { id: 'D18', fault: 'The coordinator killed among the writes of a sync: all of them or none', shown: [processes] },
  {
    id: 'D19',
    fault: 'The coordinator away for 1 s to a day: no build is lost, results come after it, and not all at once',
    shown: [
      processes,
      { by: 'unit', file: 'test/conformance/leases.test.ts', test: 'loses no attempt by an outage of its own of %i ms [I10]', why: 'a day' },
      { by: 'unit', file: 'test/agent/loop/backoff.test.ts', test: 'takes its whole wait by chance, so that a fleet does not return at once', why: 'the spread of a fleet is a property of its dice, not of some run' },
    ],
  },
  { id: 'D20', fault: 'Two outages 15 s apart: perhaps taken back, never two accepted results', shown: [processes] },
  {
    id: 'D21',
    fault: 'The alarm comes early, late or twice, and one item always throws: the others proceed, and it stays armed',
    shown: [{ by: 'unit', file: 'test/conformance/leases.test.ts', test: 'ends every due lease on its own: one that cannot be ended holds up neither the others nor the alarm [I21]', why: 'no row of a sound database throws, and workerd does not let its alarms be turned' }],
  },
  { id: 'D22', fault: 'The alarm was deleted by hand: the next wake arms it again', shown: [processes] },
  { id: 'D23', fault: "The coordinator's clock jumps five minutes back or forward: later, or graced; never two live", shown: [{ by: 'unit', file: 'test/conformance/clock.test.ts', test: "the coordinator's clock jumps five minutes %s: the build that is named goes on, and is given to nobody else [D23]", why: "workerd's clock is the machine's, which tests may not set" }] },
  { id: 'D24', fault: "An agent's clock is an hour off, is set while it builds, and lives in another zone: no effect", shown: [processes] },
  {
    id: 'D25',
    fault: 'Worker and object of different versions, and a roll-back: nothing is unreadable, and nothing newer is overwritten',
    shown: [{ by: 'unit', file: 'test/schema/wire.test.ts', test: 'is the wire of protocol 1', why: 'what crosses between versions may not change by accident' }, { by: 'later', why: 'a neighbouring version to run against: there is one version so far. Stored data of the first one, and of a newer one, is in test/end-to-end/migration.test.ts' }],
  },
  {
    id: 'D26',
    fault: 'An agent too old or too new: it idles, keeps its results, and says what to update',
    shown: [
      { by: 'unit', file: 'test/agent/agent/identity.test.ts', test: 'idles and says what to update when the protocol does not fit [D26]', why: 'it asks again after 5 to 10 minutes' },
      { by: 'workers', file: 'test/coordinator/http/agent.test.ts', test: '%i is told to "%s" before its shapes are looked at', why: 'the other side of it' },
    ],
  },
  {
    id: 'D27',
    fault: '429 with every form of Retry-After: obeyed within 1 s to 10 min, spread by chance',
    shown: [{ by: 'unit', file: 'test/agent/agent/network.test.ts', test: 'obeys Retry-After, even when a build ends meanwhile [D27]', why: 'waits of minutes, on a clock that is turned' }],
  },
  { id: 'D28', fault: 'Whatever else answers than a coordinator (5xx, HTML, cut, empty, redirects): no answer, and everything is kept', shown: [processes] },
  { id: 'D29', fault: 'Half-open connections for sync, log and doorbell: given up in time, and tried again', shown: [processes] },
  { id: 'D30', fault: 'Replies of one byte a second: the deadline is for the whole call', shown: [processes] },
  { id: 'D31', fault: 'An agent revoked in the middle of a build: it finishes, keeps the result, and takes no more', shown: [processes, { by: 'unit', file: 'test/agent/agent/network.test.ts', test: 'presents its secret at once, once, when its session has ended [C1.3]', why: 'a session lasts 15 minutes' }] },
  { id: 'D32', fault: "A forged token, another attempt's, one whose time is over: refused, and nothing stored", shown: [{ by: 'workers', file: 'test/coordinator/http/attempt.test.ts', test: "refuses another attempt's token by name, for the log, its seal and the spec, and stores nothing [D32]", why: 'an agent never sends one' }] },
  { id: 'D33', fault: 'A disk full at the claim, in the build, at the result; read-only; without inodes; no file left to open', shown: [processes] },
  { id: 'D34', fault: 'Spool entries half-written, garbled or of a newer version: put aside and told lost, and the agent starts', shown: [processes] },
  { id: 'D35', fault: 'Ten thousand spooled results: delivered oldest first, in messages of 64 KiB, while new work goes on', shown: [processes] },
  {
    id: 'D36',
    fault: 'A result twice, a different one, one of an unknown job or of a final one: accepted again, conflict, superseded, final',
    shown: [
      { by: 'unit', file: 'test/conformance/results.test.ts', test: 'accepts the same result again without a change of any row [I2]', why: 'our agent sends only one result of an attempt' },
      { by: 'unit', file: 'test/conformance/results.test.ts', test: 'keeps the first of two different results of one attempt', why: 'as above' },
      { by: 'unit', file: 'test/conformance/results.test.ts', test: 'answers an unknown attempt with superseded', why: 'as above' },
    ],
  },
  { id: 'D37', fault: 'A cancel in each phase, twice, with its reply lost, with the agent dead: cancelled, never queued again', shown: [processes] },
  { id: 'D38', fault: 'A job that kills its agent: ended after the third, and the fourth agent is untouched', shown: [processes] },
  { id: 'D39', fault: 'Leftovers of every kind: sessions, double forks, nohup, two hundred children, deaf to SIGTERM, changed marker', shown: [processes, { by: 'unit', file: 'test/agent/runner/process-tree.test.ts', test: 'a build that passed leaves nobody behind: %s [I23] [D39]', why: 'each kind alone, also those that a cgroup is needed for' }] },
  { id: 'D40', fault: 'The pid of a leftover belongs to a stranger by now: the stranger lives', shown: [processes] },
  {
    id: 'D41',
    fault: 'Log pieces doubled, reordered, lost, cut; binary, invalid UTF-8, one endless line, 10 GiB: a prefix always, whole at the end, or cut with a marker',
    shown: [processes, { by: 'workers', file: 'test/coordinator/objects/job-log.test.ts', test: 'is at every moment a prefix of the file, whatever is lost, repeated, cut and reordered [I16]', why: 'our agent never reorders its own' }],
  },
  { id: 'D42', fault: 'Logs cannot be sent, syncs can: the job ends all the same, and its log is sealed later', shown: [processes] },
  { id: 'D43', fault: 'Syncs cannot be sent, logs can: the lease ends all the same', shown: [processes] },
  { id: 'D44', fault: 'A secret cut between pieces, encoded, of several lines: masked; of five characters: not', shown: [{ by: 'unit', file: 'test/agent/log/mask.test.ts', test: 'a secret cut anywhere is replaced just the same [D44]', why: 'a function of bytes; every cut is tried' }] },
  { id: 'D45', fault: 'A doorbell refused, silent, lying a thousand times a second: only how soon things happen changes', shown: [processes] },
  { id: 'D46', fault: 'A thousand jobs at once on ten agents: nobody is idle, nothing starves', shown: [processes, { by: 'bench', bar: 'queue', why: 'a thousand agents are more processes than a machine has room for' }] },
  { id: 'D47', fault: 'An agent drains, lowers its slots or changes its tags while work is on its way: run, or handed back uncounted', shown: [processes] },
  { id: 'D48', fault: 'An agent is replaced by another version while it builds: the old one finishes, or the new boot requeues', shown: [processes] },
  { id: 'D49', fault: 'Twenty restarts in two minutes: held back, its jobs run elsewhere, and it is taken back', shown: [processes] },
  { id: 'D50', fault: 'SIGTERM once, twice, three times, in each phase', shown: [processes] },
  { id: 'D51', fault: 'An artifact stalls, breaks off, or differs from its checksum: gone on with where it was, or said so, and nobody sees half of it', shown: [processes] },
  { id: 'D52', fault: 'The rows of a scripted day stay within the budget', shown: [{ by: 'bench', bar: 'rows', why: 'a count and no fault' }, { by: 'unit', file: 'test/conformance/cost.test.ts', test: 'an idle agent writes no row [I19]', why: 'the largest part of any day' }] },
  { id: 'D53', fault: 'The object is overloaded: 503 with Retry-After, and agents spread', shown: [{ by: 'workers', file: 'test/coordinator/http/overloaded.test.ts', test: 'an object that has too much to do is a 503 with a time to come back, for people and agents alike [D53]', why: 'workerd on a machine never says so; the refusal is planted' }] },
  { id: 'D54', fault: 'A hundred faults at once, for hours', shown: [{ by: 'simulation', why: 'hours of virtual time in seconds, replayable by seed: no machine could be made to fail the same way twice' }] },
]
