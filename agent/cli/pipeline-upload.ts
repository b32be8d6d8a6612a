/** `kedge pipeline upload`, inside a job: everything that can be told here is told here, with the line of the file. */
import { setTimeout as pause } from 'node:timers/promises'
import { pipelineUploadReply, type PipelineUpload } from '../../schema/job-calls.ts'
import { preparePipeline, type PlacedMistake } from '../../schema/pipeline/prepare.ts'
import { changedFiles, listedFiles } from './changed-files.ts'
import { createClient, postOnce } from './client.ts'
import { asksWhatChanged, withChanges } from './if-changed.ts'
import { EXIT, Failure, type ExitCode, type Surroundings } from './output.ts'
import { readPipelineFile, tellMistakes, type PipelineFile } from './pipeline-file.ts'
import { replyOf } from './replies.ts'
import { isThisJob, runningJob } from './running-job.ts'
import { firstOf, present } from './settings.ts'

interface UploadFlags {
  readonly job?: string
  readonly replace?: boolean
  readonly dryRun?: boolean
  readonly format: string
  readonly interpolation: boolean
  readonly rejectSecrets?: boolean
  readonly gitDiffBase?: string
  readonly changedFilesPath?: string
}

export async function uploadPipeline(named: string | undefined, flags: UploadFlags, surroundings: Surroundings): Promise<ExitCode> {
  if (flags.format !== 'json' && flags.format !== 'yaml') throw new Failure(EXIT.usage, `--format must be json or yaml, not "${flags.format}".`)
  const { environment } = surroundings
  if (flags.job !== undefined && !isThisJob(flags.job, environment)) throw new Failure(EXIT.usage, `--job cannot name another job: steps follow the one that uploads them. Leave it out.`)
  const file = readPipelineFile(named, surroundings)
  const answer = preparePipeline(file.text, flags.interpolation ? environment : null)
  if (!answer.ok) return refuse(file, answer.mistakes, surroundings)
  const { prepared } = answer
  const canonical = asksWhatChanged(prepared.pipeline) ? withChanges(prepared.canonical, prepared.pipeline, await filesOf(flags, surroundings)) : prepared.canonical
  const text = JSON.stringify(canonical)
  if (flags.rejectSecrets === true) rejectSecrets(text, environment)
  if (flags.dryRun === true) {
    surroundings.print(flags.format === 'json' ? JSON.stringify(canonical, null, 2) : (await import('yaml')).stringify(canonical).trimEnd())
    return EXIT.ok
  }
  const job = runningJob(environment, 'To look at a pipeline anywhere, use "kedge pipeline check".')
  const replace = flags.replace === true || environment['BUILDKITE_PIPELINE_REPLACE'] === 'true'
  const body: PipelineUpload = { pipeline: canonical, ...(replace ? { replace } : {}) } // a coordinator of before it would refuse the word
  try {
    const { steps, jobs } = await postOnce(createClient(job), `/v1/attempts/${job.attempt}/pipeline`, UPLOADED, { body, pause })
    surroundings.note(`uploaded ${count(steps, 'step')} (${count(jobs, 'job')}) from ${file.name}${replace ? ', in place of all that had not begun' : ''}`)
    return EXIT.ok
  } catch (error) {
    if (error instanceof Failure && error.places.length > 0) return refuse(file, error.places.map(({ path, message }) => ({ place: prepared.placeOf({ path: pathOf(path), message }), message })), surroundings)
    throw error
  }
}

/** Null, and a line about it, where it cannot be told: steps that may be needed run. */
async function filesOf({ gitDiffBase, changedFilesPath }: UploadFlags, { folder, environment, note }: Surroundings): Promise<readonly string[] | null> {
  const list = firstOf({ flag: ['--changed-files-path', changedFilesPath], variable: ['BUILDKITE_CHANGED_FILES_PATH', environment['BUILDKITE_CHANGED_FILES_PATH']], otherwise: '' })
  if (list.text !== '') {
    const files = listedFiles(folder, list)
    note(`${count(files.length, 'file')} changed, by ${list.text}`)
    return files
  }
  const base = gitDiffBase ?? present(environment['BUILDKITE_GIT_DIFF_BASE']) ?? present(environment['BUILDKITE_PULL_REQUEST_BASE_BRANCH'])
  const changed = await changedFiles(folder, { base, environment })
  if (changed.ok) note(`${changed.files.length === 1 ? '1 file differs' : `${changed.files.length} files differ`} from ${changed.base.slice(0, 7)}`)
  else note(`cannot tell what has changed (${changed.why}), so every step with "if_changed" runs`)
  return changed.ok ? changed.files : null
}

const UPLOADED = replyOf(pipelineUploadReply)

function refuse(file: PipelineFile, mistakes: readonly PlacedMistake[], surroundings: Surroundings): ExitCode {
  tellMistakes(file, mistakes, surroundings)
  surroundings.note(`${file.name} was not uploaded: ${mistakes.length === 1 ? 'it has a mistake' : `it has ${mistakes.length} mistakes`}.`)
  return EXIT.usage
}

const SECRET_NAMES = /_(PASSWORD|SECRET|TOKEN|PRIVATE_KEY|ACCESS_KEY|SECRET_KEY|CONNECTION_STRING)$/
/** Shorter values are found everywhere. */
const SHORTEST_SECRET = 6

function rejectSecrets(text: string, environment: Surroundings['environment']): void {
  const found = Object.entries(environment).filter(([name, value = '']) => SECRET_NAMES.test(name) && value.length >= SHORTEST_SECRET && text.includes(JSON.stringify(value).slice(1, -1)))
  if (found.length > 0) throw new Failure(EXIT.usage, `the pipeline holds the value of ${found.map(([name]) => name).join(', ')}, which everybody who sees the build would read. Write "$$" before the variable, so that the job's own shell fills it in.`)
}

/** `steps[3].depends_on` to its parts, as the coordinator spells them. */
function pathOf(text: string): readonly (string | number)[] {
  return [...text.matchAll(/\[(\d+)\]|([^.[\]]+)/g)].map(([, index, name]) => (index === undefined ? (name ?? '') : Number(index)))
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`
}
