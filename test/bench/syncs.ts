/**
 * Finish-and-claim syncs: each brings one result and takes one job, through workerd, by agents that speak the protocol
 * over kept connections. The floor is an object that only inserts one row and selects one, under the same client with
 * the same bodies; the client's own time is in both.
 */
import { syncReply, type SyncReply } from '../../schema/sync.ts'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import { TestAgent, TestCluster } from '../support/cluster.ts'
import { abreast, median, percent, timed, type Bar } from './row.ts'
import { openBare, openCoordinator, poster, TO_THE_OBJECT, type Poster, type Site } from './stage.ts'

const AGENTS = 24
const ROUNDS = 5
const ROUND = 400
const WARM = 200
const LEAST_SHARE = 0.5
const QUIET_PER_S = 1000

const BARE = `import { DurableObject } from 'cloudflare:workers'
export class Bare extends DurableObject {
  constructor(state, env) { super(state, env); state.storage.sql.exec('create table if not exists t (id integer primary key, text text)') }
  async fetch(request) {
    const { agent, seq } = await request.json()
    this.ctx.storage.sql.exec('insert into t (text) values (?)', agent + seq)
    return Response.json(this.ctx.storage.sql.exec('select * from t where id = last_insert_rowid()').one())
  }
}
${TO_THE_OBJECT}`

export const syncs: Bar = {
  name: 'syncs',
  async run() {
    const site = await openCoordinator()
    const model = new TestCluster() // only for what its agents know of the protocol
    const agents = Array.from({ length: AGENTS }, (_, i) => new TestAgent(model, `bench${1000 + i}`, {}))
    const ours = poster(site.url, AGENTS)
    for (const agent of agents) {
      await ours.post('/v1/agents/register', site.registrationToken, JSON.stringify({ proto: 1, agent_id: agent.id, secret_sha256: sha256Hex(agent.secret), offer: agent.offer }))
      await sync(ours, agent)
    }
    await queueBuilds(site, ours, ROUNDS * ROUND + WARM + 2 * AGENTS * (ROUNDS + 1))
    const bareUrl = await openBare(BARE)
    const bare = poster(bareUrl, AGENTS)
    const body = JSON.stringify(wire(agents[0]?.request() ?? {}))
    const floorOf = async (count: number) => (1000 * count) / (await timed(() => abreast(count, AGENTS, async () => void JSON.parse(await bare.post('/', 'none', body)))))
    const oursOf = async (count: number) => {
      let claimed = 0
      const took = await timed(() =>
        Promise.all(
          agents.map(async (agent) => {
            while (claimed < count) {
              for (const attempt of agent.running) agent.finish(attempt)
              const finished = agent.spool.size
              const { verdicts, assignments } = await sync(ours, agent)
              if (finished === 1 && verdicts[0]?.verdict === 'accepted' && assignments.length === 1) claimed += 1
            }
          }),
        ),
      )
      return (1000 * claimed) / took
    }
    await Promise.all([oursOf(WARM), floorOf(WARM)])
    // In turns, so that noise is shared.
    const rounds: { readonly rate: number; readonly floor: number }[] = []
    for (let round = 0; round < ROUNDS; round++) rounds.push({ floor: await floorOf(ROUND), rate: await oursOf(ROUND) })
    const share = median(rounds.map(({ rate, floor }) => rate / floor))
    const [rate, floor] = [median(rounds.map((round) => round.rate)), median(rounds.map((round) => round.floor))]
    return [
      { name: 'finish-and-claim syncs', figure: `${rate.toFixed(0)}/s with ${AGENTS} agents; bare object ${floor.toFixed(0)}/s`, ratio: percent(share), bar: `≥ ${percent(LEAST_SHARE)} of a bare object (≥ ${QUIET_PER_S}/s on a quiet machine)`, holds: share >= LEAST_SHARE },
    ]
  },
}

async function queueBuilds(site: Site, to: Poster, count: number): Promise<void> {
  const { slug } = await site.people.project({ command: 'true' })
  await abreast(count, AGENTS, async () => void (await to.post(`/api/v1/projects/${slug}/builds`, site.adminToken, '{}')))
}

async function sync(to: Poster, agent: TestAgent): Promise<SyncReply> {
  const reply = syncReplyOf(await to.post('/v1/agent/sync', agent.session ?? agent.secret, JSON.stringify(wire(agent.request(), { isFirst: agent.session === null }))))
  agent.hear(reply)
  return reply
}

let isChecked = false
/** The shape is checked once: a client that parses each reply with zod would measure itself. */
function syncReplyOf(text: string): SyncReply {
  const json: unknown = JSON.parse(text)
  if (!isChecked) syncReply.parse(json)
  isChecked = true
  return json as SyncReply // as checked above
}

/** The model's requests are as the Worker parsed them; on the wire a result is its text, and an offer travels once. */
function wire({ offer, ...request }: Partial<ReturnType<TestAgent['request']>>, { isFirst = false } = {}): object {
  return { ...request, ...(isFirst ? { offer } : {}), finished: request.finished?.map(({ attempt, digest, text }) => ({ attempt, digest, result: text })) ?? [] }
}
