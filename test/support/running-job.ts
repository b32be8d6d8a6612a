/** A job that runs without an agent: a test does in it what a script would. */
import { jobTokenOf } from '../../agent/runner/job-token.ts'
import type { Surroundings } from '../../agent/cli/output.ts'
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import type { AttemptId } from '../../schema/job.ts'
import { syncReply } from '../../schema/sync.ts'
import { client } from './client.ts'
import { TestAgent, TestCluster } from './cluster.ts'
import type { Coordinator } from './installation.ts'
import { surroundings } from './surroundings.ts'

export interface RunningJob {
  readonly attempt: AttemptId
  readonly token: string
  /** As its script meets it; `url` is that of whatever stands between. */
  around(given: { readonly url?: string; readonly folder: string; readonly note?: (line: string) => void }): Surroundings
}

export async function runningJob(coordinator: Coordinator, queue: string): Promise<RunningJob> {
  const project = await client(coordinator).project({ command: 'true' })
  await project.build({ agents: { queue } })
  const agent = new TestAgent(new TestCluster(), queue, { queue })
  const post = async (path: string, token: string, body: unknown): Promise<unknown> => (await fetch(`${coordinator.url}${path}`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })).json()
  await post('/v1/agents/register', coordinator.registrationToken, { proto: 1, agent_id: agent.id, secret_sha256: sha256Hex(agent.secret), offer: agent.offer })
  for (let syncs = 0; syncs < 4; syncs++) {
    const reply = syncReply.parse(await post('/v1/agent/sync', agent.session ?? agent.secret, agent.request()))
    agent.hear(reply)
    const [assignment] = reply.assignments
    if (assignment === undefined) continue
    const { attempt } = assignment
    const token = jobTokenOf(assignment.token)
    return { attempt, token, around: ({ url = coordinator.url, ...more }) => surroundings({ environment: { KEDGE_URL: url, KEDGE_JOB_TOKEN: token, KEDGE_ATTEMPT: attempt, KEDGE_PROJECT: project.slug }, ...more }) }
  }
  throw new Error('no attempt was assigned')
}
