/** Small builders of the views that pages render: each has every field, tests say only what they are about. */
import type { AgentView, AttemptView, BuildSummary, BuildView, JobView, StepView } from '../../schema/api.ts'

const AT = '2026-11-24T10:00:00.000Z'

export function buildSummary(over: Partial<BuildSummary> = {}): BuildSummary {
  return { project: 'shop', number: 7, state: 'passed', commit: 'a3f29b1c0d4e5f60718293a4b5c6d7e8f9012345', branch: 'main', message: 'Count twice', created_at: AT, started_at: AT, finished_at: '2026-11-24T10:01:05.000Z', agents: ['box-1'], url: 'https://kedge.test/projects/shop/builds/7', triggered_from: null, ...over }
}

export function buildView(over: Partial<BuildView> = {}): BuildView {
  return { ...buildSummary(over), jobs: [jobView()], steps: [], annotations: [], notifications: [], ...over }
}

export function jobView(over: Partial<JobView> = {}): JobView {
  return { id: 'J1-7-1', state: 'passed', command: 'make test', queue: 'default', tags: [], priority: 0, cancel_requested: false, exit_status: 0, signal: null, soft_failed: false, reason: null, retried_by: null, retry_of: null, step: null, label: null, parallel: null, created_at: AT, started_at: AT, finished_at: '2026-11-24T10:01:05.000Z', attempts: [attemptView()], ...over }
}

export function stepView(over: Partial<StepView> = {}): StepView {
  return { step: 1, kind: 'command', key: null, label: null, group: null, state: 'running', outcome: null, waits_for: [], skipped: null, broken: null, prompt: null, submit: null, fields: [], trigger: null, unblocked: null, ...over }
}

export function attemptView(over: Partial<AttemptView> = {}): AttemptView {
  return { id: 'J1-7-1.1', fence: 1, agent: 'box-1', agent_id: 'a_00000000000000000001', state: 'passed', exit_status: 0, signal: null, reason: null, commit: null, started_at: AT, finished_at: '2026-11-24T10:01:05.000Z', log_bytes: 0, ...over }
}

export function agentView(over: Partial<AgentView> = {}): AgentView {
  return { id: 'a_00000000000000000001', name: 'box-1', state: 'ready', reason: null, queue: 'default', tags: ['os=linux'], slots: 2, running: [], last_seen: AT, host: { os: 'linux', arch: 'x64', hostname: 'box-1.lan', version: '0.1.0' }, ...over }
}
