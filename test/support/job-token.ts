/** An agent's half of a job's token, for tests of the coordinator's half, which may not import the agent. */
export { jobTokenOf } from '../../agent/runner/job-token.ts'
