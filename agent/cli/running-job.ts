/** The job that a command runs in, for commands that act on its build. */
import { jobIdOfUuid } from '../../schema/job-uuid.ts'
import { EXIT, Failure, type Surroundings } from './output.ts'
import { coordinatorUrl, present } from './settings.ts'

export interface RunningJob {
  /** Where the job's agent said that its coordinator is. */
  readonly url: string
  readonly token: string
  readonly attempt: string
}

/** `instead` is what a person may do who is not in a job. */
export function runningJob(environment: Surroundings['environment'], instead: string): RunningJob {
  const [url, token, attempt] = ['KEDGE_URL', 'KEDGE_JOB_TOKEN', 'KEDGE_ATTEMPT'].map((name) => present(environment[name]))
  if (url === undefined || token === undefined || attempt === undefined) throw new Failure(EXIT.usage, `this works inside a job only: KEDGE_URL, KEDGE_JOB_TOKEN and KEDGE_ATTEMPT, which an agent sets, are not there. ${instead}`)
  return { url: coordinatorUrl({ text: url, from: 'KEDGE_URL' }), token, attempt }
}

/** Whether it names the job that runs this: by Kedge's id, or by BUILDKITE_JOB_ID. */
export function isThisJob(id: string, environment: Surroundings['environment']): boolean {
  return jobIdOfUuid(id) === environment['KEDGE_JOB_ID']
}
