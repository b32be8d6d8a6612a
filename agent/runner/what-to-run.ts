/** Which command a job is: its own, or the upload of the pipeline that its commit holds. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { PIPELINE_FILES } from '../../schema/pipeline/files.ts'
import type { JobSpec } from '../../schema/sync.ts'

/** The commit was to hold a pipeline; `code` goes into the attempt's result. */
export class PipelineMissing extends Error {
  override readonly name = 'PipelineMissing'
  readonly code = 'pipeline_missing'
}

/** `folder` holds the checkout. Throws a `PipelineMissing` where nothing says what to run. */
export function whatToRun({ command, pipeline }: JobSpec, folder: string): string {
  if (pipeline === undefined) return command
  const file = PIPELINE_FILES.find((one) => statSync(join(folder, one), { throwIfNoEntry: false })?.isFile() === true)
  if (file !== undefined) return `kedge pipeline upload ${file}`
  if (pipeline === 'if-present') return command
  throw new PipelineMissing(`nothing says what to run: the commit has no ${PIPELINE_FILES[0]}, and neither the project nor the build has a command. Add the file, or start the build with a command.`)
}
