import { expect, it } from 'vitest'
import { EnvironmentError, envFileText, jobEnvironment, type JobEnvironmentRequest } from '../../../agent/runner/environment.ts'
import { attemptId, type AgentId } from '../../../schema/job.ts'
import { jobIdOfUuid } from '../../../schema/job-uuid.ts'
import type { JobSpec } from '../../../schema/sync.ts'

const spec: JobSpec = {
  project: 'app', build: 82, job: 'J1-82-1', fence: 3, command: 'make', env: {}, timeout_s: 60, cancel_grace_s: 10, on_partition: 'continue', url: 'https://ci.example/projects/app/builds/82',
  checkout: { repository: 'git@host:app', commit: null, branch: 'main', fresh: false },
}

function environment(env: Record<string, string> = {}, rest: Partial<JobEnvironmentRequest> = {}): Record<string, string> {
  return jobEnvironment({
    spec: { ...spec, env }, attempt: attemptId({ project: 1, build: 82, n: 1, fence: 3 }), agent: { id: 'a_00000000000000000001' as AgentId, name: 'box', queue: 'default', tags: [] },
    folders: { workspace: '/w', tools: '/state/bin' }, local: { envFile: '/state/job', envChanges: '/state/hooks/1.env', redactions: '/state/hooks/1.redactions', locks: '/state/locks', cache: '/state/cache/app' }, command: 'make', owner: { hooks: null, plugins: true }, access: { url: 'https://ci.example', token: 'kdg_job_x' }, commit: '3f2a', ownEnvironment: {}, ...rest,
  })
}

it('says which attempt of what this is', () => {
  const own = Object.fromEntries(Object.entries(environment()).filter(([name]) => !name.startsWith('BUILDKITE')))
  expect(own).toEqual({
    PATH: '/state/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', CI: 'true', KEDGE: 'true', GIT_TERMINAL_PROMPT: '0',
    KEDGE_ATTEMPT: 'J1-82-1.3', KEDGE_AGENT_ID: 'a_00000000000000000001', KEDGE_AGENT_NAME: 'box', KEDGE_JOB_ID: 'J1-82-1', KEDGE_FENCE: '3', KEDGE_PROJECT: 'app',
    KEDGE_BUILD_NUMBER: '82', KEDGE_BUILD_URL: 'https://ci.example/projects/app/builds/82', KEDGE_COMMIT: '3f2a', KEDGE_BRANCH: 'main', KEDGE_DEFAULT_BRANCH: '', KEDGE_WORKSPACE: '/w',
    KEDGE_URL: 'https://ci.example', KEDGE_JOB_TOKEN: 'kdg_job_x', KEDGE_ENV_CHANGES: '/state/hooks/1.env', KEDGE_REDACTIONS: '/state/hooks/1.redactions', KEDGE_LOCKS: '/state/locks', KEDGE_CACHE_DIR: '/state/cache/app',
  })
})

it('takes from the agent what a build needs of the machine, and nothing else', () => {
  const machine = { PATH: '/bin', HOME: '/home/ci', LANG: 'C.UTF-8', LC_ALL: 'C', TZ: 'UTC', SSH_AUTH_SOCK: '/s', https_proxy: 'http://proxy', NO_PROXY: 'localhost' }
  const secret = { KEDGE_TOKEN: 'kdg_api_x', KEDGE_REGISTRATION_TOKEN: 'kdg_reg_x', KEDGE_ADMIN_TOKEN: 'kdg_adm_x', KEDGE_URL: 'u', AWS_SECRET_ACCESS_KEY: 'k', BASH_ENV: '/x', LD_PRELOAD: '/y', NODE_OPTIONS: '--z' }
  const given = environment({}, { ownEnvironment: { ...machine, ...secret, HTTP_PROXY: undefined } })
  expect(given).toMatchObject({ ...machine, PATH: '/state/bin:/bin', KEDGE_URL: 'https://ci.example' })
  for (const name of [...Object.keys(secret).filter((one) => one !== 'KEDGE_URL'), 'HTTP_PROXY']) expect(given).not.toHaveProperty(name)
})

it('people add and change variables', () => {
  expect(environment({ PATH: '/opt/bin', CI: '1', DEPLOY_TO: 'staging', KEDGE_MINE: 'yes' })).toMatchObject({ PATH: '/state/bin:/opt/bin', CI: '1', DEPLOY_TO: 'staging', KEDGE_MINE: 'yes' })
})

it('nobody speaks for another attempt', () => {
  expect(environment({ KEDGE_ATTEMPT: 'J9-9-9.9', KEDGE_AGENT_ID: 'a_x', KEDGE_FENCE: '99', KEDGE_COMMIT: 'other', KEDGE_JOB_TOKEN: 'kdg_job_y', BUILDKITE_COMMIT: 'other', BUILDKITE_AGENT_ACCESS_TOKEN: 'y' })).toEqual(environment())
})

it('what is not known is empty, so that set -u does not trip', () => {
  expect(environment({}, { spec: { ...spec, checkout: null }, commit: null })).toMatchObject({ KEDGE_COMMIT: '', KEDGE_BRANCH: '' })
})

it.each([[{ 'A=B': 'x' }, /"A=B"/], [{ '': 'x' }, /not empty/], [{ A: 'x\0y' }, /variable A/]] as const)('a variable that no process can be given is refused by name: %j', (env, message) => {
  expect(() => environment(env as unknown as Record<string, string>)).toThrow(EnvironmentError) // a union of one-key objects
  expect(() => environment(env as unknown as Record<string, string>)).toThrow(message)
})

it.each([[{ message: 'a\0b' }, /BUILDKITE_MESSAGE.*zero byte/], [{ env: { BIG: 'x'.repeat(128 * 1024) } }, /the variable BIG.*128 KiB/]] as const)('a job that no process could be given is refused by what is wrong with it, which is not this machine: %#', (over, message) => {
  expect(() => environment({}, { spec: { ...spec, ...over } })).toThrow(EnvironmentError)
  expect(() => environment({}, { spec: { ...spec, ...over } })).toThrow(message)
})

it('a command too long for a variable is left out of them, as is all else of ours that is', () => {
  const command = 'x'.repeat(200 * 1024)
  const given = environment({}, { command, spec: { ...spec, artifact_paths: [command] } })
  expect(given).not.toHaveProperty('BUILDKITE_COMMAND')
  expect(given).not.toHaveProperty('BUILDKITE_ARTIFACT_PATHS')
  expect(given).toMatchObject({ BUILDKITE_BRANCH: 'main' })
})

it('says to scripts that know Buildkite what they ask for', () => {
  const given = environment({}, { spec: { ...spec, message: 'Count twice', retries: 2, step: { key: 'test', label: 'Test', parallel: { index: 1, count: 3 } } } })
  expect(given).toMatchObject({
    BUILDKITE: 'true', BUILDKITE_BUILD_NUMBER: '82', BUILDKITE_BRANCH: 'main', BUILDKITE_COMMIT: '3f2a', BUILDKITE_MESSAGE: 'Count twice', BUILDKITE_PIPELINE_SLUG: 'app', BUILDKITE_PULL_REQUEST: 'false',
    BUILDKITE_REPO: 'git@host:app', BUILDKITE_STEP_KEY: 'test', BUILDKITE_LABEL: 'Test', BUILDKITE_COMMAND: 'make', BUILDKITE_TIMEOUT: '1', BUILDKITE_RETRY_COUNT: '2', BUILDKITE_PARALLEL_JOB: '1', BUILDKITE_PARALLEL_JOB_COUNT: '3',
    BUILDKITE_AGENT_ENDPOINT: 'https://ci.example', BUILDKITE_AGENT_ACCESS_TOKEN: 'kdg_job_x', BUILDKITE_BIN_PATH: '/state/bin', BUILDKITE_BUILD_CHECKOUT_PATH: '/w',
  })
  expect(given['BUILDKITE_BUILD_ID']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(given['BUILDKITE_PIPELINE_ID']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8/)
  expect(environment({}, { spec: { ...spec, build: 83, url: spec.url.replace('82', '83') } })['BUILDKITE_PIPELINE_ID']).toBe(given['BUILDKITE_PIPELINE_ID'])
  // scripts make names of it that must be in lower case
  expect(given['BUILDKITE_JOB_ID']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(jobIdOfUuid(given['BUILDKITE_JOB_ID'] ?? '')).toBe('J1-82-1')
  expect(environment()).toMatchObject({ BUILDKITE_BUILD_ID: given['BUILDKITE_BUILD_ID'], BUILDKITE_RETRY_COUNT: '0', BUILDKITE_STEP_KEY: '' })
  expect(environment()).not.toHaveProperty('BUILDKITE_PARALLEL_JOB')
})

it('each tag of the agent is a variable, named as Buildkite names it, and the queue is always its own', () => {
  const given = environment({}, { agent: { id: 'a_00000000000000000001' as AgentId, name: 'box', queue: 'mac', tags: ['os=linux', 'aws.ami-id=x=1', 'OS=other', 'queue=mine'] } })
  const tags = Object.entries(given).filter(([name]) => name.startsWith('BUILDKITE_AGENT_META_DATA_'))
  expect(Object.fromEntries(tags)).toEqual({ BUILDKITE_AGENT_META_DATA_QUEUE: 'mac', BUILDKITE_AGENT_META_DATA_OS: 'linux', BUILDKITE_AGENT_META_DATA_AWS_AMI_ID: 'x=1' })
})

it('says of which group its step is; a name that the group does not have is empty', () => {
  const step = { key: null, label: null, parallel: null }
  expect(environment({}, { spec: { ...spec, step: { ...step, group: { id: 'S1-1-2', key: 'deploys', label: null } } } })).toMatchObject({ BUILDKITE_GROUP_ID: 'S1-1-2', BUILDKITE_GROUP_KEY: 'deploys', BUILDKITE_GROUP_LABEL: '' })
  expect(Object.keys(environment({}, { spec: { ...spec, step } })).filter((name) => name.includes('GROUP'))).toEqual([])
})

it('says what was done about the checkout', () => {
  const checkout = { repository: 'git@host:app', commit: null, branch: 'main', fresh: false }
  expect(environment()).toMatchObject({ BUILDKITE_COMMIT_RESOLVED: 'true', BUILDKITE_CLEAN_CHECKOUT: 'false', BUILDKITE_GIT_SUBMODULES: 'true' })
  expect(environment()).not.toHaveProperty('BUILDKITE_GIT_LFS_ENABLED')
  expect(environment()).not.toHaveProperty('BUILDKITE_SKIP_CHECKOUT')
  expect(environment({}, { spec: { ...spec, checkout: { ...checkout, fresh: true, submodules: false, lfs: true } } })).toMatchObject({ BUILDKITE_CLEAN_CHECKOUT: 'true', BUILDKITE_GIT_SUBMODULES: 'false', BUILDKITE_GIT_LFS_ENABLED: 'true' })
  const without = environment({}, { spec: { ...spec, checkout: null }, commit: null })
  expect(without).toMatchObject({ BUILDKITE_SKIP_CHECKOUT: 'true', BUILDKITE_COMMIT_RESOLVED: 'false' })
  for (const name of ['BUILDKITE_REPO', 'BUILDKITE_CLEAN_CHECKOUT', 'BUILDKITE_GIT_SUBMODULES']) expect(without).not.toHaveProperty(name)
})

it('says what the owner of the agent allows, and how a job is ended', () => {
  expect(environment()).toMatchObject({ BUILDKITE_PLUGINS_ENABLED: 'true', BUILDKITE_LOCAL_HOOKS_ENABLED: 'true', BUILDKITE_COMMAND_EVAL: 'true', BUILDKITE_CANCEL_GRACE_PERIOD: '10', BUILDKITE_CANCEL_SIGNAL: 'SIGTERM', BUILDKITE_COMPUTE_TYPE: 'self-hosted' })
  expect(environment()).not.toHaveProperty('BUILDKITE_HOOKS_PATH')
  expect(environment({}, { owner: { hooks: '/etc/kedge/hooks', plugins: false } })).toMatchObject({ BUILDKITE_HOOKS_PATH: '/etc/kedge/hooks', BUILDKITE_PLUGINS_ENABLED: 'false' })
})

it('names the default branch of a project that has one', () => {
  expect(environment({}, { spec: { ...spec, default_branch: 'trunk' } })).toMatchObject({ BUILDKITE_PIPELINE_DEFAULT_BRANCH: 'trunk', KEDGE_DEFAULT_BRANCH: 'trunk' })
  expect(environment()).not.toHaveProperty('BUILDKITE_PIPELINE_DEFAULT_BRANCH')
})

it('names in BUILDKITE_ENV_FILE what a container is to be given: the job\'s variables, not the machine\'s and not its token', () => {
  const env = environment({ NODE_ENV: 'test', TEXT: 'two\nlines "quoted"' }, { ownEnvironment: { HOME: '/root', LANG: 'C' } })
  expect(env['BUILDKITE_ENV_FILE']).toBe('/state/job')
  const lines = envFileText({ ...spec, env: { NODE_ENV: 'test', TEXT: '' } }, env).split('\n')
  expect(lines).toEqual(expect.arrayContaining(['CI="true"', 'NODE_ENV="test"', 'TEXT="two\\nlines \\"quoted\\""', 'BUILDKITE_BUILD_NUMBER="82"']))
  expect(lines.filter((line) => /^(HOME|LANG|PATH|KEDGE|BUILDKITE_AGENT_ACCESS_TOKEN|BUILDKITE_ENV_FILE)/.test(line))).toEqual([])
})

it('says who let the last block before it pass, where somebody did', () => {
  expect(environment({}, { spec: { ...spec, unblocker: 'ada' } })).toMatchObject({ BUILDKITE_UNBLOCKER: 'ada' })
  expect(environment()).not.toHaveProperty('BUILDKITE_UNBLOCKER')
})
