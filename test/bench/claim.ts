/** Attempts without an agent: what a bar sends for them is its own. */
import { sha256Hex } from '../../coordinator/trust/tokens.ts'
import type { AttemptId } from '../../schema/job.ts'
import { syncReply } from '../../schema/sync.ts'
import { TestAgent, TestCluster } from '../support/cluster.ts'
import { poster, type Site } from './stage.ts'

export async function claim(site: Site, count: number): Promise<readonly { readonly attempt: AttemptId; readonly token: string }[]> {
  const agent = new TestAgent(new TestCluster(), 'bench', { slots: count })
  const { post } = poster(site.url, 1)
  const project = await site.people.project({ command: 'true' })
  for (let i = 0; i < count; i++) await project.build({})
  await post('/v1/agents/register', site.registrationToken, JSON.stringify({ proto: 1, agent_id: agent.id, secret_sha256: sha256Hex(agent.secret), offer: agent.offer }))
  const claimed: { attempt: AttemptId; token: string }[] = []
  for (let syncs = 0; claimed.length < count && syncs < 2 * count; syncs++) {
    const reply = syncReply.parse(JSON.parse(await post('/v1/agent/sync', agent.session ?? agent.secret, JSON.stringify(agent.request()))))
    agent.hear(reply)
    claimed.push(...reply.assignments)
  }
  return claimed
}
