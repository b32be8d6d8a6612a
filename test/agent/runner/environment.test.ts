import { expect, it } from 'vitest'
import { EnvironmentError, jobEnvironment, type JobEnvironmentRequest } from '../../../agent/runner/environment.ts'
import { attemptId, type AgentId } from '../../../schema/job.ts'
import type { JobSpec } from '../../../schema/sync.ts'

const spec: JobSpec = {
  project: 'app', build: 82, job: 'J1-82-1', fence: 3, command: 'make', env: {}, timeout_s: 60, cancel_grace_s: 10, on_partition: 'continue', url: 'https://ci.example/projects/app/builds/82',
  checkout: { repository: 'git@host:app', commit: null, branch: 'main', fresh: false },
}

function environment(env: Record<string, string> = {}, rest: Partial<JobEnvironmentRequest> = {}): Record<string, string> {
  return jobEnvironment({
    spec: { ...spec, env }, attempt: attemptId({ project: 1, build: 82, n: 1, fence: 3 }), agent: { id: 'a_00000000000000000001' as AgentId, name: 'box' },
    folders: { workspace: '/w' }, commit: '3f2a', ownEnvironment: {}, ...rest,
  })
}

it('says which attempt of what this is', () => {
  expect(environment()).toEqual({
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', CI: 'true', KEDGE: 'true', GIT_TERMINAL_PROMPT: '0',
    KEDGE_ATTEMPT: 'J1-82-1.3', KEDGE_AGENT_ID: 'a_00000000000000000001', KEDGE_AGENT_NAME: 'box', KEDGE_JOB_ID: 'J1-82-1', KEDGE_FENCE: '3', KEDGE_PROJECT: 'app',
    KEDGE_BUILD_NUMBER: '82', KEDGE_BUILD_URL: 'https://ci.example/projects/app/builds/82', KEDGE_COMMIT: '3f2a', KEDGE_BRANCH: 'main', KEDGE_WORKSPACE: '/w',
  })
})

it('takes from the agent what a build needs of the machine, and nothing else', () => {
  const machine = { PATH: '/bin', HOME: '/home/ci', LANG: 'C.UTF-8', LC_ALL: 'C', TZ: 'UTC', SSH_AUTH_SOCK: '/s', https_proxy: 'http://proxy', NO_PROXY: 'localhost' }
  const secret = { KEDGE_TOKEN: 'kdg_api_x', KEDGE_REGISTRATION_TOKEN: 'kdg_reg_x', KEDGE_ADMIN_TOKEN: 'kdg_adm_x', KEDGE_URL: 'u', AWS_SECRET_ACCESS_KEY: 'k', BASH_ENV: '/x', LD_PRELOAD: '/y', NODE_OPTIONS: '--z' }
  const given = environment({}, { ownEnvironment: { ...machine, ...secret, HTTP_PROXY: undefined } })
  expect(given).toMatchObject(machine)
  for (const name of [...Object.keys(secret), 'HTTP_PROXY']) expect(given).not.toHaveProperty(name)
})

it('people add and change variables', () => {
  expect(environment({ PATH: '/opt/bin', CI: '1', DEPLOY_TO: 'staging', KEDGE_MINE: 'yes' })).toMatchObject({ PATH: '/opt/bin', CI: '1', DEPLOY_TO: 'staging', KEDGE_MINE: 'yes' })
})

it('nobody speaks for another attempt', () => {
  expect(environment({ KEDGE_ATTEMPT: 'J9-9-9.9', KEDGE_AGENT_ID: 'a_x', KEDGE_FENCE: '99', KEDGE_COMMIT: 'other' })).toEqual(environment())
})

it('what is not known is empty, so that set -u does not trip', () => {
  expect(environment({}, { spec: { ...spec, checkout: null }, commit: null })).toMatchObject({ KEDGE_COMMIT: '', KEDGE_BRANCH: '' })
})

it.each([[{ 'A=B': 'x' }, /"A=B"/], [{ '': 'x' }, /not empty/], [{ A: 'x\0y' }, /variable A/]] as const)('a variable that no process can be given is refused by name: %j', (env, message) => {
  expect(() => environment(env as unknown as Record<string, string>)).toThrow(EnvironmentError) // a union of one-key objects
  expect(() => environment(env as unknown as Record<string, string>)).toThrow(message)
})
